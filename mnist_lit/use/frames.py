"""Printed frames around digits, as on forms: a box for each digit, a row of boxes, a table."""

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.use.arrays import Bytes, Matrix
from mnist_lit.use.rulings import straight_lines

_LEAST_SIDE = 20  # pixels
_THIN = 0.65  # of what a frame encloses, at most, is ink, that of a bold digit in it included
_CORNER = 0.1  # of its shorter side: how far an outline may leave its four sides, at a corner that is rubbed off
_STRAIGHT = 0.03  # of its shorter side: how far a frame's lines may leave its four sides, for
_ON_SIDES = 0.85  # of its outline at least; a zero has about a half there
_LINE = 0.6  # of the frame's shorter side: what is as long and straight is its line
_BOLD = 1.8  # times as wide as a frame's line: a stroke
_AROUND = np.ones((5, 5), np.uint8)  # the soft edge of ink
_REST = 0.3  # of the frame's shorter side: what is smaller, once the lines are gone, is a rest of them


def without_frames(density: Bytes, floor: float, length: int) -> Bytes:
    """Take frames away; digits that touch one keep their ink.

    Args:
        density: uint8 `(H, W)`, turned so that rulings are level.
        floor: what is darker is no paper.
        length: pixels; frames both of whose sides are longer are left to `without_rulings`.

    Returns:
        uint8 `(H, W)`.
    """
    mask = (density > floor).astype(np.uint8)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    widths, heights, areas = (stats[:, i] for i in (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT, cv2.CC_STAT_AREA))
    large = (np.minimum(widths, heights) >= _LEAST_SIDE) & (areas < _THIN * widths * heights)
    large &= np.minimum(widths, heights) <= length
    large[0] = False
    found = density
    for label in np.flatnonzero(large):
        left, top, width, height = (int(value) for value in stats[label, :4])
        window = np.s_[top : top + height, left : left + width]
        own = labels[window] == label
        if not _is_frame(np.asarray(own, np.uint8)):
            continue
        if found is density:
            found = density.copy()
        found[window] = _without_lines(found[window], own)
    return found


def _is_frame(mask: Bytes) -> bool:
    """Whether connected ink, uint8 `(H, W)`, runs around four straight sides."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    outline = contours[0]
    if mask.sum() > _THIN * cv2.contourArea(outline):
        return False
    hull = cv2.convexHull(outline)
    corners = cv2.approxPolyDP(hull, _CORNER * min(cv2.minAreaRect(hull)[1]), True)[:, 0].astype(np.float64)
    if len(corners) != 4:
        return False
    points = outline[:, 0].astype(np.float64)
    ahead = np.roll(corners, -1, axis=0) - corners
    nearest = _distances(points, corners, ahead).argmin(axis=1)
    lines = []
    for side in range(4):
        own = points[nearest == side]
        if len(own) < 2:
            return False
        lines.append(cv2.fitLine(own.astype(np.float32), cv2.DIST_HUBER, 0, 0.01, 0.01)[:, 0])  # direction, then place
    fitted = np.array(lines, np.float64)
    away = _distances(points, fitted[:, 2:], fitted[:, :2]).min(axis=1)
    near = away <= max(1.5, _STRAIGHT * float(np.hypot(*ahead.T).min()))
    return float(near.mean()) >= _ON_SIDES


def _distances(points: Matrix, places: Matrix, directions: Matrix) -> Matrix:
    """How far N points `(N, 2)` are from K lines through `places` `(K, 2)` along `directions` `(K, 2)`: `(N, K)`."""
    offsets = points[:, None] - places
    across = directions[:, 0] * offsets[..., 1] - directions[:, 1] * offsets[..., 0]
    return np.asarray(np.abs(across) / np.hypot(*directions.T), np.float64)


def _without_lines(density: Bytes, own: npt.NDArray[np.bool_]) -> Bytes:
    """Take a frame's lines away.

    Args:
        density: uint8 `(H, W)`, of the frame's box.
        own: where the frame is, with what touches it.
    """
    short = min(own.shape)
    around = cv2.dilate(own.astype(np.uint8), _AROUND) > 0
    ink = np.where(around, density, 0).astype(np.uint8)
    length = max(3, round(_LINE * short))
    margin = length // 2 + max(own.shape) // 32 + 3  # at the edges of a picture lines seem to go on
    within = np.s_[margin:-margin, margin:-margin]
    lines = np.ascontiguousarray(straight_lines(np.pad(ink, margin), length)[within])
    side = round(_BOLD * _line_width(own)) + 1
    square = np.ones((side, side), np.uint8)
    bold = cv2.morphologyEx(np.pad(own, margin).astype(np.uint8), cv2.MORPH_OPEN, square)[within]
    lines[cv2.dilate(bold, _AROUND) > 0] = 0
    rest = cv2.subtract(ink, lines)
    _, labels, stats, _ = cv2.connectedComponentsWithStats((rest > 0.4 * ink.max()).astype(np.uint8), connectivity=8)
    small = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1) < _REST * short
    kept = ~small
    kept[0] = False
    keep = cv2.dilate(kept[labels].astype(np.uint8), _AROUND) > 0
    return np.asarray(np.where(around, np.where(keep, rest, 0), density), np.uint8)


def _line_width(own: npt.NDArray[np.bool_]) -> float:
    """How wide the lines of a frame are, in pixels: the usual way through ink from each of its four sides."""
    widths = []
    for side in range(4):
        rows = np.rot90(own, side)
        rows = np.pad(rows[rows.any(axis=1)], ((0, 0), (0, 1)))
        starts = rows.argmax(axis=1)
        before = np.arange(rows.shape[1]) < starts[:, None]
        widths.append(float(np.median((rows | before).argmin(axis=1) - starts)))
    return float(np.median(widths))
