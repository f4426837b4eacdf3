"""The result table and the READMEs it is written into."""

import io
import json
import sys

import pytest

from mnist_lit.cli import main
from mnist_lit.errors import Failure, UsageError
from mnist_lit.run.report import END, START, fill_in, read_collected, result_table


def result(seed: int = 0, acc: float | None = 0.99, experiment: str = "default", **changes):
    """What `results.json` of a run holds, as far as the table needs it."""
    return {
        "experiment": experiment,
        "seed": seed,
        "network": "reference",
        "parameters": 456_650,
        "fit_seconds": 100.0 + seed,
        "test": None if acc is None else {"acc": acc},
        "environment": {"accelerator": None, "cores": 2, "processor": "Made Up", "precision": "32-true"},
        **changes,
    }


def cells(table: str, row: int) -> list[str]:
    return [cell.strip() for cell in table.splitlines()[row].strip("|").split("|")]


def test_accuracy_is_mean_and_sample_deviation_over_the_seeds():
    # mean 99.3; deviation sqrt((0.1² + 0.1²) / 2) = 0.1
    table = result_table([result(0, 0.992), result(1, 0.993), result(2, 0.994)])
    assert cells(table, 2)[3:6] == ["99.30 ± 0.10 %", "3", "101 s"]


def test_one_run_has_no_deviation():
    assert cells(result_table([result(0, 0.9912)]), 2)[3:5] == ["99.12 %", "1"]


def test_order_of_the_files_does_not_matter():
    runs = [result(seed, 0.99 + seed / 1000) for seed in range(3)]
    assert result_table(runs) == result_table(runs[::-1])


def test_each_experiment_has_a_row_in_alphabetical_order():
    table = result_table([result(experiment="b"), result(experiment="a"), result(1, experiment="a")])
    assert [cells(table, row)[0] for row in (2, 3)] == ["`configs/a.yaml`", "`configs/b.yaml`"]
    assert len(table.splitlines()) == 4


def test_row_names_network_size_and_hardware():
    row = cells(result_table([result()]), 2)
    assert (row[1], row[2], row[6]) == ("reference", "456,650", "2 × Made Up, 32-true")


def test_accelerator_goes_before_the_processor():
    machine = {"accelerator": "Fast 9", "cores": 2, "processor": "Made Up", "precision": "bf16-mixed"}
    assert cells(result_table([result(environment=machine)]), 2)[6] == "Fast 9, bf16-mixed"


def test_the_same_seed_twice_is_refused_with_the_experiment():
    with pytest.raises(UsageError, match=r"default: two runs have the same seed among \[1, 1\]"):
        result_table([result(1), result(1)])


def test_the_same_seed_in_two_experiments_is_fine():
    assert result_table([result(1, experiment="a"), result(1, experiment="b")])


def test_a_run_without_a_test_score_is_refused():
    with pytest.raises(UsageError, match="default: a run has no test score"):
        result_table([result(0), result(1, None)])


def test_chinese_table_has_chinese_headings_over_the_same_rows():
    english, chinese = (result_table([result()], language) for language in ("en", "zh"))
    assert cells(chinese, 0) == ["配置", "网络", "参数量", "测试准确率", "次数", "每次训练用时", "硬件"]
    assert cells(english, 0)[3] == "test accuracy"
    assert chinese.splitlines()[2:] == english.splitlines()[2:]


def test_fill_in_changes_nothing_outside_the_marks(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_bytes(f"# 标题\r\nbefore\n{START}\nold\n{END}\n\nafter\r\n".encode())
    fill_in(readme, "| new |")
    assert readme.read_bytes() == f"# 标题\r\nbefore\n{START}\n| new |\n{END}\n\nafter\r\n".encode()


def test_filling_in_twice_is_like_once(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"{START}{END}", encoding="utf-8")
    fill_in(readme, "| new |")
    once = readme.read_bytes()
    fill_in(readme, "| new |")
    assert readme.read_bytes() == once


@pytest.mark.parametrize("text", ["no marks", START, END, f"{END} {START}"])
def test_file_without_both_marks_is_refused_and_left_alone(tmp_path, text):
    readme = tmp_path / "README.md"
    readme.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=r"README\.md: the marks"):
        fill_in(readme, "| new |")
    assert readme.read_text(encoding="utf-8") == text


def without(key: str) -> str:
    return json.dumps({k: v for k, v in result().items() if k != key})


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", without("seed"), without("test"), json.dumps(result(parameters="many"))],
    ids=lambda t: t[:9],
)
def test_damaged_result_is_a_failure_that_names_the_file(tmp_path, text):
    (tmp_path / "a.json").write_text(json.dumps(result()))
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(Failure, match=r"b\.json") as caught:
        read_collected(tmp_path)
    assert caught.value.exit_status == 1


def test_folder_without_results_says_how_to_collect_some(tmp_path):
    with pytest.raises(UsageError, match=r"no results in it .*--collect"):
        read_collected(tmp_path)


def test_report_prints_the_table_and_fills_each_file_in_its_language(tmp_path, capsys):
    (tmp_path / "a.json").write_text(json.dumps(result()))
    files = [tmp_path / "README.md", tmp_path / "README.zh-CN.md"]
    for file in files:
        file.write_text(f"{START}{END}", encoding="utf-8")
    assert main(["report", "--results", str(tmp_path), "--table", *map(str, files)]) == 0
    out = capsys.readouterr().out
    assert result_table([result()]) in out
    assert [file.read_text(encoding="utf-8").splitlines()[1].split()[1] for file in files] == ["config", "配置"]


def test_report_of_a_run_whose_results_are_damaged_is_one_line(tmp_path, capsys):
    (tmp_path / "results.json").write_text('{"experiment": "x"}')
    assert main(["report", str(tmp_path)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "line"),
    [
        ([], "report: RUN_DIR: missing"),
        (["nowhere"], "report: nowhere: not a finished run: no results.json in it"),
        (["--results", "nowhere"], "report: nowhere: no results in it"),
        (["--nope"], "report: unrecognized arguments: --nope"),
    ],
)
def test_wrong_use_is_one_line_and_exit_status_2(tmp_path, monkeypatch, capsys, args, line):
    monkeypatch.chdir(tmp_path)
    assert main(["report", *args]) == 2
    err = capsys.readouterr().err
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_a_readme_that_is_not_there_is_one_line(tmp_path, capsys):
    (tmp_path / "a.json").write_text(json.dumps(result()))
    assert main(["report", "--results", str(tmp_path), "--table", str(tmp_path / "NONE.md")]) == 1
    assert "NONE.md: No such file" in capsys.readouterr().err


def test_a_terminal_without_unicode_gets_the_table_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text(json.dumps(result(0)))
    (tmp_path / "b.json").write_text(json.dumps(result(1)))
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert main(["report", "--results", str(tmp_path)]) == 0
    assert b"99.00 ? 0.00 %" in terminal.buffer.getvalue()
