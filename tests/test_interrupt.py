"""Real processes, stopped by real signals: what is left must load, and the run must be able to go on from it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from small_data import write_small_set
from small_runs import equal, small_fit, weights

from mnist_lit.cli import main
from mnist_lit.model.checkpoint import load_checkpoint

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name == "nt", reason="Windows delivers no SIGINT or SIGTERM to a child process"),
]
TIMEOUT = 180.0


def start(words: list[str], cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "mnist_lit", *words]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def wait_for(condition, process: subprocess.Popen[str]) -> None:
    """Wait until the condition holds; a process that ends before is a failure, with what it said."""
    end = time.monotonic() + TIMEOUT
    while not condition():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise AssertionError(process.communicate())
        time.sleep(0.05)


@pytest.fixture
def data(tmp_path):
    return write_small_set(tmp_path / "data", train=2_040)


STEPS = 38  # of an epoch: 1,900 images in batches of 50


def long_fit(data: Path, logs: Path) -> list[str]:
    return small_fit(data, logs, "--trainer.max_epochs", "6", "--model.schedule", "constant")


def stop_within_an_epoch(data: Path, folder: Path, signum: int) -> tuple[int, str, Path]:
    """Stop a fit in mid-epoch; one that happened to be between two epochs is started anew."""
    for attempt in range(5):
        logs = folder / f"stopped-{attempt}"
        process = start(long_fit(data, logs), folder)
        last = logs / "default" / "version_0" / "checkpoints" / "last.ckpt"
        wait_for(last.is_file, process)  # the first epoch is over
        time.sleep(0.3)
        process.send_signal(signum)
        _, err = process.communicate(timeout=TIMEOUT)
        if load_checkpoint(last)["global_step"] % STEPS:
            return process.returncode, err, last
    raise AssertionError("no attempt was stopped within an epoch")


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_mid_epoch_leaves_a_checkpoint_that_ends_as_if_nothing_had_happened(data, tmp_path, signum, status):
    returncode, err, last = stop_within_an_epoch(data, tmp_path, signum)
    assert returncode == status
    assert "Traceback" not in err

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as in the stopped process: sums of floats depend on it
    try:
        assert main(["fit", "--ckpt_path", str(last)]) == 0
        assert main(long_fit(data, tmp_path / "whole")) == 0
    finally:
        torch.set_num_threads(threads)
    whole = tmp_path / "whole" / "default" / "version_0" / "checkpoints" / "last.ckpt"
    assert load_checkpoint(last)["global_step"] == load_checkpoint(whole)["global_step"] == 6 * STEPS
    assert equal(weights(last), weights(whole))


def test_a_second_ctrl_c_stops_at_once_and_leaves_a_checkpoint_that_loads(data, tmp_path):
    process = start(long_fit(data, tmp_path / "logs"), tmp_path)
    last = tmp_path / "logs" / "default" / "version_0" / "checkpoints" / "last.ckpt"
    wait_for(last.is_file, process)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert load_checkpoint(last)["global_step"] > 0


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill -9 on this system")
def test_a_killed_process_leaves_only_whole_checkpoints(data, tmp_path):
    for wait in (0.0, 0.1, 0.3, 0.6):
        logs = tmp_path / f"logs-{wait}"
        process = start(
            small_fit(data, logs, "--trainer.max_epochs", "50", "--trainer.limit_train_batches", "2"), tmp_path
        )
        last = logs / "default" / "version_0" / "checkpoints" / "last.ckpt"
        wait_for(last.is_file, process)
        time.sleep(wait)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=TIMEOUT)
        found = list(logs.rglob("*.ckpt"))
        assert found
        for path in found:
            assert load_checkpoint(path)["global_step"] > 0


def test_an_absurd_filter_makes_the_accuracy_fall(tmp_path):
    """The filters reach the network: with every digit blurred to a blob, less can be learned."""
    data = write_small_set(tmp_path / "data", train=9_000, test=2_000)
    accuracy = {}
    for name, chain in (
        ("mild", "gaussian(kernel_size=5, sigma=1.0)"),
        ("absurd", "gaussian(kernel_size=27, sigma=20)"),
    ):
        assert main(small_fit(data, tmp_path / name, "--data.filters", chain, "--trainer.max_epochs", "1")) == 0
        results = json.loads((tmp_path / name / "default" / "version_0" / "results.json").read_text())
        accuracy[name] = results["test"]["acc"]
    assert accuracy["mild"] > 0.9
    assert accuracy["absurd"] < accuracy["mild"] - 0.1
