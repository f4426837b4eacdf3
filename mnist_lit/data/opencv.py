"""Filters that blur or sharpen, as pure functions on stacks of images, and what all such functions share.

Every function takes uint8 `(N, H, W)`, N at least 1, and gives a new array of the same shape and dtype; the input is
never modified. Values are taken as they come: the parameter objects of `mnist_lit.data.filters` check them. OpenCV's
own border (mirrored without repeating the edge pixel, `BORDER_REFLECT_101`) holds where nothing else is said. Digits
are white on black, as MNIST's are. Edges are in `opencv_edges`, shapes in `opencv_shape`, grey levels in `opencv_tone`.
"""

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.data.filter_base import Images

_STRIP = 256  # images handed to cv2.fastNlMeansDenoising at once


def each(images: Images, filter_one: Callable[[Any], Any]) -> Images:
    """Apply a function from one image `(H, W)` to one image along the stack."""
    out = np.empty_like(images)
    for index, image in enumerate(images):
        out[index] = filter_one(image)
    return out


def pair(size: int | tuple[int, int]) -> tuple[int, int]:
    """Return (width, height) from one number or a pair, the order of OpenCV's sizes."""
    return (size, size) if isinstance(size, int) else size


def gaussian(images: Images, kernel_size: int | tuple[int, int], sigma: float) -> Images:
    """Blur with a Gaussian: `cv2.GaussianBlur(image, (width, height), sigmaX=sigma)`.

    Edges soften, noise and thin strokes fade. OpenCV would take sigma <= 0 as “choose one for me”.

    Args:
        images: uint8 `(N, H, W)`.
        kernel_size: odd; one number of pixels, or (width, height). 1 leaves the image as it is.
        sigma: standard deviation of the Gaussian in pixels, above 0.

    Returns:
        uint8 `(N, H, W)`.

    Example:
        >>> gaussian(np.zeros((2, 28, 28), np.uint8), 5, 1.0).shape
        (2, 28, 28)
    """
    size = pair(kernel_size)
    return each(images, lambda image: cv2.GaussianBlur(image, size, sigmaX=sigma))


def random_gaussian(images: Images, kernel_size: int | tuple[int, int], sigmas: npt.NDArray[np.float64]) -> Images:
    """Blur each image with a Gaussian of its own sigma: `cv2.GaussianBlur(image, (width, height), sigmaX=sigmas[i])`.

    Args:
        images: uint8 `(N, H, W)`.
        kernel_size: odd; one number of pixels, or (width, height). 1 leaves the image as it is.
        sigmas: `(N,)`, standard deviations in pixels, above 0.

    Returns:
        uint8 `(N, H, W)`.

    Example:
        >>> random_gaussian(np.zeros((2, 28, 28), np.uint8), (5, 9), np.array([0.1, 2.0])).shape
        (2, 28, 28)
    """
    size = pair(kernel_size)
    remaining = iter(sigmas.tolist())
    return each(images, lambda image: cv2.GaussianBlur(image, size, sigmaX=next(remaining)))


def box(images: Images, kernel_size: int | tuple[int, int]) -> Images:
    """Replace each pixel by the mean of the rectangle around it: `cv2.blur(image, (width, height))`.

    A digit becomes blocky and soft; noise averages out faster than under a Gaussian of the same size.

    Args:
        images: uint8 `(N, H, W)`.
        kernel_size: odd; one number of pixels, or (width, height). 1 leaves the image as it is.

    Returns:
        uint8 `(N, H, W)`.

    Example:
        >>> box(np.zeros((2, 28, 28), np.uint8), 3).shape
        (2, 28, 28)
    """
    size = pair(kernel_size)
    return each(images, lambda image: cv2.blur(image, size))


def median(images: Images, kernel_size: int) -> Images:
    """Replace each pixel by the median of the square around it: `cv2.medianBlur(image, kernel_size)`.

    Salt and pepper vanish and edges stay sharp; a stroke thinner than half the square vanishes too. Beyond the border
    the edge pixel is repeated (`BORDER_REPLICATE`).

    Args:
        images: uint8 `(N, H, W)`.
        kernel_size: odd side of the square in pixels. 1 leaves the image as it is.

    Returns:
        uint8 `(N, H, W)`.

    Example:
        >>> median(np.zeros((2, 28, 28), np.uint8), 3).shape
        (2, 28, 28)
    """
    return each(images, lambda image: cv2.medianBlur(image, kernel_size))


def bilateral(images: Images, kernel_size: int, sigma_color: float, sigma_space: float) -> Images:
    """Average over neighbours that are near and alike: `cv2.bilateralFilter(image, d, sigma_color, sigma_space)`.

    The inside of strokes becomes even while their edges stay. The neighbourhood is the disc within the square. OpenCV
    would take a sigma <= 0 as 1, and a size of 1 as 3; here a size of 1 leaves the image as it is.

    Args:
        images: uint8 `(N, H, W)`.
        kernel_size: odd diameter in pixels.
        sigma_color: how many grey levels count as alike (standard deviation), above 0.
        sigma_space: how many pixels count as near (standard deviation), above 0.

    Returns:
        uint8 `(N, H, W)`.

    Source: Tomasi and Manduchi, Bilateral filtering for gray and color images, 1998.

    Example:
        >>> bilateral(np.zeros((2, 28, 28), np.uint8), 5, 50.0, 2.0).shape
        (2, 28, 28)
    """
    if kernel_size == 1:
        return images.copy()
    return each(images, lambda image: cv2.bilateralFilter(image, kernel_size, sigma_color, sigma_space))


def non_local_means(images: Images, strength: float, patch_size: int, search_size: int) -> Images:
    """Average over pixels with a like patch around them: `cv2.fastNlMeansDenoising(image, None, strength, …)`.

    Noise goes and strokes keep their form. It is by far the slowest filter here. OpenCV makes a table of weights on
    every call, which takes longer than a small image: so the images go in as one tall strip, each with its own
    mirrored rows above and below, and the result is the same to the byte.

    Args:
        images: uint8 `(N, H, W)`.
        strength: `h` of OpenCV, above 0: patches that differ by this many grey levels (root mean square) weigh 1/e.
        patch_size: odd side of the patches in pixels.
        search_size: odd side of the square that is searched, in pixels. 1 leaves the image as it is.

    Returns:
        uint8 `(N, H, W)`.

    Source: Buades, Coll and Morel, A non-local algorithm for image denoising, 2005.

    Example:
        >>> non_local_means(np.zeros((2, 28, 28), np.uint8), 30.0, 3, 7).shape
        (2, 28, 28)
    """
    _, height, width = images.shape
    margin = patch_size // 2 + search_size // 2
    out = np.empty_like(images)
    for start in range(0, len(images), _STRIP):
        padded = [
            cv2.copyMakeBorder(image, margin, margin, 0, 0, cv2.BORDER_REFLECT_101)
            for image in images[start : start + _STRIP]
        ]
        strip = cv2.fastNlMeansDenoising(np.concatenate(padded), None, strength, patch_size, search_size)
        rows = np.asarray(strip).reshape(len(padded), height + 2 * margin, width)
        out[start : start + _STRIP] = rows[:, margin : margin + height]
    return out


def unsharp(images: Images, kernel_size: int | tuple[int, int], sigma: float, amount: float) -> Images:
    """Sharpen by adding what a blur takes away: `cv2.addWeighted(image, 1 + amount, blurred, -amount, 0)`.

    Edges of strokes become steeper and noise stronger. `blurred` is `gaussian(image, kernel_size, sigma)`.

    Args:
        images: uint8 `(N, H, W)`.
        kernel_size: odd; one number of pixels, or (width, height).
        sigma: standard deviation of the Gaussian in pixels, above 0.
        amount: share of the difference that is added, from 0. 0 leaves the image as it is.

    Returns:
        uint8 `(N, H, W)`, saturated at 0 and 255.

    Example:
        >>> unsharp(np.zeros((2, 28, 28), np.uint8), 5, 1.0, 0.5).shape
        (2, 28, 28)
    """
    size = pair(kernel_size)

    def sharpen(image: Any) -> Any:
        return cv2.addWeighted(image, 1 + amount, cv2.GaussianBlur(image, size, sigmaX=sigma), -amount, 0)

    return each(images, sharpen)
