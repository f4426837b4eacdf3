"""Golden tests: blurs and sharpening by OpenCV against SciPy, NumPy or numbers worked by hand."""

import doctest
import math

import cv2
import numpy as np
import pytest
from opencv_checks import (
    IMAGES,
    KERNELS,
    STACKS,
    correlate,
    gaussian_kernel,
    largest_difference,
    size_kernel,
    wide,
)
from scipy import ndimage

from mnist_lit.data import opencv, opencv_edges, opencv_shape, opencv_tone

# Blurs and sharpening


@STACKS
@KERNELS
@pytest.mark.parametrize("sigma", [0.5, 1.0, 2.0])
def test_gaussian_is_the_correlation_with_exp_weights(images, size, sigma):
    expected = correlate(images, gaussian_kernel(size, sigma))
    # OpenCV rounds the weights to multiples of 1/256: up to two grey levels at a hard edge, besides the final rounding.
    assert largest_difference(opencv.gaussian(images, size, sigma), expected) <= 2


@STACKS
def test_gaussian_is_the_fixed_point_sum_to_the_byte(images):
    # exp(-d²/2) / 2.4836 in 1/256: 103.1, 62.5, 13.95; rounded so that the five make 256.
    weights = [14, 62, 104, 62, 14]
    expected = (correlate(images, np.outer(weights, weights)).astype(np.int64) + 2**15) >> 16
    np.testing.assert_array_equal(opencv.gaussian(images, 5, 1.0), expected)


def test_gaussian_is_cv2_byte_for_byte():
    expected = np.stack([cv2.GaussianBlur(image, (5, 5), sigmaX=1) for image in IMAGES])
    np.testing.assert_array_equal(opencv.gaussian(IMAGES, 5, 1.0), expected)


def test_the_first_number_of_a_pair_is_the_width():
    dot = np.zeros((1, 9, 9), np.uint8)
    dot[0, 4, 4] = 255
    assert np.ptp(np.argwhere(opencv.box(dot, (3, 1))[0]), axis=0).tolist() == [0, 2]  # one row, three columns
    assert np.ptp(np.argwhere(opencv.gaussian(dot, (3, 1), 1.0)[0]), axis=0).tolist() == [0, 2]


def test_random_gaussian_blurs_each_image_with_its_own_sigma():
    sigmas = np.linspace(0.3, 2.0, len(IMAGES))
    result = opencv.random_gaussian(IMAGES, (5, 9), sigmas)
    for image, blurred, sigma in zip(IMAGES, result, sigmas, strict=True):
        assert largest_difference(blurred[None], correlate(image[None], gaussian_kernel((5, 9), sigma))) <= 2


@STACKS
@KERNELS
def test_box_is_the_mean(images, size):
    kernel = size_kernel(size)
    expected = np.rint(correlate(images, kernel) / kernel.sum())
    assert largest_difference(opencv.box(images, size), expected) == 0


@STACKS
@pytest.mark.parametrize("size", [3, 5, 9])
def test_median_is_scipys(images, size):
    expected = np.stack([ndimage.median_filter(image, size, mode="nearest") for image in images])
    assert largest_difference(opencv.median(images, size), wide(expected)) == 0


@STACKS
def test_bilateral_is_the_weighted_mean_over_the_disc(images):
    radius, sigma_color, sigma_space = 2, 40.0, 1.5
    padded = np.pad(wide(images), ((0, 0), (radius, radius), (radius, radius)), mode="reflect")
    total = weight_sum = 0
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            if math.hypot(dy, dx) > radius:
                continue
            shifted = padded[:, radius + dy :, radius + dx :][:, : images.shape[1], : images.shape[2]]
            weight = np.exp(-((shifted - images) ** 2) / (2 * sigma_color**2) - (dy**2 + dx**2) / (2 * sigma_space**2))
            total, weight_sum = total + weight * shifted, weight_sum + weight
    assert largest_difference(opencv.bilateral(images, 5, sigma_color, sigma_space), total / weight_sum) <= 1.001


@STACKS
@pytest.mark.parametrize(("patch", "search"), [(3, 5), (5, 3)])
def test_non_local_means_weighs_by_the_distance_of_patches(images, patch, search):
    strength, reach = 40.0, search // 2
    margin = reach + patch // 2
    padded = np.pad(wide(images), ((0, 0), (margin, margin), (margin, margin)), mode="reflect")
    height, width = images.shape[1:]
    total = weight_sum = 0
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            shifted = np.roll(padded, (-dy, -dx), axis=(1, 2))
            distance = ndimage.uniform_filter((shifted - padded) ** 2, size=(1, patch, patch), mode="constant")
            inside = np.s_[:, margin : margin + height, margin : margin + width]
            weight = np.exp(-distance[inside] / strength**2)
            weight[weight < 0.001] = 0  # OpenCV's cut
            total, weight_sum = total + weight * shifted[inside], weight_sum + weight
    result = opencv.non_local_means(images, strength, patch, search)
    assert largest_difference(result, total / weight_sum) <= 1.5  # OpenCV: weights from a table


def test_non_local_means_of_many_images_is_that_of_each():
    images = np.concatenate([IMAGES] * 18)  # more than one strip
    one_by_one = [cv2.fastNlMeansDenoising(image, None, 20.0, 3, 9) for image in IMAGES]
    np.testing.assert_array_equal(opencv.non_local_means(images, 20.0, 3, 9), np.stack(one_by_one * 18))


@STACKS
@pytest.mark.parametrize("amount", [0.5, 2.0])
def test_unsharp_adds_the_difference_to_the_blur(images, amount):
    blurred = correlate(images, gaussian_kernel(5, 1.0))
    expected = np.clip(images + amount * (images - blurred), 0, 255)
    assert largest_difference(opencv.unsharp(images, 5, 1.0, amount), expected) <= amount + 0.51  # the blur is rounded


@pytest.mark.parametrize("module", [opencv, opencv_edges, opencv_shape, opencv_tone], ids=lambda m: m.__name__)
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted >= 4
    assert result.failed == 0
