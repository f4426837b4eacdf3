"""Filters that change the form of strokes or the position of the digit, as pure functions on stacks of images.

Conventions as in `mnist_lit.data.opencv`: uint8 `(N, H, W)` in, a new array of the same kind out, digits white on
black. Morphology sees nothing beyond the border; `deskew` and `center` fill what comes into the image with black.
"""

from typing import Any

import cv2
import numpy as np

from mnist_lit.data.filter_base import Images
from mnist_lit.data.opencv import each, pair

SHAPES = {"rect": cv2.MORPH_RECT, "cross": cv2.MORPH_CROSS, "ellipse": cv2.MORPH_ELLIPSE}
MAX_SLANT = 2.0  # pixels per row; MNIST's digits stay below 1.5, but the moments of a flat blot can give anything


def _element(kernel_size: int | tuple[int, int], shape: str) -> Any:
    return cv2.getStructuringElement(SHAPES[shape], pair(kernel_size))


def erode(images: Images, kernel_size: int | tuple[int, int], shape: str) -> Images:
    """Minimum over a neighbourhood: `cv2.erode(image, cv2.getStructuringElement(shape, (width, height)))`.

    Strokes become thinner; thin ones break or vanish.

    Args:
        images: uint8 `(N, H, W)`.
        kernel_size: odd; one number of pixels, or (width, height). 1 leaves the image as it is.
        shape: `rect`, `cross` or `ellipse`.

    Returns:
        uint8 `(N, H, W)`.

    Example:
        >>> erode(np.zeros((2, 28, 28), np.uint8), 3, "cross").shape
        (2, 28, 28)
    """
    element = _element(kernel_size, shape)
    return each(images, lambda image: cv2.erode(image, element))


def dilate(images: Images, kernel_size: int | tuple[int, int], shape: str) -> Images:
    """Maximum over a neighbourhood: `cv2.dilate(image, cv2.getStructuringElement(shape, (width, height)))`.

    Strokes become thicker; gaps and small loops close.

    Args:
        images: uint8 `(N, H, W)`.
        kernel_size: odd; one number of pixels, or (width, height). 1 leaves the image as it is.
        shape: `rect`, `cross` or `ellipse`.

    Returns:
        uint8 `(N, H, W)`.

    Example:
        >>> dilate(np.zeros((2, 28, 28), np.uint8), 3, "cross").shape
        (2, 28, 28)
    """
    element = _element(kernel_size, shape)
    return each(images, lambda image: cv2.dilate(image, element))


def opening(images: Images, kernel_size: int | tuple[int, int], shape: str) -> Images:
    """Erode, then dilate: `cv2.morphologyEx(image, cv2.MORPH_OPEN, element)`.

    White specks and strokes narrower than the element go; the rest keeps its width.

    Args:
        images: uint8 `(N, H, W)`.
        kernel_size: odd; one number of pixels, or (width, height). 1 leaves the image as it is.
        shape: `rect`, `cross` or `ellipse`.

    Returns:
        uint8 `(N, H, W)`, nowhere above the input.

    Example:
        >>> opening(np.zeros((2, 28, 28), np.uint8), 3, "cross").shape
        (2, 28, 28)
    """
    element = _element(kernel_size, shape)
    return each(images, lambda image: cv2.morphologyEx(image, cv2.MORPH_OPEN, element))


def closing(images: Images, kernel_size: int | tuple[int, int], shape: str) -> Images:
    """Dilate, then erode: `cv2.morphologyEx(image, cv2.MORPH_CLOSE, element)`.

    Black specks and gaps narrower than the element are filled; the rest keeps its width.

    Args:
        images: uint8 `(N, H, W)`.
        kernel_size: odd; one number of pixels, or (width, height). 1 leaves the image as it is.
        shape: `rect`, `cross` or `ellipse`.

    Returns:
        uint8 `(N, H, W)`, nowhere below the input.

    Example:
        >>> closing(np.zeros((2, 28, 28), np.uint8), 3, "cross").shape
        (2, 28, 28)
    """
    element = _element(kernel_size, shape)
    return each(images, lambda image: cv2.morphologyEx(image, cv2.MORPH_CLOSE, element))


def top_hat(images: Images, kernel_size: int | tuple[int, int], shape: str) -> Images:
    """What an opening removes: `cv2.morphologyEx(image, cv2.MORPH_TOPHAT, element)`.

    Strokes narrower than the element stay; haze, wide areas and slow changes of brightness go.

    Args:
        images: uint8 `(N, H, W)`.
        kernel_size: odd; one number of pixels, or (width, height). 1 gives a black image.
        shape: `rect`, `cross` or `ellipse`.

    Returns:
        uint8 `(N, H, W)`.

    Example:
        >>> top_hat(np.zeros((2, 28, 28), np.uint8), 9, "rect").shape
        (2, 28, 28)
    """
    element = _element(kernel_size, shape)
    return each(images, lambda image: cv2.morphologyEx(image, cv2.MORPH_TOPHAT, element))


def deskew(images: Images) -> Images:
    """Set a slanting digit upright: `cv2.moments`, then a shear by `cv2.warpAffine(…, cv2.WARP_INVERSE_MAP)`.

    The slant is mu11 / mu02, the regression of x on y over the grey values; each row is moved sideways (linear
    interpolation) so that it becomes 0, about the row of the centre of mass, which stays where it is. A slant beyond 2
    pixels per row is taken as 2. An upright digit, a black image and one with all its mass in a single row stay as
    they are.

    Args:
        images: uint8 `(N, H, W)`, white on black.

    Returns:
        uint8 `(N, H, W)`.

    Example:
        >>> deskew(np.zeros((2, 28, 28), np.uint8)).shape
        (2, 28, 28)
    """
    height, width = images.shape[1:]

    def upright(image: Any) -> Any:
        moments = cv2.moments(image)
        if moments["mu02"] < 1e-6 * moments["m00"] or moments["m00"] == 0:
            return image
        slant = min(max(moments["mu11"] / moments["mu02"], -MAX_SLANT), MAX_SLANT)
        if slant == 0:
            return image
        middle = moments["m01"] / moments["m00"]
        shear = np.array([[1.0, slant, -slant * middle], [0.0, 1.0, 0.0]])
        return cv2.warpAffine(image, shear, (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)

    return each(images, upright)


def center(images: Images) -> Images:
    """Move the centre of mass to the middle, pixel (W / 2, H / 2): `cv2.moments`, then `cv2.warpAffine`.

    The shift is by whole pixels, so no grey value changes; what leaves the image is lost. That pixel is where MNIST's
    own digits have their centre of mass (mean column 14.01, row 14.00), so they hardly move. A black image stays as
    it is.

    Args:
        images: uint8 `(N, H, W)`, white on black.

    Returns:
        uint8 `(N, H, W)`.

    Example:
        >>> center(np.zeros((2, 28, 28), np.uint8)).shape
        (2, 28, 28)
    """
    height, width = images.shape[1:]

    def shift(image: Any) -> Any:
        moments = cv2.moments(image)
        if moments["m00"] == 0:
            return image
        across = np.floor(width / 2 - moments["m10"] / moments["m00"] + 0.5)
        down = np.floor(height / 2 - moments["m01"] / moments["m00"] + 0.5)
        if across == 0 and down == 0:
            return image
        move = np.array([[1.0, 0.0, across], [0.0, 1.0, down]])
        return cv2.warpAffine(image, move, (width, height), flags=cv2.INTER_NEAREST)

    return each(images, shift)
