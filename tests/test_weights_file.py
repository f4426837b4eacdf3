"""Weights files: the numbers and their card belong together, and nothing that is damaged or foreign is used."""

import json
import random

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch

from mnist_lit.data.atomic import write_atomically
from mnist_lit.errors import Failure, UsageError
from mnist_lit.model import weights_file
from mnist_lit.model.checkpoint import Contract, Model
from mnist_lit.model.networks import build_network
from mnist_lit.model.weights_file import card_path, load_weights, read_card, save_weights

CONTRACT = Contract("gaussian(kernel_size=5, sigma=1.0, rounds=1)", 0.13, 0.31)
ORIGIN = {"seed": 3, "scores": {"test": {"acc": 0.99}}, "data_sha256": {"train": "ab"}, "git_commit": "cd"}


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    network = build_network("compact").to(memory_format=torch.channels_last)
    return Model(network, "compact", CONTRACT)


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    """The content of a whole weights file and of its card."""
    path = tmp_path_factory.mktemp("saved") / "digits.safetensors"
    save_weights(path, model, ORIGIN)
    return path.read_bytes(), card_path(path).read_bytes()


@pytest.fixture
def path(saved, tmp_path):
    """A whole weights file."""
    path = tmp_path / "digits.safetensors"
    path.write_bytes(saved[0])
    card_path(path).write_bytes(saved[1])
    return path


def rewrite(path, **changes):
    """Change entries of the card; None removes one."""
    card = json.loads(card_path(path).read_text(encoding="utf-8"))
    card.update(changes)
    kept = {key: value for key, value in card.items() if value is not None}
    card_path(path).write_text(json.dumps(kept), encoding="utf-8")


def reseal(path, data: bytes):
    """Replace the weights and write their digest into the card."""
    path.write_bytes(data)
    rewrite(path, sha256=weights_file.hashlib.sha256(data).hexdigest())


def refused(path) -> tuple[type[Failure], str]:
    with pytest.raises(Failure) as caught:
        load_weights(path)
    assert "\n" not in str(caught.value)
    return type(caught.value), str(caught.value)


# ---------------------------------------------------------------------- saved and loaded


def test_model_comes_back_with_weights_name_and_contract(model, path):
    loaded = load_weights(path)
    assert (loaded.name, loaded.contract, loaded.network.training) == ("compact", CONTRACT, False)
    for name, value in loaded.network.state_dict().items():
        assert torch.equal(value, model.network.state_dict()[name])


def test_card_tells_what_the_weights_are_and_where_they_come_from(path):
    card = read_card(path)
    assert {key: card[key] for key in ORIGIN} == ORIGIN
    assert (card["format"], card["network"], card["parameters"]) == (1, "compact", 215_194)
    assert card["contract"] == {"filters": CONTRACT.filters, "mean": 0.13, "std": 0.31, "polarity": "light on dark"}


def test_the_same_network_gives_the_same_bytes(model, path, tmp_path):
    again = tmp_path / "again.safetensors"
    save_weights(again, model, ORIGIN)
    assert (again.read_bytes(), card_path(again).read_bytes()) == (path.read_bytes(), card_path(path).read_bytes())


def test_names_in_the_file_are_those_of_the_plain_network(model, path):
    assert set(safetensors.numpy.load_file(path)) == set(model.network.state_dict())


def test_another_suffix_is_refused_before_anything_is_written(model, tmp_path):
    with pytest.raises(UsageError, match=r"digits\.bin: a weights file ends in \.safetensors"):
        save_weights(tmp_path / "digits.bin", model, ORIGIN)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_failure_that_names_the_file_and_what_is_free(model, tmp_path, monkeypatch):
    def full(path, write):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights_file, "write_atomically", full)
    with pytest.raises(Failure, match=r"x\.safetensors: cannot be saved: No space left on device \([\d,]+ bytes free"):
        save_weights(tmp_path / "x.safetensors", model, ORIGIN)


def test_a_save_that_is_cut_short_between_the_two_files_is_noticed(model, path, monkeypatch):
    def half(target, write):
        if target.suffix == ".json":
            raise OSError(28, "No space left on device")
        write_atomically(target, write)

    monkeypatch.setattr(weights_file, "write_atomically", half)
    changed = Model(build_network("compact"), "compact", CONTRACT)
    with pytest.raises(Failure):
        save_weights(path, changed, ORIGIN)
    assert "digits.json" in refused(path)[1]


# ---------------------------------------------------------------------- damaged


@pytest.mark.parametrize("damage", ["empty", "cut in half", "without its last byte", "random bytes", "text", "zeros"])
def test_damaged_weights_are_called_corrupt_by_their_path(path, damage):
    whole = path.read_bytes()
    path.write_bytes(
        {
            "empty": b"",
            "cut in half": whole[: len(whole) // 2],
            "without its last byte": whole[:-1],
            "random bytes": random.Random(0).randbytes(5000),
            "text": b"these are no weights\n",
            "zeros": bytes(5000),
        }[damage]
    )
    assert refused(path) == (Failure, f"weights corrupt: {path}")


def test_weights_that_the_card_does_not_describe_are_refused_with_both_names(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    kind, line = refused(path)
    assert kind is Failure
    assert f"{path}: not the weights that {card_path(path)} describes: SHA-256" in line


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"a": 1}x', '{"format": NaN}', '{"format": Infinity}', "[" * 100_000, "\xff\xfe"],
    ids=["empty", "open", "more", "NaN", "Infinity", "deep", "not UTF-8"],
)
def test_a_damaged_card_is_a_failure_that_names_it(path, text):
    card_path(path).write_bytes(text.encode("latin-1"))
    kind, line = refused(path)
    assert (kind, line.startswith(f"{card_path(path)}: damaged")) == (Failure, True)


def test_a_card_of_a_gigabyte_is_refused_unread(path):
    with card_path(path).open("wb") as file:
        file.truncate(2**30)
    assert "more than 1,048,576 bytes" in refused(path)[1]


def test_weights_that_are_not_finite_are_refused(path, model):
    state = {name: value.clone().contiguous() for name, value in model.network.state_dict().items()}
    state["fc.3.bias"][0] = float("nan")
    reseal(path, safetensors.torch.save(state))
    assert refused(path) == (Failure, f"{path}: holds weights that are not finite")


def test_changed_bytes_give_one_line_but_never_a_crash(path):
    whole, rng = path.read_bytes(), random.Random(0)
    for trial in range(40):
        changed = bytearray(whole)
        if trial % 4 == 0:
            del changed[rng.randrange(len(changed)) :]
        else:
            changed[rng.randrange(600)] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        refused(path)


# ---------------------------------------------------------------------- missing or foreign


def test_missing_weights(tmp_path):
    path = tmp_path / "none.safetensors"
    assert refused(path) == (UsageError, f"{path}: no such weights file")


def test_missing_card(path):
    card_path(path).unlink()
    kind, line = refused(path)
    assert (kind, "digits.json is missing beside it" in line) == (UsageError, True)


def test_url_is_refused(path):
    kind, line = refused(type(path)("https://example.org/digits.safetensors"))
    assert (kind, "never from a URL" in line) == (UsageError, True)


@pytest.mark.parametrize("card", ["[]", "3", "null", "{}", '{"network": "compact", "contract": {}}'])
def test_json_that_is_no_card_is_refused(path, card):
    card_path(path).write_text(card, encoding="utf-8")
    kind, line = refused(path)
    assert (kind, "not the card of a weights file" in line) == (UsageError, True)


def test_card_of_another_version_is_refused(path):
    rewrite(path, format=2)
    assert "format 2 found, 1 expected" in refused(path)[1]


@pytest.mark.parametrize(
    "contract",
    [
        {"filters": "none", "mean": 0.1},
        {"filters": "none", "mean": 0.1, "std": 0.0},
        {"filters": "wavelet", "mean": 0.1, "std": 0.3},
        ["none", 0.1, 0.3],
    ],
    ids=str,
)
def test_contract_that_cannot_be_used_is_refused(path, contract):
    rewrite(path, contract=contract)
    kind, line = refused(path)
    assert (kind, "preprocessing contract cannot be used" in line) == (UsageError, True)


@pytest.mark.parametrize("name", ["resnet", 3, ["compact"], {"class_path": "os.system"}], ids=str)
def test_network_that_does_not_exist_is_refused_with_those_there_are(path, name):
    rewrite(path, network=name)
    kind, line = refused(path)
    assert (kind, "reference, compact" in line) == (UsageError, True)


def test_weights_of_another_network_are_refused(path):
    rewrite(path, network="reference")
    assert refused(path) == (UsageError, f"{path}: its weights do not fit the network 'reference' that it names")


def test_weights_of_another_shape_are_refused(path, model):
    state = {name: value.contiguous() for name, value in model.network.state_dict().items()}
    reseal(path, safetensors.torch.save({**state, "fc.3.bias": torch.zeros(11)}))
    assert "do not fit the network 'compact'" in refused(path)[1]


def test_a_weight_too_many_is_refused(path, model):
    state = {name: value.contiguous() for name, value in model.network.state_dict().items()}
    reseal(path, safetensors.torch.save({**state, "more": torch.zeros(1)}))
    assert "do not fit the network 'compact'" in refused(path)[1]


def test_half_precision_weights_are_taken_as_float32(path, model):
    state = {name: value.half().contiguous() for name, value in model.network.state_dict().items()}
    reseal(path, safetensors.torch.save(state))
    values = load_weights(path).network.state_dict()
    assert {value.dtype for value in values.values()} == {torch.float32}
    assert np.allclose(values["fc.3.bias"], model.network.state_dict()["fc.3.bias"], atol=1e-3)
