"""Pieces to lines: climbing, close, of different sizes; loose parts go to their digit, print and strips to none."""

import numpy as np
import pytest

from mnist_lit.use.ink import Piece
from mnist_lit.use.lines import find_lines

SHAPE = (600, 900)


def piece(left, top, width=30, height=40, darkness=200.0):
    return Piece(left, top, np.ones((height, width), bool), darkness)


def row(top, count=6, left=60, climb=0.0, **options):
    return [piece(left + 60 * n, round(top - climb * 60 * n), **options) for n in range(count)]


def tops(lines):
    return [[one.top for one in line.pieces] for line in lines]


def test_lines_come_from_the_top_and_pieces_from_the_left():
    pieces = [*row(300), *row(100), *row(200)]
    lines = find_lines(pieces[::-1], 40, SHAPE)
    assert tops(lines) == [[100] * 6, [200] * 6, [300] * 6]
    assert [one.left for one in lines[0].pieces] == [60 + 60 * n for n in range(6)]
    assert {(line.height, line.darkness) for line in lines} == {(40.0, 200.0)}


@pytest.mark.parametrize("climb", [-0.1, 0.1])
def test_climbing_lines_are_followed(climb):
    first, second = row(200, 12, climb=climb), row(265, 12, climb=climb)
    lines = find_lines([*first, *second], 40, SHAPE)
    assert [len(line.pieces) for line in lines] == [12, 12]
    assert set(map(id, lines[0].pieces)) == set(map(id, first))


def test_numbers_far_apart_are_on_one_line():
    assert len(find_lines([*row(100, 2), *row(104, 2, left=700)], 40, SHAPE)) == 1


def test_digits_of_different_sizes_are_on_one_line():
    pieces = [piece(60, 100), piece(120, 90, height=58), piece(180, 106, height=28), piece(240, 100)]
    assert [len(line.pieces) for line in find_lines(pieces, 40, SHAPE)] == [4]


def test_a_loose_bar_goes_with_its_digit():
    bar = piece(92, 96, width=16, height=5)
    lines = find_lines([*row(100), *row(300), bar], 40, SHAPE)
    assert any(one is bar for one in lines[0].pieces)


def test_a_digit_broken_across_stands_on_one_line():
    upper, lower = piece(420, 91, height=19), piece(418, 114, width=38, height=19)
    lines = find_lines([*row(100), *row(170), upper, lower], 40, SHAPE)
    assert [len(line.pieces) for line in lines] == [8, 6]
    assert [line.height for line in lines] == [40, 40]


def test_a_small_digit_in_two_pieces_is_found():
    bar, bow = piece(60, 110, width=24, height=6), piece(54, 119, width=24, height=15)
    (line,) = find_lines([*row(100, left=200), bar, bow], 40, SHAPE)
    assert {id(bar), id(bow)} < set(map(id, line.pieces))


def test_small_digits_below_one_another_are_on_two_lines():
    assert tops(find_lines([*row(100, height=20), *row(132, height=20)], 40, SHAPE)) == [[100] * 6, [132] * 6]


def test_a_speck_far_from_every_digit_is_left_out():
    speck = piece(450, 200, width=5, height=5)
    assert all(one is not speck for line in find_lines([*row(100), *row(300), speck], 40, SHAPE) for one in line.pieces)


def test_print_from_the_back_is_no_line():
    writing = [*row(100), *row(300)]
    assert tops(find_lines([*writing, *row(200, 5, darkness=45.0)], 40, SHAPE)) == [[100] * 6, [300] * 6]


def test_one_pale_mark_by_itself_is_no_line():
    assert tops(find_lines([*row(100), *row(200, 1, darkness=85.0)], 40, SHAPE)) == [[100] * 6]
    assert len(find_lines([*row(100), *row(200, 6, darkness=110.0)], 40, SHAPE)) == 2  # a line in pencil


def test_what_is_far_too_large_is_no_writing():
    assert tops(find_lines([*row(100), piece(300, 200, width=20, height=300)], 40, SHAPE)) == [[100] * 6]


def test_specks_alone_are_nothing():
    assert find_lines([piece(60 * n, 50, 5, 5) for n in range(5)], 40, SHAPE) == []
    assert find_lines([], 40, SHAPE) == []
