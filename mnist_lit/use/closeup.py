"""Pictures that are filled by a few bold digits, such as one digit cut out of MNIST and enlarged.

Paper is found as what is wider than any stroke, and the width of a stroke is judged by the size of the picture. Where
strokes are broad in it, the picture gets a margin of its own paper, so that they look as they would on a page.
"""

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.use.paper import Bytes, resized, two_levels

_SIDE = 320  # of the reduced picture, pixels
_PAPER_ON_BORDER = 0.6  # least share of the border that is paper
_BROAD, _TOO_BROAD = 0.055, 0.32  # of the longer side: widths of strokes that want a margin; wider is no stroke
_SOLID, _LONG = 0.55, 2.2  # width of a sheet to its shorter side, and least length to width of a one
_PARTS = 12  # of ink, at most
_SPECK = 0.05  # of the largest part: parts that are smaller are no digits
_LOOPS = 2  # of a digit at most: those of an 8


def with_margin(image: Bytes) -> tuple[Bytes, float, int]:
    """Give a picture of a few bold strokes a margin.

    Args:
        image: uint8 `(H, W)` or `(H, W, C)`.

    Returns:
        The picture, its scale to `image`, and the margin in its own pixels; `image`, 1 and 0 where none is wanted.
    """
    scale = min(1.0, _SIDE / max(image.shape[:2]))
    small = resized(image, scale)
    flat = small.reshape(*small.shape[:2], -1)
    broad = _broad_strokes(np.asarray(flat.mean(axis=2), np.uint8))
    if broad is None:
        return image, 1.0, 0
    ink, width = broad
    paper = np.median(flat[~ink], axis=0)
    margin = max(1, round((width / _BROAD - max(ink.shape)) / 2))
    level = [float(value) for value in paper]
    padded = cv2.copyMakeBorder(small, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=level)
    return np.asarray(padded, np.uint8), scale, margin


def _broad_strokes(grey: Bytes) -> tuple[npt.NDArray[np.bool_], float] | None:
    """Where the ink is and how wide its strokes are, in pixels; None unless they are few and broad on plain paper."""
    levels = two_levels(grey)
    if levels is None or max(levels[1], 1 - levels[1]) < _PAPER_ON_BORDER:
        return None
    light, border = levels
    ink = ~light if border > 0.5 else light
    framed = np.pad(ink, 1).astype(np.uint8)  # ink that is cut off by the picture's edge ends there
    width = 2 * float(cv2.distanceTransform(framed, cv2.DIST_L2, 5).max())
    if not _BROAD < width / max(ink.shape) < _TOO_BROAD:
        return None
    _, _, stats, _ = cv2.connectedComponentsWithStats(framed, connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]
    digits = int((areas > _SPECK * areas.max()).sum())
    holes = cv2.connectedComponents(1 - framed, connectivity=4)[0] - 2  # without the ink, and what is around
    if len(areas) > _PARTS or holes > _LOOPS * digits:
        return None  # a sheet on a table: the holes in it are writing
    largest = stats[1 + int(np.argmax(areas))]
    short, long = sorted((int(largest[cv2.CC_STAT_WIDTH]), int(largest[cv2.CC_STAT_HEIGHT])))
    if width > _SOLID * short and (long < _LONG * short or holes):
        return None  # an empty sheet, or one with a word on it; no stroke but that of a one is as broad
    return ink, width
