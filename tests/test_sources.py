"""The sets that can be chosen by name; torchvision's loaders are replaced by stand-ins, so that nothing is fetched."""

import hashlib
from types import SimpleNamespace
from typing import get_args

import numpy as np
import pytest
import torch
import torchvision.datasets
from small_data import write_idx

from mnist_lit.data.idx import BUNDLED, KNOWN_SHA256
from mnist_lit.data.sources import (
    DATASET_NAMES,
    NUM_CLASSES,
    DatasetName,
    class_names,
    is_downloaded,
    load_part,
)
from mnist_lit.errors import Failure, UsageError

DOWNLOADED = {
    "fashion_mnist": "FashionMNIST",
    "kmnist": "KMNIST",
    "emnist_digits": "EMNIST",
    "qmnist": "QMNIST",
}
IMAGES = np.random.default_rng(2).integers(0, 256, (3, 28, 28), dtype=np.uint8)
LABELS = np.array([9, 0, 4], dtype=np.uint8)


@pytest.fixture
def calls(monkeypatch):
    """Stand-ins for torchvision's loaders: the list of (class, positional, named arguments) they were called with."""
    seen = []

    def stand_in(name):
        def load(*args, **kwargs):
            seen.append((name, args, kwargs))
            return SimpleNamespace(data=torch.from_numpy(IMAGES.copy()), targets=torch.from_numpy(LABELS.astype(int)))

        return load

    for name in (*DOWNLOADED.values(), "MNIST"):
        monkeypatch.setattr(torchvision.datasets, name, stand_in(name))
    return seen


def fails(monkeypatch, name, error):
    def load(*args, **kwargs):
        raise error

    monkeypatch.setattr(torchvision.datasets, name, load)


def test_the_names():
    assert get_args(DatasetName) == DATASET_NAMES
    assert DATASET_NAMES == ("mnist", "fashion_mnist", "kmnist", "emnist_digits", "qmnist", "idx")


@pytest.mark.parametrize("dataset", DATASET_NAMES)
def test_there_is_a_name_for_every_class(dataset):
    names = class_names(dataset)
    assert len(set(names)) == len(names) == NUM_CLASSES


def test_class_names_are_in_the_order_of_the_labels():
    assert list(class_names("mnist")) == list("0123456789")
    assert class_names("fashion_mnist")[9] == "Ankle boot"
    assert class_names("kmnist")[4] == "na"


def test_mnist_comes_from_the_bundle(calls):
    part = load_part("mnist", None, "t10k")
    names = ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    digests = "".join(KNOWN_SHA256["mnist"][name] for name in names)
    assert part.sha256 == hashlib.sha256(digests.encode()).hexdigest()
    assert calls == []


@pytest.mark.parametrize(
    ("dataset", "part", "named"),
    [
        ("fashion_mnist", "train", {"train": True}),
        ("fashion_mnist", "t10k", {"train": False}),
        ("kmnist", "train", {"train": True}),
        ("kmnist", "t10k", {"train": False}),
        ("emnist_digits", "train", {"split": "digits", "train": True}),
        ("emnist_digits", "t10k", {"split": "digits", "train": False}),
        ("qmnist", "train", {"what": "train"}),
        ("qmnist", "t10k", {"what": "test"}),
    ],
)
def test_the_loader_is_asked_for_the_right_part(calls, tmp_path, dataset, part, named):
    load_part(dataset, tmp_path, part)
    assert calls == [(DOWNLOADED[dataset], (tmp_path,), {**named, "download": True})]


def test_downloads_go_to_the_cache_unless_a_folder_is_given(calls):
    load_part("kmnist", None, "train")
    assert calls[0][1][0].as_posix() == ".cache/data"


@pytest.mark.parametrize("dataset", ["fashion_mnist", "kmnist", "qmnist"])
def test_images_and_labels_arrive_as_they_are(calls, tmp_path, dataset):
    part = load_part(dataset, tmp_path, "train")
    np.testing.assert_array_equal(part.images, IMAGES)
    np.testing.assert_array_equal(part.labels, LABELS)
    assert part.images.dtype == part.labels.dtype == np.uint8


def test_emnist_is_transposed_back(calls, tmp_path):
    part = load_part("emnist_digits", tmp_path, "train")
    np.testing.assert_array_equal(part.images, np.stack([image.T for image in IMAGES]))
    assert part.images.flags.c_contiguous
    assert not np.array_equal(part.images, IMAGES)


def test_labels_in_several_columns_are_taken_from_the_first(monkeypatch, tmp_path):
    columns = torch.tensor([[9, 1], [0, 2], [4, 3]])
    loaded = SimpleNamespace(data=torch.from_numpy(IMAGES.copy()), targets=columns)
    monkeypatch.setattr(torchvision.datasets, "QMNIST", lambda *args, **kwargs: loaded)
    np.testing.assert_array_equal(load_part("qmnist", tmp_path, "train").labels, LABELS)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("Error downloading train-images.gz:\nTried https://example.org/, got:\n403"), "got: 403"),
        (OSError(101, "Network is unreachable"), "Network is unreachable"),
        (EOFError("Compressed file ended early"), "ended early"),
        (AssertionError(), "AssertionError"),
    ],
    ids=["refused", "no network", "cut", "half unpacked"],
)
def test_a_failed_download_is_one_line_with_advice(monkeypatch, tmp_path, error, reason):
    fails(monkeypatch, "KMNIST", error)
    with pytest.raises(Failure) as caught:
        load_part("kmnist", tmp_path, "train")
    text = str(caught.value)
    assert caught.value.exit_status == 1
    assert "\n" not in text
    for part in ("data.dataset: kmnist", str(tmp_path), reason, "data.root"):
        assert part in text


def test_idx_without_a_folder_is_wrong_use():
    with pytest.raises(UsageError, match=r"^data\.root: missing") as caught:
        load_part("idx", None, "train")
    assert "\n" not in str(caught.value)


def write_part(folder, part="train"):
    write_idx(folder / f"{part}-images-idx3-ubyte.gz", IMAGES)
    write_idx(folder / f"{part}-labels-idx1-ubyte.gz", LABELS)


def test_idx_reads_any_set(calls, tmp_path):
    write_part(tmp_path)
    np.testing.assert_array_equal(load_part("idx", tmp_path, "train").images, IMAGES)
    assert calls == []


def test_a_folder_with_idx_files_is_read_instead_of_a_download(calls, tmp_path):
    write_part(tmp_path)
    np.testing.assert_array_equal(load_part("kmnist", tmp_path, "train").images, IMAGES)
    assert calls == []


@pytest.mark.parametrize("dataset", ["mnist", "fashion_mnist"])
def test_a_folder_with_other_files_is_not_the_known_set(calls, tmp_path, dataset):
    write_part(tmp_path)
    with pytest.raises(Failure, match=f"not the file of {dataset}: SHA-256"):
        load_part(dataset, tmp_path, "train")
    assert calls == []


def test_what_is_downloaded(tmp_path):
    assert [name for name in DATASET_NAMES if is_downloaded(name, None)] == list(DOWNLOADED)
    assert is_downloaded("kmnist", tmp_path)
    write_part(tmp_path)
    assert not is_downloaded("kmnist", tmp_path)
    assert not is_downloaded("mnist", BUNDLED)
