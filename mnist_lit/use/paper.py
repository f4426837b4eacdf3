"""From a photo to the ink alone: light, shadow, table and printed rulings are taken away, whatever the ink's colour.

Ink is measured as optical density, the natural logarithm of how much darker a place is than the paper around it: light
and shadow divide out, and what lies on top of each other (a stroke on a ruling) adds up. Photos of white strokes on
black are inverted first.
"""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.use.arrays import Bytes, Floats, Matrix, resized
from mnist_lit.use.frames import without_frames
from mnist_lit.use.rulings import find_tilt, without_rulings
from mnist_lit.use.strokes import is_few_strokes

Polarity: TypeAlias = Literal["dark on light", "light on dark"]

UNIT = 100  # levels of uint8 per unit of optical density: 255 is paper darkened to 8 %
_DARK = 6  # grey levels added to both sides of the quotient, so that noise in black does not look like ink
_TWO_LEVELS = 0.8  # share of the variance that lies between two grey levels which explain an image
_NOISES, _FLOOR = 5.0, 0.15  # of paper's noise, and density: printed frames are darker
_PROMINENT = 40  # pixels of a reduced image that a small digit has
_PAPER = 80  # grey level; what is lighter than its surroundings and than this is paper, no board


@dataclass(frozen=True, eq=False)
class InkMap:
    """How much light the ink takes away, in a frame of its own: the image scaled, and turned so that rulings are level.

    Attributes:
        ink: uint8 `(H, W)`, 0 for paper, 255 where no light comes back.
        noise: standard deviation of paper, in the same levels.
        to_image: affine `(2, 3)`, from this frame's pixels (x, y) to those of the image.
        tilt: degrees by which the frame's rows fall to the right in the image.
        inside: uint8 `(H, W)`, 1 on the sheet except along its edge; None where no sheet was found.
    """

    ink: Bytes
    noise: float
    to_image: Matrix
    tilt: float
    inside: Bytes | None = None


def find_polarity(image: Bytes, sheet: Bytes | None) -> Polarity:
    """Tell dark strokes on light paper from light strokes on dark.

    Strokes are the thinnest things that stand out: what closings (of dark things) and openings (of light ones) by
    squares of growing size take away is compared at the smallest size that finds half of the greatest contrast; at
    larger ones the gaps between strokes stand out as well. The edge of a shadow stands out at no size. Where two grey
    levels explain the whole image, such as in a picture of one thick digit, the border has the paper's. A light sheet
    is paper, whatever stands out on it: printed squares do, as much as pale pencil.

    Args:
        image: grey `(H, W)`.
        sheet: uint8 `(h, w)`, reduced, 1 where the paper is, or None.
    """
    small = resized(image, min(1.0, 480 / max(image.shape)))
    if sheet is None and (polarity := _polarity_of_border(small)) is not None:
        return polarity
    if sheet is not None and _level_inside(small, sheet) > _PAPER:
        return "dark on light"
    levels = np.log(small.astype(np.float32) + 20)
    levels = np.asarray(cv2.GaussianBlur(levels, (3, 3), 0), np.float32)
    kept = np.ones(levels.shape, np.float32)
    if sheet is not None:
        inside = cv2.erode(sheet, np.ones((9, 9), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
        size = (levels.shape[1], levels.shape[0])
        kept = np.asarray(cv2.resize(inside.astype(np.float32), size, interpolation=cv2.INTER_LINEAR), np.float32)
    contrast, dark, light = [], [], []
    for side in (5, 9, 17, 33, 65, 129):
        if side > 5 and side > 0.6 * min(levels.shape):
            break
        factor = min(1.0, 9 / side)
        view = levels if factor > 0.5 else np.asarray(resized(levels, factor), np.float32)
        counts = cv2.resize(kept, (view.shape[1], view.shape[0]), interpolation=cv2.INTER_AREA) > 0.99
        square = np.ones((min(side, 9 if factor < 0.5 else side),) * 2, np.uint8)
        below = (cv2.morphologyEx(view, cv2.MORPH_CLOSE, square) - view) * counts
        above = (view - cv2.morphologyEx(view, cv2.MORPH_OPEN, square)) * counts
        contrast.append(max(_peak(below, factor), _peak(above, factor)))
        dark.append(float((below**2).mean()))
        light.append(float((above**2).mean()))
    first = int(np.argmax(np.array(contrast) >= 0.5 * max(contrast)))
    return "light on dark" if light[first] > dark[first] else "dark on light"


def _peak(contrast: Floats, scale: float) -> float:
    """The mean over the most prominent pixels, about as many as a small digit has at this scale."""
    count = min(contrast.size, max(4, round(_PROMINENT * scale**2)))
    return float(np.partition(contrast, -count, axis=None)[-count:].mean())


def _level_inside(image: Bytes, sheet: Bytes) -> float:
    """The middle grey level on a sheet, which has a resolution of its own."""
    size = (image.shape[1], image.shape[0])
    return float(np.median(image[cv2.resize(sheet, size, interpolation=cv2.INTER_NEAREST) > 0]))


def _polarity_of_border(image: Bytes) -> Polarity | None:
    """The polarity where an image has two grey levels under even or slanting light, one all around; otherwise None."""
    levels = two_levels(image) or two_levels(_evenly_lit(image))
    if levels is None or 0.05 < levels[1] < 0.95:
        return None
    light, border = levels
    share = float(np.mean(light))
    if (share if border < 0.5 else 1 - share) > 0.45:
        return None
    return "light on dark" if border < 0.5 else "dark on light"


def _evenly_lit(image: Bytes) -> Bytes:
    """Take slanting light away: the plane that most of an image `(H, W)` lies on (least trimmed squares)."""
    rows, columns = np.indices(image.shape)
    terms = np.stack([np.ones(image.size), columns.ravel(), rows.ravel()], axis=1)[::7]
    levels = image.ravel()[::7].astype(np.float64)
    near = np.ones(len(levels), np.bool_)
    for _ in range(5):
        plane, *_ = np.linalg.lstsq(terms[near], levels[near], rcond=None)
        away = np.abs(terms @ plane - levels)
        near = away <= np.median(away)
    light = plane[0] + plane[1] * columns + plane[2] * rows
    return np.asarray(np.clip(image - light + np.median(levels), 0, 255), np.uint8)


def two_levels(image: Bytes) -> tuple[npt.NDArray[np.bool_], float] | None:
    """Split an image `(H, W)` into light and dark, where two grey levels explain it; otherwise None.

    Returns:
        Where it is light, bool `(H, W)`, and the light share of its border, 0 to 1.
    """
    threshold, _ = cv2.threshold(image, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    light = np.asarray(image > threshold, np.bool_)
    share = float(np.mean(light))
    if not 0 < share < 1:
        return None
    between = share * (1 - share) * (float(image[light].mean()) - float(image[~light].mean())) ** 2
    if between < _TWO_LEVELS * float(image.var()):
        return None
    return light, float(np.mean(np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])))


def _background(image: Bytes, reach: int) -> Bytes:
    """Paper `(H, W, C)`: a closing by a square of side `reach`, wider than any stroke, done on a reduced image."""
    factor = max(1, reach // 12)
    height, width = image.shape[:2]
    size = (max(1, width // factor), max(1, height // factor))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    side = max(3, round(reach / factor) | 1)
    closed = cv2.morphologyEx(small, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    closed = cv2.blur(closed, (3, 3))
    return np.asarray(cv2.resize(closed, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _densities(image: Bytes, reach: int, outside: Bytes | None) -> Floats:
    """Optical density per channel `(H, W, C)`, 0 in the middle of paper's noise.

    What lies outside the sheet (1 in `outside`, `(H, W)`) has no say in what is usual for paper.
    """
    logarithm = np.log(np.arange(256) + _DARK).astype(np.float32)
    paper = _background(image, reach)
    smooth = cv2.GaussianBlur(image, (3, 3), 0)
    density: Floats = (cv2.LUT(paper, logarithm) - cv2.LUT(smooth, logarithm)).reshape(image.shape)
    height, width, channels = image.shape
    step = max(1, reach // 8)
    for channel in range(channels):
        # The closing follows the noise's peaks, and smudges are wider than strokes: what is usual nearby is paper.
        plane = density[:, :, channel]
        levels = np.clip(plane * UNIT, 0, 255).astype(np.uint8)[step // 2 :: step, step // 2 :: step]
        if outside is not None:
            levels[outside[step // 2 :: step, step // 2 :: step] > 0] = 0
        usual = cv2.medianBlur(np.ascontiguousarray(levels), 25)
        plane -= cv2.resize(usual.astype(np.float32) / UNIT, (width, height), interpolation=cv2.INTER_LINEAR)
    return density


def _colour_weights(density: Floats, inside: Bytes | None) -> Floats:
    """Weights `(C,)` of the channels that tell this ink from this paper best (Fisher's linear discriminant).

    What varies on paper, noise and printed rulings, is what the weights turn away from; none becomes negative, so that
    ink of a second colour is still seen.

    Args:
        density: per channel, `(H, W, C)`.
        inside: `(H, W)`, 1 on the sheet except along its edge; None for everywhere. A table's noise has no say.
    """
    pixels = density[::4, ::4].astype(np.float64)
    pixels = pixels.reshape(-1, pixels.shape[2]) if inside is None else pixels[inside[::4, ::4] > 0]
    total = pixels.mean(axis=1)
    noise = max(float(np.median(np.abs(total))) * 1.48, 0.01)
    ink = total > 5 * noise
    if ink.sum() < 20:
        return np.full(density.shape[2], 1 / density.shape[2], np.float32)
    level = float((total[ink] ** 2).sum() / total[ink].sum())
    colour = pixels[total > 0.7 * level].mean(axis=0)
    spread = np.cov(pixels[total < 0.4 * level].T) + 1e-4 * np.eye(len(colour))
    weights = np.linalg.solve(spread, colour)
    weights = np.maximum(weights, 0.15 * weights.max())
    return np.asarray(weights * (colour.max() / (weights @ colour)), np.float32)


def map_ink(
    image: Bytes,
    scale: float,
    polarity: Polarity,
    sheet: Bytes | None,
    *,
    reach: int,
    length: int,
    tilt: float | None = None,
) -> InkMap:
    """Find how much ink is where.

    Args:
        image: RGB or grey, `(H, W, 3)` or `(H, W, 1)`.
        scale: of the ink map.
        polarity: of the image.
        sheet: uint8 `(h, w)`, reduced, 1 where the paper is; None for everywhere.
        reach: pixels of the ink map, wider than any stroke.
        length: pixels of the ink map; longer straight lines are rulings, unless a few strokes are all there is.
        tilt: of the rulings, degrees; found here if left out.
    """
    work = resized(image, scale) if scale != 1 else image
    work = work.reshape(*work.shape[:2], -1)
    if polarity == "light on dark":
        work = 255 - work
    outside = inside = None
    if sheet is not None:
        eroded = cv2.erode(sheet, np.ones((9, 9), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1)
        outside, inside = (
            np.asarray(cv2.resize(one, (work.shape[1], work.shape[0]), interpolation=cv2.INTER_NEAREST), np.uint8)
            for one in (1 - sheet, eroded)
        )
    density = _densities(work, reach, outside)
    total = density @ _colour_weights(density, inside)
    sample = total[::3, ::3]
    if outside is not None:
        total[outside > 0] = 0
        sample = sample[outside[::3, ::3] == 0]
    noise = max(float(np.median(np.abs(sample))) * 1.48 if sample.size else 0.0, 0.004)
    levels = np.clip(total * UNIT, 0, 255).astype(np.uint8)
    angle = find_tilt(levels) if tilt is None else tilt
    matrix, size = _turn(levels.shape, angle)
    if angle:
        levels = np.asarray(cv2.warpAffine(levels, matrix, size, flags=cv2.INTER_LINEAR), np.uint8)
    floor = max(_NOISES * noise, _FLOOR) * UNIT
    levels = without_frames(levels, floor, length)
    if not is_few_strokes(levels, floor):
        levels = without_rulings(levels, length)
    absorbed = np.round(255 * (1 - np.exp(-np.arange(256) / UNIT))).astype(np.uint8)
    ink = np.asarray(cv2.LUT(levels, absorbed), np.uint8)
    if inside is not None:
        inside = np.asarray(cv2.warpAffine(inside, matrix, size, flags=cv2.INTER_NEAREST), np.uint8)
    to_image = np.asarray(cv2.invertAffineTransform(matrix), np.float64) / scale
    return InkMap(ink, noise * 255, to_image, angle, inside)


def _turn(shape: tuple[int, ...], angle: float) -> tuple[Matrix, tuple[int, int]]:
    """The rotation about the middle that levels lines which fall by `angle` degrees, and the size that keeps all."""
    height, width = shape[:2]
    matrix = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0), np.float64)
    cosine, sine = abs(matrix[0, 0]), abs(matrix[0, 1])
    size = (math.ceil(width * cosine + height * sine), math.ceil(width * sine + height * cosine))
    matrix[:, 2] += (size[0] - width) / 2, (size[1] - height) / 2
    return matrix, size
