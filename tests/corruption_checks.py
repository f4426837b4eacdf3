"""What the tests of the corruptions share: one corruption with chosen draws, and comparisons in grey levels."""

import numpy as np

from mnist_lit.data.corruptions import TABLE


def apply(name, images, u):
    return TABLE[name].apply(images, np.asarray(u, np.float32))


def column(n, value):
    return np.full((n, 1), value, np.float32)


def to_uint8(x):
    return np.floor(np.clip(x, 0, 1) * 255 + 0.5).astype(int)


def assert_close(actual, expected, *, levels=1):
    assert np.abs(actual.astype(int) - expected).max() <= levels
