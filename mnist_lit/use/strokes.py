"""What the strokes of a few digits look like: how many there are, how thin they get, how many loops they have."""

import cv2
import numpy as np

from mnist_lit.use.arrays import Bytes

MOST_STROKES = 12  # of a picture with a few digits
SPECK = 0.05  # of the largest stroke's area: what is smaller is none
LOOPS = 2  # of a digit at most: those of an 8
THINNEST_ONE = 25.0  # height to width
_FLATTEST_BAR = 8.0  # width to height, of a loose bar


def count_holes(mask: Bytes) -> int:
    """How many holes there are in ink, uint8 `(H, W)`, that touches no border."""
    return cv2.connectedComponents(1 - mask, connectivity=4)[0] - 2  # without the ink, and what is around


def is_few_strokes(density: Bytes, floor: float) -> bool:
    """Whether all ink is a few large strokes that end within the picture: however straight, they are no rulings.

    Args:
        density: uint8 `(H, W)`.
        floor: what is darker is no paper.
    """
    mask = (density > floor).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = stats[1:, cv2.CC_STAT_AREA]
    if len(areas) == 0:
        return False
    strokes = 1 + np.flatnonzero(areas > SPECK * areas.max())
    if len(strokes) > MOST_STROKES:
        return False
    for label in strokes:
        left, top, width, height = (int(value) for value in stats[label, :4])
        if min(left, top) < 1 or left + width >= mask.shape[1] or top + height >= mask.shape[0]:
            return False
        if height > THINNEST_ONE * width or width > _FLATTEST_BAR * height:
            return False
        own = labels[top : top + height, left : left + width] == label
        if count_holes(np.pad(own, 1).astype(np.uint8)) > LOOPS:
            return False
    return True
