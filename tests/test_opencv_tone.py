"""Thresholds, equalisation and grey levels against what their definitions say."""

import math

import numpy as np
import pytest
from opencv_checks import IMAGES, STACKS, correlate, gaussian_kernel, largest_difference

from mnist_lit.data import opencv_tone

# Grey levels


@STACKS
@pytest.mark.parametrize("value", [0, 127, 254])
def test_threshold_is_a_comparison(images, value):
    np.testing.assert_array_equal(opencv_tone.threshold(images, value), np.where(images > value, 255, 0))


@STACKS
def test_otsu_threshold_splits_with_the_largest_variance_between(images):
    result = opencv_tone.otsu_threshold(images)
    for image, split in zip(images, result, strict=True):
        best, best_level = 0.0, 0
        for level in range(255):
            low, high = image[image <= level], image[image > level]
            if low.size and high.size:
                between = low.size * high.size * (low.mean() - high.mean()) ** 2
                if between > best * (1 + 1e-9):
                    best, best_level = between, level
        np.testing.assert_array_equal(split, np.where(image > best_level, 255, 0))


@STACKS
@pytest.mark.parametrize(("block", "offset"), [(3, 0), (11, 2), (9, 40)])
def test_adaptive_threshold_compares_with_the_rounded_mean(images, block, offset):
    mean = np.floor(correlate(images, np.ones((block, block)), mode="nearest") / block**2 + 0.5)
    expected = np.where(images > mean + offset, 255, 0)
    np.testing.assert_array_equal(opencv_tone.adaptive_threshold(images, "mean", block, offset), expected)


@STACKS
def test_adaptive_threshold_compares_with_the_gaussian_mean(images):
    mean = correlate(images, gaussian_kernel(11, 2.0), mode="nearest")
    expected = np.where(images > np.floor(mean + 0.5) + 3, 255, 0)
    clear = np.abs(mean - np.floor(mean) - 0.5) > 1e-3  # where the rounding of the mean is not a toss-up
    result = opencv_tone.adaptive_threshold(images, "gaussian", 11, 3)
    np.testing.assert_array_equal(result[clear], expected[clear])
    assert clear.mean() > 0.9


def clahe_by_hand(image, clip_limit, tiles):
    """Histogram, clip, spread, cumulate for each tile; then mix the four nearest tiles' answers by distance."""
    side = image.shape[0] // tiles
    limit = max(1, int(clip_limit * side * side / 256))
    tables = np.empty((tiles, tiles, 256))
    for row in range(tiles):
        for column in range(tiles):
            tile = image[row * side : (row + 1) * side, column * side : (column + 1) * side]
            counts = np.bincount(tile.ravel(), minlength=256)
            excess = int(np.maximum(counts - limit, 0).sum())
            counts = np.minimum(counts, limit) + excess // 256
            rest = excess % 256
            if rest:
                counts[:: max(256 // rest, 1)][:rest] += 1
            tables[row, column] = np.rint(np.cumsum(counts) * 255 / side**2)
    out = np.empty(image.shape)
    for (y, x), value in np.ndenumerate(image):
        ty, tx = y / side - 0.5, x / side - 0.5
        y0, x0 = math.floor(ty), math.floor(tx)
        fy, fx = ty - y0, tx - x0
        rows, columns = np.clip([y0, y0 + 1], 0, tiles - 1), np.clip([x0, x0 + 1], 0, tiles - 1)
        four = tables[np.ix_(rows, columns)][:, :, value]
        out[y, x] = np.array([1 - fy, fy]) @ four @ np.array([1 - fx, fx])
    return np.clip(out, 0, 255)


@pytest.mark.parametrize(("clip_limit", "tiles"), [(2.0, 4), (40.0, 4), (256.0, 2)])
def test_clahe_is_the_textbook_algorithm(clip_limit, tiles):
    images = IMAGES[::3]
    expected = np.stack([clahe_by_hand(image, clip_limit, tiles) for image in images])
    assert largest_difference(opencv_tone.clahe(images, clip_limit, tiles), expected) <= 1


@STACKS
def test_equalize_hist_is_the_cumulated_histogram(images):
    result = opencv_tone.equalize_hist(images)
    for image, equalized in zip(images, result, strict=True):
        cumulated = np.cumsum(np.bincount(image.ravel(), minlength=256)).astype(float)
        first = cumulated[image.min()]
        expected = image if first == image.size else 255 * (cumulated - first)[image] / (image.size - first)
        assert largest_difference(equalized, expected) <= 0.501


def test_gamma_maps_known_levels():
    levels = np.array([[[0, 16, 64, 128, 255]]], np.uint8)
    # 255 √(16/255) = 63.9, 255 √(64/255) = 127.7, 255 √(128/255) = 180.7
    assert opencv_tone.gamma(levels, 0.5).tolist() == [[[0, 64, 128, 181, 255]]]
    # 16²/255 = 1.004, 64²/255 = 16.06, 128²/255 = 64.25
    assert opencv_tone.gamma(levels, 2.0).tolist() == [[[0, 1, 16, 64, 255]]]


@STACKS
def test_invert_is_the_difference_to_255(images):
    np.testing.assert_array_equal(opencv_tone.invert(images), 255 - images)
