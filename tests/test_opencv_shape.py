"""Morphology, deskewing and centring against what their definitions say."""

import math

import numpy as np
import pytest
from opencv_checks import IMAGES, STACKS, largest_difference, wide
from scipy import ndimage

from mnist_lit.data import opencv_shape

# Form and position

FOOTPRINTS = {
    "rect": np.ones((5, 5), bool),
    "cross": np.array([[0, 0, 1, 0, 0], [0, 0, 1, 0, 0], [1, 1, 1, 1, 1], [0, 0, 1, 0, 0], [0, 0, 1, 0, 0]], bool),
    "ellipse": np.array([[0, 0, 1, 0, 0], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 1, 0, 0]], bool),
}
SHAPES = pytest.mark.parametrize("shape", ["rect", "cross", "ellipse"])


def minimum(images, footprint):
    return ndimage.minimum_filter(images, footprint=footprint[None], mode="constant", cval=255)


def maximum(images, footprint):
    return ndimage.maximum_filter(images, footprint=footprint[None], mode="constant", cval=0)


@STACKS
@SHAPES
def test_erode_is_the_minimum(images, shape):
    np.testing.assert_array_equal(opencv_shape.erode(images, 5, shape), minimum(images, FOOTPRINTS[shape]))


@STACKS
@SHAPES
def test_dilate_is_the_maximum(images, shape):
    np.testing.assert_array_equal(opencv_shape.dilate(images, 5, shape), maximum(images, FOOTPRINTS[shape]))


@STACKS
@SHAPES
def test_opening_is_the_maximum_of_the_minimum(images, shape):
    expected = maximum(minimum(images, FOOTPRINTS[shape]), FOOTPRINTS[shape])
    np.testing.assert_array_equal(opencv_shape.opening(images, 5, shape), expected)


@STACKS
@SHAPES
def test_closing_is_the_minimum_of_the_maximum(images, shape):
    expected = minimum(maximum(images, FOOTPRINTS[shape]), FOOTPRINTS[shape])
    np.testing.assert_array_equal(opencv_shape.closing(images, 5, shape), expected)


@STACKS
@SHAPES
def test_top_hat_is_what_the_opening_removes(images, shape):
    expected = images - maximum(minimum(images, FOOTPRINTS[shape]), FOOTPRINTS[shape])
    np.testing.assert_array_equal(opencv_shape.top_hat(images, 5, shape), expected)


def slant_of(image):
    """Regression of x on y over the grey values, and the row of the centre of mass."""
    y, x = np.mgrid[: image.shape[0], : image.shape[1]]
    mass = wide(image)
    middle_y, middle_x = (mass * y).sum() / mass.sum(), (mass * x).sum() / mass.sum()
    return (mass * (y - middle_y) * (x - middle_x)).sum() / (mass * (y - middle_y) ** 2).sum(), middle_y


def test_deskew_moves_each_row_by_the_slant():
    result = opencv_shape.deskew(IMAGES[:8])
    for image, upright in zip(IMAGES[:8], result, strict=True):
        slant, middle = slant_of(image)
        columns = np.arange(-1, 29)  # one black pixel on either side
        expected = [
            np.interp(np.arange(28) + slant * (y - middle), columns, np.pad(wide(row), 1), left=0, right=0)
            for y, row in enumerate(image)
        ]
        assert largest_difference(upright, np.array(expected)) <= 5  # OpenCV 4: positions in 1/32 pixel
        assert abs(slant_of(upright)[0]) < 0.01


def test_deskew_straightens_a_slanting_bar():
    bar = np.zeros((1, 28, 28), np.uint8)
    for y in range(4, 25):
        bar[0, y, 14 + (y - 14) // 2 : 17 + (y - 14) // 2] = 200
    upright = opencv_shape.deskew(bar)[0]
    assert abs(slant_of(bar[0])[0]) > 0.45
    assert abs(slant_of(upright)[0]) < 0.01
    assert np.ptp(np.argwhere(upright > 100)[:, 1]) <= 4


@pytest.mark.parametrize("value", [0, 255])
def test_deskew_leaves_what_has_no_slant(value):
    images = np.full((1, 28, 28), value, np.uint8)
    one_row, upright = np.zeros((2, 1, 28, 28), np.uint8)
    one_row[0, 5, 3:20] = 255
    upright[0, 4:24, 13:16] = 255
    for stack in (images, one_row, upright):
        np.testing.assert_array_equal(opencv_shape.deskew(stack), stack)


def test_deskew_of_an_extreme_blot_is_limited():
    blot = np.zeros((1, 28, 28), np.uint8)
    blot[0, 13, :10] = blot[0, 14, 18:] = 255  # two bars far apart, one row apart: regression slope 18
    result = opencv_shape.deskew(blot)
    columns = np.argwhere(result[0] > 200)[:, 1]
    assert columns.min() >= 0
    assert columns.max() - columns.min() == 25  # each bar came nearer by 1 of 27


def test_center_moves_the_centre_of_mass_to_pixel_14():
    images = np.zeros((3, 28, 28), np.uint8)
    images[0, 3, 5] = 90  # a dot
    images[1, 20:22, 20:22] = 255  # centre at 20.5: half a pixel goes up
    images[2, 14, 14] = 7
    expected = np.zeros((3, 28, 28), np.uint8)
    expected[0, 14, 14] = 90
    expected[1, 14:16, 14:16] = 255
    expected[2, 14, 14] = 7
    np.testing.assert_array_equal(opencv_shape.center(images), expected)


@STACKS
def test_center_shifts_by_the_rounded_distance(images):
    result = opencv_shape.center(images)
    height, width = images.shape[1:]
    for image, centred in zip(images, result, strict=True):
        row, column = ndimage.center_of_mass(wide(image)) if image.any() else (height / 2, width / 2)
        shift = (math.floor(height / 2 - row + 0.5), math.floor(width / 2 - column + 0.5))
        np.testing.assert_array_equal(centred, ndimage.shift(image, shift, order=0, mode="constant"))


def test_center_hardly_moves_mnist():
    np.testing.assert_array_equal(opencv_shape.center(IMAGES[:8]), IMAGES[:8])
