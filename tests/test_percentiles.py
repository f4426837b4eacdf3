"""The quick percentile: what NumPy's is."""

import numpy as np
import pytest

from mnist_lit.data.percentiles import percentile


@pytest.mark.parametrize("count", [1, 2, 3, 10, 311])
@pytest.mark.parametrize("percent", [0, 12.5, 50, 90, 100])
def test_is_what_numpy_says(count, percent):
    rng = np.random.default_rng(count)
    floats, levels = rng.random(count).astype(np.float32), rng.integers(0, 256, count).astype(np.uint8)
    assert percentile(floats, percent) == pytest.approx(np.percentile(floats.astype(np.float64), percent), abs=1e-12)
    assert percentile(levels, percent) == pytest.approx(np.percentile(levels, percent), abs=1e-9)


def test_leaves_the_values_as_they_are():
    values = np.array([3, 1, 2], np.uint8)
    assert percentile(values, 50) == 2
    assert values.tolist() == [3, 1, 2]
