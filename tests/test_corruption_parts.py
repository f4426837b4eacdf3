"""Warps, lines and edges of the 15 corruptions against scipy, scikit-image and hand-worked numbers."""

import math

import numpy as np
import pytest
from corruption_checks import apply, assert_close, column, to_uint8
from scipy import ndimage

from mnist_lit.data import corruption_parts as parts
from mnist_lit.data.corruptions import corrupt
from mnist_lit.data.idx import BUNDLED, read_set


@pytest.fixture(scope="module")
def digits():
    """The 10,000 test images, read-only, so that a corruption that wrote into its input would fail."""
    return read_set(BUNDLED, "t10k").images


# Geometry


def scipy_warp(images, inverse_rows_columns):
    centre = np.array([13.5, 13.5])
    offset = centre - inverse_rows_columns @ centre
    return np.stack(
        [
            ndimage.affine_transform(x / 255.0, inverse_rows_columns, offset, order=1, mode="grid-constant")
            for x in images
        ]
    )


@pytest.mark.parametrize("sign", [-1, 1])
def test_rotate_and_shear_agree_with_scipy(digits, sign):
    cos, sin = math.cos(0.4), sign * math.sin(0.4)
    u = column(200, 0.2 if sign < 0 else 0.8)
    rotated = scipy_warp(digits[:200], np.array([[cos, sin], [-sin, cos]]))  # (row, column) order
    assert_close(apply("rotate", digits[:200], u), to_uint8(rotated))
    sheared = scipy_warp(digits[:200], np.array([[cos, 0.0], [-sin, 1.0]]))
    assert_close(apply("shear", digits[:200], u), to_uint8(sheared))


def test_scale_agrees_with_scipy(digits):
    assert_close(
        corrupt(digits[:200], "scale", seed=0), to_uint8(scipy_warp(digits[:200], np.diag([1 / 0.7, 1 / 0.7])))
    )


def axis_angle(image):
    """Direction of the largest spread of ink, in radians, columns to the right and rows down."""
    rows, columns = np.mgrid[0:28, 0:28] - 13.5
    weight = image / image.sum()
    return math.atan2(
        2 * (weight * rows * columns).sum(), ((columns**2 - rows**2) * weight).sum()
    ) / 2  # fmt: skip


@pytest.mark.parametrize(("u", "angle"), [(0.1, 0.4), (0.9, -0.4)])
def test_rotate_turns_a_bar_by_0_4_rad(u, angle):
    bar = np.zeros((1, 28, 28), np.uint8)
    bar[0, 12:16, 4:24] = 255
    assert axis_angle(apply("rotate", bar, column(1, u))[0]) == pytest.approx(angle, abs=0.01)


@pytest.mark.parametrize(("u", "slope"), [(0.1, -math.tan(0.4)), (0.9, math.tan(0.4))])
def test_shear_slants_an_upright_bar_about_the_centre(u, slope):
    bar = np.zeros((1, 28, 28), np.uint8)
    bar[0, :, 13:15] = 255
    slanted = apply("shear", bar, column(1, u))[0, 4:24].astype(float)
    centres = (slanted * np.arange(28)).sum(axis=1) / slanted.sum(axis=1)
    # An output row r reads column x - r sin(0.4) of input row r cos(0.4): the bar stands at x = r sin(0.4).
    np.testing.assert_allclose(centres, 13.5 + (np.arange(4, 24) - 13.5) * slope * math.cos(0.4), atol=0.02)


def test_scale_shrinks_a_square_to_70_percent_about_the_centre():
    square = np.zeros((1, 28, 28), np.uint8)
    square[0, 4:24, 4:24] = 255
    small = corrupt(square, "scale", seed=0)[0].astype(float)
    assert small.sum() / square.sum() == pytest.approx(0.49, rel=0.02)
    assert ndimage.center_of_mass(small) == pytest.approx((13.5, 13.5), abs=1e-6)


@pytest.mark.parametrize(("u", "rows", "columns"), [((0.1, 0.1), -3, -3), ((0.1, 0.9), -3, 3), ((0.9, 0.1), 3, -3)])
def test_translate_moves_by_three_pixels_and_leaves_black(u, rows, columns):
    image = np.arange(784, dtype=np.int64).reshape(1, 28, 28) % 251 + 1
    moved = apply("translate", image.astype(np.uint8), [u])[0]
    np.testing.assert_array_equal(moved, ndimage.shift(image[0], (rows, columns), order=0, mode="constant"))
    assert (moved == 0).sum() == 784 - 25 * 25


@pytest.mark.parametrize("name", ["rotate", "shear", "translate"])
def test_signs_are_drawn_evenly(digits, name):
    images = np.repeat(digits[:1], 2000, axis=0)
    kinds, counts = np.unique(corrupt(images, name, seed=3).reshape(2000, -1), axis=0, return_counts=True)
    share = 1 / len(kinds)
    assert len(kinds) == (4 if name == "translate" else 2)
    np.testing.assert_allclose(counts / 2000, share, atol=5 * math.sqrt(share * (1 - share) / 2000))


# Lines


def test_dotted_line_has_the_profile_at_hand_computed_distances():
    drawn = apply("dotted_line", np.zeros((1, 28, 28), np.uint8), [[10.5 / 27, 10.5 / 27]])[0]  # rows 10 to 10
    # log(1 - 1/2.3) + 1 = 0.4295; at distance 2 it is negative, so 0
    expected = np.zeros((28, 28), int)
    for c in (2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26):
        expected[9:12, c] = [110, 255, 110]
    np.testing.assert_array_equal(drawn, expected)


def test_dotted_line_runs_from_the_first_row_to_the_second():
    drawn = parts.dotted_line(0, 27)
    assert [int(drawn[:, c].argmax()) for c in (2, 3, 14, 26)] == [2, 3, 14, 26]
    assert drawn[15, 14] == pytest.approx(math.log(1 - 1 / 2.3) + 1)
    assert parts.dotted_line(5, 19)[:, 14].argmax() == 12  # 5 + 14 · 14 / 27 = 12.26
    assert parts.dotted_line(5, 19)[12, 14] == pytest.approx(math.log(1 - (5 + 14 * 14 / 27 - 12) / 2.3) + 1)


def test_zigzag_passes_its_corners_and_keeps_to_its_columns():
    drawn = parts.zigzag(10, 10)
    assert list(np.flatnonzero(drawn.any(axis=0))) == list(range(2, 25))
    # From (column 2, row 10) down to row 12 at column 4, up to row 8 at column 8, down to row 12 at column 12, …
    rows = [10, 11, 12, 11, 10, 9, 8, 9, 10, 11, 12, 11, 10, 9, 8, 9, 10, 11, 12, 11, 10, 9]
    assert [int(drawn[:, c].argmax()) for c in range(2, 24)] == rows
    np.testing.assert_allclose([drawn[r, c] for c, r in enumerate(rows, start=2)], 1.0)
    assert drawn[13, 4] == pytest.approx(math.log(1 - 1 / 2.3) + 1)


def test_zigzag_follows_a_slanted_course():
    rows, columns = np.mgrid[0:28, 0:28]
    drawn = parts.zigzag(10, 14)
    slope = np.polyfit(columns.ravel(), rows.ravel(), 1, w=np.sqrt(drawn.ravel()))[0]
    assert slope == pytest.approx(4 / 23, abs=0.08)


def test_end_rows_are_drawn_over_their_whole_range():
    black = np.zeros((2, 28, 28), np.uint8)
    lowest_and_highest = [[0.0, 0.0], [0.9999, 0.9999]]
    expected = [parts.dotted_line(0, 0), parts.dotted_line(26, 26)]
    np.testing.assert_array_equal(apply("dotted_line", black, lowest_and_highest), to_uint8(np.array(expected)))
    expected = [parts.zigzag(0, -5), parts.zigzag(26, 30)]
    np.testing.assert_array_equal(apply("zigzag", black, lowest_and_highest), to_uint8(np.array(expected)))


@pytest.mark.parametrize("name", ["dotted_line", "zigzag"])
def test_lines_are_added_to_the_digit(digits, name):
    drawn = corrupt(np.zeros((50, 28, 28), np.uint8), name, seed=0).astype(int)
    lined = corrupt(digits[:50], name, seed=0)
    assert_close(lined, np.minimum(digits[:50].astype(int) + drawn, 255))
    assert drawn.any(axis=(1, 2)).all()


# Edges

# skimage.feature.canny(image / 255) of scikit-image 0.26 on test images 0 (a seven) and 8 (a five); one row is one
# number whose binary digits are the row's pixels.
CANNY_SEVEN = (
    "0000000 0000000 0000000 0000000 0000000 0000000 0080000 037fe00 02001c0 03c0040 003fc40 0000240 0000480 0000c80 "
    "0000900 0001900 0001200 0003200 0006400 0004c00 000c800 0009800 0013000 0012000 0022000 0026000 003c000 0000000"
)
CANNY_FIVE = (
    "0000000 0000000 0000000 0000000 00003f8 0003c08 0006008 0004078 00c5f80 0123000 0360000 0640000 0480000 0480000 "
    "04c0000 043f800 0600600 0300100 00e0100 0032900 0010100 0008300 000ce00 0003800 0000000 0000000 0000000 0000000"
)
# The same of test image 18 (a three) divided by 12: weak chains, most of them joined to a strong one at corners only.
CANNY_FAINT_THREE = (
    "0000000 0000000 0000000 0000000 01f0000 0618000 0406000 04e3000 09b9800 090c800 0904400 0c7c600 0440300 06401c0 "
    "0078060 0007e30 0000398 0070088 0098048 004c0c8 0067f88 0030018 001c070 0007fc0 0000000 0000000 0000000 0000000"
)


@pytest.mark.parametrize(
    ("index", "divisor", "golden"), [(0, 1, CANNY_SEVEN), (8, 1, CANNY_FIVE), (18, 12, CANNY_FAINT_THREE)]
)
def test_canny_equals_scikit_image(digits, index, divisor, golden):
    expected = [[int(bit) for bit in f"{int(row, 16):028b}"] for row in golden.split()]
    edges = corrupt(digits[index : index + 1] // divisor, "canny_edges", seed=0)[0]
    np.testing.assert_array_equal(edges, np.array(expected) * 255)


def test_canny_is_binary_and_thin(digits):
    edges = corrupt(digits[:500], "canny_edges", seed=0)
    assert set(np.unique(edges)) == {0, 255}
    thick = [ndimage.binary_erosion(edge, np.ones((2, 2))).sum() / (edge > 0).sum() for edge in edges]
    assert np.mean(thick) < 0.05  # hardly any 2 × 2 block is all edge


def test_canny_draws_one_closed_ring_around_a_disk():
    rows, columns = np.mgrid[0:28, 0:28] - 13.5
    disk = (np.hypot(rows, columns) < 8).astype(np.uint8)[None] * 255
    edges = corrupt(disk, "canny_edges", seed=0)[0] > 0
    distance = np.hypot(rows, columns)[edges]
    assert distance.min() > 6.5
    assert distance.max() < 9.5
    assert ndimage.label(~edges)[1] == 2  # inside and outside do not meet


def test_canny_finds_nothing_in_an_even_or_faint_image():
    images = np.stack([np.full((28, 28), 90), np.tile(np.arange(28), (28, 1))]).astype(np.uint8)
    assert not corrupt(images, "canny_edges", seed=0).any()


def test_canny_keeps_a_weak_chain_only_where_it_is_strong_somewhere():
    # The gradient across an edge of height h is 4 h (Φ(1) - Φ(-1)) = 2.73 h: weak for h = 0.037 to 0.073.
    bars = np.zeros((2, 28, 28))
    bars[0, 10:18, 4:24] = np.linspace(0.045, 0.065, 20)
    bars[1, 10:18, 4:24] = np.linspace(0.045, 0.110, 20)
    edges = corrupt((bars * 255).round().astype(np.uint8), "canny_edges", seed=0) > 0
    assert not edges[0].any()
    assert edges[1, :, 6:20].any(axis=0).all()
