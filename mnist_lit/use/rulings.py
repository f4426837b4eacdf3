"""Printed rulings: how far they fall, and the ink without them."""

import math
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from mnist_lit.use.arrays import Bytes, resized

_PROFILE_SIDE = 640  # of the image that the tilt is measured on, pixels
MAX_TILT = 14.0  # degrees
_SHEARS = (-1.6, -0.8, 0.0, 0.8, 1.6)  # degrees off the page's tilt at which rulings are looked for: perspective


def find_tilt(density: Bytes) -> float:
    """Degrees by which lines fall to the right: of rulings and of writing, whichever show more clearly.

    Lines that are level give a row profile of high peaks and deep valleys; the profile is tried at every angle.
    """
    scale = min(1.0, _PROFILE_SIDE / max(density.shape))
    small = np.minimum(resized(density, scale), 60).astype(np.float32)
    height, width = small.shape

    def sharpness(angle: float) -> float:
        slope = math.tan(math.radians(angle))
        matrix = np.array([[1, 0, 0], [-slope, 1, slope * width / 2]], np.float64)
        level = cv2.warpAffine(small, matrix, (width, height), flags=cv2.INTER_LINEAR)
        profile = level.sum(axis=1)
        return float((np.diff(profile) ** 2).sum())

    coarse = np.arange(-MAX_TILT, MAX_TILT + 0.1, 1.0)
    scores = [sharpness(angle) for angle in coarse]
    best = float(coarse[int(np.argmax(scores))])
    fine = best + np.arange(-1.0, 1.01, 0.2)
    scores_fine = [sharpness(angle) for angle in fine]
    if max(scores_fine) < 1.15 * float(np.median(scores)):
        return 0.0
    return float(fine[int(np.argmax(scores_fine))])


def without_rulings(density: Bytes, length: int) -> Bytes:
    """Take long straight lines away, level and upright ones; strokes that cross them keep what is darker.

    Args:
        density: uint8 `(H, W)`, turned so that rulings are level.
        length: pixels; longer than any straight stroke of a digit.

    Returns:
        uint8 `(H, W)`.
    """
    return np.asarray(cv2.subtract(density, straight_lines(density, length)), np.uint8)


def straight_lines(density: Bytes, length: int) -> Bytes:
    """The density, uint8 `(H, W)`, of level and upright lines that are longer than `length` pixels."""
    upright = _level_lines(np.ascontiguousarray(density.T), length).T
    return np.ascontiguousarray(np.maximum(_level_lines(density, length), upright))


def _level_lines(density: Bytes, length: int) -> Bytes:
    """The density of lines that run along the rows, give or take the angles of `_SHEARS`."""
    height, width = density.shape
    found = np.zeros_like(density)
    if length >= width:
        return found
    thick = cv2.dilate(density, np.ones((3, 1), np.uint8))  # a line in steps of one pixel is still a line
    for angle in _SHEARS:
        slope = math.tan(math.radians(angle))
        matrix = np.array([[1, 0, 0], [-slope, 1, slope * width / 2]], np.float64)
        level = cv2.warpAffine(thick, matrix, (width, height), flags=cv2.INTER_LINEAR) if angle else thick
        smooth = np.asarray(cv2.blur(level, (max(3, length // 12), 1)), np.uint8)
        lines = opened(smooth, length)
        if angle:
            back = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
            lines = np.asarray(cv2.warpAffine(lines, matrix, (width, height), flags=back), np.uint8)
        np.maximum(found, lines, out=found)
    return found


def opened(rows: Bytes, length: int) -> Bytes:
    """Open rows by a line: what is in no bright run of `length` pixels goes, as far as it stands out.

    Up to half of a run may lie beyond the edge. OpenCV's opening takes a time that grows with the length, and moves
    what it keeps by a pixel where the length is even.

    Args:
        rows: uint8 `(H, W)`.
        length: pixels, from 1.

    Returns:
        uint8 `(H, W)`, nowhere above `rows`.
    """
    after = length // 2
    least = _extremes(rows, length, length - 1 - after, 255, cv2.min)
    return _extremes(least, length, after, 0, cv2.max)


def _extremes(rows: Bytes, length: int, before: int, outside: int, of: Callable[[Any, Any], Any]) -> Bytes:
    """The least or the most of each `length` neighbours in a row, `before` of them to the left; by doubling."""
    after = length - 1 - before
    found = cv2.copyMakeBorder(rows, 0, 0, before, after, cv2.BORDER_CONSTANT, value=outside)
    reach = 1
    while reach < length:
        step = min(reach, length - reach)
        found = of(found[:, :-step], found[:, step:])
        reach += step
    return np.asarray(found, np.uint8)
