"""Filters that map grey levels, as pure functions on stacks of images.

Conventions as in `mnist_lit.data.opencv`: uint8 `(N, H, W)` in, a new array of the same kind out, digits white on
black.
"""

import cv2
import numpy as np

from mnist_lit.data.filter_base import Images
from mnist_lit.data.opencv import each, pair

METHODS = {"mean": cv2.ADAPTIVE_THRESH_MEAN_C, "gaussian": cv2.ADAPTIVE_THRESH_GAUSSIAN_C}


def threshold(images: Images, value: int) -> Images:
    """White where a pixel is above a value, black elsewhere: `cv2.threshold(image, value, 255, cv2.THRESH_BINARY)`.

    A digit becomes pure black and white, its edges jagged.

    Args:
        images: uint8 `(N, H, W)`.
        value: grey level from 0 to 254; a pixel of this level turns black.

    Returns:
        uint8 `(N, H, W)`, 0 or 255.

    Example:
        >>> threshold(np.array([[[127, 128]]], np.uint8), 127)
        array([[[  0, 255]]], dtype=uint8)
    """
    return each(images, lambda image: cv2.threshold(image, value, 255, cv2.THRESH_BINARY)[1])


def otsu_threshold(images: Images) -> Images:
    """Threshold at each image's own best level: `cv2.threshold(image, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)`.

    The level is the one that splits the image into two groups with the largest variance between them: pale and dark
    scans come out alike. An image of one grey level becomes black (from 0) or white (from any other).

    Args:
        images: uint8 `(N, H, W)`.

    Returns:
        uint8 `(N, H, W)`, 0 or 255.

    Source: Otsu, A threshold selection method from gray-level histograms, 1979.

    Example:
        >>> otsu_threshold(np.array([[[10, 20, 200, 220]]], np.uint8))
        array([[[  0,   0, 255, 255]]], dtype=uint8)
    """
    return each(images, lambda image: cv2.threshold(image, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1])


def adaptive_threshold(images: Images, method: str, block_size: int, offset: int) -> Images:
    """White where a pixel is above its surroundings: `cv2.adaptiveThreshold(image, 255, …, block_size, -offset)`.

    Strokes stay legible where the light changes across the image; wide strokes may turn hollow. OpenCV compares with
    mean *minus* C, which turns a black background white; here the offset is added, so flat ground stays black. Beyond
    the border the edge pixel is repeated (`BORDER_REPLICATE`).

    Args:
        images: uint8 `(N, H, W)`.
        method: `mean` of the square around the pixel, or its `gaussian` mean, with
            sigma = 0.15 block_size + 0.35.
        block_size: odd side of the square in pixels, from 3.
        offset: by how many grey levels a pixel must be above the mean, from 0.

    Returns:
        uint8 `(N, H, W)`, 0 or 255.

    Example:
        >>> int(adaptive_threshold(np.zeros((2, 28, 28), np.uint8), "mean", 11, 2).max())
        0
    """
    how = METHODS[method]
    return each(
        images, lambda image: cv2.adaptiveThreshold(image, 255, how, cv2.THRESH_BINARY, block_size, -float(offset))
    )


def clahe(images: Images, clip_limit: float, tiles: int | tuple[int, int]) -> Images:
    """Equalise the histogram tile by tile: `cv2.createCLAHE(clip_limit, (tiles_x, tiles_y)).apply(image)`.

    Faint strokes come out; so does noise, and empty tiles turn grey. A grey level may hold at most
    `max(1, int(clip_limit · pixels per tile / 256))` pixels of a tile, the rest is spread over all levels: a limit
    made for photographs (2 or so) is 1 pixel on a tile of 7×7, and 256 clips nothing.

    Args:
        images: uint8 `(N, H, W)`.
        clip_limit: above 0, up to 256.
        tiles: number of tiles along each side, or (across, down).

    Returns:
        uint8 `(N, H, W)`.

    Source: Zuiderveld, Contrast limited adaptive histogram equalization, 1994.

    Example:
        >>> clahe(np.zeros((2, 28, 28), np.uint8), 40.0, 4).shape
        (2, 28, 28)
    """
    equalizer = cv2.createCLAHE(clip_limit, pair(tiles))
    return each(images, equalizer.apply)


def equalize_hist(images: Images) -> Images:
    """Spread the grey levels evenly over 0 … 255: `cv2.equalizeHist(image)`.

    The darkest level of an image becomes 0, so the background stays black; the levels within a stroke spread, so that
    its rims darken where most of it is white. An image of one grey level stays as it is.

    Args:
        images: uint8 `(N, H, W)`.

    Returns:
        uint8 `(N, H, W)`.

    Example:
        >>> equalize_hist(np.array([[[10, 20, 20, 30]]], np.uint8))
        array([[[  0, 170, 170, 255]]], dtype=uint8)
    """
    return each(images, cv2.equalizeHist)


def gamma(images: Images, gamma: float) -> Images:
    """Raise brightness to a power: `cv2.LUT(images, table)` with table[v] = 255 (v / 255)^gamma, rounded.

    Below 1 the grey rims of strokes brighten and strokes look thicker; above 1 they darken and strokes look thinner.
    Black and white stay.

    Args:
        images: uint8 `(N, H, W)`.
        gamma: exponent, above 0. 1 leaves the image as it is.

    Returns:
        uint8 `(N, H, W)`.

    Example:
        >>> gamma(np.array([[[0, 64, 255]]], np.uint8), 0.5)
        array([[[  0, 128, 255]]], dtype=uint8)
    """
    table = np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8)
    return each(images, lambda image: cv2.LUT(image, table))


def invert(images: Images) -> Images:
    """Swap black and white: `cv2.bitwise_not(image)`, 255 − v.

    For digits that are dark on light. Twice gives the image back.

    Args:
        images: uint8 `(N, H, W)`.

    Returns:
        uint8 `(N, H, W)`.

    Example:
        >>> invert(np.array([[[0, 55, 255]]], np.uint8))
        array([[[255, 200,   0]]], dtype=uint8)
    """
    return each(images, cv2.bitwise_not)
