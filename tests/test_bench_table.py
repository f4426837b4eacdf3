"""The benchmark tables of the READMEs: cells against numbers worked out by hand, and filling in."""

import json

import pytest

from mnist_lit.cli import main
from mnist_lit.study.bench_table import marks, predict_table, read_table

TIMES = {"n": 3, "median": 0.4, "low": 0.35, "high": 0.5}
READ = {
    "pages_per_grade": 2,
    "grades": {
        "easy": {
            "digits": 1200,
            "recall": 0.99583,
            "false_share": 0.0025,
            "character_error_rate": 0.01,
            "seconds_per_page": TIMES,
        }
    },
}
ONE = {"seconds": {"n": 3, "median": 9e-5, "low": 8e-5, "high": 1e-4}, "images_per_second": 11111.1}
PREDICT = {"images": {"1": {"onnxruntime": ONE}, "1024": {"onnxruntime": {"images_per_second": 20500.4}}}}


def test_scores_of_the_reader_are_a_row_for_each_grade():
    assert read_table(READ).splitlines()[2] == "| 2 × easy | 1,200 | 99.58 % | 0.25 % | 1.00 % | 0.40 (0.35–0.50) |"
    assert read_table(READ, "zh").splitlines()[2].startswith("| 2 × 容易 | 1,200 |")


def test_runtimes_are_a_row_each():
    assert predict_table(PREDICT).splitlines()[2] == "| onnxruntime | 0.090 (0.080–0.100) | 20,500 |"


def test_tables_are_filled_in_between_their_marks(tmp_path, capsys):
    for name, result in (("read", READ), ("predict", PREDICT)):
        (tmp_path / f"{name}.json").write_text(json.dumps(result))
    readme = tmp_path / "README.zh-CN.md"
    text = "\n".join(["above", *marks("read"), "between", *marks("predict"), "below"])
    readme.write_text(text, encoding="utf-8")
    assert main(["bench", "table", str(readme), "--results", str(tmp_path)]) == 0
    shown = readme.read_text(encoding="utf-8")
    assert shown.startswith("above\n<!-- bench read: start -->\n| 页面 |")
    assert "between" in shown
    assert shown.endswith("| 20,500 |\n<!-- bench predict: end -->\nbelow")


@pytest.mark.parametrize("content", [None, "{"])
def test_a_missing_or_damaged_result_is_named(tmp_path, capsys, content):
    if content:
        (tmp_path / "read.json").write_text(content)
    readme = tmp_path / "README.md"
    readme.write_text("\n".join([*marks("read"), *marks("predict")]))
    assert main(["bench", "table", str(readme), "--results", str(tmp_path)]) == 1
    assert "read.json: cannot be read" in capsys.readouterr().err
