"""Building blocks of the MNIST-C family: blurs, affine warp, plasma fractal, line patterns, Canny edges.

Whole batches of float arrays `(N, 28, 28)` in, the same out; no random number is drawn here. Each function treats every
image alone and in the same order of operations, so that an image's result does not depend on its batch.
"""

import functools
import math

import cv2
import numpy as np
import numpy.typing as npt

SIZE = 28
CENTRE = 13.5  # of 28 pixel centres 0 … 27, in both axes

Floats = npt.NDArray[np.float32]

_MOTION_RADIUS, _MOTION_SIGMA = 10, 3.0  # in pixels
_LINE_REACH = 2.3  # vertical distance from a line, in pixels, at which its intensity is certainly 0
_ZIGZAG = 2.0  # half-length and half-width of one zigzag, in pixels
_CANNY_LOW, _CANNY_HIGH = 0.1, 0.2  # hysteresis thresholds of scikit-image for values in [0, 1]


def gaussian_blur(x: Floats, sigma: float, border: int = cv2.BORDER_REPLICATE) -> Floats:
    """Blur each image with a Gaussian cut at four sigma (`cv2.GaussianBlur`), as scikit-image's `gaussian` does.

    Args:
        x: `(N, 28, 28)` float32.
        sigma: standard deviation in pixels.
        border: OpenCV's border rule; the nearest pixel by default.

    Returns:
        `(N, 28, 28)` float32.
    """
    side = 2 * int(4.0 * sigma + 0.5) + 1
    out = np.empty_like(x)
    for i in range(len(x)):
        out[i] = cv2.GaussianBlur(x[i], (side, side), sigmaX=sigma, sigmaY=sigma, borderType=border)
    return out


def motion_kernel(angles: npt.NDArray[np.float64]) -> tuple[Floats, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return ImageMagick's motion-blur kernel (radius 10, sigma 3), which reaches to one side only.

    Args:
        angles: `(N,)`, in degrees.

    Returns:
        Weights `(21,)`, a half Gaussian of sum 1; for each image and weight, how many rows down, `(N, 21)`, and columns
        to the right, `(N, 21)`, the pixel is taken from.
    """
    steps = np.arange(2 * _MOTION_RADIUS + 1)
    weights = np.exp(-(steps**2) / (2.0 * _MOTION_SIGMA**2))
    radians = np.radians(angles)[:, None]
    down = np.ceil(steps * np.sin(radians) - 0.5).astype(np.int64)
    right = np.ceil(steps * np.cos(radians) - 0.5).astype(np.int64)
    return (weights / weights.sum()).astype(np.float32), down, right


def affine(x: Floats, inverse: npt.NDArray[np.float64]) -> Floats:
    """Warp images around their centre by bilinear interpolation, black outside (scikit-image's `warp`, order 1).

    Args:
        x: `(N, 28, 28)` float32.
        inverse: `(2, 2)`, takes an output position (column, row), relative to the centre (13.5, 13.5), to the input
            position that it is read from.

    Returns:
        `(N, 28, 28)` float32. Positions up to one pixel outside the frame still get their share of the border pixel.
    """
    rows, columns = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64) - CENTRE
    column = inverse[0, 0] * columns + inverse[0, 1] * rows + CENTRE
    row = inverse[1, 0] * columns + inverse[1, 1] * rows + CENTRE
    left, top = np.floor(column).astype(np.int64), np.floor(row).astype(np.int64)
    flat = x.reshape(len(x), SIZE * SIZE)
    out = np.zeros_like(flat)
    for down in (0, 1):
        for right in (0, 1):
            r, c = top + down, left + right
            weight = (1.0 - np.abs(row - r)) * (1.0 - np.abs(column - c))
            weight[(r < 0) | (r >= SIZE) | (c < 0) | (c >= SIZE)] = 0.0
            tap = np.clip(r, 0, SIZE - 1) * SIZE + np.clip(c, 0, SIZE - 1)
            out += flat[:, tap.ravel()] * weight.astype(np.float32).ravel()
    return out.reshape(x.shape)


def shift(x: Floats, rows: int, columns: int) -> Floats:
    """Move images down by `rows` and right by `columns` whole pixels (negative: up, left), black behind them."""
    out = np.zeros_like(x)
    height, width = SIZE - abs(rows), SIZE - abs(columns)
    top, left = max(rows, 0), max(columns, 0)
    source = x[:, top - rows : top - rows + height, left - columns : left - columns + width]
    out[:, top : top + height, left : left + width] = source
    return out


def plasma(u: Floats, decay: float) -> Floats:
    """Grow plasma fractals of 256 × 256 by diamond-square on a torus and return their top-left corners.

    The generator of ImageNet-C (Hendrycks & Dietterich 2019): a level adds w · U(-w, w) to the mean of four neighbours
    and w shrinks by `decay` from level to level; the amplitude is therefore w², which shrinks by `decay`². The corner
    that everything starts from is 0, and the whole map is scaled to [0, 1].

    Args:
        u: `(N, 65536)` uniform numbers in [0, 1); the last one is not needed.
        decay: divisor of w per level.

    Returns:
        `(N, 28, 28)` float32 in [0, 1].
    """
    n, used, side = len(u), 0, 1
    corners = np.zeros((n, 1, 1), np.float32)
    low, high = np.zeros(n, np.float32), np.zeros(n, np.float32)
    wibble = 100.0
    while side < 256:
        amplitude, count = wibble * wibble, side * side
        noise = (u[:, used : used + 3 * count].reshape(n, 3, side, side) * 2.0 - 1.0) * np.float32(amplitude)
        pairs = corners + np.roll(corners, -1, axis=1)
        middle = (pairs + np.roll(pairs, -1, axis=2)) / 4 + noise[:, 0]
        top = corners + np.roll(corners, -1, axis=2) + middle + np.roll(middle, 1, axis=1)
        top = top / 4 + noise[:, 1]
        left = pairs + middle + np.roll(middle, 1, axis=2)
        left = left / 4 + noise[:, 2]
        for part in (middle, top, left):
            low = np.minimum(low, part.min(axis=(1, 2)))
            high = np.maximum(high, part.max(axis=(1, 2)))
        used, side, wibble = used + 3 * count, side * 2, wibble / decay
        keep = side if side < 256 else SIZE  # of the last level only the corner is looked at
        corners_before, corners = corners, np.empty((n, keep, keep), np.float32)
        half = keep // 2
        corners[:, ::2, ::2] = corners_before[:, :half, :half]
        corners[:, 1::2, 1::2] = middle[:, :half, :half]
        corners[:, ::2, 1::2] = top[:, :half, :half]
        corners[:, 1::2, ::2] = left[:, :half, :half]
    return (corners - low[:, None, None]) / (high - low)[:, None, None]


def line(column0: float, row0: float, column1: float, row1: float) -> npt.NDArray[np.float64]:
    """Draw one line whose intensity falls with the vertical distance d as log(1 - d / 2.3) + 1, at least 0.

    Returns:
        `(28, 28)` in [0, 1]; columns before floor(column0) and from ceil(column1) on are 0.
    """
    rows, columns = np.mgrid[0:SIZE, 0:SIZE].astype(np.float64)
    height = row0 + (row1 - row0) / (column1 - column0) * (columns - column0)
    distance = np.minimum(np.abs(rows - height), _LINE_REACH - 1e-9)
    drawn: npt.NDArray[np.float64] = np.clip(np.log(1.0 - distance / _LINE_REACH) + 1.0, 0.0, 1.0)
    drawn[:, : math.floor(column0)] = 0.0
    drawn[:, math.ceil(column1) :] = 0.0
    return drawn


@functools.cache
def dotted_line(row0: int, row1: int) -> Floats:
    """Draw a line from (column 0, `row0`) to (column 27, `row1`) and clear columns 0-1, 4-5, …: `(28, 28)` float32."""
    drawn = line(0, row0, SIZE - 1, row1)
    drawn[:, (np.arange(SIZE) // 2) % 2 == 0] = 0.0
    return drawn.astype(np.float32)


@functools.cache
def zigzag(row0: int, row1: int) -> Floats:
    """Draw a zigzag along the straight line from (column 2, `row0`) to (column 25, `row1`): `(28, 28)` float32.

    In the coordinates of that line, of length l, its corners are (0, 0), (2, 2), (6, -2), (10, 2), … (22, -2) and
    (l, -1 / (l - 20)), as in the published generator.
    """
    column0, column1 = 2, 25
    angle = math.atan2(row1 - row0, column1 - column0)
    length = math.hypot(row1 - row0, column1 - column0)
    teeth = int((length - _ZIGZAG) // (2 * _ZIGZAG)) + 1
    along = [0.0] + [(2 * i + 1) * _ZIGZAG for i in range(teeth)] + [length]
    across = [0.0] + [(-1) ** i * _ZIGZAG for i in range(teeth)]
    across.append(across[-1] / (2 * (length % (2 * _ZIGZAG))))
    columns = [column0 + a * math.cos(angle) - b * math.sin(angle) for a, b in zip(along, across, strict=True)]
    rows = [row0 + a * math.sin(angle) + b * math.cos(angle) for a, b in zip(along, across, strict=True)]
    drawn = np.zeros((SIZE, SIZE))
    for i in range(1, len(columns)):
        drawn += line(columns[i - 1], rows[i - 1], columns[i], rows[i])
    return np.minimum(drawn, 1.0).astype(np.float32)


def canny(x: Floats, sigma: float) -> npt.NDArray[np.bool_]:
    """Find Canny edges as scikit-image's `feature.canny` does with its defaults (Canny 1986).

    Gaussian blur normalised at the border; 3 × 3 Sobel gradient; a pixel stays where its gradient is no smaller than
    the two interpolated values one step up and down the gradient; 8-connected chains of at least 0.1 that reach 0.2
    anywhere are edges. The outermost pixels of an image are never edges. (`cv2.Canny` rounds directions to 45°; this
    does not.)

    Args:
        x: `(N, 28, 28)` float32 in [0, 1].
        sigma: standard deviation of the blur, in pixels.

    Returns:
        `(N, 28, 28)` bool.
    """
    n = len(x)
    share = gaussian_blur(np.ones((1, SIZE, SIZE), np.float32), sigma, cv2.BORDER_CONSTANT)
    smooth = (gaussian_blur(x, sigma, cv2.BORDER_CONSTANT) / share).astype(np.float64)
    padded = np.pad(smooth, ((0, 0), (1, 1), (1, 1)), mode="symmetric")
    rise = padded[:, :, 2:] - padded[:, :, :-2]
    gx = rise[:, :-2] + 2.0 * rise[:, 1:-1] + rise[:, 2:]
    fall = padded[:, 2:] - padded[:, :-2]
    gy = fall[:, :, :-2] + 2.0 * fall[:, :, 1:-1] + fall[:, :, 2:]
    magnitude = np.hypot(gx, gy)

    candidates = magnitude >= _CANNY_LOW
    candidates[:, [0, -1]] = False
    candidates[:, :, [0, -1]] = False
    at = np.flatnonzero(candidates)
    gx, gy, flat = gx.ravel()[at], gy.ravel()[at], magnitude.ravel()
    across, down = np.sign(gx).astype(np.int64), np.sign(gy).astype(np.int64) * SIZE
    steep = np.abs(gy) >= np.abs(gx)
    straight, diagonal = np.where(steep, down, across), down + across
    weight = np.minimum(np.abs(gx), np.abs(gy)) / np.maximum(np.abs(gx), np.abs(gy))
    peak = np.ones(len(at), bool)
    for way in (1, -1):
        beside = weight * flat[at + way * diagonal] + (1.0 - weight) * flat[at + way * straight]
        peak &= beside <= flat[at]
    weak = np.zeros(n * SIZE * SIZE, np.uint8)
    weak[at[peak]] = 1

    # The empty border keeps the chains of stacked images apart: one call labels all of them.
    _, labels = cv2.connectedComponents(weak.reshape(n * SIZE, SIZE), connectivity=8)
    strong = np.unique(labels.ravel()[(weak == 1) & (flat >= _CANNY_HIGH)])
    is_edge = np.zeros(int(labels.max(initial=0)) + 1, bool)
    is_edge[strong] = True
    edges: npt.NDArray[np.bool_] = is_edge[labels].reshape(x.shape)
    return edges
