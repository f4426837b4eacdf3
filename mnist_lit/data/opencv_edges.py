"""Filters that answer to edges and local differences, as pure functions on stacks of images.

Conventions as in `mnist_lit.data.opencv`: uint8 `(N, H, W)` in, a new array of the same kind out, mirrored border.
OpenCV's kernels grow with their size; here every result is divided so that a straight upright edge between black and
white gives 255 at any kernel size, and `scale` makes it weaker or stronger from there.
"""

from typing import Any

import cv2
import numpy as np

from mnist_lit.data.filter_base import Images
from mnist_lit.data.opencv import each, pair

LAPLACIAN_EDGE = {1: 1, 3: 4, 5: 16}  # what each kernel makes of an upright edge from 0 to 1
SOBEL_EDGE = {3: 4, 5: 48, 7: 640}
SCHARR_EDGE = 16


def _grey(values: Any, factor: float) -> Any:
    """Scale and round to 0 … 255 in double precision.

    `cv2.magnitude` and `cv2.convertScaleAbs` would do, but they round differently with the alignment of the memory: the
    same image could come out with other bytes.
    """
    return np.minimum(np.rint(values * factor), 255)


def laplacian(images: Images, kernel_size: int, scale: float) -> Images:
    """Absolute second derivative: `cv2.Laplacian(image, cv2.CV_64F, ksize=kernel_size)`, then its size.

    A digit becomes the double outline of its strokes; the flat inside and the background turn black. Straight to uint8,
    OpenCV would drop every negative value and with it half of each edge.

    Args:
        images: uint8 `(N, H, W)`.
        kernel_size: 1 (the four neighbours), 3 or 5.
        scale: factor on the result, above 0.

    Returns:
        uint8 `(N, H, W)`, saturated at 255.

    Example:
        >>> laplacian(np.zeros((2, 28, 28), np.uint8), 3, 1.0).shape
        (2, 28, 28)
    """
    factor = scale / LAPLACIAN_EDGE[kernel_size]
    return each(images, lambda image: _grey(np.abs(cv2.Laplacian(image, cv2.CV_64F, ksize=kernel_size)), factor))


def sobel(images: Images, kernel_size: int, scale: float) -> Images:
    """Length of the gradient: the root of the squares of `cv2.Sobel` across and down.

    A digit becomes its outline, wider and smoother with a larger kernel.

    Args:
        images: uint8 `(N, H, W)`.
        kernel_size: 3, 5 or 7.
        scale: factor on the result, above 0.

    Returns:
        uint8 `(N, H, W)`, saturated at 255.

    Example:
        >>> sobel(np.zeros((2, 28, 28), np.uint8), 3, 1.0).shape
        (2, 28, 28)
    """
    factor = scale / SOBEL_EDGE[kernel_size]

    def length(image: Any) -> Any:
        across = cv2.Sobel(image, cv2.CV_64F, 1, 0, ksize=kernel_size)
        down = cv2.Sobel(image, cv2.CV_64F, 0, 1, ksize=kernel_size)
        return _grey(np.sqrt(across * across + down * down), factor)

    return each(images, length)


def scharr(images: Images, scale: float) -> Images:
    """Length of the gradient by the 3×3 Scharr kernel: the root of the squares of `cv2.Scharr` across and down.

    A digit becomes its outline; slanting strokes answer as strongly as upright ones, more exactly than under Sobel.

    Args:
        images: uint8 `(N, H, W)`.
        scale: factor on the result, above 0.

    Returns:
        uint8 `(N, H, W)`, saturated at 255.

    Example:
        >>> scharr(np.zeros((2, 28, 28), np.uint8), 1.0).shape
        (2, 28, 28)
    """
    factor = scale / SCHARR_EDGE

    def length(image: Any) -> Any:
        across, down = cv2.Scharr(image, cv2.CV_64F, 1, 0), cv2.Scharr(image, cv2.CV_64F, 0, 1)
        return _grey(np.sqrt(across * across + down * down), factor)

    return each(images, length)


def local_contrast(images: Images, kernel_size: int | tuple[int, int]) -> Images:
    """Difference to the mean around each pixel, stretched: `cv2.boxFilter(image, cv2.CV_32S, (width, height))`.

    The difference is divided by its largest absolute value in the image, and −1 … 1 is mapped to 0 … 255. Brightness,
    haze and contrast of the whole image drop out; strokes are light and their surroundings dark on a mid-grey ground.
    A flat image becomes 128 throughout. Sums are taken in whole numbers, so that a flat image has no rounding noise
    to stretch.

    Args:
        images: uint8 `(N, H, W)`.
        kernel_size: odd; one number of pixels, or (width, height); above 1.

    Returns:
        uint8 `(N, H, W)`.

    Example:
        >>> int(local_contrast(np.zeros((2, 28, 28), np.uint8), 9)[0, 0, 0])
        128
    """
    size = pair(kernel_size)
    area = size[0] * size[1]

    def stretch(image: Any) -> Any:
        difference = image.astype(np.int32) * area - cv2.boxFilter(image, cv2.CV_32S, size, normalize=False)
        peak = max(int(difference.max()), -int(difference.min()), 1)
        return np.rint(difference * (127.5 / peak) + 127.5)

    return each(images, stretch)
