"""Pictures that a few bold digits fill: cut out of MNIST and enlarged, or on a card that lies on a table."""

import cv2
import numpy as np
import pytest
from reader_pages import Sheet, shapes, turned

from mnist_lit.study.page_digits import load_digits
from mnist_lit.study.page_scores import same_place
from mnist_lit.study.pages import make_page
from mnist_lit.use.closeup import find_closeup
from mnist_lit.use.reader import read_page
from mnist_lit.use.recognizer import load_recognizer
from mnist_lit.use.sheet import find_sheet, without_table


@pytest.fixture(scope="module")
def read():
    recognizer = load_recognizer()
    return lambda image: read_page(image, recognizer)


def closeup_of(image):
    darkest = image if image.ndim == 2 else image.min(axis=2)
    return find_closeup(image, without_table(darkest, find_sheet(darkest)))


@pytest.mark.parametrize("polarity", ["light on dark", "dark on light"])
@pytest.mark.parametrize("height", [80, 600, 2600])
@pytest.mark.parametrize("margin", [0, 0.2])
def test_a_picture_that_one_bold_digit_fills(read, margin, height, polarity):
    for digit, image in enumerate(shapes()):
        top, bottom, left, right = extent(image)
        cut = image[top:bottom, left:right]
        around = round(margin * len(cut))
        framed = cv2.copyMakeBorder(cut, *[around] * 4, cv2.BORDER_CONSTANT)
        scale = height / len(cut)
        large = cv2.resize(framed, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        page = read(large if polarity == "light on dark" else 255 - large)
        assert (page.text, page.polarity) == (str(digit), polarity)
        box = page.digits[0].box
        place = (around, around, around + right - left, around + bottom - top)
        found = (box.left, box.top, box.right, box.bottom)
        assert np.allclose(found, np.multiply(place, scale), atol=0.12 * height), (digit, found)


def extent(image):
    rows, columns = np.flatnonzero((image > 60).any(axis=1)), np.flatnonzero((image > 60).any(axis=0))
    return rows[0], rows[-1] + 1, columns[0], columns[-1] + 1


def test_two_bold_digits_in_a_picture(read):
    pair = np.concatenate([shapes()[4], shapes()[2]], axis=1)
    assert read(255 - cv2.resize(pair, None, fx=6, fy=6, interpolation=cv2.INTER_CUBIC)).text in ("42", "4 2")


def test_a_page_and_a_bright_strip_get_no_margin():
    strip = np.full((400, 600, 3), 30, np.uint8)
    strip[100:240] = 230
    cv2.putText(strip, "4711 0815 2357", (10, 190), cv2.FONT_HERSHEY_SIMPLEX, 2, (20, 20, 20), 4)
    noise = np.random.default_rng(0).integers(0, 255, (50, 60)).astype(np.uint8)
    page = Sheet().write("4071", 60, 70).write("283", 420, 70).write("9650", 60, 220).photo()
    for image in (page, strip, noise, np.zeros((9, 9), np.uint8)):
        assert closeup_of(image) is None


def test_a_sheet_half_in_shadow_on_a_dark_table_gets_no_margin():
    digits = load_digits("validation")
    page = make_page("hard", 932, digits.images, digits.labels)  # its lit part is as wide as a bold stroke
    assert closeup_of(page.image) is None


def on_table(card, table, degrees=0.0, width=800, height=600):
    """A photo `(H, W, 3)` of a card, turned clockwise, in the middle of a table of one colour with some grain."""
    matrix = cv2.getRotationMatrix2D((card.shape[1] / 2, card.shape[0] / 2), -degrees, 1.0)
    matrix[:, 2] += (width - card.shape[1]) / 2, (height - card.shape[0]) / 2
    covered = cv2.warpAffine(np.ones(card.shape[:2], np.float32), matrix, (width, height))[..., None]
    grain = np.random.default_rng(2).normal(0, 5, (height, width, 3))
    seen = cv2.warpAffine(card, matrix, (width, height)) * covered + (np.array(table) + grain) * (1 - covered)
    return cv2.GaussianBlur(np.clip(seen, 0, 255).astype(np.uint8), (0, 0), 0.8), matrix


@pytest.mark.parametrize("table", [(28, 26, 25), (96, 66, 44)], ids=["black", "wood"])
@pytest.mark.parametrize("share", [0.6, 0.85])
@pytest.mark.parametrize(
    ("number", "height"), [("3", 0.4), ("5", 0.6), ("0", 0.6), ("8", 0.7), ("27", 0.35), ("40", 0.5), ("912", 0.4)]
)
def test_a_large_number_on_a_card_on_a_table(read, number, height, share, table):
    width, tall = round(800 * share), round(600 * share)
    card = Sheet(width, tall)
    card.write(number, 0.1 * width, (1 - height) / 2 * tall, height=round(height * tall), gap=0.15)
    light = np.linspace(1.0, 0.7, width, dtype=np.float32)[None].repeat(tall, axis=0)
    for degrees in (0, 4):
        photo, matrix = on_table(card.photo(light), table, degrees)
        page = read(photo)
        assert (page.text, page.polarity) == (number, "dark on light")
        for digit, (left, top, right, bottom) in zip(page.digits, card.boxes, strict=True):
            corners = np.array([(x, y, 1) for x in (left, right) for y in (top, bottom)]) @ matrix.T
            assert same_place((*corners.min(axis=0), *corners.max(axis=0)), digit.box)


def test_an_empty_card_on_a_table_says_nothing(read):
    for share in (0.4, 0.8):
        card = Sheet(round(800 * share), round(600 * share)).photo()
        assert read(on_table(card, (40, 40, 40), 3)[0]).text == ""


def test_a_card_that_reaches_beyond_the_photo(read):
    card = turned(Sheet(760, 560).write("7", 260, 120, height=330).photo(), 2)
    photo, _ = on_table(card, (40, 40, 40))
    for cut in (np.s_[40:, :], np.s_[:, 60:], np.s_[:-50, :-50]):
        assert read(np.ascontiguousarray(photo[cut])).text == "7"
