"""Percentiles of a few hundred values, of which reading a page takes hundreds: NumPy's own take ten times as long."""

import numpy as np
import numpy.typing as npt


def percentile(values: npt.NDArray[np.float32] | npt.NDArray[np.uint8], percent: float) -> float:
    """Return what `numpy.percentile` returns for a vector, interpolated linearly.

    Args:
        values: `(N,)`, N from 1, none of them NaN.
        percent: 0 to 100.
    """
    place = percent / 100 * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    ordered = np.partition(values, (low, high))
    return float(ordered[low]) + (place - low) * (float(ordered[high]) - float(ordered[low]))
