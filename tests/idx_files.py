"""Small IDX files for tests, sound or not."""

import gzip

import numpy as np
import pytest

from mnist_lit.errors import Failure

IMAGES = np.random.default_rng(1).integers(0, 256, (5, 28, 28), dtype=np.uint8)


LABELS = np.array([3, 1, 4, 1, 5], dtype=np.uint8)


def packed(array, *, magic=None, shape=None):
    """Return the bytes of an IDX file, with a header that may lie."""
    numbers = [0x0800 + array.ndim if magic is None else magic, *(array.shape if shape is None else shape)]
    return b"".join(number.to_bytes(4, "big") for number in numbers) + array.tobytes()


def refusal(call, *parts, error=Failure):
    """Return the message with which `call` fails, after checking that it is one line and holds every part."""
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    for part in parts:
        assert str(part) in text, text
    return text


def write_folder(path):
    """Write a sound set of five digits in each part, images gzipped and labels plain; return the folder."""
    for part in ("train", "t10k"):
        (path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(packed(IMAGES)))
        (path / f"{part}-labels-idx1-ubyte").write_bytes(packed(LABELS))
    return path
