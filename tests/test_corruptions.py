"""Noise, blur and weather of the 15 corruptions against independent computations; seeds, sizes and names of all."""

import hashlib
import math
import subprocess
import sys
import time

import numpy as np
import pytest
from corruption_checks import apply, assert_close, column, to_uint8
from scipy import ndimage, stats

from mnist_lit.data import corruption_parts as parts
from mnist_lit.data import corruptions
from mnist_lit.data.corruptions import CORRUPTIONS, corrupt
from mnist_lit.data.idx import BUNDLED, read_set

DETERMINISTIC = ("scale", "brightness", "stripe", "canny_edges")


@pytest.fixture(scope="module")
def digits():
    """The 10,000 test images, read-only, so that a corruption that wrote into its input would fail."""
    return read_set(BUNDLED, "t10k").images


# Noise


@pytest.mark.parametrize("value", [1, 60, 128, 255])
def test_shot_noise_has_the_frequencies_of_a_poisson_count_of_three_x(value):
    images = np.full((300, 28, 28), value, np.uint8)
    noisy = corrupt(images, "shot_noise", seed=0)
    poisson = stats.poisson(3 * value / 255)
    expected = np.array([poisson.pmf(0), poisson.pmf(1), poisson.pmf(2), poisson.sf(2)])
    assert set(np.unique(noisy)) <= {0, 85, 170, 255}
    found = np.array([(noisy == level).mean() for level in (0, 85, 170, 255)])
    np.testing.assert_allclose(found, expected, atol=5 * np.sqrt(expected.max() * (1 - expected.min()) / images.size))
    levels = np.arange(4) / 3
    mean = (expected * levels).sum()
    variance = (expected * levels**2).sum() - mean**2
    assert (noisy / 255).mean() == pytest.approx(mean, abs=5 * math.sqrt(variance / images.size))
    assert (noisy / 255).var() == pytest.approx(variance, rel=0.05)


def test_shot_noise_leaves_black_black():
    assert not corrupt(np.zeros((20, 28, 28), np.uint8), "shot_noise", seed=0).any()


def test_impulse_noise_is_one_pixel_in_six_half_white_half_black():
    images = np.full((500, 28, 28), 100, np.uint8)
    noisy = corrupt(images, "impulse_noise", seed=0)
    n = images.size
    for value in (0, 255):
        assert (noisy == value).mean() == pytest.approx(0.085, abs=5 * math.sqrt(0.085 * 0.915 / n))
    assert ((noisy == 100) | (noisy == 0) | (noisy == 255)).all()
    hit = (noisy != 100).mean(axis=(1, 2)) * 784
    assert hit.var() == pytest.approx(784 * 0.17 * 0.83, rel=0.3)  # pixels are hit independently


# Blur


def reference_shuffle(image, u):
    image, draws = image.copy(), iter(u)
    for _ in range(2):
        for h in range(27, 1, -1):
            for w in range(27, 1, -1):
                draw = next(draws)
                if draw >= 0.5:
                    dy, dx = divmod(int(draw * 8) - 4, 2)
                    image[h, w], image[h - dy, w - dx] = image[h - dy, w - dx], image[h, w]
    return image


def test_glass_shuffle_is_the_sequence_of_swaps(digits):
    u = np.random.default_rng(0).random((4, 1352), dtype=np.float32)
    shuffled = corruptions.shuffle_glass(digits[:4], u)
    np.testing.assert_array_equal(shuffled, [reference_shuffle(x, row) for x, row in zip(digits, u, strict=False)])


def test_glass_shuffle_only_permutes_and_does_move(digits):
    u = np.random.default_rng(1).random((50, 1352), dtype=np.float32)
    shuffled = corruptions.shuffle_glass(digits[:50], u)
    np.testing.assert_array_equal(np.sort(shuffled.reshape(50, -1)), np.sort(digits[:50].reshape(50, -1)))
    assert (shuffled != digits[:50]).any(axis=(1, 2)).all()


def test_glass_blur_is_blur_shuffle_blur(digits):
    u = np.random.default_rng(2).random((5, 1352), dtype=np.float32)

    def blur(x):
        return np.stack([ndimage.gaussian_filter(image, 0.7, mode="nearest", truncate=4) for image in x])

    first = (blur(digits[:5] / 255.0) * 255 + 1e-9).astype(np.uint8)
    shuffled = np.stack([reference_shuffle(x, row) for x, row in zip(first, u, strict=True)])
    assert_close(apply("glass_blur", digits[:5], u), to_uint8(blur(shuffled / 255.0)))


def test_motion_kernel_sums_to_one_falls_as_a_gaussian_and_has_one_side():
    weights, down, right = parts.motion_kernel(np.linspace(-45, 45, 91))
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(weights / weights[0], np.exp(-(np.arange(21) ** 2) / 18), rtol=1e-5)
    assert right.min() == 0
    assert (np.diff(right, axis=1) >= 0).all()
    assert not down[45].any()
    np.testing.assert_array_equal(right[45], np.arange(21))
    np.testing.assert_array_equal(down[90], right[90])  # 45 degrees: as far down as right
    np.testing.assert_array_equal(down[90], np.ceil(np.arange(21) * math.sqrt(0.5) - 0.5))
    assert (np.hypot(down, right) - np.arange(21)).max() <= math.sqrt(0.5)


def test_motion_blur_draws_a_point_out_to_one_side():
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 14, 20] = 255
    blurred = apply("motion_blur", image, column(1, 0.5))[0]  # angle 0
    weights = np.exp(-(np.arange(21) ** 2) / 18)
    expected = np.zeros((28, 28))
    expected[14, 20::-1] = weights / weights.sum()
    assert_close(blurred, to_uint8(expected))
    assert blurred[14, 20] == 60  # 255 / (half Gaussian's sum 4.2600)


@pytest.mark.parametrize("u", [0.0, 0.2, 0.7, 0.999])
def test_motion_blur_equals_shifted_copies_with_repeated_border(digits, u):
    angle = math.radians(90 * u - 45)
    weights = np.exp(-(np.arange(21) ** 2) / 18)
    padded = np.pad(digits[3] / 255.0, 25, mode="edge")
    expected = np.zeros((28, 28))
    for i, weight in enumerate(weights / weights.sum()):
        top = 25 + math.ceil(i * math.sin(angle) - 0.5)
        left = 25 + math.ceil(i * math.cos(angle) - 0.5)
        expected += weight * padded[top : top + 28, left : left + 28]
    assert_close(apply("motion_blur", digits[3:4], column(1, u))[0], to_uint8(expected))


# Light and weather


def test_brightness_adds_half_the_range_to_every_value():
    images = np.zeros((1, 28, 28), np.uint8)
    images.ravel()[:256] = np.arange(256)
    bright = corrupt(images, "brightness", seed=0).ravel()
    np.testing.assert_array_equal(bright[:128], np.arange(128, 256))
    assert (bright[128:256] == 255).all()


def test_stripe_inverts_the_outer_columns_and_nothing_else(digits):
    striped = corrupt(digits[:50], "stripe", seed=0)
    inverted = (striped == 255 - digits[:50]).all(axis=(0, 1))
    assert list(np.flatnonzero(inverted)) == [*range(7), *range(21, 28)]
    np.testing.assert_array_equal(striped[:, :, 7:21], digits[:50, :, 7:21])


def test_fog_formula_on_a_known_plasma():
    x = np.zeros((2, 28, 28), np.float32)
    x[0, 0, 0], x[0, 0, 1], x[1, 0, 0] = 1.0, 0.5, 0.5
    plasma = np.full((2, 28, 28), 0.5, np.float32)
    plasma[0, 0, 0] = 1.0
    foggy = corruptions.add_fog(x, plasma)
    np.testing.assert_allclose(foggy[0, 0, :3], [1.0, 2.0 / 4, 1.5 / 4], rtol=1e-6)  # (x + 3 plasma) · 1 / 4
    np.testing.assert_allclose(foggy[1, 0, :2], [2.0 / 7, 1.5 / 7], rtol=1e-6)  # largest value 0.5: · 0.5 / 3.5


def reference_plasma(u, decay):
    """Diamond-square point by point on a torus of 256 × 256."""
    grid, draws, step, wibble = np.zeros((256, 256)), iter(u.tolist()), 256, 100.0

    def grow(rows, columns, neighbours):
        for r in rows:
            for c in columns:
                mean = sum(grid[(r + dr) % 256, (c + dc) % 256] for dr, dc in neighbours) / 4
                grid[r, c] = mean + wibble * (2 * wibble * next(draws) - wibble)

    while step >= 2:
        h = step // 2
        grow(range(h, 256, step), range(h, 256, step), [(-h, -h), (-h, h), (h, -h), (h, h)])
        grow(range(0, 256, step), range(h, 256, step), [(-h, 0), (h, 0), (0, -h), (0, h)])
        grow(range(h, 256, step), range(0, 256, step), [(-h, 0), (h, 0), (0, -h), (0, h)])
        step, wibble = h, wibble / decay
    grid -= grid.min()
    return (grid / grid.max())[:28, :28]


def test_plasma_equals_diamond_square_point_by_point():
    u = np.random.default_rng(0).random((2, 65536), dtype=np.float32)
    expected = [reference_plasma(row, 1.4) for row in u]
    np.testing.assert_allclose(parts.plasma(u, 1.4), expected, atol=2e-6)


def test_fog_is_fog_of_that_plasma(digits):
    u = np.random.default_rng(1).random((3, 65536), dtype=np.float32)
    expected = to_uint8(corruptions.add_fog(digits[:3].astype(np.float32) / 255, parts.plasma(u, 1.4)))
    assert_close(apply("fog", digits[:3], u), expected)


def test_fog_on_an_empty_image_is_black():
    assert not corrupt(np.zeros((2, 28, 28), np.uint8), "fog", seed=0).any()


def test_spatter_only_pulls_values_toward_the_drops_grey(digits):
    spattered = corrupt(digits[:200], "spatter", seed=0).astype(int)
    before = digits[:200].astype(int)
    assert (spattered >= np.minimum(before, 63) - 1).all()
    assert (spattered <= np.maximum(before, 63) + 1).all()
    moved = spattered != before
    assert (np.abs(spattered - 63)[moved] <= 0.2 * np.abs(before - 63)[moved] + 1).all()  # the mask is at least 0.8
    assert 0.1 < moved.mean() < 0.5


def test_spatter_equals_the_definition_in_scipy(digits):
    u = np.random.default_rng(5).random((10, 784), dtype=np.float32)
    radius, angle = np.sqrt(-2 * np.log(1 - u[:, :392].astype(float))), 2 * math.pi * u[:, 392:].astype(float)
    field = 0.65 + 0.3 * np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1).reshape(-1, 28, 28)
    for i in range(10):
        liquid = ndimage.gaussian_filter(field[i], 1, mode="nearest", truncate=4)
        mask = ndimage.gaussian_filter((liquid > 0.65).astype(float), 1.5, mode="nearest", truncate=4)
        mask[mask < 0.8] = 0
        expected = digits[i] / 255 * (1 - mask) + 63 / 255 * mask
        assert_close(apply("spatter", digits[i : i + 1], u[i : i + 1])[0], to_uint8(expected))


# Seeds, sizes and names


def test_the_fifteen_are_in_the_order_of_the_definitions():
    assert CORRUPTIONS == (
        "shot_noise", "impulse_noise", "glass_blur", "motion_blur", "shear", "scale", "rotate", "brightness",
        "translate", "stripe", "fog", "spatter", "dotted_line", "zigzag", "canny_edges",
    )  # fmt: skip


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_prefix_is_corrupted_as_in_the_whole_set(digits, name, monkeypatch):
    n = 70 if name == "fog" else 1100  # more than one chunk
    whole = corrupt(digits[:n], name, seed=4)
    np.testing.assert_array_equal(corrupt(digits[:37], name, seed=4), whole[:37])
    monkeypatch.setattr(corruptions, "_CHUNK_BYTES", 4)
    np.testing.assert_array_equal(corrupt(digits[:5], name, seed=4), whole[:5])


@pytest.mark.parametrize("name", [name for name in CORRUPTIONS if name not in DETERMINISTIC])
def test_seed_and_index_change_what_happens(digits, name):
    images = np.repeat(digits[:1], 40, axis=0)
    one, two = corrupt(images, name, seed=0), corrupt(images, name, seed=1)
    assert (one != two).any()
    assert (one != one[:1]).any()


def test_names_draw_different_numbers():
    key = [corruptions._generator(0, name).random_raw(2).tolist() for name in CORRUPTIONS]
    assert len({tuple(draw) for draw in key}) == 15


def test_the_numbers_are_pinned():
    u = corruptions._uniform(corruptions._generator(0, "shot_noise"), 1, 4) * 2**24
    assert u.tolist() == [[1910480, 10987325, 4553512, 11307962]]


def digest(images):
    return hashlib.sha256(b"".join(corrupt(images, name, seed=7).tobytes() for name in CORRUPTIONS)).hexdigest()


def test_another_process_makes_the_same_images():
    images = np.arange(3 * 784, dtype=np.uint32).reshape(3, 28, 28) * 37 % 256
    code = (
        "import hashlib, numpy as np\n"
        "from mnist_lit.data.corruptions import CORRUPTIONS, corrupt\n"
        "x = (np.arange(3 * 784, dtype=np.uint32).reshape(3, 28, 28) * 37 % 256).astype(np.uint8)\n"
        "made = b''.join(corrupt(x, name, seed=7).tobytes() for name in CORRUPTIONS)\n"
        "print(hashlib.sha256(made).hexdigest())\n"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == digest(images.astype(np.uint8))


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("n", [0, 1])
def test_no_image_and_one_image(digits, name, n):
    out = corrupt(digits[:n], name, seed=0)
    assert out.shape == (n, 28, 28)
    assert out.dtype == np.uint8


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_input_is_not_changed_and_need_not_be_contiguous(digits, name):
    images = np.asfortranarray(digits[:6:2])
    before = images.copy()
    np.testing.assert_array_equal(corrupt(images, name, seed=0), corrupt(np.ascontiguousarray(images), name, seed=0))
    np.testing.assert_array_equal(images, before)


def test_an_unknown_name_is_refused_with_the_nearest_and_all_names(digits):
    with pytest.raises(ValueError, match=r"'shot_nose' is not known.*did you mean shot_noise.*canny_edges") as caught:
        corrupt(digits[:1], "shot_nose", seed=0)
    assert all(name in str(caught.value) for name in CORRUPTIONS)


@pytest.mark.parametrize(
    "images", [np.zeros((1, 28, 28)), np.zeros((28, 28), np.uint8), np.zeros((1, 32, 32), np.uint8)]
)
def test_other_images_are_refused(images):
    with pytest.raises(ValueError, match="uint8 \\(N, 28, 28\\)"):
        corrupt(images, "fog", seed=0)


@pytest.mark.slow
def test_the_whole_fifteen_take_less_than_a_minute(digits):
    start = time.perf_counter()
    for name in CORRUPTIONS:
        assert corrupt(digits, name, seed=0).shape == digits.shape
    assert time.perf_counter() - start < 60
