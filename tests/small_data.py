"""A folder of four small IDX files cut from MNIST, for trainings that take a second."""

import gzip
from pathlib import Path

import numpy as np

from mnist_lit.data.idx import BUNDLED, read_set

TRAIN, TEST = 640, 101


def write_idx(path: Path, array: np.ndarray) -> None:
    """Write a uint8 array as a gzipped IDX file."""
    magic = 0x0800 + array.ndim
    header = np.array([magic, *array.shape], dtype=">u4").tobytes()
    path.write_bytes(gzip.compress(header + array.tobytes(), compresslevel=1))


def write_small_set(folder: Path, *, train: int = TRAIN, test: int = TEST, permute_test_labels: bool = False) -> Path:
    """Write the first images of MNIST into `folder` under the official names, and return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, count in (("train", train), ("t10k", test)):
        whole = read_set(BUNDLED, part)  # type: ignore[arg-type]
        images, labels = whole.images[:count], whole.labels[:count]
        if part == "t10k" and permute_test_labels:
            labels = np.random.default_rng(0).permutation(labels)
        write_idx(folder / f"{part}-images-idx3-ubyte.gz", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte.gz", labels)
    return folder
