"""Printed rulings: whether there can be any, how far they fall, and the ink without them."""

import math

import cv2
import numpy as np

from mnist_lit.use.arrays import Bytes, resized

_PROFILE_SIDE = 640  # of the image that the tilt is measured on, pixels
MAX_TILT = 14.0  # degrees
_STROKES = 12  # of a picture without rulings, at most
_SPECK = 0.05  # of the largest stroke: what is smaller is none
_UPRIGHT, _LEVEL = 25.0, 8.0  # height to width, and width to height, of a one and of a loose bar at most
_LOOPS = 2  # of a digit, at most
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
    strokes = 1 + np.flatnonzero(areas > _SPECK * areas.max())
    if len(strokes) > _STROKES:
        return False
    for label in strokes:
        left, top, width, height = (int(value) for value in stats[label, :4])
        if min(left, top) < 1 or left + width >= mask.shape[1] or top + height >= mask.shape[0]:
            return False
        if height > _UPRIGHT * width or width > _LEVEL * height:
            return False
        own = labels[top : top + height, left : left + width] == label
        holes = cv2.connectedComponents(1 - np.pad(own, 1).astype(np.uint8), connectivity=4)[0] - 2
        if holes > _LOOPS:  # without the ink itself, and what is around it
            return False
    return True


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
