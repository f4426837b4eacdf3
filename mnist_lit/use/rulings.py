"""Printed rulings: how far they fall, and the ink without them."""

import math

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
        smooth = cv2.blur(level, (max(3, length // 12), 1))
        lines = cv2.morphologyEx(smooth, cv2.MORPH_OPEN, np.ones((1, length), np.uint8))
        if angle:
            back = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
            lines = cv2.warpAffine(lines, matrix, (width, height), flags=back)
        np.maximum(found, lines, out=found)
    return found
