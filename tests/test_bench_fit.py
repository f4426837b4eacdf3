"""`bench fit`: peers in turn, trainings that are kept, and a table with numbers worked out by hand."""

import json
import sys

import pytest
import torch
import yaml
from small_data import write_small_set

from mnist_lit.cli import main
from mnist_lit.errors import Failure
from mnist_lit.study import bench_fit as bench
from mnist_lit.study.child import run_child

WHERE = dict.fromkeys(("processor", "cores", "threads", "torch", "lightning", "python", "git_commit"), "x")


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "tiny.yaml"
    settings = {
        "experiment": "tiny",
        "data": {"val_size": 40, "batch_size": 100, "test_curves": False},
        "model": {"network": "compact"},
        "trainer": {"max_epochs": 1, "accelerator": "cpu", "precision": "32-true"},
    }
    path.write_text(yaml.safe_dump(settings))
    return path


def run(peer, seed, accuracy, seconds, total):
    return {"accuracy": accuracy, "train_seconds": seconds, "total_seconds": total, "key": {"peer": peer, "seed": seed}}


DONE = {
    ("fast", 0): run("fast", 0, 0.990, 2.0, 8.0),
    ("fast", 1): run("fast", 1, 0.992, 3.0, 9.0),
    ("published", 0): run("published", 0, 0.989, 4.0, 6.0),
    ("published", 1): run("published", 1, 0.991, 4.0, 6.0),
    ("example", 0): run("example", 0, 0.9903, 250.0, 270.0),
}


def test_peers_take_turns_and_the_slow_one_takes_fewer():
    assert bench.order(3, 1) == [
        ("fast", 0), ("published", 0), ("example", 0),
        ("published", 1), ("fast", 1),
        ("fast", 2), ("published", 2),
    ]  # fmt: skip
    assert ("example", 2) in bench.order(1, 3)


def test_numbers_worked_out_by_hand():
    data = bench.summary(DONE)
    fast = data["peers"]["fast"]
    assert fast["accuracy"] == [0.990, 0.992]
    assert fast["mean_accuracy"] == pytest.approx(0.991)
    assert fast["sd_accuracy"] == pytest.approx(0.002 / 2**0.5)
    assert (fast["train_seconds"]["median"], fast["total_seconds"]["median"]) == (2.5, 8.5)
    assert data["to_published"]["median"] == pytest.approx(0.625)  # of 2/4 and 3/4
    assert data["sooner_than_example"] == pytest.approx(100.0)  # 250 / 2.5


def test_the_table_lists_every_accuracy():
    text = bench.table({**bench.summary(DONE), "config": "configs/fast.yaml"})
    assert "this project: 99.00 99.20" in text
    assert "2.50 (2.25–2.75)" in text
    assert "times sooner than PyTorch's example: 100.0" in text


def test_one_seed_has_no_standard_deviation():
    data = bench.summary({key: value for key, value in DONE.items() if key[1] == 0 and key[0] != "example"})
    assert data["peers"]["fast"]["sd_accuracy"] is None
    assert "sooner_than_example" not in data
    assert "99.000  " in bench.table(data)


@pytest.mark.slow
def test_the_command_runs_every_peer_and_goes_on_from_what_is_kept(config, tmp_path, capsys):
    data = write_small_set(tmp_path / "data", train=300, test=50)
    words = ["bench", "fit", "--config", str(config), "--root", str(data), "--n", "1", "--examples", "1"]
    words += ["--work", str(tmp_path / "work"), "--output", str(tmp_path / "fit.json")]
    assert main(words) == 0
    first = json.loads((tmp_path / "fit.json").read_text())
    assert [one["n"] for one in first["peers"].values()] == [1, 1, 1]
    assert first["peers"]["fast"]["runs"][0]["parameters"] == 215_194
    for one in first["peers"].values():
        assert 0 < one["train_seconds"]["median"] < one["total_seconds"]["median"]
    kept = sorted(path.name.split("-")[0] for path in (tmp_path / "work").iterdir())
    assert kept == ["example", "fast", "published"]
    capsys.readouterr()
    assert main(words) == 0
    assert "3, 3 done" in capsys.readouterr().out
    assert json.loads((tmp_path / "fit.json").read_text())["peers"] == first["peers"]


def test_trainings_of_another_config_or_machine_are_not_taken(config, tmp_path):
    trainings = bench.Trainings(config, None, tmp_path / "work", WHERE)
    path = trainings.path("fast", 0)
    path.parent.mkdir()
    path.write_text(json.dumps(run("fast", 0, 0.5, 1.0, 2.0)))
    assert trainings.read("fast", 0)["accuracy"] == 0.5
    assert trainings.read("fast", 1) is None
    assert bench.Trainings(config, None, tmp_path / "work", {**WHERE, "threads": 2}).read("fast", 0) is None
    config.write_text(config.read_text() + "# changed")
    assert trainings.read("fast", 0) is None
    unchanged = bench.Trainings(config, None, tmp_path / "work", {**WHERE, "git_commit": "another"})
    assert trainings.path("published", 0) == unchanged.path("published", 0)


def test_trainings_of_another_device_are_not_taken(config, tmp_path):
    cpu, cuda = (bench.Trainings(config, None, tmp_path, WHERE, device) for device in ("cpu", "cuda"))
    assert cpu.path("published", 0) == bench.Trainings(config, None, tmp_path, WHERE).path("published", 0)
    assert cpu.path("published", 0) != cuda.path("published", 0)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_wrong_use(config, capsys):
    assert main(["bench", "fit", "--config", str(config), "--device", "cuda"]) == 2
    assert capsys.readouterr().err.strip() == (
        "bench: --device: cuda is not allowed here; this machine has no CUDA device (cpu is)"
    )


def test_a_damaged_training_is_named(config, tmp_path):
    trainings = bench.Trainings(config, None, tmp_path, WHERE)
    trainings.path("fast", 0).write_text("{}")
    with pytest.raises(Failure, match="delete it and it will be made again"):
        trainings.read("fast", 0)


def test_a_missing_config_is_wrong_use(capsys):
    assert main(["bench", "fit", "--config", "none.yaml"]) == 2
    assert capsys.readouterr().err == "bench: --config: none.yaml: no such file\n"


# ---------------------------------------------------------------------- processes


@pytest.mark.parametrize("terminal", [False, True])
def test_a_child_is_timed_and_its_output_kept(terminal):
    ended = run_child("it", ["-c", "import time; time.sleep(0.2); print('done')"], terminal=terminal)
    assert ended.seconds >= 0.2
    assert ended.output.strip() == "done"


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
def test_a_child_has_a_terminal_if_it_is_to_have_one():
    code = "import sys; print(sys.stdout.isatty(), sys.stderr.isatty())"
    assert run_child("it", ["-c", code], terminal=True).output.strip() == "True True"
    assert run_child("it", ["-c", code]).output.strip() == "False False"


@pytest.mark.parametrize("terminal", [False, True])
def test_a_child_that_fails_is_named_with_its_last_line(terminal):
    code = "import sys; print('first', file=sys.stderr); print('why', file=sys.stderr); sys.exit(3)"
    with pytest.raises(Failure, match=r"^it: its process ended with status 3: why$"):
        run_child("it", ["-c", code], terminal=terminal)
