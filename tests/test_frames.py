"""Printed frames go, as on forms, and the digits in them stay."""

import cv2
import numpy as np
import pytest
from reader_pages import Sheet, shapes, turned

from mnist_lit.study.page_digits import load_digits
from mnist_lit.use.frames import without_frames
from mnist_lit.use.reader import read_page
from mnist_lit.use.recognizer import load_recognizer

LINE = (0.25, 0.25, 0.27)


@pytest.fixture(scope="module")
def read():
    recognizer = load_recognizer()
    return lambda image: read_page(image, recognizer)


def form(number, box=(90, 120), gap=0, height=70, thickness=3):
    """A row of boxes with a digit in each; without a gap they share their sides. A space leaves a box empty."""
    sheet = Sheet(100 + (box[0] + gap) * len(number) + 100, 340)
    for place, digit in enumerate(number):
        left = 100 + place * (box[0] + gap)
        cv2.rectangle(sheet.light, (left, 100), (left + box[0], 100 + box[1]), LINE, thickness)
        if digit != " ":
            sheet.write(digit, left + 20, 100 + (box[1] - height) // 2, height=height)
    return sheet


@pytest.mark.parametrize("gap", [0, 30], ids=["a row of boxes", "boxes apart"])
@pytest.mark.parametrize("degrees", [0, 3])
def test_a_digit_in_every_box(read, gap, degrees):
    page = read(turned(form("40712839", gap=gap).photo(), degrees))
    assert page.text.replace(" ", "") == "40712839"


def test_a_table_of_numbers(read):
    sheet = Sheet(760, 520)
    for row in range(3):
        for column, digit in enumerate(("17", "4", "30")[row:] + ("17", "4", "30")[:row]):
            left, top = 80 + 200 * column, 60 + 130 * row
            cv2.rectangle(sheet.light, (left, top), (left + 200, top + 130), LINE, 3)
            sheet.write(digit, left + 40, top + 30, height=60)
    assert read(sheet.photo()).text == "17 4 30\n4 30 17\n30 17 4"


def test_empty_boxes_say_nothing(read):
    assert read(form("     ", gap=25).photo()).text == ""
    assert read(form("4 7  1", gap=25).photo()).text.replace(" ", "") == "471"


def test_a_digit_that_touches_its_box_keeps_its_ink():
    density = np.zeros((160, 140), np.uint8)
    cv2.rectangle(density, (20, 20), (120, 140), 150, 3)
    alone = np.zeros_like(density)
    digit = cv2.resize(shapes()[4], (100, 100), interpolation=cv2.INTER_CUBIC)
    rows, columns = np.flatnonzero(digit.max(axis=1) > 60), np.flatnonzero(digit.max(axis=0) > 60)
    ink = digit[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    alone[45 : 45 + ink.shape[0], 21 : 21 + ink.shape[1]] = ink  # on the left line
    left = without_frames(np.maximum(density, alone), 15.0, 200)
    inner = alone > 128
    inner[:, :30] = False
    assert left[inner].mean() > 0.9 * alone[inner].mean()
    assert left[20:24, 40:100].max() == 0
    assert left[60:, 117:].max() == 0


def test_a_page_without_frames_is_left_as_it_is():
    density = np.zeros((200, 900), np.uint8)
    for digit, shape in enumerate(shapes()):
        density[40:124, 20 + 85 * digit : 104 + 85 * digit] = cv2.resize(shape, (84, 84))
    assert without_frames(density, 15.0, 200) is density


def test_a_large_frame_is_left_to_the_rulings():
    density = np.zeros((400, 500), np.uint8)
    cv2.rectangle(density, (20, 20), (480, 380), 150, 3)
    assert without_frames(density, 15.0, 200) is density
    assert without_frames(density, 15.0, 400).max() == 0


def test_no_digit_is_taken_for_a_frame():
    digits = load_digits("validation")
    for image in digits.images[digits.labels == 0]:
        large = cv2.resize(image, (70, 70), interpolation=cv2.INTER_CUBIC)
        assert without_frames(large, 100.0, 200) is large
