"""From an ink map to pieces: strokes are kept with their width, noise and the edge of the sheet are not ink."""

import cv2
import numpy as np
import pytest

from mnist_lit.use.ink import Piece, digit_height, find_pieces, ink_mask, usual_darkness
from mnist_lit.use.paper import InkMap


def a_map(ink, noise=1.0, inside=None):
    return InkMap(ink, noise, np.eye(2, 3), 0.0, inside)


def strokes(*levels):
    """Upright strokes 6 wide and 40 tall, 50 apart, of these levels."""
    ink = np.zeros((80, 50 * len(levels)), np.uint8)
    for place, level in enumerate(levels):
        ink[20:60, 50 * place + 20 : 50 * place + 26] = level
    return ink


def piece(left, top, width, height, darkness=200.0):
    return Piece(left, top, np.ones((height, width), bool), darkness)


def test_a_blurred_stroke_keeps_its_width():
    mask = ink_mask(a_map(cv2.GaussianBlur(strokes(200), (0, 0), 1.5)), 40)
    assert mask[40].sum() == pytest.approx(6, abs=1)


def test_a_pale_stroke_far_from_a_dark_one_is_ink():
    mask = ink_mask(a_map(strokes(220, 0, 0, 0, 60)), 40)
    assert mask[40, 20:26].all()
    assert mask[40, 220:226].all()


def test_a_pale_stroke_close_to_a_dark_one_is_its_shadow():
    ink = strokes(220)
    ink[20:60, 36:42] = 45
    assert not ink_mask(a_map(ink), 40)[40, 36:42].any()


def test_noise_is_not_ink():
    noise = np.abs(np.random.default_rng(0).normal(0, 6, (200, 200))).astype(np.uint8)
    assert ink_mask(a_map(noise, noise=6.0), 40).sum() == 0


def test_usual_darkness_is_that_of_ink():
    assert usual_darkness(strokes(200, 200, 100), 1.0) == pytest.approx(180, abs=15)
    assert usual_darkness(np.zeros((20, 20), np.uint8), 1.0) == 0


def test_pieces_have_place_size_and_darkness():
    ink = strokes(200, 120)
    first, second = sorted(find_pieces(a_map(ink), (ink > 0).astype(np.uint8), 4), key=lambda one: one.left)
    assert (first.left, first.top, first.right, first.bottom) == (20, 20, 26, 60)
    assert (first.width, first.height, first.area) == (6, 40, 240)
    assert (first.darkness, second.darkness) == (200, 120)


def test_what_is_too_small_is_no_piece():
    ink = np.zeros((50, 50), np.uint8)
    ink[10:13, 10:13] = 200
    assert find_pieces(a_map(ink), (ink > 0).astype(np.uint8), 4) == []


def test_what_touches_the_edge_of_the_sheet_is_no_piece():
    ink = strokes(200, 200)
    inside = np.ones(ink.shape, np.uint8)
    inside[:, 72:] = 0
    assert [one.left for one in find_pieces(a_map(ink, inside=inside), (ink > 0).astype(np.uint8), 4)] == [20]


def test_the_digits_height_is_that_of_most_ink():
    pieces = [*(piece(60 * n, 50, 30, 40 + n) for n in range(9)), *(piece(8 * n, 5, 3, 3) for n in range(60))]
    assert digit_height(pieces, (200, 700)) == pytest.approx(44, abs=2)
    assert digit_height([], (200, 700)) == 0


def test_long_lines_do_not_count_as_digits():
    pieces = [*(piece(60 * n, 50, 30, 40) for n in range(4)), piece(0, 120, 690, 3), piece(20, 0, 3, 199)]
    assert digit_height(pieces, (200, 700)) == 40


def ring(width, height, line=3):
    mask = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 2 - line, height // 2 - line), 0, 0, 360, 1, line)
    return mask


def test_a_circle_around_a_number_goes_and_a_zero_with_a_speck_stays():
    ink = np.zeros((200, 400), np.uint8)
    ink[20:180, 20:220] = 200 * ring(200, 160)
    ink[70:130, 100:106] = 200
    ink[70:130, 130:136] = 200
    ink[60:140, 300:360] = 200 * ring(60, 80)
    ink[90:106, 326:332] = 200  # a speck of a fifth of the zero's height
    pieces = find_pieces(a_map(ink), (ink > 0).astype(np.uint8), 4)
    large = sorted((one for one in pieces if one.height > 20), key=lambda one: one.left)
    assert [one.left for one in large[:2]] == [100, 130]
    assert (len(large), large[2].left) == (3, pytest.approx(302, abs=2))


def test_the_height_is_that_of_small_writing_under_a_heading():
    heading = [piece(100 + 130 * place, 20, 100, 200) for place in range(3)]
    small = [piece(100 + 50 * place, 300, 24, 80) for place in range(8)]
    assert digit_height(heading, (900, 1200)) == 200
    assert 80 <= digit_height(heading + small, (900, 1200)) < 0.5 * 200
    apart = [piece(100 + 400 * place, 300 + 100 * place, 24, 80) for place in range(3)]  # in no row
    assert digit_height(heading + apart, (900, 1200)) == 200
    pale = [piece(100 + 50 * place, 300, 24, 80, darkness=60.0) for place in range(8)]
    assert digit_height(heading + pale, (900, 1200)) == 200
    blots = [piece(100 + 90 * place, 300, 70, 80) for place in range(8)]
    assert digit_height(heading + blots, (900, 1200)) == 200
