"""Checkpoints: whole or absent, plain data only, and never without the preprocessing that belongs to them."""

import io
import pickle
import random
from pathlib import Path

import pytest
import torch

from mnist_lit.data.atomic import write_atomically
from mnist_lit.errors import Failure, UsageError
from mnist_lit.model.checkpoint import (
    FORMAT,
    KEY,
    Contract,
    contract_entry,
    load_checkpoint,
    load_model,
    passport,
    read_contract,
)
from mnist_lit.model.checkpoint_io import AtomicCheckpointIO
from mnist_lit.model.classifier import DigitClassifier

CONTRACT = Contract("gaussian(kernel_size=5, sigma=1.0)", 0.13, 0.31)


class Malicious:
    """Unpickled, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.fixture(scope="module")
def content():
    """What a checkpoint of an untrained network holds."""
    torch.manual_seed(0)
    return {
        "state_dict": DigitClassifier(channels_last=False).state_dict(),
        "global_step": 7,
        KEY: contract_entry("reference", CONTRACT),
    }


@pytest.fixture
def path(tmp_path):
    return tmp_path / "best.ckpt"


def entry(content, **changes):
    """The content with changes in its own entry."""
    return {**content, KEY: {**content[KEY], **changes}}


# ---------------------------------------------------------------------- saved and loaded


def test_model_comes_back_with_weights_name_and_contract(content, path):
    AtomicCheckpointIO().save_checkpoint(content, path)
    model = load_model(path)
    assert (model.name, model.contract, model.network.training) == ("reference", CONTRACT, False)
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, content["state_dict"][f"network.{name}"])


def test_lightning_reads_it_as_plain_data_even_when_told_otherwise(tmp_path, path):
    torch.save({"x": Malicious(tmp_path / "marker")}, path)
    with pytest.raises(Failure):
        AtomicCheckpointIO().load_checkpoint(path, weights_only=False)
    assert not (tmp_path / "marker").exists()


def test_a_failing_write_leaves_the_old_file_and_nothing_beside_it(path):
    path.write_bytes(b"old")

    def write(file):
        file.write(b"half of the new")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        write_atomically(path, write)
    assert [(p.name, p.read_bytes()) for p in path.parent.iterdir()] == [("best.ckpt", b"old")]


def test_a_write_stopped_by_ctrl_c_leaves_the_old_file_and_nothing_beside_it(path):
    path.write_bytes(b"old")

    def write(file):
        file.write(b"half of the new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, write)
    assert [(p.name, p.read_bytes()) for p in path.parent.iterdir()] == [("best.ckpt", b"old")]


def test_a_write_makes_the_folder_and_replaces_the_file(tmp_path):
    path = tmp_path / "new" / "file"
    for text in (b"one", b"two"):
        write_atomically(path, lambda file, text=text: file.write(text))
    assert [(p.name, p.read_bytes()) for p in path.parent.iterdir()] == [("file", b"two")]


def test_a_full_disk_is_a_failure_that_names_the_file_and_what_is_free(path, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(Failure, match=r"best\.ckpt: cannot be saved: .*No space.*bytes free"):
        AtomicCheckpointIO().save_checkpoint({}, path)


def test_removing_a_checkpoint_that_is_gone_is_no_error(path):
    AtomicCheckpointIO().remove_checkpoint(path)


# ---------------------------------------------------------------------- damaged


def damaged(content, damage: str) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    whole = buffer.getvalue()
    return {
        "empty": b"",
        "cut in half": whole[: len(whole) // 2],
        "without its last byte": whole[:-1],
        "random bytes": random.Random(0).randbytes(5000),
        "text": b"this is no checkpoint\n",
        "zeros": bytes(5000),
    }[damage]


@pytest.mark.parametrize("damage", ["empty", "cut in half", "without its last byte", "random bytes", "text", "zeros"])
def test_damaged_file_is_called_corrupt_by_its_path(content, path, damage):
    path.write_bytes(damaged(content, damage))
    with pytest.raises(Failure) as caught:
        load_checkpoint(path)
    assert (str(caught.value), caught.value.exit_status) == (f"checkpoint corrupt: {path}", 1)


def test_changed_bytes_give_one_line_or_a_model_but_never_a_crash(content, path):
    small = {**content, "state_dict": {"network.fc.4.bias": torch.zeros(10)}}
    buffer = io.BytesIO()
    torch.save(small, buffer)
    whole, rng = buffer.getvalue(), random.Random(0)
    refused = []
    for trial in range(400):
        changed = bytearray(whole)
        if trial % 4 == 0:
            del changed[rng.randrange(len(changed)) :]
        for _ in range(rng.randint(1, 4) if changed else 0):
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        try:
            checkpoint = load_checkpoint(path)
            read_contract(passport(checkpoint, path), path)
            load_model(path)
        except Failure as error:
            refused.append(str(error))
    assert len(refused) > 200
    assert not [line for line in refused if "\n" in line]


# ---------------------------------------------------------------------- refused


def test_the_malicious_object_of_these_tests_works(tmp_path):
    pickle.loads(pickle.dumps(Malicious(tmp_path / "marker")))
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    "save", [torch.save, lambda x, path: path.write_bytes(pickle.dumps(x))], ids=["torch", "pickle"]
)
def test_object_that_would_run_code_is_refused_and_does_not_run(content, path, tmp_path, save):
    save({**content, "x": Malicious(tmp_path / "marker")}, path)
    with pytest.raises(Failure, match=r"best\.ckpt") as caught:
        load_model(path)
    assert caught.value.exit_status == 1
    assert not (tmp_path / "marker").exists()


def test_refusal_says_that_the_file_holds_more_than_plain_data(path, tmp_path):
    torch.save({"x": Malicious(tmp_path / "marker")}, path)
    with pytest.raises(Failure, match="refused: holds objects other than plain data"):
        load_checkpoint(path)


def test_class_paths_among_the_hyper_parameters_are_not_followed(content, path, tmp_path):
    call = {
        "_class_path": "pathlib.Path.touch",
        "_instantiator": "pathlib.Path.touch",
        "self": str(tmp_path / "marker"),
    }
    torch.save({**content, "hyper_parameters": call, "datamodule_hyper_parameters": call}, path)
    assert load_model(path).name == "reference"
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("url", ["https://example.org/best.ckpt", "s3://bucket/best.ckpt", "file:///tmp/best.ckpt"])
def test_url_is_refused(url):
    with pytest.raises(UsageError, match="never from a URL"):
        load_checkpoint(Path(url))


@pytest.mark.parametrize("what", ["nothing", "a folder"])
def test_no_file_there_is_wrong_use(path, what):
    if what == "a folder":
        path.mkdir()
    with pytest.raises(UsageError, match=r"best\.ckpt: no such checkpoint"):
        load_checkpoint(path)


def test_a_bare_state_dict_is_not_taken_for_a_checkpoint(content, path):
    torch.save(content["state_dict"], path)
    with pytest.raises(UsageError, match=r"not a checkpoint of mnist_lit .no preprocessing contract"):
        load_model(path)


@pytest.mark.parametrize("other", [{KEY: 3}, {KEY: {}}, {KEY: {"network": "reference"}}, {}], ids=str)
def test_a_file_without_a_contract_is_not_taken_for_a_checkpoint(content, path, other):
    torch.save({"state_dict": content["state_dict"], **other}, path)
    with pytest.raises(UsageError, match="not a checkpoint of mnist_lit"):
        load_model(path)


def test_a_file_that_holds_a_list_is_named_as_such(path):
    torch.save([1, 2], path)
    with pytest.raises(UsageError, match=r"not a checkpoint of mnist_lit .it holds a list"):
        load_model(path)


@pytest.mark.parametrize("number", [FORMAT + 1, None, "1"])
def test_another_format_is_refused_with_both_numbers(content, path, number):
    torch.save(entry(content, format=number), path)
    with pytest.raises(UsageError, match=f"format {number} found, {FORMAT} expected"):
        load_model(path)


def test_weights_of_another_network_are_refused_by_name(content, path):
    weights = dict(content["state_dict"])
    weights["network.fc.4.weight"] = torch.zeros(11, 256)
    torch.save({**content, "state_dict": weights}, path)
    with pytest.raises(UsageError, match=r"best\.ckpt: its weights do not fit the network 'reference'"):
        load_model(path)


def test_missing_weights_are_refused(content, path):
    weights = {k: v for k, v in content["state_dict"].items() if k != "network.fc.4.bias"}
    torch.save({**content, "state_dict": weights}, path)
    with pytest.raises(UsageError, match="do not fit"):
        load_model(path)


def test_network_that_this_version_does_not_have_is_wrong_use(content, path):
    torch.save(entry(content, network="resnet"), path)
    with pytest.raises(UsageError, match=r"resnet.*reference"):
        load_model(path)


def test_checkpoint_without_a_state_dict_is_one_line(content, path):
    torch.save({k: v for k, v in content.items() if k != "state_dict"}, path)
    with pytest.raises(Failure):
        load_model(path)


# ---------------------------------------------------------------------- the contract


@pytest.mark.parametrize(
    "changes",
    [
        {"std": 0.0},
        {"std": -1.0},
        {"std": float("nan")},
        {"std": float("inf")},
        {"mean": float("nan")},
        {"mean": "0.13"},
        {"filters": 3},
        {"polarity": None},
    ],
    ids=str,
)
def test_contract_that_cannot_be_kept_is_refused(changes):
    with pytest.raises(ValueError, match=next(iter(changes))):
        Contract(**{"filters": "none", "mean": 0.1, "std": 0.3, **changes})


@pytest.mark.parametrize(("filters", "named"), [("gaussian(kernel_size=4)", "kernel_size: 4"), ("wavelet", "wavelet")])
def test_contract_with_a_filter_that_cannot_be_made_is_refused(filters, named):
    with pytest.raises(ValueError, match=named):
        Contract(filters, 0.1, 0.3)


def test_a_whole_contract_is_accepted():
    assert Contract("none", 0.0, 1.0).polarity == "light on dark"


@pytest.mark.parametrize(
    "contract",
    [
        {"filters": "none", "mean": 0.1, "std": 0.0, "polarity": "light on dark"},
        {"filters": "none", "mean": 0.1},
        {"filters": "none", "mean": 0.1, "std": 0.3, "polarity": "light on dark", "gamma": 2.0},
        ["none", 0.1, 0.3],
        None,
    ],
    ids=str,
)
def test_checkpoint_with_an_impossible_contract_is_one_line(content, path, contract):
    torch.save(entry(content, contract=contract), path)
    with pytest.raises(UsageError, match=r"best\.ckpt"):
        load_model(path)


def test_contract_of_a_filter_that_does_not_exist_names_the_filter(content, path):
    contract = {**content[KEY]["contract"], "filters": "wavelet"}
    torch.save(entry(content, contract=contract), path)
    with pytest.raises(UsageError, match=r"preprocessing contract cannot be used: .*wavelet"):
        load_model(path)
