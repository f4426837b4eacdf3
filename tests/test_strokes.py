"""Pictures that a few plain strokes fill: however straight or round, they are no rulings, no frames and no sheet."""

import cv2
import numpy as np
import pytest

from mnist_lit.use.reader import read_page
from mnist_lit.use.recognizer import load_recognizer
from mnist_lit.use.sheet import find_sheet, without_table
from mnist_lit.use.strokes import count_holes, is_few_strokes

HEIGHT = 140  # of a digit, pixels
WIDE = {"0": 0.6, "1": 0.02, "4": 0.6, "7": 0.6}  # of a digit, in heights
PENS = (0.05, 0.09, 0.14)  # widths of a stroke, in heights
FLOOR = 20


def drawn(text, pen, margin, inverted=False):
    """A picture of digits made of straight lines and ellipses; pen and margin in heights."""
    wide = sum(WIDE[digit] + 0.35 for digit in text) - 0.35
    size = round(HEIGHT * (1 + 2 * margin)), round(HEIGHT * (wide + 2 * margin))
    image = np.full(size, 236, np.uint8)
    x = margin

    def line(*points):
        at = np.array([(x + right, margin + down) for right, down in points]) * HEIGHT
        cv2.polylines(image, [np.round(at).astype(np.int32)], False, 45, round(pen * HEIGHT), cv2.LINE_AA)

    for digit in text:
        if digit == "0":
            line(*[(0.3 + 0.3 * np.sin(t), 0.5 - 0.5 * np.cos(t)) for t in np.linspace(0, 2 * np.pi, 40)])
        elif digit == "1":
            line((0.01, 0), (0.01, 1))
        elif digit == "4":
            line((0.1, 0), (0, 0.6), (0.6, 0.6))
            line((0.45, 0.3), (0.45, 1))
        else:
            line((0, 0), (0.6, 0), (0.2, 1))
        x += WIDE[digit] + 0.35
    noise = np.random.default_rng(0).normal(0, 2, image.shape)
    photo = np.clip(cv2.GaussianBlur(image, (0, 0), 0.7) + noise, 0, 255).astype(np.uint8)
    return 255 - photo if inverted else photo


@pytest.fixture(scope="module")
def recognizer():
    return load_recognizer()


@pytest.mark.parametrize("inverted", [False, True], ids=["dark on light", "light on dark"])
@pytest.mark.parametrize("margin", [0.3, 0.8])
@pytest.mark.parametrize("text", ["0", "1", "4", "11", "10", "100", "1101", "4071"])
def test_plain_strokes_are_read_at_every_width(recognizer, text, margin, inverted):
    read = [read_page(drawn(text, pen, margin, inverted), recognizer).text.replace(" ", "") for pen in PENS]
    assert read == [text] * len(PENS)


def density(image):
    """Ink as the reader's rulings are looked for in: paper 0."""
    return np.asarray(cv2.subtract(np.full_like(image, 236), image), np.uint8)


def test_a_few_strokes_are_no_rulings():
    assert is_few_strokes(density(drawn("4071", 0.09, 0.3)), FLOOR)


def test_where_a_line_leaves_the_picture_there_may_be_rulings():
    image = drawn("4071", 0.09, 0.3)
    image[20:23] = 120
    assert not is_few_strokes(density(image), FLOOR)


@pytest.mark.parametrize(("end", "few"), [((10, 130), True), ((300, 10), False)], ids=["a one", "an underline"])
def test_a_line_that_is_thinner_than_any_digit_may_be_a_ruling(end, few):
    image = cv2.line(np.full((160, 320), 236, np.uint8), (10, 10), end, 45, 6)
    assert is_few_strokes(density(image), FLOOR) == few


def test_many_strokes_are_a_page():
    assert not is_few_strokes(density(drawn("4071" * 4, 0.09, 0.3)), FLOOR)


def test_a_table_is_not_a_few_strokes():
    image = np.full((200, 300), 236, np.uint8)
    for left in (20, 100, 180):
        cv2.rectangle(image, (left, 20), (left + 80, 120), 45, 3)
    assert not is_few_strokes(density(image), FLOOR)


@pytest.mark.parametrize(("text", "holes"), [("7", 0), ("0", 1), ("00", 2)])
def test_holes_are_counted(text, holes):
    ink = cv2.threshold(density(drawn(text, 0.09, 0.3)), 100, 1, cv2.THRESH_BINARY)[1]
    assert count_holes(ink) == holes


def test_paper_alone_has_no_strokes():
    assert not is_few_strokes(np.zeros((100, 100), np.uint8), FLOOR)


@pytest.mark.parametrize("pen", PENS)
def test_a_white_zero_is_no_sheet(pen):
    assert find_sheet(drawn("0", pen, 0.3, inverted=True)) is None


def test_a_board_behind_white_strokes_is_no_table():
    assert without_table(drawn("4071", 0.09, 0.3, inverted=True), None) is None
