"""A sheet of paper on a darker table: where it is in a photo, and the photo with nothing but paper around the ink."""

import cv2
import numpy as np
import numpy.typing as npt

_FOUR_SIDED = 0.88  # of the least rectangle around it that a sheet fills, seen at an angle; an ellipse fills 0.79
_LEAST, _MOST = 0.08, 0.97  # of the photo: how large a sheet is
_TABLE_ON_BORDER = 0.5  # least share of the border that is table
_PAPER = 0.5  # least share of a sheet that is paper
_INK = 0.002  # least share of it that is not
_EDGE = 0.015  # of the photo's longer side: the edge of a sheet, which is neither paper nor table


def is_rectangle(mask: npt.NDArray[np.uint8]) -> bool:
    """Whether a region, uint8 `(H, W)`, 1 inside, is nearly a rectangle, turned or not; holes count as filled."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    _, (width, height), _ = cv2.minAreaRect(contours[0])
    return cv2.contourArea(contours[0]) > _FOUR_SIDED * width * height


def find_written_sheet(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_] | None:
    """Find a light sheet with something dark on it, on a darker table that shows on most of the border.

    Args:
        grey: uint8 `(H, W)`.

    Returns:
        `(H, W)`, where the sheet is, without its edge; None where there is no such sheet.
    """
    if min(grey.shape) < 8:
        return None
    smooth = np.asarray(cv2.medianBlur(grey, 5), np.uint8)
    _, light = cv2.threshold(smooth, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    border = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    if 1 - float(border.mean()) < _TABLE_ON_BORDER:
        return None
    _, labels, stats, _ = cv2.connectedComponentsWithStats(light, connectivity=4)
    if len(stats) < 2:
        return None
    largest = np.asarray(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])), np.uint8)
    if not is_rectangle(largest):
        return None
    contours, _ = cv2.findContours(largest, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    sheet = np.asarray(cv2.drawContours(np.zeros_like(largest), contours, 0, 1, cv2.FILLED), np.uint8)
    edge = 2 * max(1, round(_EDGE * max(grey.shape))) + 1
    sheet = np.asarray(cv2.erode(sheet, np.ones((edge, edge), np.uint8)), np.uint8)
    inside = sheet > 0
    if not _LEAST < float(inside.mean()) < _MOST:
        return None
    paper = float(light[inside].mean())
    return inside if paper > _PAPER and 1 - paper > _INK else None


def evenly_lit(image: npt.NDArray[np.uint8], inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Take light and table away from a photo of a sheet.

    Args:
        image: uint8 `(H, W, C)`.
        inside: `(H, W)`, where the sheet is.

    Returns:
        uint8 `(H, W, C)`: the image divided by the plane that fits its paper best; paper where the table was.
    """
    grey = image.mean(axis=2)
    if not inside.any():
        return image
    threshold, _ = cv2.threshold(grey[inside].astype(np.uint8), 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    paper = inside & (grey > threshold)
    ys, xs = np.nonzero(paper)
    if len(ys) == 0:
        return image
    terms = np.stack([np.ones(len(ys)), xs, ys], axis=1)
    (level, across, down), *_ = np.linalg.lstsq(terms, grey[paper], rcond=None)
    rows, columns = np.indices(grey.shape)
    light = np.maximum(level + across * columns + down * rows, 1.0)
    even = image * (np.median(grey[paper]) / light)[..., None]
    even[~inside] = np.median(even[paper], axis=0)
    return np.asarray(np.clip(even, 0, 255), np.uint8)
