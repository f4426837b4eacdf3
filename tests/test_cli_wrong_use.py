"""Wrong use of the command line: one line that names the thing, exit status 2, and nothing is touched."""

import errno
import os
import time
from pathlib import Path

import pytest
import torch
from small_data import write_small_set

from mnist_lit.cli import main
from mnist_lit.model.checkpoint import KEY, Contract, contract_entry
from mnist_lit.model.classifier import DigitClassifier

# ---------------------------------------------------------------------- wrong use of fit, validate, test and predict

YAML = {
    "key.yaml": b"data:\n  batchsize: 3\n",
    "section.yaml": b"modle:\n  lr: 3\n",
    "twice.yaml": b"data:\n  batch_size: 3\n  batch_size: 4\n",
    "tab.yaml": b"data:\n\tbatch_size: 3\n",
    "empty.yaml": b"",
    "latin1.yaml": b"experiment: caf\xe9\n",
    "big.yaml": b"experiment: " + b"a" * 2_000_000,
    "list.yaml": b"- data\n- model\n",
    "null.yaml": b"data:\n  batch_size: null\n",
    "scalar.yaml": b"data: 3\n",
    "bomb.yaml": b"a0: &a0 [x]\n"
    + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9)) for n in range(1, 12)),
}

WRONG = [
    ("fit", ["--data.batchsize", "3"], ["--data.batchsize", "did you mean data.batch_size?"]),
    ("fit", ["--modle.lr", "3"], ["--modle.lr", "did you mean model.lr?"]),
    ("fit", ["--data.augment.degree", "3"], ["--data.augment.degree", "data.augment.degrees?"]),
    ("fit", ["stray"], ["stray"]),
    ("fit", ["--config", "key.yaml"], ["data.batchsize", "did you mean data.batch_size?"]),
    ("fit", ["--config", "section.yaml"], ["modle.lr", "did you mean model.lr?"]),
    ("fit", ["--config", "twice.yaml"], ["twice.yaml:3", "batch_size", "twice"]),
    ("fit", ["--config", "tab.yaml"], ["tab.yaml:2", r"'\t'"]),
    ("fit", ["--config", "empty.yaml"], ["empty.yaml", "empty"]),
    ("fit", ["--config", "latin1.yaml"], ["latin1.yaml", "UTF-8"]),
    ("fit", ["--config", "big.yaml"], ["big.yaml", "2,000,012"]),
    ("fit", ["--config", "list.yaml"], ["list.yaml", "list", "mapping"]),
    ("fit", ["--config", "null.yaml"], ["data.batch_size", "null"]),
    ("fit", ["--config", "scalar.yaml"], ["data", "3", "mapping"]),
    ("fit", ["--config", "bomb.yaml"], ["bomb.yaml", "aliases"]),
    ("fit", ["--config", "missing.yaml"], ["missing.yaml", "no such config file"]),
    ("fit", ["--data.filters", "gaussian(kernel_size=4)"], ["data.filters", "4 is even", "odd"]),
    ("fit", ["--data.filters", "gaussian(kernel_size=0)"], ["data.filters", "kernel_size: 0", "1 to 27"]),
    ("fit", ["--data.filters", "gaussian(kernel_size=-3)"], ["data.filters", "kernel_size: -3", "1 to 27"]),
    ("fit", ["--data.filters", "gaussian(kernel_size=99999)"], ["data.filters", "kernel_size: 99999", "1 to 27"]),
    ("fit", ["--data.filters", "gaussian(kernel_size=5, sigma=0)"], ["data.filters", "sigma: 0", "above 0"]),
    ("fit", ["--data.filters", "gaussian(kernel_size=5, sigma=-1)"], ["data.filters", "sigma: -1", "above 0"]),
    ("fit", ["--data.filters", "gausian"], ["data.filters", "gausian", "did you mean gaussian?", "median"]),
    ("fit", ["--data.batch_size", "0"], ["data.batch_size", "0", "above 0"]),
    ("fit", ["--data.batch_size", "many"], ["data.batch_size", "many", "whole number"]),
    ("fit", ["--data.num_workers", "-1"], ["data.num_workers", "-1", "0 or above"]),
    ("fit", ["--data.augment.degrees", "-5"], ["augment.degrees", "-5", "0 to 180"]),
    ("fit", ["--data.dataset", "cifar"], ["data.dataset", "cifar", "fashion_mnist"]),
    ("fit", ["--model.lr", "nan"], ["model.lr", "nan", "finite"]),
    ("fit", ["--model.lr", "0"], ["model.lr", "0", "above 0"]),
    ("fit", ["--model.lr", "-1"], ["model.lr", "-1", "above 0"]),
    ("fit", ["--model.network", "resnet"], ["model.network", "resnet", "reference"]),
    ("fit", ["--model.optimizer", "rmsprop"], ["model.optimizer", "rmsprop", "adamw", "sgd"]),
    ("fit", ["--trainer.max_epochs", "-5"], ["trainer.max_epochs", "-5", "above 0"]),
    ("fit", ["--trainer.max_epochs", "0"], ["trainer.max_epochs", "0", "above 0"]),
    ("fit", ["--trainer.devices", "99", "--trainer.accelerator", "cpu"], ["trainer.devices", "99", "1 to"]),
    ("fit", ["--trainer.devices", "0", "--trainer.accelerator", "cpu"], ["trainer.devices", "0"]),
    ("fit", ["--trainer.devices", "x", "--trainer.accelerator", "cpu"], ["devices"]),
    ("fit", ["--trainer.accelerator", "quantum"], ["accelerator", "quantum", "cpu"]),
    ("fit", ["--model.betas", "2"], ["model.betas", "2", "a list"]),
    ("fit", ["--trainer.precision", "12"], ["trainer.precision", "12", "32-true"]),
    ("fit", ["--seed_everything", "-1"], ["seed_everything", "-1", "0 or above"]),
    ("fit", ["--ckpt_path", "missing.ckpt"], ["missing.ckpt", "no such checkpoint"]),
    ("fit", ["--ckpt_path", "https://example.org/a.ckpt"], ["https://example.org/a.ckpt", "URL"]),
    ("fit", ["--ckpt_path", "last"], ["last", "lightning_logs"]),
    ("test", [], ["--ckpt_path", "missing", "fit"]),
    ("test", ["--ckpt_path", "missing.ckpt"], ["missing.ckpt", "no such checkpoint"]),
    ("test", ["--ckpt_path", "https://example.org/a.ckpt"], ["https://example.org/a.ckpt", "URL"]),
    ("test", ["--ckpt_path", "s3://bucket/a.ckpt"], ["s3://bucket/a.ckpt", "URL"]),
    ("test", ["--ckpt_path", "folder"], ["folder", "no checkpoints"]),
    ("test", ["--ckpt_path", "best"], ["best", "lightning_logs"]),
    ("test", ["--ckpt_path", "good.ckpt", "--data.filters", "median"], ["data.filters", "median", "none", "override"]),
    ("test", ["--data.batch_size", "0"], ["data.batch_size", "0", "above 0"]),
    ("test", ["--config", "twice.yaml"], ["twice.yaml:3", "batch_size"]),
    ("validate", [], ["--ckpt_path", "missing"]),
    ("validate", ["--ckpt_path", "last"], ["last", "lightning_logs"]),
    ("validate", ["--ckpt_path", "good.ckpt", "--data.batchsize", "3"], ["--data.batchsize", "data.batch_size?"]),
    ("predict", [], ["IMAGES", "missing"]),
    ("predict", ["--ckpt_path", "missing.ckpt"], ["missing.ckpt", "no such checkpoint"]),
    ("predict", ["--data.imagse", "x"], ["--data.imagse", "did you mean --data.images?"]),
]


@pytest.fixture(scope="module")
def good():
    """An untrained network's checkpoint, whole and with a contract."""
    torch.manual_seed(0)
    return {
        "state_dict": DigitClassifier().state_dict(),
        "global_step": 0,
        "epoch": 0,
        KEY: contract_entry("reference", Contract("none", 0.0, 1.0)),
    }


@pytest.fixture
def place(tmp_path, monkeypatch, good):
    """The current folder: configs of every wrong kind and a checkpoint; and no data may be read."""
    for name, content in YAML.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "folder").mkdir()
    torch.save(good, tmp_path / "good.ckpt")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "mnist_lit.data.datamodule.load_part", lambda *args, **kwargs: pytest.fail("images were read"), raising=True
    )
    return tmp_path


@pytest.mark.parametrize(("command", "args", "named"), WRONG, ids=[" ".join([c, *args]) for c, args, _ in WRONG])
def test_wrong_use_is_one_line_and_touches_nothing(place, capsys, command, args, named):
    before = sorted(place.rglob("*"))
    started = time.perf_counter()
    assert main([command, *args]) == 2
    assert time.perf_counter() - started < 2.0
    captured = capsys.readouterr()
    assert captured.err.startswith(f"{command}: ")
    assert captured.err.count("\n") == 1
    assert [word for word in named if word not in captured.err] == []
    assert "Traceback" not in captured.out + captured.err
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("command", ["validate", "test"])
def test_without_a_checkpoint_the_newest_one_is_named_but_not_taken(place, capsys, command):
    newest = place / "lightning_logs" / "a" / "version_3" / "checkpoints" / "best.ckpt"
    newest.parent.mkdir(parents=True)
    newest.touch()
    assert main([command]) == 2
    shown = newest.relative_to(place)
    assert capsys.readouterr().err == (
        f"{command}: --ckpt_path: missing; an untrained network is not scored (the newest is {shown})\n"
    )


@pytest.mark.parametrize("command", ["fit", "validate", "test", "predict"])
def test_damaged_checkpoint_is_one_line_and_exit_status_1(place, capsys, command):
    (place / "bad.ckpt").write_bytes((place / "good.ckpt").read_bytes()[:1000])
    assert main([command, "--ckpt_path", "bad.ckpt"]) == 1
    assert capsys.readouterr().err == f"{command}: checkpoint corrupt: bad.ckpt\n"


# ---------------------------------------------------------------------- a place to write that is none


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Arguments of a fit on few images, and no training step may come."""
    monkeypatch.setattr(DigitClassifier, "training_step", lambda *args: pytest.fail("training began"))
    monkeypatch.chdir(tmp_path)
    return [
        "fit",
        "--data.dataset",
        "idx",
        "--data.root",
        str(write_small_set(tmp_path / "set")),
        "--data.val_size",
        "64",
    ]


def test_log_dir_that_is_a_file_is_one_line_before_training(tmp_path, small, capsys):
    (tmp_path / "logs").touch()
    assert main([*small, "--log_dir", "logs"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("fit: logs")
    assert "--log_dir" in err
    assert err.count("\n") == 1


def test_log_dir_that_cannot_be_written_is_one_line_before_training(small, capsys, monkeypatch):
    def refuse(self, *args, **kwargs):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    monkeypatch.setattr(Path, "mkdir", refuse)  # the administrator, as whom tests may run, is refused nothing
    assert main([*small, "--log_dir", "logs"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("fit: logs")
    assert err.count("\n") == 1
