"""Where the paper is in a photo: a light sheet on a darker table, which may show as a strip along the border only."""

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.data.digit_sheet import is_rectangle
from mnist_lit.use.arrays import Bytes, resized

_TABLE = 0.45  # of paper's brightness; a table is darker, paper in shadow is not
_STRAIGHT = 1.5  # pixels of a reduced image that the edge of a sheet may leave a line by
_LIGHT = 0.7  # of what a sheet's outline encloses, at least; less is a ring, such as a white zero
_LARGE, _SMALL = 0.12, 0.02  # of the photo: what a light digit on a board does not cover, and what a note at least does
_INK, _LEAST_INK = 0.75, 0.003  # of a small note's brightness, below which is ink, and how much of the note that is
_DARKER = 0.8  # of a small note's brightness: a table around it is at most as bright
_LIGHTER = 1.5  # times as bright as a table: paper
_EDGE = 4  # pixels of a reduced image that the edge of a sheet is wide


def find_sheet(image: Bytes) -> Bytes | None:
    """Find a light sheet that lies on something darker.

    It is one region, nearly convex, at one of many thresholds, and its outline is sharp: that tells it from light
    paper around a shadow, whose edge is soft.

    Args:
        image: `(H, W)`; of a colour image the darkest channel, in which a table of wood is darkest.

    Returns:
        uint8 `(h, w)`, reduced, 1 on the sheet; None where there is no such sheet.
    """
    small = cv2.medianBlur(resized(image, min(1.0, 320 / max(image.shape))), 5)
    fine = resized(image, min(1.0, 1000 / max(image.shape)))
    factor = fine.shape[1] / small.shape[1]
    candidates = []
    low, high = np.percentile(small, (1, 90))
    for threshold in np.unique(np.geomspace(low + 3, high + 4, 20).astype(int)):
        light = (small > threshold).astype(np.uint8)
        opened = cv2.morphologyEx(light, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
        contours, _ = cv2.findContours(opened, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        outline = max(contours, key=cv2.contourArea, default=None)
        if outline is None:
            continue
        hull = cv2.convexHull(outline)
        area = cv2.contourArea(hull)
        if (
            _SMALL * small.size < area < 0.985 * small.size
            and cv2.contourArea(outline) > 0.85 * area
            and light[cv2.drawContours(np.zeros_like(small), [hull], 0, 1, -1) > 0].mean() > _LIGHT
            and (area > _LARGE * small.size or _is_note(fine, hull * factor))
        ):
            sharp = _sharp_share(fine, hull[:, 0].astype(np.float64) * factor)
            candidates.append((sharp, area, hull))
    sharpest = max((sharp for sharp, _, _ in candidates), default=0.0)
    if sharpest < 0.7:
        return None
    _, _, best = max((one for one in candidates if one[0] > sharpest - 0.04), key=lambda one: one[1])
    return np.asarray(cv2.drawContours(np.zeros_like(small), [best], 0, 1, -1))


def without_table(image: Bytes, sheet: Bytes | None) -> Bytes | None:
    """Take strips of a table along the border of a photo away from the sheet, which the whole outline may include.

    A strip is far darker than paper is in any shadow, begins at the border and ends in a straight line.

    Args:
        image: `(H, W)`, dark strokes on light; of a colour image the darkest channel.
        sheet: uint8 `(h, w)`, reduced, 1 on the sheet; None for everywhere.

    Returns:
        uint8 `(h, w)`, reduced, 1 on the sheet; None for everywhere.
    """
    small = resized(image, min(1.0, 640 / max(image.shape)))
    reach = max(3, max(small.shape) // 8)
    paper = cv2.blur(cv2.dilate(cv2.medianBlur(small, 3), np.ones((reach, reach), np.uint8)), (reach, reach))
    dark = small < _TABLE * paper.astype(np.float32)
    clear = np.ones(small.shape, np.uint8)
    for side in range(4):
        border = np.rot90(dark, side)
        depth = np.where(border.all(axis=0), len(border), np.argmin(border, axis=0))
        columns = np.flatnonzero((depth > 0) & (depth < 0.25 * len(border)))
        if len(columns) < max(8, 0.12 * len(depth)):
            continue
        near = columns
        for _ in range(8):  # least trimmed squares: corners and the table's own pattern are no part of the edge
            line = np.polyfit(near, depth[near], 1)
            away = np.abs(np.polyval(line, columns) - depth[columns])
            near = columns[away <= np.median(away)]
        if np.median(away) > _STRAIGHT:
            continue
        ends = np.maximum(depth[columns], np.polyval(line, columns)) + _EDGE
        np.rot90(clear, side)[:, columns] &= np.arange(len(border))[:, None] > ends
    if clear.all():
        return sheet
    if np.median(small[clear > 0]) < _LIGHTER * np.median(small[clear == 0]):
        return sheet  # a board behind white strokes: as dark between them as along the border
    size = (small.shape[1] // 2, small.shape[0] // 2) if sheet is None else (sheet.shape[1], sheet.shape[0])
    clear = np.asarray(cv2.resize(clear, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    return clear if sheet is None else sheet & clear


def _is_note(image: Bytes, hull: npt.NDArray[np.float64]) -> bool:
    """Tell a note on a table from a white stroke on a board and from light that falls in: it is whole, with ink on it.

    Args:
        image: `(H, W)`.
        hull: `(N, 1, 2)`, convex, pixels (x, y).
    """
    points = np.asarray(np.rint(hull), np.int32)
    if points.min() <= _EDGE or (points.max(axis=(0, 1)) >= np.array(image.shape[::-1]) - _EDGE).any():
        return False
    inside = np.asarray(cv2.drawContours(np.zeros_like(image), [points], 0, 1, -1), np.uint8)
    if not is_rectangle(inside):
        return False
    outside = np.median(image[inside == 0])
    levels = image[cv2.erode(inside, np.ones((2 * _EDGE + 1,) * 2, np.uint8)) > 0]
    if levels.size == 0:
        return False
    paper = float(np.median(levels))
    return bool(outside < _DARKER * paper and np.mean(levels < _INK * paper) > _LEAST_INK)


def _sharp_share(image: Bytes, corners: npt.NDArray[np.float64]) -> float:
    """How much of an outline inside the image is a sharp step from light inside to dark outside, 0 to 1.

    Args:
        image: grey `(H, W)`.
        corners: `(N, 2)`, of a convex polygon in either direction, pixels (x, y).
    """
    height, width = image.shape
    middle = corners.mean(axis=0)
    ahead = np.roll(corners, -1, axis=0) - corners
    lengths = np.hypot(*ahead.T)
    counts = np.maximum(1, (lengths / 8).astype(int))
    edge = np.repeat(np.arange(len(corners)), counts)
    share = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
    points = corners[edge] + ahead[edge] * share[:, None]
    normals = np.stack([ahead[edge, 1], -ahead[edge, 0]], axis=1) / np.maximum(lengths[edge, None], 1e-6)
    normals *= np.sign((normals * (points - middle)).sum(axis=1, keepdims=True))
    reach = 14
    inner = (points > reach).all(axis=1) & (points < np.array([width, height]) - reach).all(axis=1)
    if inner.sum() < 12:
        return 0.0
    steps = np.arange(-reach, reach + 1)
    places = (points[inner, None] + normals[inner, None] * steps[:, None]).astype(np.float32)
    profile = cv2.remap(image, places[..., 0], places[..., 1], cv2.INTER_LINEAR).astype(np.float32)
    whole = profile[:, :5].mean(axis=1) - profile[:, -5:].mean(axis=1)
    step = (profile[:, :-4] - profile[:, 4:]).max(axis=1)
    sharp = (whole > 0.12 * profile[:, :5].mean(axis=1) + 4) & (step > 0.6 * whole)
    return float(sharp.mean())
