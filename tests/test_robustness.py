"""Scores on the 15 corruptions: from run folders to the READMEs' table."""

import json

import pytest

from mnist_lit.data.corruptions import CORRUPTIONS
from mnist_lit.errors import Failure, UsageError
from mnist_lit.run.robustness import mean_of_corruptions, read_robustness, robustness_of, robustness_table

RESULTS = {"experiment": "robust", "seed": 0, "network": "vgg", "parameters": 205290, "filters": "a | b", "epochs": 8}


def accuracies(clean, corrupted):
    return {"clean": clean} | {name: corrupted + 0.01 * (i - 7) for i, name in enumerate(CORRUPTIONS)}


def run_folder(path, **files):
    path.mkdir()
    for name, parts in files.items():
        scores = {part: {"acc": acc, "errors": 1} for part, acc in parts.items()}
        (path / f"{name.replace('_', '-')}.json").write_text(json.dumps({"checkpoint": "best.ckpt", **scores}))
    return path


def collected(seed, plain=0.8, adabn=0.9):
    parts = {"plain": accuracies(0.99, plain), "adabn": accuracies(0.98, adabn)}
    return {key: value for key, value in RESULTS.items() if key != "epochs"} | {"seed": seed} | parts


def test_the_mean_is_over_the_fifteen_and_not_the_clean_images():
    assert mean_of_corruptions(accuracies(0.1, 0.8)) == pytest.approx(0.8)


def test_a_run_tested_both_ways_is_collected(tmp_path):
    folder = run_folder(
        tmp_path / "run", test_corruptions=accuracies(0.99, 0.8), test_corruptions_adabn=accuracies(0.98, 0.9)
    )
    assert robustness_of(folder, RESULTS) == collected(0)


def test_a_run_tested_one_way_is_not(tmp_path):
    assert robustness_of(run_folder(tmp_path / "run", test_corruptions=accuracies(0.99, 0.8)), RESULTS) is None


def test_scores_without_a_corruption_are_refused(tmp_path):
    parts = accuracies(0.99, 0.8)
    folder = run_folder(tmp_path / "run", test_corruptions=parts, test_corruptions_adabn=parts)
    scores = json.loads((folder / "test-corruptions-adabn.json").read_text())
    del scores["fog"]
    (folder / "test-corruptions-adabn.json").write_text(json.dumps(scores))
    with pytest.raises(Failure, match=r"test-corruptions-adabn\.json: not the scores of all corruptions: 'fog'"):
        robustness_of(folder, RESULTS)


def test_the_table_has_mean_and_deviation_over_seeds():
    row = robustness_table([collected(0, 0.80, 0.90), collected(1, 0.82, 0.92)]).splitlines()[2]
    assert row == (
        "| `configs/robust.yaml` | vgg, 205,290 | `a \\| b` | 2 | 99.00 ± 0.00 % | 81.00 ± 1.41 % | 91.00 ± 1.41 % |"
    )


def test_the_chinese_table_has_the_same_numbers():
    english, chinese = (robustness_table([collected(0)], language).splitlines() for language in ("en", "zh"))
    assert english[1:] == chinese[1:]
    assert english[0] != chinese[0]


def test_two_runs_with_the_same_seed_are_refused():
    with pytest.raises(UsageError, match=r"robust: two runs have the same seed among \[0, 0\]"):
        robustness_table([collected(0), collected(0)])


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "robustness").mkdir()
    (tmp_path / "robustness" / "x.json").write_text('{"plain": {}}')
    with pytest.raises(Failure, match=r"x\.json: cannot be read"):
        read_robustness(tmp_path)
