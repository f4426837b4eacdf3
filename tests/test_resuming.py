"""Real trainings, stopped and gone on with, compiled, averaged and moved."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from small_runs import equal, metrics_rows, small_fit, weights

from mnist_lit.cli import main
from mnist_lit.model.checkpoint import KEY, load_checkpoint
from mnist_lit.model.classifier import DigitClassifier
from mnist_lit.run.averaging import AveragedWeights
from mnist_lit.run.callbacks import StopOnSignal


@pytest.mark.parametrize("schedule", ["one_cycle", "constant"])
def test_a_run_stopped_in_mid_epoch_ends_as_if_nothing_had_happened(schedule, data, tmp_path, monkeypatch):
    words = [*small_fit(data, tmp_path / "parts", "--model.network", "compact"), "--model.schedule", schedule]
    after_step = StopOnSignal.on_train_batch_end

    def stop_after_13_steps(self, trainer, *args):
        self.signum = signal.SIGTERM if trainer.global_step == 13 else None  # of 20, ten an epoch
        after_step(self, trainer, *args)

    with monkeypatch.context() as patch:
        patch.setattr(StopOnSignal, "on_train_batch_end", stop_after_13_steps)
        assert main(words) == 143
    last = Path("default") / "version_0" / "checkpoints" / "last.ckpt"
    assert load_checkpoint(tmp_path / "parts" / last)["global_step"] == 13
    assert main(["fit", "--ckpt_path", str(tmp_path / "parts" / last)]) == 0
    assert main([*words, "--log_dir", str(tmp_path / "whole")]) == 0
    assert equal(weights(tmp_path / "parts" / last), weights(tmp_path / "whole" / last))


def test_a_resumed_run_goes_on_in_its_own_folder_with_the_users_flags(run, tmp_path, capsys):
    logs = tmp_path / "logs"
    shutil.copytree(run.parent.parent, logs)
    words = ["fit", "--ckpt_path", "last", "--log_dir", str(logs), "--trainer.max_epochs", "3", "--model.lr", "0.0005"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "resume     trainer.max_epochs: 2 -> 3" in out
    assert "resume     model.lr: 0.001 -> 0.0005" in out
    again = logs / "default" / "version_0"
    seconds = json.loads((again / "results.json").read_text())["fit_seconds"]  # of the third epoch alone
    told = re.search(r"fit took +(\d+) s, (\d+\.\d) s an epoch\n", out)
    assert told is not None
    assert [float(number) for number in told.groups()] == [  # the file's seconds are rounded once already
        pytest.approx(seconds, abs=0.51),
        pytest.approx(seconds, abs=0.06),
    ]
    assert not (logs / "default" / "version_1").exists()
    rows = metrics_rows(again)
    assert [int(row["epoch"]) for row in rows if row["val/acc"]] == [0, 1, 2]
    rates = [float(row["lr"]) for row in rows if row["lr"] and int(row["epoch"]) == 2]
    assert 0 < max(rates) < 0.0005
    assert load_checkpoint(again / "checkpoints" / "last.ckpt")["global_step"] == 30


def test_a_run_stopped_after_an_epoch_ends_with_the_same_weights(data, tmp_path):
    """Exact resume: one run of two epochs, and one that is stopped after the first and goes on."""
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    words = ("--data.augment.degrees", "10", "--model.schedule", "constant")
    assert main(small_fit(data, whole, *words)) == 0
    assert main(small_fit(data, parts, *words, "--trainer.max_epochs", "1")) == 0
    resume = ["fit", "--ckpt_path", "last", "--log_dir", str(parts), "--trainer.max_epochs", "2"]
    assert main(resume) == 0
    ends = [weights(logs / "default" / "version_0" / "checkpoints" / "last.ckpt") for logs in (whole, parts)]
    assert equal(*ends)


@pytest.mark.slow
@pytest.mark.skipif(
    shutil.which("c++") is None and shutil.which("g++") is None, reason="torch.compile needs a compiler"
)
def test_a_compiled_network_trains_as_the_plain_one_does(data, tmp_path):
    losses = {}
    for compiled in ("false", "true"):
        logs = tmp_path / compiled
        words = ("--model.network", "fast", "--model.compile", compiled, "--trainer.precision", "32-true")
        assert main(small_fit(data, logs, *words, "--model.ema_decay", "0.5")) == 0
        run = logs / "default" / "version_0"
        losses[compiled] = [float(row["train/loss"]) for row in metrics_rows(run) if row["train/loss"]]
        assert (
            main(["test", "--ckpt_path", str(run / "checkpoints" / "best.ckpt"), "--output", str(logs / "t.json")]) == 0
        )
    assert losses["true"] == pytest.approx(losses["false"], rel=1e-3)
    assert weights(run / "checkpoints" / "last.ckpt").keys() == DigitClassifier(network="fast").state_dict().keys()


@pytest.mark.slow
def test_a_missing_compiler_is_one_line(data, tmp_path):
    words = small_fit(data, tmp_path, "--model.network", "fast", "--model.compile", "true")
    environment = {**os.environ, "CXX": "no-compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    ended = subprocess.run(
        [sys.executable, "-m", "mnist_lit", *words], env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("fit: model.compile: torch.compile failed: ")
    assert last.endswith("(false does without it)")
    assert "Traceback" not in ended.stderr


def test_averaged_weights_are_tested_kept_and_gone_on_with(data, tmp_path):
    whole, parts, output = tmp_path / "whole", tmp_path / "parts", tmp_path / "test.json"
    words = ("--model.ema_decay", "0.9", "--model.network", "strided", "--model.schedule", "constant")
    assert main(small_fit(data, whole, *words)) == 0
    run = whole / "default" / "version_0"
    best = run / "checkpoints" / "best.ckpt"
    assert not equal(weights(best), load_checkpoint(best)["current_model_state"])
    assert main(["test", "--ckpt_path", str(best), "--output", str(output)]) == 0
    assert json.loads(output.read_text())["test"] == json.loads((run / "results.json").read_text())["test"]
    assert main(small_fit(data, parts, *words, "--trainer.max_epochs", "1")) == 0
    assert main(["fit", "--ckpt_path", "last", "--log_dir", str(parts), "--trainer.max_epochs", "2"]) == 0
    once, twice = (
        load_checkpoint(logs / "default" / "version_0" / "checkpoints" / "last.ckpt") for logs in (whole, parts)
    )
    for key in ("state_dict", "current_model_state", "averaging_state"):
        assert equal(once[key], twice[key])


def test_the_average_is_that_of_the_weights_after_each_step():
    model, steps = DigitClassifier(network="compact"), 3
    callback, averages = AveragedWeights(0.75), None
    trainer = SimpleNamespace(global_step=0)
    callback.setup(trainer, model, "fit")
    for step in range(1, steps + 1):
        with torch.no_grad():
            model.network.fc[1].bias.add_(float(step))
        trainer.global_step = step
        callback.on_train_batch_end(trainer, model, None, None, step - 1)
        now = model.network.fc[1].bias.detach()
        averages = now.clone() if averages is None else 0.75 * averages + 0.25 * now
    callback.on_train_end(trainer, model)
    torch.testing.assert_close(model.network.fc[1].bias.detach(), averages)


def test_a_class_path_in_a_checkpoints_config_is_never_followed(run, tmp_path, monkeypatch):
    (tmp_path / "evil.py").write_text(
        "from pathlib import Path\nPath('marker').touch()\n"
        "from lightning.pytorch.callbacks import Callback\nclass Evil(Callback): pass\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    checkpoint = load_checkpoint(run / "checkpoints" / "last.ckpt")
    trainer = checkpoint[KEY]["config"]["trainer"]
    trainer["callbacks"] = [{"class_path": "evil.Evil"}]
    trainer["strategy"] = "evil.Evil"
    trainer["max_epochs"] = 3
    path = tmp_path / "evil.ckpt"
    torch.save(checkpoint, path)
    assert main(["fit", "--ckpt_path", str(path), "--log_dir", str(tmp_path / "logs")]) == 0
    assert not (tmp_path / "marker").exists()


def test_a_moved_run_folder_can_be_gone_on_with(run, tmp_path):
    moved = tmp_path / "elsewhere" / "default" / "version_0"
    shutil.copytree(run, moved)
    words = ["fit", "--ckpt_path", str(moved / "checkpoints" / "last.ckpt"), "--trainer.max_epochs", "3"]
    assert main(words) == 0
    assert load_checkpoint(moved / "checkpoints" / "last.ckpt")["epoch"] == 2
