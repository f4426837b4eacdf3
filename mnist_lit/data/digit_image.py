"""A decoded image that holds one handwritten digit in, an MNIST-like 28×28 image out.

The recipe is that of MNIST itself (LeCun, Cortes and Burges, "The MNIST database of handwritten digits",
http://yann.lecun.com/exdb/mnist/): the digit is size-normalised into a 20×20 box with its aspect ratio kept, grey
levels come from the anti-aliasing of that step, and the box is placed so that its centre of mass is the centre of the
28×28 field. Before it comes what scans and photos need: a table around the sheet, polarity, uneven light, specks.
"""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.data.digit_sheet import evenly_lit, find_written_sheet
from mnist_lit.data.percentiles import percentile

Polarity: TypeAlias = Literal["dark on light", "light on dark"]
_Floats: TypeAlias = npt.NDArray[np.float32]

FIELD = 28  # side of an MNIST image, pixels
BOX = 20  # side of the box that the digit fills, pixels
_WORKING_SIDE = 512  # larger images are reduced first: a digit needs no more, and noise averages out
_CLEAN = 24  # what is this dark is black, give or take JPEG
_CLEAN_SHARE = 0.95  # of the border; a few MNIST digits touch it
_TWO_LEVELS = 0.88  # separability that only ink on evenly lit paper has; photos in uneven light: 0.7 to 0.85
_SURELY_INK = 0.78  # separability that no blank paper has
_MIN_CONTRAST = 16.0  # grey levels between ink and paper; below that there is nothing but paper
_MIN_SNR = 5.0  # the same, in standard deviations of the paper's noise


@dataclass(frozen=True, eq=False)
class DigitImage:
    """One digit as the network expects it.

    Attributes:
        pixels: `(28, 28)`, uint8, light digit on black as in MNIST; all zeros without ink.
        polarity: What the source image was.
        has_ink: False for a blank or uniform image.
    """

    pixels: npt.NDArray[np.uint8]
    polarity: Polarity
    has_ink: bool


class _Ink(NamedTuple):
    """Ink in grey levels, at least 0.

    Attributes:
        amount: `(H, W)`.
        smooth: The same with the noise averaged out, for decisions.
        noise: Standard deviation of what noise is left in `smooth`.
    """

    amount: _Floats
    smooth: _Floats
    noise: float


class _Flat(NamedTuple):
    """Paper of one grey level.

    Attributes:
        paper: `(1, 1)`.
        light_border: The share of border and corners that is light.
        separability: How well two classes of grey levels explain the image (Otsu's: the share of the variance that
            lies between them, 0 to 1; about 0.64 for noise, 0.75 for a ramp).
    """

    paper: _Floats
    light_border: float
    separability: float


def digit_from_image(grey: npt.NDArray[np.uint8]) -> DigitImage:
    """Find the digit in an image and normalise it as MNIST was.

    An image that already is 28×28 with a black border is passed through exactly, so that exported MNIST images get the
    answers that MNIST gets; one with a white border is inverted exactly. Everything else is normalised. The limit: a
    blank page whose light changes more abruptly than a quadratic surface (overexposed in a corner) is taken for ink.

    Args:
        grey: Grey levels `(H, W)`, uint8, one digit, dark on light or light on dark.

    Returns:
        The digit `(28, 28)`, its strokes stretched to 255.

    Raises:
        ValueError: `grey` is not a non-empty two-dimensional uint8 array.
    """
    if grey.ndim != 2 or grey.dtype != np.uint8 or grey.size == 0:
        raise ValueError(f"grey must be uint8 (H, W), not {grey.dtype} {grey.shape}")
    if grey.shape == (FIELD, FIELD):
        views: tuple[tuple[Polarity, npt.NDArray[np.uint8]], ...] = (
            ("light on dark", grey),
            ("dark on light", 255 - grey),
        )
        for polarity, light in views:
            if float(np.mean(_border(light) <= _CLEAN)) >= _CLEAN_SHARE and light.max() > _CLEAN + _MIN_CONTRAST:
                return DigitImage(light.copy(), polarity, True)

    image = _unframed(_without_table(_reduced(grey)))
    ink, polarity = _ink(image)
    digit = _isolated(ink)
    if digit is None:
        return DigitImage(np.zeros((FIELD, FIELD), np.uint8), polarity, False)
    return DigitImage(place_digit(digit), polarity, True)


def _border(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The outermost pixels, `(2 H + 2 W,)`."""
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])


def _reduced(grey: npt.NDArray[np.uint8]) -> _Floats:
    scale = _WORKING_SIDE / max(grey.shape)
    image = grey.astype(np.float32)
    if scale >= 1:
        return image
    height, width = (max(1, round(side * scale)) for side in grey.shape)
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _without_table(image: _Floats) -> _Floats:
    """The image with paper in place of the table that the sheet lies on, where there is one; as large as before."""
    levels = np.round(image).astype(np.uint8)
    sheet = find_written_sheet(levels)
    return image if sheet is None else evenly_lit(levels[..., None], sheet)[..., 0].astype(np.float32)


def _unframed(image: _Floats) -> _Floats:
    """The image without the thin rectangle that a canvas or a table cell has around it, where there is one."""
    light = image > (float(image.min()) + float(image.max())) / 2
    outer = float(np.mean(_border(light)))
    if min(image.shape) < 8 or 0.05 < outer < 0.95:
        return image
    for depth in range(1, min(image.shape) // 16 + 1):
        ring = float(np.mean(_border(light[depth:-depth, depth:-depth])))
        if abs(ring - outer) > 0.85:
            return image[depth + 1 : -depth - 1, depth + 1 : -depth - 1]
    return image


def _ink(image: _Floats) -> tuple[_Ink, Polarity]:
    """What deviates from the paper, and whether it is lighter or darker.

    Three papers are tried, from the stiffest to the softest: one grey level, a quadratic surface (light that falls
    off), a surface of local extremes (shadows). A softer one is taken only where the grey levels do not fall into two
    classes and it leaves clearly less, because a soft paper can swallow ink; the softest only where the border itself
    is divided between light and dark.
    """
    smooth = np.asarray(cv2.blur(image, (3, 3)), np.float32) if min(image.shape) > 2 * FIELD else image
    flat = _flat(smooth)
    paper, light = flat.paper, flat.light_border < 0.5
    small = min(image.shape) < FIELD  # every pixel is part of an edge
    if flat.separability < _TWO_LEVELS and not small:
        left = _spread(smooth - paper)
        divided = 0.3 < flat.light_border < 0.7
        curved = _curved(smooth)
        curved_light = _mostly_light(smooth - curved)
        if divided:
            light = curved_light
        if _spread(smooth - curved) < 0.4 * left and light == curved_light:
            paper, left = curved, _spread(smooth - curved)
        local = _local(smooth, light)
        if divided and _spread(smooth - local) < 0.6 * left:
            paper = local
    sign = 1 if light else -1
    amount, deviation = np.maximum(sign * (image - paper), 0), sign * (smooth - paper)
    noise = _spread(deviation, 20)
    filled = flat.separability > _SURELY_INK or _peak(deviation) < 2.5 * noise  # no noise has so low a peak
    if small or (paper is flat.paper and filled):
        noise = 1.0  # what was taken for noise is strokes that fill the image
    ink = _Ink(amount, np.maximum(deviation, 0), noise)
    return ink, "light on dark" if light else "dark on light"


def _spread(deviation: _Floats, percent: int = 40) -> float:
    """Standard deviation of what lies nearest to the paper, in grey levels, at least 1.

    Args:
        deviation: From the paper, `(H, W)`.
        percent: How much of the image is surely paper. The percentile of the absolute deviation is divided by that of a
            normal distribution.
    """
    normal = {20: 0.253, 40: 0.524}[percent]
    return max(float(np.percentile(np.abs(deviation), percent)) / normal, 1.0)


def _mostly_light(deviation: _Floats) -> bool:
    """Whether the strongest deviations are light."""
    size = np.abs(deviation)
    return float(deviation[size > 0.4 * size.max()].sum()) > 0


def _flat(image: _Floats) -> _Flat:
    """Evenly lit paper: of Otsu's two classes of grey levels the one that has the border and the corners."""
    levels = np.round(image).astype(np.uint8)
    threshold, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    light = levels > threshold
    if light.all() or not light.any():
        return _Flat(image[:1, :1], 1.0, 0.0)
    light_border = float(np.mean(_border(light)) + np.mean(light[[0, 0, -1, -1], [0, -1, 0, -1]])) / 2
    paper = np.full((1, 1), np.median(image[light == (light_border >= 0.5)]), np.float32)
    part = float(np.mean(light))
    between = part * (1 - part) * (float(image[light].mean()) - float(image[~light].mean())) ** 2
    return _Flat(paper, light_border, between / float(image.var()))


def _local(image: _Floats, light: bool) -> _Floats:
    """Paper from its surroundings `(H, W)`: a closing (opening for light ink) by a square wider than any stroke."""
    scale = 64 / max(image.shape)
    size = (max(2, round(image.shape[1] * scale)), max(2, round(image.shape[0] * scale)))
    small = cv2.GaussianBlur(cv2.resize(image, size, interpolation=cv2.INTER_AREA), (0, 0), 1)
    side = max(3, min(size) // 3)
    operation = cv2.MORPH_OPEN if light else cv2.MORPH_CLOSE
    paper = cv2.morphologyEx(small, operation, np.ones((side, side), np.uint8))
    paper = cv2.GaussianBlur(paper, (0, 0), side / 4)
    return np.asarray(cv2.resize(paper, image.shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _curved(image: _Floats) -> _Floats:
    """A quadratic surface fitted to least absolute deviations `(H, W)`, the border counted threefold.

    Least absolute deviations follow the majority, and most of an image with one digit is paper; a surface of second
    order follows light that falls off but no stroke. Solved by iteratively reweighted least squares.
    """
    height, width = image.shape
    small = cv2.resize(image, (min(width, 32), min(height, 32)), interpolation=cv2.INTER_AREA)
    weights = np.ones_like(small)
    weights[[0, -1]] = weights[:, [0, -1]] = 3
    y, x = np.repeat(_positions(small.shape[0]), small.shape[1]), np.tile(_positions(small.shape[1]), small.shape[0])
    terms = np.stack([np.ones_like(x), x, x * x, y, y * y, x * y])
    values, prior = small.ravel().astype(np.float64), weights.ravel()
    fitted: npt.NDArray[Any] = np.full_like(values, np.median(np.repeat(values, prior.astype(int))))
    for _ in range(20):
        weighted = terms * (prior / np.maximum(np.abs(values - fitted), 0.5))
        solution = np.linalg.solve(weighted @ terms.T, weighted @ values)  # six normal equations
        fitted = solution @ terms
    column, row = _positions(height)[:, None], _positions(width)
    one, by_x, by_xx, by_y, by_yy, by_xy = solution
    surface = one + by_x * row + by_xx * row**2 + (by_y * column + by_yy * column**2) + by_xy * row * column
    return np.asarray(surface, np.float32)


def _positions(side: int) -> npt.NDArray[np.float64]:
    """Pixel centres from -1 to 1, `(side,)`."""
    return (np.arange(side) + 0.5) * 2 / side - 1


def _peak(ink: _Floats) -> float:
    """The grey levels between paper and the darkest (or lightest) strokes; a few odd pixels do not count."""
    return float(np.sort(ink, axis=None)[-min(ink.size, max(3, ink.size // 2000))])


def _isolated(ink: _Ink) -> _Floats | None:
    """The ink of the digit alone, cropped to it: `(h, w)`, 0 to 1; None where there is no ink."""
    amount, smooth, noise = ink.amount, ink.smooth, ink.noise
    level = _peak(smooth)
    if level < max(_MIN_CONTRAST, _MIN_SNR * noise):
        return None
    mask = (smooth > max(0.2 * level, 3 * noise)).astype(np.uint8)
    reach = 2 * (max(amount.shape) // 60) + 1
    joined = cv2.dilate(mask, np.ones((reach, reach), np.uint8))
    count, labels = cv2.connectedComponents(joined, connectivity=8)
    labels[mask == 0] = 0
    mass = np.bincount(labels.ravel(), weights=amount.ravel(), minlength=count)
    mass[0] = 0
    touching = np.zeros(count, bool)
    touching[_border(labels)] = True
    if mass[~touching].max(initial=0) >= 0.25 * mass.max():
        mass[touching] = 0
    inside = np.isin(labels, np.flatnonzero(mass >= 0.05 * mass.max()))
    fringe = cv2.dilate(inside.astype(np.uint8), np.ones((reach + 2, reach + 2), np.uint8))  # soft edges of strokes
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    crop = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.asarray(np.clip(np.where(fringe, amount, 0)[crop] / percentile(amount[inside], 95), 0, 1), np.float32)


def place_digit(digit: _Floats) -> npt.NDArray[np.uint8]:
    """Size-normalise a digit into the box and place it by its centre of mass.

    Args:
        digit: Its ink `(h, w)`, float32, 0 to 1, cropped to it; not all 0.

    Returns:
        uint8 `(28, 28)`.
    """
    height, width = digit.shape
    scale = BOX / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(digit, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    small = np.clip(small / percentile(small[small > 0.1 * small.max()], 90), 0, 1)
    field = np.zeros((FIELD, FIELD), np.uint8)
    starts = []
    for axis, side in enumerate(small.shape):
        profile = small.sum(axis=1 - axis)
        centre = float(profile @ np.arange(side)) / float(profile.sum())
        starts.append(min(max(round(FIELD / 2 - centre), 0), FIELD - side))
    top, left = starts
    field[top : top + small.shape[0], left : left + small.shape[1]] = np.round(small * 255)
    return field
