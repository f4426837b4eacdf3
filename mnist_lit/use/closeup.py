"""Pictures that are filled by a few bold digits: one cut out of MNIST and enlarged, or a card with a large number.

Paper is found as what is wider than any stroke, and the width of a stroke is judged by the size of the picture. Where
strokes are broad in it, the picture gets a margin of its own paper, so that they look as they would on a page. A card
on a table is cut out for that; what is left of the table in the cut becomes paper.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.data.digit_sheet import evenly_lit, is_rectangle
from mnist_lit.use.arrays import Bytes, Matrix, resized
from mnist_lit.use.paper import two_levels
from mnist_lit.use.strokes import LOOPS, MOST_STROKES, SPECK, count_holes

_SIDE = 320  # of the reduced picture, pixels
_PAPER_ON_BORDER = 0.6  # least share of the border that is paper
_BROAD, _TOO_BROAD = 0.055, 0.32  # of the longer side: widths of strokes that want a margin; wider is no stroke
_SOLID, _LONG = 0.55, 2.2  # width of a sheet to its shorter side, and least length to width of a one
_EDGE = 0.012  # of a sheet's longer side: its edge, which is neither paper nor table


@dataclass(frozen=True, eq=False)
class Closeup:
    """A picture of a few bold strokes with a margin around it.

    Attributes:
        image: uint8 `(H, W)` or `(H, W, C)`.
        to_image: affine `(2, 3)`, from its pixels (x, y) to those of the picture it was made from.
    """

    image: Bytes
    to_image: Matrix


def find_closeup(image: Bytes, sheet: Bytes | None) -> Closeup | None:
    """Give a picture of a few bold strokes a margin.

    Args:
        image: uint8 `(H, W)` or `(H, W, C)`.
        sheet: uint8 `(h, w)`, reduced, 1 where a sheet lies on a table; None where no sheet was found.

    Returns:
        The picture with its margin; None where strokes are not broad, or are no strokes.
    """
    found = _with_margin(image, np.ones((1, 1), np.uint8))
    if found is not None or sheet is None:
        return found
    left, top, width, height = cv2.boundingRect(sheet)
    x_scale, y_scale = image.shape[1] / sheet.shape[1], image.shape[0] / sheet.shape[0]
    x, right = round(left * x_scale), round((left + width) * x_scale)
    y, bottom = round(top * y_scale), round((top + height) * y_scale)
    found = _with_margin(image[y:bottom, x:right], sheet[top : top + height, left : left + width])
    if found is None:
        return None
    return Closeup(found.image, found.to_image + np.array([[0.0, 0.0, x], [0.0, 0.0, y]]))


def _with_margin(image: Bytes, sheet: Bytes) -> Closeup | None:
    """Do as `find_closeup` does with what is on a sheet, uint8 `(h, w)`, 1 where it is."""
    scale = min(1.0, _SIDE / max(image.shape[:2]))
    small = resized(image, scale)
    flat = small.reshape(*small.shape[:2], -1)
    outside = cv2.resize(sheet, flat.shape[1::-1], interpolation=cv2.INTER_NEAREST) == 0
    if outside.any():
        edge = max(1, round(_EDGE * max(flat.shape)))
        framed = np.pad(outside.astype(np.uint8), 1, constant_values=1)
        outside = cv2.dilate(framed, np.ones((2 * edge + 1,) * 2, np.uint8))[1:-1, 1:-1] > 0
        flat = evenly_lit(flat, ~outside)
    broad = _broad_strokes(np.asarray(flat.mean(axis=2), np.uint8))
    if broad is None:
        return None
    ink, width = broad
    paper = [float(value) for value in np.median(flat[~ink], axis=0)]
    margin = max(1, round((width / _BROAD - max(ink.shape)) / 2))
    padded = cv2.copyMakeBorder(
        flat.reshape(small.shape), margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=paper
    )
    to_image = np.array([[1.0, 0.0, -margin], [0.0, 1.0, -margin]]) / scale
    return Closeup(np.asarray(padded, np.uint8), np.asarray(to_image, np.float64))


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
    _, labels, stats, _ = cv2.connectedComponentsWithStats(framed, connectivity=4)
    areas = stats[1:, cv2.CC_STAT_AREA]
    digits = int((areas > SPECK * areas.max()).sum())
    holes = count_holes(framed)
    if len(areas) > MOST_STROKES or holes > LOOPS * digits:
        return None  # a sheet on a table: the holes in it are writing
    largest = 1 + int(np.argmax(areas))
    short, long = sorted(int(stats[largest, side]) for side in (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT))
    if (long < _LONG * short or holes) and (
        width > _SOLID * short or is_rectangle(np.asarray(labels == largest, np.uint8))
    ):
        return None  # a sheet, empty or with a word on it; no stroke but that of a one is as broad
    return ink, width
