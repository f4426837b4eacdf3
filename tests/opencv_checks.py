"""Images for the tests of OpenCV's functions, and their definitions written out slowly."""

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

BUNDLE = Path(__file__).parents[1] / "mnist_lit" / "data" / "bundled" / "t10k-images-idx3-ubyte.gz"


def make_images():
    """Eight digits, noise, ramps, black, white and grey."""
    with gzip.open(BUNDLE) as file:
        digits = np.frombuffer(file.read(16 + 8 * 784)[16:], np.uint8).reshape(8, 28, 28)
    noise = np.random.default_rng(7).integers(0, 256, (4, 28, 28), dtype=np.uint8)
    ramp = np.broadcast_to(np.arange(0, 252, 9, dtype=np.uint8), (28, 28))
    flat = [np.full((28, 28), value, np.uint8) for value in (0, 77, 255)]
    return np.concatenate([digits, noise, np.stack([ramp, ramp.T, *flat])])


IMAGES = make_images()


ODD_SHAPE = np.random.default_rng(8).integers(0, 256, (2, 9, 14), dtype=np.uint8)


STACKS = pytest.mark.parametrize("images", [IMAGES, ODD_SHAPE], ids=["28x28", "9x14"])


KERNELS = pytest.mark.parametrize("size", [3, 5, (5, 9)], ids=str)


def wide(images):
    return images.astype(np.float64)


def largest_difference(result, expected):
    assert result.dtype == np.uint8
    assert result.shape == expected.shape
    return np.abs(wide(result) - expected).max()


def saturate(values):
    return np.clip(np.rint(values), 0, 255)


def correlate(images, kernel, mode="mirror", cval=0.0):
    return np.stack(
        [ndimage.correlate(image, np.asarray(kernel, float), mode=mode, cval=cval) for image in wide(images)]
    )


def gaussian_weights(size, sigma):
    weights = np.array([math.exp(-((i - size // 2) ** 2) / (2 * sigma**2)) for i in range(size)])
    return weights / weights.sum()


def gaussian_kernel(size, sigma):
    width, height = (size, size) if isinstance(size, int) else size
    return np.outer(gaussian_weights(height, sigma), gaussian_weights(width, sigma))


def size_kernel(size):
    width, height = (size, size) if isinstance(size, int) else size
    return np.ones((height, width))
