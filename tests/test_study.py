"""The filter study: cells that are made once, in a fair order, and that go on where a study was stopped."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from small_data import write_small_set

from mnist_lit.cli import main
from mnist_lit.data.corruptions import corrupt
from mnist_lit.data.filters import FilterChain
from mnist_lit.data.idx import read_set
from mnist_lit.study.cells import FilteredSets, Study, count_correct
from mnist_lit.study.config import StudyConfig
from mnist_lit.study.filters import parse
from mnist_lit.usage import OneLineParser, StrictConfigFile


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return write_small_set(tmp_path_factory.mktemp("small"), train=360, test=101)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def words(small, tmp_path):
    """Return the words of a study of 2 filters × 2 seeds that takes a second."""
    values = {
        "chains": {"none": "none", "m 3": "median(kernel_size=3)"},
        "seeds": 2,
        "epochs": 1,
        "batch_size": 64,
        "dataset": "idx",
        "root": str(small),
        "val_size": 60,
        "corruptions": ["scale", "stripe"],
        "output": str(tmp_path / "study"),
    }
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return ["study", "--config", str(path)]


@pytest.fixture
def made(monkeypatch):
    """Return the list of cells that are trained from now on."""
    cells = []
    make = Study.make

    def counted(self, name, seed):
        cells.append((name, seed))
        return make(self, name, seed)

    monkeypatch.setattr(Study, "make", counted)
    return cells


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "study.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def config_of(words: list[str]) -> StudyConfig:
    return parse(words[1:], OneLineParser, StrictConfigFile)


# ---------------------------------------------------------------------- a study as a whole


def test_a_study_writes_cells_tables_and_figures(words, tmp_path, capsys):
    assert main(words) == 0
    folder = tmp_path / "study"
    assert sorted(p.name for p in folder.iterdir()) == [
        "bars.png", "cells", "heatmap.png", "study.csv", "study.json", "study.md",
    ]  # fmt: skip
    cells = sorted(p.name.rpartition("-")[0] for p in (folder / "cells").iterdir())
    assert cells == ["m_3-seed0", "m_3-seed1", "none-seed0", "none-seed1"]
    rows = rows_of(folder)
    assert len(rows) == 2 * 2 * 4
    assert {row["set"] for row in rows} == {"validation", "clean", "scale", "stripe"}
    data = json.loads((folder / "study.json").read_text())
    assert data["config"]["epochs"] == 1
    assert data["environment"]["device"] == "cpu"
    assert data["parameters"] == 215_194
    assert "| m 3 |" in capsys.readouterr().out


def test_seeds_come_first_so_that_a_stopped_study_is_balanced(words, made):
    assert main(words) == 0
    assert made == [("none", 0), ("m 3", 0), ("none", 1), ("m 3", 1)]


def test_a_finished_study_trains_nothing_and_writes_the_same_again(words, made, tmp_path):
    main(words)
    folder = tmp_path / "study"
    before = {name: (folder / name).read_bytes() for name in ("study.csv", "study.md", "heatmap.png", "bars.png")}
    for name in before:
        (folder / name).unlink()
    made.clear()
    assert main(words) == 0
    assert made == []
    assert {name: (folder / name).read_bytes() for name in before} == before


def test_a_missing_cell_is_made_again_and_no_other(words, made, tmp_path):
    main(words)
    cell = next((tmp_path / "study" / "cells").glob("m_3-seed1-*"))
    before, made[:] = json.loads(cell.read_text()), []
    cell.unlink()
    assert main(words) == 0
    assert made == [("m 3", 1)]
    assert json.loads(cell.read_text())["accuracy"] == before["accuracy"]


def test_a_study_stopped_by_ctrl_c_goes_on(words, tmp_path, monkeypatch, capsys):
    whole = tmp_path / "whole"
    assert main([*words, "--output", str(whole)]) == 0
    make, calls = Study.make, []

    def stopped(self, name, seed):
        calls.append((name, seed))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return make(self, name, seed)

    monkeypatch.setattr(Study, "make", stopped)
    assert main(words) == 130
    assert "stopped: 2 of 4 trainings are kept" in capsys.readouterr().err
    assert main(words) == 0
    assert calls[3:] == [("none", 1), ("m 3", 1)]
    assert (tmp_path / "study" / "study.csv").read_text() == (whole / "study.csv").read_text()


def test_more_seeds_go_on_from_the_cells_there_are(words, made, tmp_path):
    main(words)
    first, made[:] = rows_of(tmp_path / "study"), []
    assert main([*words, "--seeds", "3"]) == 0
    assert made == [("none", 2), ("m 3", 2)]
    assert [row for row in rows_of(tmp_path / "study") if row["seed"] != "2"] == first


@pytest.mark.parametrize("change", [["--lr", "0.001"], ["--corruption_seed", "1"], ["--chains.none", "box"]])
def test_cells_of_another_config_are_not_mixed_in(change, words, made, tmp_path):
    main([*words, "--seeds", "1"])
    cells = tmp_path / "study" / "cells"
    before, made[:] = {path: path.read_bytes() for path in cells.iterdir()}, []
    assert main([*words, "--seeds", "1", *change]) == 0
    expected = [("none", 0)] if "--chains.none" in change else [("none", 0), ("m 3", 0)]
    assert made == expected
    assert {path: path.read_bytes() for path in before} == before
    assert len(list(cells.iterdir())) == 2 + len(expected)


def test_the_same_config_twice_gives_the_same_numbers(words, tmp_path):
    texts = []
    for name in ("one", "two"):
        assert main([*words, "--output", str(tmp_path / name)]) == 0
        texts.append((tmp_path / name / "study.csv").read_text())
    assert texts[0] == texts[1]
    rows = rows_of(tmp_path / "one")
    by_seed = [[row["accuracy"] for row in rows if row["seed"] == seed] for seed in "01"]
    assert by_seed[0] != by_seed[1]  # the seed does something


def test_without_validation_images_it_scores_the_test_sets_alone(words, tmp_path):
    assert main([*words, "--val_size", "0", "--seeds", "1"]) == 0
    assert {row["set"] for row in rows_of(tmp_path / "study")} == {"clean", "scale", "stripe"}


def test_a_damaged_cell_is_named_and_not_used(words, tmp_path, capsys):
    main([*words, "--seeds", "1"])
    cell = next((tmp_path / "study" / "cells").glob("none-seed0-*"))
    cell.write_text(cell.read_text()[:100])
    capsys.readouterr()
    assert main([*words, "--seeds", "1"]) == 1
    error = capsys.readouterr().err
    assert str(cell) in error
    assert error.count("\n") == 1


# ---------------------------------------------------------------------- parts


def test_corruptions_come_before_the_filter(words, small):
    config = config_of(words)
    raw = read_set(small, "t10k").images
    chain = FilterChain.parse("dilate(kernel_size=3)")
    for _ in range(2):  # made, then read
        sets = FilteredSets(config, raw)(chain)
        assert sets.shape == (3, 101, 28, 28)
        np.testing.assert_array_equal(sets[0], chain(raw))
        np.testing.assert_array_equal(sets[2], chain(corrupt(raw, "stripe", seed=0)))
    assert (sets[2] != corrupt(chain(raw), "stripe", seed=0)).any()


def test_a_random_filter_is_for_training_only(words, small):
    raw = read_set(small, "t10k").images
    sets = FilteredSets(config_of(words), raw)(FilterChain.parse("random_gaussian"))
    np.testing.assert_array_equal(sets[0], raw)


def test_right_answers_are_counted_over_whole_and_last_batches(monkeypatch):
    monkeypatch.setattr("mnist_lit.study.cells._BATCH", 7)
    torch.manual_seed(0)
    model = StudyConfig().classifier().eval()
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (16, 28, 28), dtype=np.uint8)
    labels = rng.integers(0, 10, 16, dtype=np.uint8)
    with torch.no_grad():
        answers = model.network(torch.from_numpy(images)[:, None] / 255.0).argmax(dim=1).numpy()
    labels[:5] = answers[:5]
    assert count_correct(model, images, labels, bf16=False) == (answers == labels).sum() >= 5


# ---------------------------------------------------------------------- processes


def _start(words: list[str]) -> "subprocess.Popen[str]":
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "mnist_lit", *words]
    return subprocess.Popen(command, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)])
def test_a_process_that_is_stopped_leaves_whole_cells_and_goes_on(signum, status, words, tmp_path):
    many = [*words, "--seeds", "40", "--epochs", "3"]
    process = _start(many)
    try:
        deadline = time.monotonic() + 120
        while not list((tmp_path / "study").glob("cells/none-seed2-*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.05)
        process.send_signal(signum)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == status
    assert "Traceback" not in error
    kept = {p.name: json.loads(p.read_text()) for p in (tmp_path / "study" / "cells").glob("*.json")}
    assert 5 <= len(kept) < 80
    seeds = str(len(kept) // 2 + 1)
    assert main([*many, "--seeds", seeds]) == 0
    after = {p.name: json.loads(p.read_text()) for p in (tmp_path / "study" / "cells").glob("*.json")}
    assert {name: after[name] for name in kept} == kept
    assert len(rows_of(tmp_path / "study")) == 2 * int(seeds) * 4
