"""Golden tests: every OpenCV function against SciPy, NumPy or numbers worked by hand."""

import doctest
import gzip
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy import ndimage

from mnist_lit.data import opencv, opencv_edges, opencv_shape, opencv_tone

BUNDLE = Path(__file__).parents[1] / "mnist_lit" / "data" / "bundled" / "t10k-images-idx3-ubyte.gz"


def make_images():
    """Eight digits, noise, ramps, black, white and grey."""
    with gzip.open(BUNDLE) as file:
        digits = np.frombuffer(file.read(16 + 8 * 784)[16:], np.uint8).reshape(8, 28, 28)
    noise = np.random.default_rng(7).integers(0, 256, (4, 28, 28), dtype=np.uint8)
    ramp = np.broadcast_to(np.arange(0, 252, 9, dtype=np.uint8), (28, 28))
    flat = [np.full((28, 28), value, np.uint8) for value in (0, 77, 255)]
    return np.concatenate([digits, noise, np.stack([ramp, ramp.T, *flat])])


IMAGES = make_images()
ODD_SHAPE = np.random.default_rng(8).integers(0, 256, (2, 9, 14), dtype=np.uint8)
STACKS = pytest.mark.parametrize("images", [IMAGES, ODD_SHAPE], ids=["28x28", "9x14"])
KERNELS = pytest.mark.parametrize("size", [3, 5, (5, 9)], ids=str)


def wide(images):
    return images.astype(np.float64)


def largest_difference(result, expected):
    assert result.dtype == np.uint8
    assert result.shape == expected.shape
    return np.abs(wide(result) - expected).max()


def saturate(values):
    return np.clip(np.rint(values), 0, 255)


def correlate(images, kernel, mode="mirror", cval=0.0):
    return np.stack(
        [ndimage.correlate(image, np.asarray(kernel, float), mode=mode, cval=cval) for image in wide(images)]
    )


def gaussian_weights(size, sigma):
    weights = np.array([math.exp(-((i - size // 2) ** 2) / (2 * sigma**2)) for i in range(size)])
    return weights / weights.sum()


def gaussian_kernel(size, sigma):
    width, height = (size, size) if isinstance(size, int) else size
    return np.outer(gaussian_weights(height, sigma), gaussian_weights(width, sigma))


def size_kernel(size):
    width, height = (size, size) if isinstance(size, int) else size
    return np.ones((height, width))


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


# Edges

LAPLACIANS = {
    1: [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    3: [[2, 0, 2], [0, -8, 0], [2, 0, 2]],
    5: np.add(np.outer([1, 0, -2, 0, 1], [1, 4, 6, 4, 1]), np.outer([1, 4, 6, 4, 1], [1, 0, -2, 0, 1])),
}
SOBELS = {3: ([-1, 0, 1], [1, 2, 1]), 5: ([-1, -2, 0, 2, 1], [1, 4, 6, 4, 1])}


@STACKS
@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_laplacian_is_the_absolute_correlation(images, size, scale):
    expected = saturate(scale * np.abs(correlate(images, LAPLACIANS[size])) / {1: 1, 3: 4, 5: 16}[size])
    assert largest_difference(opencv_edges.laplacian(images, size, scale), expected) == 0


@STACKS
@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_sobel_is_the_length_of_the_gradient(images, size, scale):
    slope, smooth = SOBELS[size]
    across, down = correlate(images, np.outer(smooth, slope)), correlate(images, np.outer(slope, smooth))
    expected = np.clip(scale * np.hypot(across, down) / {3: 4, 5: 48}[size], 0, 255)
    assert largest_difference(opencv_edges.sobel(images, size, scale), expected) <= 0.501


@STACKS
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_scharr_is_the_length_of_the_gradient(images, scale):
    slope, smooth = [-1, 0, 1], [3, 10, 3]
    across, down = correlate(images, np.outer(smooth, slope)), correlate(images, np.outer(slope, smooth))
    expected = np.clip(scale * np.hypot(across, down) / 16, 0, 255)
    assert largest_difference(opencv_edges.scharr(images, scale), expected) <= 0.501


@pytest.mark.parametrize(
    "edges",
    [
        *(lambda images, k=k: opencv_edges.sobel(images, k, 1.0) for k in (3, 5, 7)),
        *(lambda images, k=k: opencv_edges.laplacian(images, k, 1.0) for k in (1, 3, 5)),
        lambda images: opencv_edges.scharr(images, 1.0),
    ],
    ids=["sobel3", "sobel5", "sobel7", "laplacian1", "laplacian3", "laplacian5", "scharr"],
)
def test_an_upright_edge_gives_255_whatever_the_kernel(edges):
    step = np.zeros((1, 16, 16), np.uint8)
    step[:, :, 8:] = 1
    grey = edges(step * 100)
    assert grey.max() == 100
    assert edges(step * 255).max() == 255
    assert not grey[:, :, :4].any()
    assert not grey[:, :, 12:].any()


@STACKS
@pytest.mark.parametrize("size", [3, 9, (5, 3)], ids=str)
def test_local_contrast_is_the_stretched_difference_to_the_mean(images, size):
    kernel = size_kernel(size)
    difference = np.rint(images * kernel.sum() - correlate(images, kernel))
    peak = np.abs(difference).max(axis=(1, 2), keepdims=True)
    expected = 127.5 + 127.5 * np.divide(difference, peak, out=np.zeros_like(difference), where=peak > 0)
    assert largest_difference(opencv_edges.local_contrast(images, size), expected) <= 0.501


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


@pytest.mark.parametrize("module", [opencv, opencv_edges, opencv_shape, opencv_tone], ids=lambda m: m.__name__)
def test_examples_in_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted >= 4
    assert result.failed == 0
