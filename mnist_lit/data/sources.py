"""The data sets that can be chosen by name: where their images come from and what their classes are called.

MNIST is bundled. The others are read from a folder with the four IDX files (`data.root`), or fetched once through
torchvision's own loaders where the machine can download.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from mnist_lit.data.idx import BUNDLED, DigitSet, Part, read_set
from mnist_lit.errors import Failure, UsageError

DatasetName = Literal["mnist", "fashion_mnist", "kmnist", "emnist_digits", "qmnist", "idx"]
DATASET_NAMES: tuple[str, ...] = get_args(DatasetName)
NUM_CLASSES = 10

_DIGITS = tuple("0123456789")
_CLASS_NAMES = {
    "fashion_mnist": (
        "T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    ),
    "kmnist": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
}  # fmt: skip


def class_names(dataset: str) -> Sequence[str]:
    """Return the ten class names of a data set, in the order of its labels."""
    return _CLASS_NAMES.get(dataset, _DIGITS)


def _from_torchvision(dataset: str, root: Path, part: Part) -> DigitSet:
    import torchvision.datasets as tv  # slow to import, and only needed for the sets that are not bundled

    train = part == "train"
    makers: dict[str, Any] = {
        "fashion_mnist": lambda: tv.FashionMNIST(root, train=train, download=True),
        "kmnist": lambda: tv.KMNIST(root, train=train, download=True),
        "emnist_digits": lambda: tv.EMNIST(root, split="digits", train=train, download=True),
        "qmnist": lambda: tv.QMNIST(root, what="train" if train else "test", download=True),
    }
    try:
        loaded = makers[dataset]()
    except Exception as error:  # a blocked, cut or half-unpacked download makes the loaders raise almost anything
        reason = " ".join(str(error).split()) or type(error).__name__
        raise Failure(
            f"data.dataset: {dataset} could not be downloaded to {root}: {reason[:300]} "
            "(on a machine without internet, point data.root at a folder with its four IDX files)"
        ) from error
    images = np.ascontiguousarray(loaded.data.numpy(), dtype=np.uint8)
    if dataset == "emnist_digits":  # EMNIST stores its images transposed
        images = np.ascontiguousarray(images.transpose(0, 2, 1))
    targets = loaded.targets if loaded.targets.ndim == 1 else loaded.targets[:, 0]
    labels = targets.numpy().astype(np.uint8)
    return DigitSet(images, labels, hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest())


def is_downloaded(dataset: str, root: Path | None) -> bool:
    """Tell whether torchvision's loaders provide a set, rather than the bundle or a folder with IDX files."""
    if dataset in ("mnist", "idx"):
        return False
    names = ("train-images-idx3-ubyte", "train-images-idx3-ubyte.gz")
    return root is None or not any((root / name).is_file() for name in names)


def load_part(dataset: str, root: Path | None, part: Part) -> DigitSet:
    """Read the training or the test part of a data set.

    Args:
        dataset: one of `DATASET_NAMES`; `idx` is any set in a folder with the four IDX files.
        root: the folder; None for the bundled MNIST, and for `.cache/data` with sets that are downloaded.
        part: `train` or `t10k` (the test part).

    Raises:
        UsageError: `idx` without a folder, or a file is missing.
        Failure: a file is damaged or not that of the named set, or a download failed.
    """
    if dataset == "mnist":
        return read_set(root or BUNDLED, part, known_as="mnist")
    if dataset == "idx":
        if root is None:
            raise UsageError("data.root: missing (data.dataset: idx reads the folder that it names)")
        return read_set(root, part)
    if is_downloaded(dataset, root):
        return _from_torchvision(dataset, root or Path(".cache/data"), part)
    assert root is not None
    return read_set(root, part, known_as=dataset)
