"""Cutting and grouping: what may be one digit, what a recognizer's answers make of it."""

import itertools

import cv2
import numpy as np
import pytest
from reader_pages import shapes

from mnist_lit.study.page_ink import stroke
from mnist_lit.use.cutting import cut, render, stroke_length, stroke_width, widened
from mnist_lit.use.groups import MAX_PARTS, groups_of, parts_of
from mnist_lit.use.ink import Piece
from mnist_lit.use.lines import TextLine
from mnist_lit.use.recognizer import load_recognizer
from mnist_lit.use.segments import segment


@pytest.fixture(scope="module")
def recognize():
    return load_recognizer().probabilities


def pieces_of(ink):
    """Connected ink, from the left."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats((ink > 100).astype(np.uint8), connectivity=8)
    found = []
    for label, (left, top, width, height, _) in enumerate(stats[1:], 1):
        mask = labels[top : top + height, left : left + width] == label
        found.append(Piece(int(left), int(top), mask, 220.0))
    return sorted(found, key=lambda piece: piece.left)


def written(digits, touching=False, height=44):
    """An ink map with these digits, 12 pixels apart or just so close that their ink meets, and its one line."""
    ink, x = np.zeros((80, 400), np.uint8), 20
    for digit in digits:
        drawn = (225 * stroke(shapes()[digit], height, 0.55)).astype(np.uint8)
        while True:
            both = ink.copy()
            place = both[20 : 20 + drawn.shape[0], x : x + drawn.shape[1]]
            np.maximum(place, drawn, out=place)
            if not touching or len(pieces_of(both)) == 1:
                break
            x -= 1
        ink, x = both, x + drawn.shape[1] + 12
    return ink, [TextLine(tuple(pieces_of(ink)), float(height), 220.0)]


def answers(ink, lines, recognize):
    return [[int(one.probabilities.argmax()) for one in row] for row in segment(lines, ink, recognize)]


def test_digits_that_stand_apart(recognize):
    ink, lines = written([4, 0, 7, 1, 2])
    assert answers(ink, lines, recognize) == [[4, 0, 7, 1, 2]]


@pytest.mark.parametrize("digits", [[2, 3], [4, 7], [5, 6], [1, 0], [7, 0], [7, 1], [2, 2, 4]])
def test_digits_that_touch(recognize, digits):
    ink, lines = written(digits, touching=True)
    assert len(lines[0].pieces) == 1
    assert answers(ink, lines, recognize) == [digits]


def test_a_loose_bar_belongs_to_its_five(recognize):
    ink, _ = written([5])
    ink[30:32] = 0  # the top is cut off
    pieces = pieces_of(ink)
    assert len(pieces) > 1
    assert answers(ink, [TextLine(tuple(pieces), 44.0, 220.0)], recognize) == [[5]]


@pytest.mark.parametrize("width", [44, 52, 60])
def test_a_digit_written_flat_is_not_left_out(recognize, width):
    ink, _ = written([3, 4])
    usual = (225 * stroke(shapes()[0], 44, 0.55)).astype(np.uint8)
    ink[34:54, 150 : 150 + width] = cv2.resize(usual, (width, 20), interpolation=cv2.INTER_AREA)
    assert answers(ink, [TextLine(tuple(pieces_of(ink)), 44.0, 220.0)], recognize) == [[3, 4, 0]]


def test_all_of_one_piece_may_be_a_digit_however_often_it_was_cut():
    ink = np.zeros((80, 200), np.uint8)
    cv2.polylines(ink, [np.array([[20, 30], [45, 20], [50, 35], [22, 62], [98, 62]])], False, 225, 4)
    line = TextLine(tuple(pieces_of(ink)), 44.0, 220.0)
    parts = parts_of(line, ink)
    assert len(parts) > MAX_PARTS
    spans = [(group.first, group.last) for group in groups_of(0, parts, line)]
    assert (0, len(parts) - 1) in spans
    assert len(set(spans)) == len(spans)
    wide = cv2.resize(ink, None, fx=1.5, fy=1)
    line = TextLine(tuple(pieces_of(wide)), 44.0, 220.0)
    parts = parts_of(line, wide)
    assert (0, len(parts) - 1) not in [(group.first, group.last) for group in groups_of(0, parts, line)]


def test_a_speck_is_left_out(recognize):
    ink, lines = written([4, 7])
    speck = Piece(150, 40, np.ones((4, 4), bool), 150.0)
    ink[40:44, 150:154] = 150
    assert answers(ink, [TextLine((*lines[0].pieces, speck), 44.0, 220.0)], recognize) == [[4, 7]]


def test_lines_are_kept_apart(recognize):
    ink, lines = written([4, 0])
    assert answers(ink, [lines[0], TextLine((), 44.0, 220.0), lines[0]], recognize) == [[4, 0], [], [4, 0]]


def test_nothing_gives_nothing():
    assert segment([], np.zeros((9, 9), np.uint8), lambda images: pytest.fail("asked")) == []


def test_groups_are_recognized_at_once_and_digits_once_more(recognize):
    calls = []

    def count(images):
        calls.append(images.shape)
        return recognize(images)

    ink, lines = written([2, 3], touching=True)
    segment(lines, ink, count)
    groups, taken = calls
    assert groups[0] > 3
    assert taken[0] == 9 * 2  # both digits, in nine places
    assert groups[1:] == taken[1:] == (28, 28)


def test_an_answer_is_the_mean_over_places_a_pixel_apart(recognize):
    ink, lines = written([4])
    (one,) = segment(lines, ink, recognize)[0]
    places = [np.roll(one.image, (down, right), axis=(0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    mean = recognize(np.stack(places)).mean(axis=0)
    np.testing.assert_allclose(one.probabilities, mean, atol=1e-6)
    assert np.abs(mean - recognize(one.image[None])[0]).max() > 1e-4


@pytest.mark.parametrize("digits", [*itertools.product(range(2, 10), [3, 5, 8])])
def test_cuts_keep_all_ink(digits):
    ink, lines = written(digits, touching=True)
    piece = lines[0].pieces[0]
    parts = cut(piece, ink, 44.0)
    assert len(parts) > 1
    assert sum(part.area for part, _, _ in parts) == piece.area


def test_cuts_tell_what_they_cross():
    ink, lines = written([2, 3], touching=True)
    parts = cut(lines[0].pieces[0], ink, 44.0)
    assert all(crossed > 0 and strokes >= 1 for _, crossed, strokes in parts[:-1])
    assert parts[-1][1:] == (0.0, 0)


def test_a_narrow_piece_is_not_cut():
    ink, lines = written([1])
    assert cut(lines[0].pieces[0], ink, 44.0) == [(lines[0].pieces[0], 0.0, 0)]


def test_widening_gives_back_ink_of_the_same_piece_only():
    whole = Piece(10, 10, np.ones((8, 40), bool), 200.0)
    part = Piece(10, 10, np.ones((8, 20), bool), 200.0)
    wider = widened([part], whole, 5)
    assert (wider.left, wider.top, wider.width, wider.height) == (10, 10, 25, 8)
    assert widened([part], whole, 100).area == whole.area


def test_stroke_width_and_length():
    bar = np.zeros((60, 20), bool)
    bar[5:55, 7:13] = True
    assert stroke_width(Piece(0, 0, bar, 200.0)) == pytest.approx(6, abs=1)
    one, eight = (stroke_length(shapes()[digit]) for digit in (1, 8))
    assert one < 0.3 < eight


def test_a_piece_is_drawn_as_mnist_has_it():
    ink, lines = written([3])
    drawn = render(lines[0].pieces, ink)
    assert (drawn.shape, drawn.dtype, drawn.max()) == ((28, 28), np.uint8, 255)
    rows, columns = np.nonzero(drawn > 60)
    assert max(np.ptp(rows), np.ptp(columns)) + 1 in range(18, 23)
    assert np.average(np.arange(28), weights=drawn.sum(axis=1)) == pytest.approx(13.5, abs=1)


def test_a_piece_at_the_border_is_drawn_whole():
    ink, lines = written([3])
    moved = ink[20:64, lines[0].pieces[0].left : lines[0].pieces[0].right]
    piece = lines[0].pieces[0]
    at_border = Piece(0, piece.top - 20, piece.mask, piece.darkness)
    drawn, whole = render([at_border], np.ascontiguousarray(moved)), render([piece], ink)
    assert np.abs(drawn.astype(int) - whole).mean() < 2  # the fringe beyond the border is missing
