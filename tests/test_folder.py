"""The run folder: reserved by one run alone, found again by name, its log continued by a resumed run."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from mnist_lit.errors import Failure, UsageError
from mnist_lit.run.folder import (
    RunCSV,
    checkpoints_newest_first,
    find_checkpoint,
    folder_of,
    read_metrics,
    reserve,
)


def make_run(log_dir: Path, name: str, *checkpoints: str, age: float = 0.0) -> Path:
    """Make a run folder with empty checkpoint files, `age` seconds old."""
    folder = log_dir / name
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").touch()
    for one in checkpoints:
        (folder / "checkpoints" / f"{one}.ckpt").touch()
    os.utime(folder, (1e9 - age, 1e9 - age))
    return folder


def test_folders_are_numbered_from_0(tmp_path):
    assert [reserve(tmp_path, "a").name for _ in range(3)] == ["version_0", "version_1", "version_2"]


def test_number_follows_the_highest_one_taken(tmp_path):
    (tmp_path / "a" / "version_9").mkdir(parents=True)
    (tmp_path / "a" / "version_x").mkdir()
    assert reserve(tmp_path, "a").name == "version_10"


def test_experiments_are_numbered_apart(tmp_path):
    reserve(tmp_path, "a")
    assert reserve(tmp_path, "b") == tmp_path / "b" / "version_0"


def test_twenty_runs_at_once_get_twenty_folders(tmp_path):
    at_once = Barrier(20)

    def one(_: int) -> Path:
        at_once.wait()
        return reserve(tmp_path, "a")

    with ThreadPoolExecutor(20) as pool:
        assert len(set(pool.map(one, range(20)))) == 20


@pytest.mark.slow  # each process imports Lightning
def test_processes_at_once_get_different_folders(tmp_path):
    code = (
        "import sys, time; from pathlib import Path; from mnist_lit.run.folder import reserve\n"
        "print(flush=True); sys.stdin.readline()\n"
        "for _ in range(10): print(reserve(Path(sys.argv[1]), 'a').name)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    processes = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    for process in processes:
        process.stdout.readline()  # it is ready
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    names = [name for process in processes for name in process.communicate(timeout=60)[0].split()]
    assert sorted(names) == sorted(f"version_{number}" for number in range(40))


def test_log_dir_that_is_a_file_is_a_failure_that_names_it(tmp_path):
    (tmp_path / "logs").touch()
    with pytest.raises(Failure, match=r"logs.*--log_dir") as caught:
        reserve(tmp_path / "logs", "a")
    assert caught.value.exit_status == 1


def test_log_dir_that_cannot_be_written_is_a_failure_that_names_it(tmp_path, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(Failure, match="a: cannot make a run folder there: Permission denied"):
        reserve(tmp_path, "a")


@pytest.mark.parametrize("name", ["best", "last"])
def test_best_and_last_are_those_of_the_newest_run(tmp_path, name):
    make_run(tmp_path, "a/version_1", "best", "last", age=20)
    newest = make_run(tmp_path, "b/version_0", "best", "last", age=10)
    make_run(tmp_path, "c/version_0", age=0)  # it has none yet
    assert find_checkpoint(name, tmp_path) == newest / "checkpoints" / f"{name}.ckpt"


def test_best_passes_over_a_run_that_has_only_last(tmp_path):
    older = make_run(tmp_path, "a/version_0", "best", age=20)
    make_run(tmp_path, "a/version_1", "last", age=10)
    assert find_checkpoint("best", tmp_path).parents[1] == older


def test_of_the_newest_run_best_comes_first(tmp_path):
    make_run(tmp_path, "a/version_0", "best", "last", age=20)
    newest = make_run(tmp_path, "a/version_1", "best", "last", age=10)
    found = checkpoints_newest_first(tmp_path)
    assert found[0] == newest / "checkpoints" / "best.ckpt"
    assert len(found) == 4


@pytest.mark.parametrize(("there", "taken"), [(("best", "last"), "best"), (("last",), "last")])
def test_run_folder_stands_for_its_best_checkpoint_else_its_last(tmp_path, there, taken):
    run = make_run(tmp_path, "a/version_0", *there)
    assert find_checkpoint(str(run), tmp_path) == run / "checkpoints" / f"{taken}.ckpt"


def test_folder_without_checkpoints_is_wrong_use(tmp_path):
    with pytest.raises(UsageError, match=r"--ckpt_path .*empty: .*no checkpoints/best\.ckpt"):
        find_checkpoint(str(make_run(tmp_path, "empty")), tmp_path)


def test_best_without_any_run_says_where_was_looked(tmp_path):
    with pytest.raises(UsageError, match=rf"--ckpt_path best: no run under {tmp_path.name}|--ckpt_path best.*fit"):
        find_checkpoint("best", tmp_path)


def test_a_file_is_taken_as_it_is(tmp_path):
    assert find_checkpoint("some/where.ckpt", tmp_path) == Path("some/where.ckpt")


def test_a_url_is_refused_as_it_was_written(tmp_path):
    with pytest.raises(UsageError, match=r"https://example\.org/best\.ckpt: .*never from a URL"):
        find_checkpoint("https://example.org/best.ckpt", tmp_path)


def test_checkpoint_in_a_run_folder_knows_it(tmp_path):
    run = make_run(tmp_path, "a/version_0", "best")
    assert folder_of(run / "checkpoints" / "best.ckpt") == run


def test_checkpoint_elsewhere_has_no_run_folder(tmp_path):
    make_run(tmp_path, "a/version_0", "best")
    assert folder_of(tmp_path / "best.ckpt") is None
    assert folder_of(tmp_path / "a" / "version_0" / "best.ckpt") is None


def log(folder: Path, first_step: int | None, *steps: int) -> None:
    """Log one loss per step, as a run does that begins or goes on at `first_step`."""
    logger = RunCSV(folder, first_step)
    for step in steps:
        logger.log_metrics({"train/loss": step / 8, "epoch": step // 10}, step)
    logger.log_metrics({"val/acc": 0.5, "epoch": steps[-1] // 10}, steps[-1])
    logger.save()


def test_resumed_run_keeps_the_rows_before_its_checkpoint_and_goes_on_below(tmp_path):
    log(tmp_path / "a" / "version_0", None, 0, 5, 10, 15)
    log(tmp_path / "a" / "version_0", 10, 10, 20)
    rows = read_metrics(tmp_path / "a" / "version_0" / "metrics.csv")
    assert [(row["step"], row.get("train/loss")) for row in rows if "train/loss" in row] == [
        (0, 0.0),
        (5, 0.625),
        (10, 1.25),
        (20, 2.5),
    ]


def test_fresh_run_starts_an_empty_log(tmp_path):
    log(tmp_path / "a" / "version_0", None, 7)
    rows = read_metrics(tmp_path / "a" / "version_0" / "metrics.csv")
    assert {row["step"] for row in rows} == {7}


def test_resumed_run_without_a_log_starts_one(tmp_path):
    log(tmp_path / "a" / "version_0", 10, 10)
    assert (tmp_path / "a" / "version_0" / "metrics.csv").is_file()


def test_log_is_read_with_whole_steps_and_epochs_and_without_empty_cells(tmp_path):
    path = tmp_path / "metrics.csv"
    path.write_text("epoch,step,train/loss,val/acc\n1,20,0.25,\n1,29,,0.75\n")
    rows = read_metrics(path)
    assert rows == [{"epoch": 1, "step": 20, "train/loss": 0.25}, {"epoch": 1, "step": 29, "val/acc": 0.75}]
    assert [type(value) for value in rows[0].values()] == [int, int, float]
