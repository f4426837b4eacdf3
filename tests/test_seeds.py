"""Several trainings of one config: resumable, scored one by one and as a committee, with numbers worked out by hand."""

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
from figure_checks import all_text, overlapping_texts, texts_outside
from small_data import TEST, write_small_set

from mnist_lit.cli import main
from mnist_lit.data.idx import DigitSet
from mnist_lit.errors import Failure
from mnist_lit.model.checkpoint import load_checkpoint
from mnist_lit.run.figures import mistakes_figure
from mnist_lit.study import seeds
from mnist_lit.study.committee import PROBABILITIES, SeedRun, committee, read_seed
from mnist_lit.study.seeds_tables import json_data, seed_table, write_tables
from mnist_lit.study.statistics import wilson


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_small_set(tmp_path_factory.mktemp("small"))


def fit_words(data: Path) -> list[str]:
    """Return the words of a fit that takes a second."""
    words = ["--data.dataset", "idx", "--data.root", str(data), "--data.val_size", "140", "--data.batch_size", "100"]
    words += ["--model.network", "compact", "--trainer.max_epochs", "1", "--trainer.accelerator", "cpu"]
    return [*words, "--trainer.precision", "32-true"]


@pytest.fixture(scope="module")
def done(data, tmp_path_factory):
    """The output folder of two seeds, shared by the tests that only look at it."""
    output = tmp_path_factory.mktemp("seeds") / "out"
    assert main(["seeds", "--n", "2", "--output", str(output), *fit_words(data)]) == 0
    return output


@pytest.fixture
def trained(monkeypatch):
    """Return the list of seeds that are trained from now on."""
    numbers = []
    train = seeds.train_seed

    def counted(seed, *args):
        numbers.append(seed)
        return train(seed, *args)

    monkeypatch.setattr(seeds, "train_seed", counted)
    return numbers


# ---------------------------------------------------------------------- the command


def test_it_leaves_run_folders_tables_and_a_picture(done):
    assert sorted(path.name for path in done.iterdir()) == [
        "config.yaml", "mistakes.png", "seed_0", "seed_1", "seeds.csv", "seeds.json", "seeds.md",
    ]  # fmt: skip
    for seed in (0, 1):
        assert (done / f"seed_{seed}" / "checkpoints" / "best.ckpt").is_file()
        assert (done / f"seed_{seed}" / "figures" / "curves.png").is_file()


def test_the_tables_say_what_the_run_folders_say(done):
    data = json.loads((done / "seeds.json").read_text())
    rows = list(csv.DictReader((done / "seeds.csv").read_text().splitlines()))
    for seed in (0, 1):
        results = json.loads((done / f"seed_{seed}" / "results.json").read_text())
        assert data["seeds"][seed]["errors"] == int(rows[seed]["errors"]) == results["test"]["errors"]
        assert data["seeds"][seed]["test_acc"] == pytest.approx(results["test"]["acc"])
        assert data["seeds"][seed]["fit_seconds"] == results["fit_seconds"] > 0
    assert data["n"] == TEST
    assert data["config"]["model"]["network"] == data["network"] == "compact"
    assert len(data["environments"]) == 1
    assert "| committee of 2 |" in (done / "seeds.md").read_text()


def test_the_report_says_which_share_of_the_images_each_seed_sees_corrupted(done, data, tmp_path):
    assert "Corrupted" not in (done / "seeds.md").read_text()
    output = tmp_path / "out"
    words = ["--output", str(output), *fit_words(data), "--data.training_corruptions.p", "[0.5, 0]"]
    assert main(["seeds", "--n", "2", *words]) == 0
    assert "Corrupted are, seed by seed in turn, 50 %, 0 % of the training images." in (output / "seeds.md").read_text()
    for seed, same in ((0, False), (1, True)):  # the second is trained as ever
        one, other = (np.load(folder / f"seed_{seed}" / PROBABILITIES) for folder in (output, done))
        assert np.array_equal(one, other) == same


def test_probabilities_are_those_of_the_best_checkpoint_in_the_order_of_the_file(done, data):
    from mnist_lit.data.filters import FilterChain
    from mnist_lit.data.idx import read_set
    from mnist_lit.model.checkpoint import load_model
    from mnist_lit.model.networks import Normalize

    kept = np.load(done / "seed_1" / PROBABILITIES)
    model = load_model(done / "seed_1" / "checkpoints" / "best.ckpt")
    images = FilterChain.parse(model.contract.filters)(read_set(data, "t10k").images.copy())
    with torch.no_grad():
        logits = model.network(Normalize(model.contract.mean, model.contract.std)(torch.from_numpy(images)[:, None]))
    np.testing.assert_allclose(kept, torch.softmax(logits, dim=1).numpy(), atol=1e-5)


def test_a_seed_is_the_same_training_as_a_fit_with_that_seed(done, data, tmp_path):
    assert main(["fit", *fit_words(data), "--seed_everything", "1", "--log_dir", str(tmp_path)]) == 0
    alone = load_checkpoint(tmp_path / "default" / "version_0" / "checkpoints" / "last.ckpt")["state_dict"]
    among = load_checkpoint(done / "seed_1" / "checkpoints" / "last.ckpt")["state_dict"]
    other = load_checkpoint(done / "seed_0" / "checkpoints" / "last.ckpt")["state_dict"]
    assert all(torch.equal(alone[key], among[key]) for key in alone)
    assert not all(torch.equal(alone[key], other[key]) for key in alone)


def test_a_finished_command_trains_nothing_and_writes_the_same_again(done, data, trained, capsys):
    names = ("seeds.csv", "seeds.json", "seeds.md", "mistakes.png")
    before = {name: (done / name).read_bytes() for name in names}
    for name in names:
        (done / name).unlink()
    assert main(["seeds", "--n", "2", "--output", str(done), *fit_words(data)]) == 0
    assert trained == []
    assert {name: (done / name).read_bytes() for name in names} == before
    assert "2 done" in capsys.readouterr().out


def test_a_changed_config_is_refused_in_one_line(done, data, capsys):
    words = ["seeds", "--n", "2", "--output", str(done), *fit_words(data), "--model.lr", "0.5"]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "model.lr: 0.001 -> 0.5" in error
    assert "another --output" in error


def test_it_goes_on_after_a_stop_and_a_half_made_seed_starts_anew(data, tmp_path, trained, monkeypatch, capsys):
    output = tmp_path / "out"
    words = ["seeds", "--first", "3", "--n", "2", "--output", str(output), *fit_words(data)]
    whole = seeds.train_seed

    def stopped(seed, folder, *args):
        if seed == 3:
            return whole(seed, folder, *args)
        folder.mkdir()
        (folder / "half").touch()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(seeds, "train_seed", stopped)
        assert main(words) == 130
    assert "stopped: 1 of 2 trainings are kept; the same command goes on" in capsys.readouterr().err
    first = (output / "seed_3" / PROBABILITIES).read_bytes()
    trained.clear()
    assert main(words) == 0
    assert trained == [4]
    assert (output / "seed_3" / PROBABILITIES).read_bytes() == first
    assert not (output / "seed_4" / "half").exists()
    assert [one["seed"] for one in json.loads((output / "seeds.json").read_text())["seeds"]] == [3, 4]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--n", "0"], "--n: 0 is not allowed; a whole number from 1 on is"),
        (["--first", "-1"], "--first: -1 is not allowed"),
        (["--seed_everything", "3"], "--seed_everything: not allowed in seeds, which sets it (say --first and --n)"),
        (["--log_dir=x"], "--log_dir: not allowed in seeds"),
        (["--model.lrr", "1"], "--model.lrr: no such argument (did you mean model.lr?)"),
        (["-c", "none.yaml"], "none.yaml: no such config file"),
    ],
)
def test_wrong_use_is_answered_with_one_line(words, message, tmp_path, capsys):
    assert main(["seeds", "--output", str(tmp_path / "out"), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path, data, capsys):
    (tmp_path / "precious").touch()
    assert main(["seeds", "--output", str(tmp_path), *fit_words(data)]) == 2
    assert "not a folder of seeds" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["precious"]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows delivers no SIGINT or SIGTERM to a child process")
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (9, -9)])
def test_a_process_that_is_stopped_goes_on(signum, status, data, tmp_path):
    words = ["seeds", "--n", "3", "--output", str(tmp_path / "out"), *fit_words(data), "--trainer.max_epochs", "8"]
    process = subprocess.Popen(
        [sys.executable, "-m", "mnist_lit", *words], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "out" / "seed_1" / "metrics.csv").is_file() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signum)
        _, error = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == status
    assert "Traceback" not in error
    first = (tmp_path / "out" / "seed_0" / PROBABILITIES).read_bytes()
    assert not (tmp_path / "out" / "seed_1" / PROBABILITIES).exists()
    assert main(words) == 0
    assert (tmp_path / "out" / "seed_0" / PROBABILITIES).read_bytes() == first
    assert len(json.loads((tmp_path / "out" / "seeds.json").read_text())["seeds"]) == 3


# ---------------------------------------------------------------------- the numbers


def probabilities(*rows: tuple[int, float]) -> np.ndarray:
    """Return a table of probabilities: for each image, a class and what it gets; the other nine share the rest."""
    values = np.zeros((len(rows), 10), np.float32)
    for place, (answer, share) in enumerate(rows):
        values[place] = (1 - share) / 9
        values[place, answer] = share
    return values


RESULTS = {"best_val_acc": 0.99, "epochs": 2, "fit_seconds": 10.0}
LABELS = np.array([0, 1, 2, 3], np.uint8)


def runs_by_hand() -> list[SeedRun]:
    """Two networks and four images: wrong about image 2, and about 1 and 3; together they are wrong about 2 alone."""
    first = probabilities((0, 0.9), (1, 0.8), (5, 0.7), (3, 0.9))
    second = probabilities((0, 0.6), (4, 0.7), (2, 0.6), (7, 0.5))
    return [SeedRun(0, first, 1, RESULTS), SeedRun(1, second, 2, {**RESULTS, "fit_seconds": 14.0})]


def test_a_committee_worked_out_by_hand():
    # image 1: 1 gets (0.8 + 0.3 / 9) / 2 = 0.417, 4 gets (0.2 / 9 + 0.7) / 2 = 0.361
    # image 2: 5 gets (0.7 + 0.4 / 9) / 2 = 0.372, 2 gets (0.3 / 9 + 0.6) / 2 = 0.317
    together = committee(runs_by_hand(), LABELS)
    assert (together.members, together.n, together.errors) == (2, 4, 1)
    assert list(together.wrong) == [2]
    assert list(together.truths) == [2]
    assert list(together.answers) == [5]
    assert together.confidences == pytest.approx([0.372222], abs=1e-6)


def test_a_table_worked_out_by_hand():
    # accuracies 75 and 50 %: mean 62.5, sd 25 / √2 = 17.678; Wilson for 2.5 of 4, with z² = 3.841459:
    # (0.625 + z²/8 ± z·√(0.625·0.375/4 + z²/64)) / (1 + z²/4) = 0.563765 ± 0.344337
    runs = runs_by_hand()
    data = json_data(runs, committee(runs, LABELS), disputed=False)
    assert data["mean"]["mean"] == pytest.approx(0.625)
    assert data["mean"]["sd"] == pytest.approx(0.176777, abs=1e-6)
    assert data["mean"]["interval"] == pytest.approx([0.219428, 0.908102], abs=2e-6)
    table = seed_table(data).splitlines()
    assert table[2] == "| 0 | 75.00 | 1 | 30.06 – 95.44 | 99.00 | 10.0 |"
    assert table[4] == "| mean of 2 | 62.500 ± 17.678 | 1.5 | 21.94 – 90.81 |  | 12.0 |"
    assert table[5] == "| committee of 2 | 75.00 | 1 | 30.06 – 95.44 |  |  |"


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (29, 29, 0.8830, 1.0)],
)
def test_wilson_against_published_values(successes, n, low, high):
    """Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I, method 3."""
    assert wilson(successes, n) == pytest.approx((low, high), abs=5e-5)


def test_different_numbers_of_images_are_no_committee():
    first, second = runs_by_hand()
    with pytest.raises(Failure, match=r"different numbers of images: \[3, 4\]"):
        committee([first, SeedRun(1, second.probabilities[:3], 0, RESULTS)], LABELS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / PROBABILITIES).write_bytes(b"x" * 100), "not a sound run"),
        (lambda folder: np.save(folder / PROBABILITIES, np.full((3, 10), np.nan)), "damaged"),
        (lambda folder: (folder / "results.json").write_text("{"), "not a sound run"),
        (lambda folder: (folder / "results.json").write_text('{"seed": 1}'), "of seed 1"),
        (
            lambda folder: (folder / "results.json").write_text('{"seed": 0, "data": {"sha256": {"test": "b"}}}'),
            "other test images",
        ),
    ],
)
def test_a_damaged_run_is_named(change, message, tmp_path):
    np.save(tmp_path / PROBABILITIES, probabilities((0, 0.9)))
    results = {"seed": 0, "data": {"sha256": {"test": "a"}}, "fit_seconds": 1.0}
    (tmp_path / "results.json").write_text(json.dumps(results))
    test = DigitSet(np.zeros((4, 28, 28), np.uint8), LABELS, "a")
    assert read_seed(tmp_path, 0, test).errors == 0
    change(tmp_path)
    with pytest.raises(Failure, match=message) as error:
        read_seed(tmp_path, 0, test)
    assert "delete it and it will be made again" in str(error.value)


def test_mistakes_with_a_disputed_label_are_marked_with_what_the_raters_saw(tmp_path):
    from mnist_lit.data.idx import BUNDLED, read_set

    test = read_set(BUNDLED, "t10k")
    values = np.full((10_000, 10), 0.01, np.float32)
    values[np.arange(10_000), test.labels] = 0.9
    for index, answer in ((947, 9), (100, 0), (2130, 9)):
        values[index] = 0.0
        values[index, answer] = 1.0
    about = {
        "experiment": "made", "network": "compact", "parameters": 1, "filters": "none", "environment": ENVIRONMENT,
        "data": {"dataset": "mnist", "val_size": 0, "train_size": 60_000},
    }  # fmt: skip
    runs = [SeedRun(0, values, 3, {**RESULTS, **about, "best_val_acc": None})]
    settings = {"config": {"data": {"training_corruptions": {"p": 0.0}}}}
    data, paths = write_tables(tmp_path, runs, committee(runs, test.labels), test, settings)
    mistakes = {one["index"]: one for one in data["committee"]["mistakes"]}
    assert mistakes[947] == {"index": 947, "given": 8, "answer": 9, "confidence": 1.0, "raters": "9"}
    assert mistakes[2130]["raters"] == "no majority"
    assert "raters" not in mistakes[100]
    assert "dispute the given label in 2" in (tmp_path / "seeds.md").read_text()
    assert all(path.is_file() for path in paths)


ENVIRONMENT = {
    "accelerator": None, "cores": 2, "processor": "P", "precision": "32-true", "torch": "2", "lightning": "2",
    "python": "3",
}  # fmt: skip


def test_the_picture_names_the_committee_and_nothing_is_cut():
    wrong = np.arange(22)
    figure = mistakes_figure(
        np.full((22, 28, 28), 7, np.uint8), wrong % 10, (wrong + 3) % 10, 1 - wrong / 50, 9000 + wrong,
        class_names="0123456789", total_errors=22, total=10_000, disputed=(9001,), whose="Committee of 10 networks",
    )  # fmt: skip
    assert "Committee of 10 networks: all 22 mistakes" in all_text(figure)
    assert texts_outside(figure) == []
    assert overlapping_texts(figure) == []
