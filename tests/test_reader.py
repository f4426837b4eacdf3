"""What a photo may look like and still be read: one page per difficulty, each with the same plain digits."""

import cv2
import numpy as np
import pytest
from reader_pages import BLUE, GREEN, PENCIL, RED, Sheet, grass, shapes, turned

from mnist_lit.data.digit_image import place_digit
from mnist_lit.study.page_ink import stroke
from mnist_lit.study.page_scores import same_place
from mnist_lit.use.ink import TooMuchInk
from mnist_lit.use.reader import CONFIDENCE_THRESHOLD, MOST_PIECES, read_page
from mnist_lit.use.recognizer import load_recognizer

NUMBERS = ("4071", "283", "9650")


@pytest.fixture(scope="module")
def read():
    recognizer = load_recognizer()
    return lambda image: read_page(image, recognizer)


def written(colour=(0.11, 0.11, 0.13), **options):
    """Two lines: 4071 283, 9650."""
    sheet = Sheet(**options)
    sheet.write(NUMBERS[0], 60, 70, colour=colour).write(NUMBERS[1], 420, 70, colour=colour)
    return sheet.write(NUMBERS[2], 60, 220, colour=colour)


TEXT = "4071 283\n9650"


def test_a_clean_page_gives_lines_numbers_and_digits(read):
    page = read(written().photo())
    assert page.text == TEXT
    assert [[number.text for number in line.numbers] for line in page.lines] == [["4071", "283"], ["9650"]]
    assert (page.width, page.height, page.polarity) == (700, 400, "dark on light")
    assert all(digit.confidence > 0.5 and str(digit.best) == digit.text for digit in page.digits)


def test_boxes_lie_on_the_digits(read):
    sheet = written()
    page = read(sheet.photo())
    assert all(same_place(box, digit.box) for box, digit in zip(sheet.boxes, page.digits, strict=True))
    line = page.lines[0]
    assert line.box.left == min(digit.box.left for digit in line.numbers[0].digits)
    assert line.box.right == max(digit.box.right for digit in line.numbers[1].digits)


@pytest.mark.parametrize("on_table", [False, True])
def test_a_photo_of_many_pixels_is_read_like_a_smaller_one(read, on_table):
    sheet = written()
    image = sheet.photo()
    if on_table:
        image = cv2.copyMakeBorder(image, 80, 80, 80, 80, cv2.BORDER_CONSTANT, value=(60, 45, 30))
    large = cv2.resize(image, None, fx=4, fy=4, interpolation=cv2.INTER_CUBIC)
    page = read(large)
    assert page.text == TEXT
    assert (page.width, page.height) == (large.shape[1], large.shape[0])
    boxes = 4 * (np.array(sheet.boxes) + 80 * on_table)
    assert all(same_place(box, digit.box) for box, digit in zip(boxes, page.digits, strict=True))


def test_grey_and_colour_are_read_alike(read):
    image = written().photo()
    assert read(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)).text == TEXT


def test_uneven_light_and_a_sharp_shadow(read):
    light = np.linspace(1.0, 0.55, 700, dtype=np.float32)[None].repeat(400, axis=0)
    light[:, 330:] *= 0.6
    assert read(written().photo(cv2.GaussianBlur(light, (0, 0), 3))).text == TEXT


@pytest.mark.parametrize("down", [False, True], ids=["ruled", "squared"])
def test_printed_lines(read, down):
    assert read(written().rule(34, down=down).photo()).text == TEXT


def test_a_note_on_a_dark_table(read):
    note = turned(written().photo(), 3)
    table = np.random.default_rng(1).normal(45, 6, (600, 900, 3)).clip(0, 255).astype(np.uint8)
    table[100:500, 100:800] = note
    assert read(table).text == TEXT


@pytest.mark.parametrize(
    ("width", "height", "degrees", "table"),
    [
        (300, 200, 12, (40, 40, 40)),
        (160, 120, -8, (40, 40, 40)),
        (120, 110, 0, (40, 40, 40)),
        (200, 160, 5, (190, 150, 110)),
    ],
)
def test_a_small_note_on_a_large_table(read, width, height, degrees, table):
    note = Sheet(width, height, paper=(0.95, 0.93, 0.75))
    for text, down in (("407", 0.15), ("235", 0.6)):
        note.write(text, 0.15 * width, down * height, 24, colour=BLUE)
    place = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1)
    place[:, 2] += (450 - width / 2, 300 - height / 2)
    noise = np.random.default_rng(0).normal(0, 5, (600, 900, 1))
    photo = (np.array(table) + noise).clip(0, 255).astype(np.uint8)
    on_it = cv2.warpAffine(np.ones((height, width), np.uint8), place, (900, 600)) > 0
    photo[on_it] = cv2.warpAffine(note.photo(), place, (900, 600))[on_it]
    assert read(photo).text == "407\n235"


@pytest.mark.parametrize("text", ["1", "0", "8", "11", "108"])
def test_thick_white_digits_are_no_notes(read, text):
    board = Sheet(900, 600, paper=(0.05, 0.05, 0.05)).write(text, 100, 60, 300, colour=(0.95,) * 3, thinness=0.3)
    assert read(board.photo()).text == text


def test_strips_of_a_table_at_the_border_are_no_ones(read):
    image = written().photo()
    for row in range(400):
        image[row, 690 - row // 25 :] = (50, 38, 30)
        image[row, : 8 + row // 40] = (50, 38, 30)
    assert read(image).text == TEXT


def test_print_that_shows_through_is_not_read(read):
    back = np.zeros((400, 700), np.uint8)
    for row in range(4):
        cv2.putText(back, "printed text 1234567", (10, 60 + 95 * row), cv2.FONT_HERSHEY_SIMPLEX, 1.6, 255, 4)
    sheet = written()
    sheet.light *= (1 - 0.08 * cv2.GaussianBlur(back[:, ::-1], (0, 0), 3) / 255)[..., None].astype(np.float32)
    assert read(sheet.photo()).text == TEXT


@pytest.mark.parametrize("colour", [BLUE, RED, GREEN, PENCIL], ids=["blue", "red", "green", "pencil"])
def test_coloured_ink_and_pencil(read, colour):
    assert read(written(colour).photo()).text == TEXT


def test_two_inks_on_yellow_paper(read):
    sheet = Sheet(paper=(0.97, 0.93, 0.74)).write("4071", 60, 70, colour=BLUE).write("9650", 60, 220, colour=RED)
    assert read(sheet.photo()).text == "4071\n9650"


@pytest.mark.parametrize("degrees", [-6, 6])
def test_tilt(read, degrees):
    sheet = Sheet(800, 600).write("4071", 160, 170).write("283", 480, 170).write("9650", 160, 320)
    assert read(turned(sheet.photo(), degrees)).text == TEXT


def test_columns(read):
    sheet = Sheet(700, 420)
    for row, (left, right) in enumerate([("40", "17"), ("8", "295"), ("63", "0")]):
        sheet.write(left, 60, 40 + 120 * row).write(right, 420, 40 + 120 * row)
    assert read(sheet.photo()).text == "40 17\n8 295\n63 0"


def number_after(sheet, space, height=60):
    """Where a number begins that stands `space` digit heights after the last digit."""
    return sheet.boxes[-1][2] + space * height


@pytest.mark.parametrize(
    ("gap", "space", "text"), [(0.1, 0.55, "4071 965"), (0.4, 0.6, "4071965"), (0.4, 0.9, "4071 965")]
)
def test_what_is_a_space_depends_on_how_tightly_a_line_is_written(read, gap, space, text):
    sheet = Sheet(900, 200).write("4071", 60, 70, gap=gap)
    sheet.write("965", number_after(sheet, space), 70, gap=gap)
    assert read(sheet.photo()).text == text


def test_two_digits_far_apart_without_others_to_compare_with_are_one_number(read):
    sheet = Sheet().write("4", 60, 70)
    assert read(sheet.write("7", number_after(sheet, 0.55), 70).photo()).text == "47"


def test_lines_that_climb(read):
    sheet = Sheet(900, 420)
    for row, text in enumerate(("4071", "9650")):
        for place in range(2):
            sheet.write(text, 60 + 420 * place, 120 + 140 * row, climb=0.07)
    assert read(sheet.photo()).text == "4071 4071\n9650 9650"


@pytest.mark.parametrize("height", [26, 130])
def test_small_and_large_writing(read, height):
    sheet = Sheet(12 * height, 4 * height).write("4071", height, height, height).write("28", 7 * height, height, height)
    assert read(sheet.photo()).text == "4071 28"


def test_digits_of_different_sizes_on_one_line(read):
    sheet = Sheet().write("40", 60, 70, 60).write("71", 250, 62, 78).write("28", 450, 80, 46)
    assert read(sheet.photo()).text == "40 71 28"


@pytest.mark.parametrize(("height", "step"), [(22, 60), (24, 90)])
def test_zeros_smaller_than_the_rest(read, height, step):
    sheet = Sheet(900, 200).write("51", 60, 60, 60)
    for place in range(3):
        sheet.write("0", 190 + step * place, 86, height)
    assert read(sheet.write("6", 190 + 3 * step, 60, 60).photo()).text.replace(" ", "") == "510006"


@pytest.mark.parametrize("height", [50, 70])
def test_wide_twos_are_one_digit_each(read, height):
    sheet = Sheet(1100, 200)
    for place, (digit, width) in enumerate(((2, 2.3), (4, 1), (2, 2.3), (5, 1), (2, 2.3))):
        ink = stroke(shapes()[digit], height, 0.6)
        sheet.put(cv2.resize(ink, (round(width * ink.shape[1]), ink.shape[0])), 40 + 200 * place, 60)
    assert read(sheet.photo()).text.replace(" ", "") == "24252"


def test_touching_digits_are_two(read):
    sheet = Sheet(400, 200)
    first, second = stroke(shapes()[2], 70, 0.55), stroke(shapes()[3], 70, 0.55)
    sheet.put(first, 60, 60)
    sheet.put(second, 60 + first.shape[1] - 6, 60)
    sheet.write("4", 260, 60, 70)
    image = sheet.photo()
    joined = image[60:130, 56 + first.shape[1] - 8 : 56 + first.shape[1] + 6].min(axis=2).min(axis=0)
    assert (joined < 128).all()  # the ink does meet
    assert read(image).text.replace(" ", "") == "234"


def test_a_five_with_a_loose_bar_is_one_digit(read):
    five = np.zeros((80, 60), np.float32)
    cv2.polylines(five, [np.array([[14, 14], [12, 34], [28, 32], [42, 44], [40, 62], [24, 72], [8, 68]])], False, 1, 6)
    cv2.line(five, (24, 10), (50, 8), 1, 6)
    assert cv2.connectedComponents((five > 0.5).astype(np.uint8))[0] == 3  # the paper, the body, the bar
    sheet = Sheet(500, 200).write("2", 60, 60, 76)
    sheet.put(cv2.GaussianBlur(five, (0, 0), 1), 170, 58)
    sheet.write("7", 280, 60, 76)
    assert read(sheet.photo()).text.replace(" ", "") == "257"


def test_a_thin_one_counts_for_more_than_a_mark_beside_it(read):
    image = np.full((424, 225, 3), (222, 211, 210), np.uint8)
    cv2.line(image, (112, 22), (114, 388), (165, 80, 60), 24, cv2.LINE_AA)
    cv2.line(image, (0, 186), (10, 196), (190, 140, 130), 3, cv2.LINE_AA)
    grain = cv2.GaussianBlur(np.random.default_rng(2).normal(0, 20, image.shape[:2]), (0, 0), 1.5)[..., None]
    assert read((image + grain).clip(0, 255).astype(np.uint8)).text == "1"


def test_specks_are_not_read(read):
    sheet = written()
    rng = np.random.default_rng(3)
    for x, y in zip(rng.integers(20, 680, 30), rng.integers(20, 380, 30), strict=True):
        if all(not (left - 9 < x < right + 9 and top - 9 < y < low + 9) for left, top, right, low in sheet.boxes):
            cv2.circle(sheet.light, (int(x), int(y)), 2, (0.3, 0.3, 0.3), -1)
    assert read(sheet.photo()).text == TEXT


def test_white_on_black(read):
    page = read(255 - written().photo())
    assert (page.text, page.polarity) == (TEXT, "light on dark")


@pytest.mark.parametrize("paper", [0.95, 0.5, 0.08])
def test_an_empty_page_gives_an_empty_answer(read, paper):
    page = read(Sheet(paper=(paper,) * 3).photo(noise=0.02))
    assert (page.lines, page.digits, page.text) == ((), (), "")


def test_ruled_paper_without_writing_gives_an_empty_answer(read):
    assert read(Sheet().rule(34, down=True).photo()).text == ""


def test_a_picture_with_more_ink_than_a_page_of_numbers_is_refused(read):
    blades = 56
    assert blades**2 > MOST_PIECES
    with pytest.raises(TooMuchInk, match=rf"^{blades**2:,} pieces of ink: more than the {MOST_PIECES:,} that are read"):
        read(grass(blades, 1120))


class Unsure:
    """A recognizer whose best answer is always 8, with the confidence it was given."""

    def __init__(self, confidence):
        self.confidence = confidence

    def probabilities(self, images):
        rows = np.full((len(images), 10), (1 - self.confidence) / 9, np.float32)
        rows[:, 8] = self.confidence
        return rows


@pytest.mark.parametrize(("above", "text"), [(0.01, "8"), (-0.01, "?")])
def test_below_the_threshold_stands_a_question_mark(above, text):
    page = read_page(Sheet(300, 200).write("8", 120, 60, 70).photo(), Unsure(CONFIDENCE_THRESHOLD + above))
    assert page.text == text
    assert [digit.best for digit in page.digits] == [8]
    assert page.digits[0].confidence == pytest.approx(CONFIDENCE_THRESHOLD + above, abs=1e-5)


def test_an_image_of_mnists_size_is_one_digit(read):
    for digit, image in enumerate(shapes()):
        page = read(image)
        assert (page.text, page.polarity, page.width) == (str(digit), "light on dark", 28)
    assert read(np.zeros((28, 28), np.uint8)).text == ""


def test_a_number_with_a_circle_around_it(read):
    sheet = written()
    cv2.ellipse(sheet.light, (178, 100), (155, 62), 4, 0, 360, (0.15, 0.15, 0.2), 4)
    assert read(sheet.photo()).text == TEXT


def test_a_heading_in_large_digits(read):
    sheet = Sheet(900, 700).write("283", 80, 60, height=180)
    sheet.write("4071", 80, 340, height=70).write("965018", 80, 500, height=70)
    assert read(sheet.photo()).text == "283\n4071\n965018"


def test_what_the_network_saw_is_an_mnist_digit(read):
    seen = read(Sheet(300, 200).write("3", 120, 60, 70).photo()).digits[0].image
    plain = place_digit(stroke(shapes()[3], 70, 0.55))
    assert (seen.shape, seen.dtype) == ((28, 28), np.uint8)
    assert np.corrcoef(seen.ravel(), plain.ravel())[0, 1] > 0.85


@pytest.mark.parametrize(
    "image",
    [np.zeros((9, 9), np.float32), np.zeros((0, 5), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros(9, np.uint8)],
    ids=["float", "empty", "four channels", "flat"],
)
def test_other_arrays_are_refused(read, image):
    with pytest.raises(ValueError, match="image must be uint8"):
        read(image)


@pytest.mark.parametrize("shape", [(1, 1), (3, 400), (400, 3), (1, 1, 3), (40, 40)])
def test_odd_shapes_do_no_harm(read, shape):
    noise = np.random.default_rng(0).integers(0, 255, shape).astype(np.uint8)
    page = read(noise)
    assert all(0 <= digit.box.left < digit.box.right <= shape[1] for digit in page.digits)
    assert all(0 <= digit.box.top < digit.box.bottom <= shape[0] for digit in page.digits)
