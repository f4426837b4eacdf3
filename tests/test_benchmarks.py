"""The README's tables of benchmarks and seeds, from small JSON files written by hand."""

import json

import pytest

from mnist_lit.errors import Failure
from mnist_lit.run.benchmarks import benchmark_tables, fit_table, marks, predict_table, read_table
from mnist_lit.run.report import fill_in_benchmarks


def three(median, n=5):
    return {"n": n, "median": median, "low": 0.5 * median, "high": 2 * median}


FIT = {
    "benchmark": "fit",
    "config": "configs/fast.yaml",
    "peers": {
        "fast": {
            "n": 30, "mean_accuracy": 0.99012, "sd_accuracy": 0.0007,
            "train_seconds": three(2), "total_seconds": three(8),
        },
        "published": {
            "n": 30, "mean_accuracy": 0.9904, "sd_accuracy": 0.0007,
            "train_seconds": three(5), "total_seconds": three(9),
        },
        "example": {
            "n": 1, "mean_accuracy": 0.9906, "sd_accuracy": None,
            "train_seconds": three(250, n=1), "total_seconds": three(300, n=1),
        },
    },
    "to_published": three(0.4),
    "sooner_than_example": 124.6,
}  # fmt: skip
OVERHEAD = {
    "benchmark": "overhead",
    "precision": "bf16-mixed",
    "one_layer": {
        "plain loop": {"ms": three(0.16)},
        "fit": {"ms": three(0.4), "added_ms": three(0.24), "to_barebones": three(0.8)},
    },
    "reference": {
        "plain loop": {"ms": three(50), "to_plain": three(1)},
        "fit": {"ms": three(51), "to_plain": three(1.02)},
    },
}
FILTERS = {
    "benchmark": "filters",
    "filters": {
        "slow": {"chain": "slow", "images_per_second": three(10)},
        "quick": {"chain": "quick(x=1)", "images_per_second": three(20_000)},
    },
}
DATA = {"benchmark": "data", "peers": {"our loader": {"images_per_second": three(1000), "to_per_sample": three(80)}}}
SIZE = {
    "benchmark": "size",
    "sizes": {"15000": {"fit_seconds": three(12), "images_per_second": three(1250), "peak_megabytes": 1234.5}},
}
SEEDS = {
    "experiment": "accurate", "parameters": 1_500_000, "mean": {"mean": 0.99712, "sd": 0.0002, "n": 10},
    "committee": {"test_acc": 0.998}, "fit_seconds": {"mean": 800.0},
    "environments": [{"accelerator": None, "cores": 2, "processor": "P", "precision": "bf16-mixed"}],
}  # fmt: skip


@pytest.fixture
def results(tmp_path):
    for name, data in {"fit": FIT, "overhead": OVERHEAD, "filters": FILTERS, "data": DATA, "size": SIZE}.items():
        path = tmp_path / "results" / "bench" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data))
    (tmp_path / "results" / "seeds").mkdir()
    (tmp_path / "results" / "seeds" / "accurate.json").write_text(json.dumps(SEEDS))
    return tmp_path / "results"


def test_rows_worked_out_by_hand(results):
    tables = {name: text.splitlines() for name, text in benchmark_tables(results).items()}
    assert set(tables) == {"fit", "overhead", "filters", "data", "size", "seeds"}
    assert (
        tables["fit"][2] == "| `configs/fast.yaml` | 99.01 ± 0.07 % | 30 | 2.00 (1.00–4.00) | 1 | 8.00 (4.00–16.00) |"
    )
    assert tables["fit"][3].endswith("| 30 | 5.00 (2.50–10.00) | 2.50 (1.25–5.00) | 9.00 (4.50–18.00) |")
    assert tables["fit"][4] == "| PyTorch `examples/mnist` | 99.06 % | 1 | 250.00 | 125 | 300.00 |"
    assert tables["overhead"][3] == "| one layer | fit | 0.40 (0.20–0.80) | 0.24 (0.12–0.48) | 0.80 (0.40–1.60) |"
    assert tables["overhead"][5] == "| reference, bf16-mixed | fit | 51.0 (25.5–102.0) |  | 1.020 (0.510–2.040) |"
    assert tables["size"][2] == "| 15,000 | 12.0 (6.0–24.0) | 1,250 (625–2,500) | 1,234 |"
    assert tables["filters"][2] == "| `quick(x=1)` | 20,000 (10,000–40,000) |"
    assert tables["data"][2] == "| our loader | 1,000 (500–2,000) | 80.0 (40.0–160.0) |"
    assert tables["seeds"][2] == (
        "| `configs/accurate.yaml` | 1,500,000 | 99.712 ± 0.020 % | 10 | 99.80 % | 800 s | 2 × P, bf16-mixed |"
    )


def test_both_languages_have_the_same_numbers_below_their_heads(results):
    english, chinese = benchmark_tables(results, "en"), benchmark_tables(results, "zh")
    for name in english:
        ours, theirs = english[name].splitlines(), chinese[name].splitlines()
        assert ours[0] != theirs[0]
        assert [row.count("|") for row in ours] == [row.count("|") for row in theirs]
        for row, other in zip(ours[1:], theirs[1:], strict=True):
            assert row.split("|")[3:] == other.split("|")[3:]  # before that, names of peers
    assert "本项目的加载器" in chinese["data"]


def test_a_bench_without_the_slow_peer_has_no_ratio_to_it():
    without = {**FIT, "peers": {name: FIT["peers"][name] for name in ("fast", "published")}}
    del without["sooner_than_example"]
    assert len(fit_table(without).splitlines()) == 4


def test_a_readme_gets_the_tables_that_it_has_marks_for(results, tmp_path):
    start, end = marks("fit")
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{start}\nold\n{end}\nafter\n")
    fill_in_benchmarks(readme, results, "en")
    table = benchmark_tables(results)["fit"]
    assert readme.read_text() == f"before\n{start}\n{table}\n{end}\nafter\n"


def test_nothing_there_makes_no_table(tmp_path):
    assert benchmark_tables(tmp_path) == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"benchmark": "fit"}', '{"benchmark": "data", "peers": {"a": {}}}'])
def test_a_damaged_file_is_named(text, tmp_path):
    (tmp_path / "bench").mkdir()
    (tmp_path / "bench" / "x.json").write_text(text)
    with pytest.raises(Failure, match=r"x\.json"):
        benchmark_tables(tmp_path)


def test_scores_of_the_reader_are_a_row_for_each_grade():
    times = {"n": 3, "median": 0.4, "low": 0.35, "high": 0.5}
    score = {"digits": 1200, "recall": 0.99583, "false_share": 0.0025, "character_error_rate": 0.01}
    data = {"pages_per_grade": 2, "grades": {"easy": {**score, "seconds_per_page": times}}}
    assert read_table(data).splitlines()[2] == "| 2 × easy | 1,200 | 99.58 % | 0.25 % | 1.00 % | 0.40 (0.35–0.50) |"
    assert read_table(data, "zh").splitlines()[2].startswith("| 2 × 容易 | 1,200 |")


def test_runtimes_are_a_row_each():
    one = {"seconds": {"n": 3, "median": 9e-5, "low": 8e-5, "high": 1e-4}, "images_per_second": 11111.1}
    data = {"images": {"1": {"onnxruntime": one}, "1024": {"onnxruntime": {"images_per_second": 20500.4}}}}
    assert predict_table(data).splitlines()[2] == "| onnxruntime | 0.090 (0.080–0.100) | 20,500 |"
