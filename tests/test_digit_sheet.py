"""One digit on a card on a table, given to `predict`: the table is no ink."""

import cv2
import numpy as np
import pytest
from reader_pages import Sheet, shapes

from mnist_lit.data.digit_image import digit_from_image
from mnist_lit.data.digit_sheet import evenly_lit, find_written_sheet, is_rectangle
from mnist_lit.use.recognizer import load_recognizer


def photo(digit, height=0.5, share=0.75, degrees=5.0, table=45):
    """Grey `(450, 600)`: a card with one digit on it, under slanting light, turned, on a table."""
    width, tall = round(600 * share), round(450 * share)
    card = Sheet(width, tall).write(digit, 0.4 * width, 0.22 * tall, height=round(height * tall))
    light = np.linspace(1.0, 0.65, width, dtype=np.float32)[None].repeat(tall, axis=0)
    seen = card.photo(light)[..., 1]
    matrix = cv2.getRotationMatrix2D((width / 2, tall / 2), degrees, 1.0)
    matrix[:, 2] += (600 - width) / 2, (450 - tall) / 2
    ground = (table + np.random.default_rng(3).normal(0, 5, (450, 600))).astype(np.uint8)
    covered = cv2.warpAffine(np.ones_like(seen), matrix, (600, 450), flags=cv2.INTER_NEAREST) > 0
    return np.where(covered, cv2.warpAffine(seen, matrix, (600, 450)), ground)


@pytest.mark.parametrize(("height", "share", "table"), [(0.35, 0.6, 30), (0.5, 0.75, 45), (0.65, 0.85, 80)])
def test_the_digit_on_a_card_is_seen_without_the_table(height, share, table):
    recognizer = load_recognizer()
    for digit in "0123456789":
        image = digit_from_image(photo(digit, height, share, table=table))
        assert (image.has_ink, image.polarity) == (True, "dark on light")
        assert recognizer.probabilities(image.pixels[None])[0].argmax() == int(digit)


def test_the_sheet_is_where_it_is():
    sheet = find_written_sheet(photo("3", degrees=0.0))
    rows, columns = np.flatnonzero(sheet.any(axis=1)), np.flatnonzero(sheet.any(axis=0))
    assert (rows[0], rows[-1], columns[0], columns[-1]) == pytest.approx((56, 393, 75, 524), abs=14)


def test_what_is_no_written_sheet_on_a_table():
    empty = np.full((300, 400), 40, np.uint8)
    empty[60:240, 80:320] = 230
    page = Sheet(400, 300).write("8", 150, 90, 120).photo()[..., 1]
    for image in (empty, page, 255 - page, np.zeros((300, 400), np.uint8), np.zeros((1, 1), np.uint8)):
        assert find_written_sheet(image) is None
    for shape in shapes():
        for side in (28, 56, 140):
            assert find_written_sheet(cv2.resize(shape, (side, side), interpolation=cv2.INTER_CUBIC)) is None


def test_a_rectangle_may_be_turned_and_have_holes_and_an_ellipse_is_none():
    mask = np.zeros((200, 200), np.uint8)
    cv2.fillPoly(mask, [np.array([[60, 20], [180, 60], [140, 180], [20, 140]])], 1)
    mask[80:110, 90:100] = 0
    assert is_rectangle(mask)
    assert not is_rectangle(cv2.ellipse(np.zeros((200, 200), np.uint8), (100, 100), (80, 50), 20, 0, 360, 1, -1))


def test_light_and_table_are_taken_away():
    light = np.linspace(1.0, 0.6, 200)[None].repeat(100, axis=0)
    image = (220 * light).astype(np.uint8)[..., None].repeat(3, axis=2)
    image[40:60, 90:100] = 30
    inside = np.ones((100, 200), bool)
    inside[:, :20] = False
    image[:, :20] = 10
    even = evenly_lit(image, inside)
    paper = np.ones((100, 200), bool)
    paper[40:60, 90:100] = False
    assert int(even[paper].max()) - int(even[paper].min()) < 8
    assert even[40:60, 90:100].max() < 60
    assert np.array_equal(evenly_lit(image, np.zeros((100, 200), bool)), image)
