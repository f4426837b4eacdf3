"""Cutting ink where digits may touch, and drawing what was cut out as MNIST would have it.

A cut is the cheapest way from the top of a piece to its bottom, where crossing ink costs; several are tried, and what
each crosses is told, so that `segments` can weigh it against what the recognizer makes of the two sides.
"""

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.data.digit_image import place_digit
from mnist_lit.use.arrays import Bytes, Floats
from mnist_lit.use.ink import Piece, union

_CUTS = 5.0  # cuts that are tried, per digit height of a piece's width
_SWAY = 0.12  # of a digit's height, to either side of where a cut begins; with more, most take the same cheapest way
_MOST_CROSSED = 2.6  # stroke widths of ink that a cut may cross


def stroke_width(piece: Piece) -> float:
    """Pixels: four times the mean distance of its ink from the edge."""
    padded = np.pad(piece.mask.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
    return max(1.0, 4 * float(distance[padded > 0].mean()) - 1)


def cut(piece: Piece, ink: Bytes, height: float) -> list[tuple[Piece, float, int]]:
    """Cut a piece from top to bottom wherever that crosses little ink.

    Args:
        piece: the piece.
        ink: uint8 `(H, W)`, the ink map.
        height: of the line's digits, pixels.

    Returns:
        The parts from the left, each with the ink crossed by the cut at its right, in stroke widths, and the
        number of strokes (0 for the last).
    """
    whole = [(piece, 0.0, 0)]
    if piece.width < 0.5 * height or piece.height < 0.4 * height:
        return whole
    window = ink[piece.top : piece.bottom, piece.left : piece.right]
    cost = np.where(piece.mask, np.minimum(window / max(piece.darkness, 1.0), 1.0), 0.0).astype(np.float32)
    step = max(2, round(0.07 * height))
    starts = np.arange(step, piece.width - step + 1, step)
    if len(starts) == 0:
        return whole
    paths, inked, strokes = _seams(cost, starts, max(2, round(_SWAY * height)))
    width = stroke_width(piece)
    crossed = inked / width
    most = max(1, round(_CUTS * piece.width / height)) if piece.width > 0.6 * height else 1
    chosen = _apart(paths, crossed, most, 0.12 * height)
    if not chosen:
        return whole
    right_of = np.sum([np.arange(piece.width) >= paths[seam][:, None] for seam in chosen], axis=0)
    parts: list[tuple[npt.NDArray[np.bool_], float, int]] = []
    rest = np.zeros_like(piece.mask)
    for place, seam in enumerate(chosen):
        rest = rest | (piece.mask & (right_of == place))
        if rest.sum() < 0.5 * width * width:
            continue  # too little for a part: it goes with the next
        parts.append((rest, float(crossed[seam]), int(strokes[seam])))
        rest = np.zeros_like(piece.mask)
    rest = rest | (piece.mask & (right_of == len(chosen)))
    if parts and rest.sum() < 0.5 * width * width:
        rest = rest | parts.pop()[0]
    return [(_cropped(mask, piece), ink, count) for mask, ink, count in [*parts, (rest, 0.0, 0)]]


def _apart(paths: npt.NDArray[np.int64], crossed: Floats, most: int, distance: float) -> list[int]:
    """Choose the cuts that cross the least ink, each farther than `distance` from the others; from the left."""
    chosen: list[int] = []
    for seam in np.argsort(crossed):
        if crossed[seam] > _MOST_CROSSED or len(chosen) == most:
            break
        if all(np.abs(paths[seam] - paths[other]).mean() > distance for other in chosen):
            chosen.append(int(seam))
    return sorted(chosen, key=lambda seam: float(paths[seam].mean()))


def widened(parts: Sequence[Piece], whole: Piece, reach: int) -> Piece:
    """Give parts of a piece back the ink beyond their cuts, for strokes that belong to both sides.

    Args:
        parts: cut from `whole`.
        whole: the piece.
        reach: pixels, from 1.
    """
    joined = union(parts)
    top, left = joined.top - whole.top, joined.left - whole.left
    mask = np.zeros(whole.mask.shape, np.uint8)
    mask[top : top + joined.height, left : left + joined.width] = joined.mask
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    return _cropped(whole.mask & (cv2.dilate(mask, disc) > 0), whole)


def _cropped(mask: npt.NDArray[np.bool_], piece: Piece) -> Piece:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    inside = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Piece(piece.left + int(columns[0]), piece.top + int(rows[0]), inside, piece.darkness)


def _seams(
    cost: Floats, starts: npt.NDArray[np.int64], reach: int
) -> tuple[npt.NDArray[np.int64], Floats, npt.NDArray[np.int64]]:
    """The cheapest paths from the top to the bottom, one around each start.

    Args:
        cost: `(h, w)`, 0 where there is no ink.
        starts: `(K,)`, columns.
        reach: how far a path may leave its start, pixels.

    Returns:
        Columns `(K, h)`, the ink that each path crosses `(K,)`, and the number of strokes `(K,)`.
    """
    height, width = cost.shape
    offsets = np.arange(-reach, reach + 1)
    columns = starts[:, None] + offsets
    bands = np.pad(cost, ((0, 0), (reach + 1, reach + 1)))[:, columns + reach + 1]  # (h, K, 2 reach + 1)
    slant = np.float32(0.02)  # a path is no longer than it must be
    total = bands[0] + np.float32(0.002) * np.abs(offsets).astype(np.float32)
    choices = np.zeros(bands.shape, np.int8)
    wide = np.full((len(starts), len(offsets) + 2), 1e9, np.float32)
    for row in range(1, height):
        np.add(total, slant, out=wide[:, 1:-1])
        left, right = wide[:, :-2], wide[:, 2:]
        choices[row] = np.where(right < left, right < total, np.where(left <= total, -1, 0))
        total = np.minimum(np.minimum(left, right), total) + bands[row]
    paths = np.zeros((len(starts), height), np.int64)
    at = np.argmin(total, axis=1)
    index = np.arange(len(starts))
    inked = np.zeros(len(starts), np.float32)
    strokes = np.zeros(len(starts), np.int64)
    was_ink = np.zeros(len(starts), bool)
    for row in range(height - 1, -1, -1):
        paths[:, row] = np.clip(columns[index, at], 0, width)
        inked += bands[row, index, at]
        is_ink = bands[row, index, at] > 0.3
        strokes += is_ink & ~was_ink
        was_ink = is_ink
        at = at + choices[row, index, at]
    return paths, inked, strokes


def render(pieces: Sequence[Piece], ink: Bytes) -> npt.NDArray[np.uint8]:
    """Draw pieces as MNIST would have them.

    Args:
        pieces: of one digit.
        ink: uint8 `(H, W)`, the ink map.

    Returns:
        uint8 `(28, 28)`.
    """
    whole = union(pieces)
    left, top, right, bottom = whole.left - 1, whole.top - 1, whole.right + 1, whole.bottom + 1
    mask = np.pad(whole.mask.astype(np.uint8), 1)
    fringe = cv2.dilate(mask, np.ones((3, 3), np.uint8))
    padded = np.zeros(mask.shape, np.float32)
    y, x = max(top, 0), max(left, 0)
    window = ink[y:bottom, x:right]
    padded[y - top : y - top + window.shape[0], x - left : x - left + window.shape[1]] = window
    inked = padded[mask > 0]
    rank = round(0.8 * (len(inked) - 1))
    level = max(1.0, float(np.partition(inked, rank)[rank]))
    return place_digit(np.clip(np.where(fringe, padded, 0) / level, 0, 1).astype(np.float32))


def stroke_length(image: npt.NDArray[np.uint8]) -> float:
    """The length of a digit's strokes, as the natural logarithm of its multiple of the digit's height.

    Args:
        image: uint8 `(28, 28)`.
    """
    mask = (cv2.resize(image, (84, 84), interpolation=cv2.INTER_LINEAR) > 100).astype(np.uint8)
    area = int(mask.sum())
    if area == 0:
        return 0.0
    width = max(1.0, 4 * float(cv2.distanceTransform(mask, cv2.DIST_L2, 3).sum()) / area - 1)
    height = int(mask.any(axis=1).sum())
    return float(np.log(area / width / height))
