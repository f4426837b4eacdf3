"""MNIST digits as a pen would have drawn them: `(28, 28)` in, the ink of an enlarged digit out.

MNIST's grey levels are what is left of smooth strokes after reduction. Enlarging by cubic interpolation brings smooth
strokes back, a threshold that follows the stroke's own brightness makes them as thin as a pen's without breaking the
faint ones.
"""

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
BOX = 20  # height of an MNIST digit in its image, pixels


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cell: float) -> Floats:
    """Return noise `(H, W)` of mean 0 and standard deviation about 1, smooth over `cell` pixels."""
    height, width = (max(2, round(side / cell) + 1) for side in shape)
    coarse = rng.standard_normal((height, width), dtype=np.float32)
    return np.asarray(cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)


def stroke(digit: npt.NDArray[np.uint8], height: float, thinness: float) -> Floats:
    """Return the ink of an enlarged digit, 0 to 1, cropped to it.

    Args:
        digit: uint8 `(28, 28)`, light on dark.
        height: pixels that the 20 of MNIST's box become.
        thinness: 0 to 1; the share of the stroke's own brightness that counts as ink. 0.5 keeps MNIST's stroke width.
    """
    scale = height / BOX
    side = round(digit.shape[0] * scale)
    enlarged = cv2.resize(digit.astype(np.float32) / 255, (112, 112), interpolation=cv2.INTER_CUBIC)
    fine = np.asarray(cv2.GaussianBlur(enlarged, (0, 0), 2.0), np.float32)
    ridge = cv2.dilate(fine, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (15, 15)))
    ridge = cv2.GaussianBlur(np.maximum(ridge, 0.3 * float(fine.max())), (0, 0), 3.0)
    share = np.asarray(fine / ridge, np.float32)
    relative = cv2.resize(share, (side, side), interpolation=cv2.INTER_CUBIC)
    softness = min(0.6, 0.9 / scale)
    ink = np.clip((relative - thinness) / softness + 0.5, 0, 1)
    rows, columns = np.flatnonzero((ink > 0.1).any(axis=1)), np.flatnonzero((ink > 0.1).any(axis=0))
    return np.asarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1], np.float32)


def break_stroke(ink: Floats, height: float, rng: np.random.Generator) -> Floats:
    """Return the ink with a gap across the stroke at a random place, away from its ends.

    Args:
        ink: `(H, W)`, 0 to 1.
        height: digit height in pixels; the gap is 4 to 8 % of it wide.
        rng: chooses the place.
    """
    mask = (ink > 0.5).astype(np.uint8)
    depth = cv2.distanceTransform(mask, cv2.DIST_L2, 5)
    middle = np.argwhere(depth >= 0.9 * cv2.dilate(depth, np.ones((5, 5))) * mask + (1 - mask))
    if len(middle) == 0:
        return ink
    reach = 0.25 * height
    for row, column in middle[rng.permutation(len(middle))[:20]]:
        inked = np.argwhere(mask) - (row, column)
        near = inked[(inked**2).sum(axis=1) < reach**2]
        if len(near) < 8:
            continue
        spread, directions = np.linalg.eigh(np.cov(near.T))
        along = directions[:, 1]  # the stroke's own direction (row, column)
        ahead = (near @ along).astype(np.float32)
        if spread[1] < 3 * spread[0] or min(ahead.max(), -ahead.min()) < 0.7 * reach:
            continue  # a crossing, a bend or an end of the stroke
        across = np.array([-along[1], along[0]])
        half_width = float(depth[row, column]) * 1.5 + 1
        half_gap = float(rng.uniform(0.02, 0.04)) * height
        y, x = np.mgrid[: ink.shape[0], : ink.shape[1]]
        y, x = y - row, x - column
        distance_along, distance_across = abs(y * along[0] + x * along[1]), abs(y * across[0] + x * across[1])
        kept = np.where(distance_across < half_width, np.clip(distance_along - half_gap + 0.5, 0, 1), 1)
        return np.asarray(ink * kept, np.float32)
    return ink


def texture(shape: tuple[int, int], height: float, fading: float, pencil: bool, rng: np.random.Generator) -> Floats:
    """Return how much of the ink arrives on the paper, `(H, W)`, 0 to 1.

    Args:
        shape: of the page, pixels.
        height: digit height, pixels.
        fading: how much is missing where the pen was light, 0 to 1.
        pencil: whether the paper's grain shows, as under pencil and chalk.
        rng: where chance comes from.
    """
    pressure = 1 - fading * np.clip(0.5 + 0.5 * smooth_noise(rng, shape, 0.5 * height), 0, 1)
    if pencil:
        grain = smooth_noise(rng, shape, max(1.0, 0.022 * height))
        pressure = pressure * np.clip(0.88 + 0.22 * grain, 0.25, 1)
    return np.asarray(pressure, np.float32)
