"""Generated pages: the same call gives the same page, and the truth is where the ink is."""

import dataclasses

import cv2
import numpy as np
import pytest

from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.study import page_looks
from mnist_lit.study.page_ink import break_stroke, stroke
from mnist_lit.study.page_looks import Range, draw_look
from mnist_lit.study.pages import GRADES, make_page

EXPECTED = {
    "easy": (1134, 1512, 3, "blue", "off-white", "", 97),
    "medium": (1134, 1512, 3, "pencil", "yellow", "dark", 87),
    "hard": (1210, 1614, 4, "pencil", "recycled", "dark", 77),
}
EXPECTED_TILT = -5.1234162
NOTHING = Range(0.0, 0.0)
CLEAN = {
    "inks": {"black": 1.0},
    "second_ink": 0.0,
    "fading": NOTHING,
    "papers": {"white": 1.0},
    "rulings": {"plain": 1.0},
    "margin_line": 0.0,
    "back": 0.0,
    "specks": (0, 0),
    "smudges": (0, 0),
    "board": 0.0,
    "falloff": NOTHING,
    "soft_shadow": 0.0,
    "hard_shadow": 0.0,
    "blur": NOTHING,
    "noise": NOTHING,
    "jpeg": (98, 98),
}


@pytest.fixture(scope="module")
def digits():
    whole = read_set(BUNDLED, "train")
    return whole.images[:2000], whole.labels[:2000]


@pytest.fixture
def clean_grade(monkeypatch):
    """Make one grade one of black ink on evenly lit white paper, its geometry as it is."""

    def clean(name, **changes):
        grade = dataclasses.replace(page_looks.GRADES[name], **{**CLEAN, **changes})
        monkeypatch.setitem(page_looks.GRADES, name, grade)

    return clean


def dark(page):
    """Ink on a clean page, bool `(H, W)`; the dark table does not count."""
    grey = cv2.cvtColor(page.image, cv2.COLOR_RGB2GRAY)
    return (grey < 130).astype(np.uint8)


def components(mask):
    """Boxes (left, top, right, bottom) of connected components of at least 6 pixels, and the label image."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    found = {i: s for i, s in enumerate(stats) if i and s[cv2.CC_STAT_AREA] >= 6}
    return {i: (s[0], s[1], s[0] + s[2], s[1] + s[3]) for i, s in found.items()}, labels


@pytest.mark.parametrize("grade", GRADES)
def test_the_same_call_gives_the_same_page(grade, digits):
    one, other = (make_page(grade, 3, *digits, long_side=480) for _ in range(2))
    assert np.array_equal(one.image, other.image)
    assert (one.lines, one.look) == (other.lines, other.look)


def test_another_seed_gives_another_page(digits):
    one, other = (make_page("easy", seed, *digits, long_side=480) for seed in (3, 4))
    assert one.text != other.text


def test_other_digits_are_written_onto_a_page_of_the_same_look(digits):
    images, labels = digits
    one, other = (
        make_page("hard", 5, images[half], labels[half], long_side=480) for half in (slice(0, 900), slice(900, None))
    )
    assert one.look == other.look
    assert one.text != other.text


def test_grades_are_what_they_were_when_the_published_scores_were_taken():
    looks = {name: draw_look(grade, np.random.default_rng(1)) for name, grade in page_looks.GRADES.items()}
    assert {n: (k.width, k.height, k.lines, k.ink, k.paper, k.table, k.jpeg) for n, k in looks.items()} == EXPECTED
    assert looks["hard"].tilt == pytest.approx(EXPECTED_TILT, abs=1e-6)


@pytest.mark.parametrize("grade", GRADES)
@pytest.mark.parametrize("seed", [0, 1])
def test_truth_is_in_the_picture_and_in_reading_order(grade, seed, digits):
    page = make_page(grade, seed, *digits, long_side=640)
    assert page.image.dtype == np.uint8
    assert sorted(page.image.shape[:2]) == [480, 640]
    assert page.image.shape == (page.look.height, page.look.width, 3)
    for digit in page.digits:
        left, top, right, bottom = digit.box
        assert 0 < left < right < page.look.width
        assert 0 < top < bottom < page.look.height
        assert digit.text == str(digits[1][digit.index])
    tops = [line.numbers[0].box.top for line in page.lines]
    assert tops == sorted(tops)
    for line in page.lines:
        lefts = [digit.box.left for number in line.numbers for digit in number.digits]
        assert lefts == sorted(lefts)
        assert line.text == " ".join(number.text for number in line.numbers)


def test_no_digit_is_used_twice_while_others_wait(digits):
    page = make_page("hard", 9, *digits, long_side=640)
    indices = [digit.index for digit in page.digits]
    assert len(set(indices)) == len(indices) > 25


def test_few_digits_fill_a_page_by_coming_again(digits):
    images, labels = digits
    page = make_page("hard", 9, images[:3], labels[:3], long_side=640)
    assert {digit.index for digit in page.digits} == {0, 1, 2}
    assert len(page.digits) > 25


@pytest.mark.parametrize(("grade", "seed"), [("easy", 1), ("medium", 2), ("hard", 6), ("hard", 10)])
def test_boxes_are_tight_around_the_ink_whatever_the_view(grade, seed, digits, clean_grade):
    clean_grade(grade, touching=0.0, broken=0.0, table=0.0)
    page = make_page(grade, seed, *digits, long_side=900)
    mask = dark(page)
    outside = mask.copy()
    for left, top, right, bottom in (digit.box for digit in page.digits):
        slack = max(3, round(0.1 * max(right - left, bottom - top)))  # the pale end of a stroke
        outside[top - slack : bottom + slack, left - slack : right + slack] = 0
        inner = mask[top:bottom, left:right]
        rows, columns = np.flatnonzero(inner.any(axis=1)), np.flatnonzero(inner.any(axis=0))
        assert rows[0] <= slack
        assert columns[0] <= slack
        assert rows[-1] >= inner.shape[0] - 1 - slack
        assert columns[-1] >= inner.shape[1] - 1 - slack
    assert outside.sum() == 0


def test_boxes_lie_on_the_note_when_it_lies_on_a_table(digits, clean_grade):
    clean_grade("hard", table=1.0, touching=0.0)
    page = make_page("hard", 2, *digits, long_side=1000)
    assert page.look.table
    assert page.image[:8, :8].mean() < 120  # the table
    for left, top, right, bottom in (digit.box for digit in page.digits):
        around = page.image[[top - 4, bottom + 3]][:, [left - 4, right + 3]]
        assert np.median(around) > 180  # the paper


def test_digits_of_easy_pages_do_not_touch(digits, clean_grade):
    clean_grade("easy")
    page = make_page("easy", 0, *digits, long_side=1000)
    found, labels = components(dark(page))
    owners = {label: set() for label in found}
    for i, digit in enumerate(page.digits):
        left, top, right, bottom = digit.box
        inside, counts = np.unique(labels[top:bottom, left:right], return_counts=True)
        for label, count in zip(inside, counts, strict=True):
            if label in found and count > 5:
                owners[label].add(i)
    assert all(len(those) == 1 for those in owners.values())
    assert len(page.digits) > 20


def test_touching_digits_touch_and_say_so(digits, clean_grade):
    clean_grade("hard", touching=1.0, broken=0.0, table=0.0)
    page = make_page("hard", 11, *digits, long_side=1000)
    mask = dark(page)
    numbers = [number for line in page.lines for number in line.numbers if len(number.digits) == 2]
    said = [number for number in numbers if all(digit.is_touching for digit in number.digits)]
    assert len(said) > 0.6 * len(numbers) > 3
    for number in said:
        left, top, right, bottom = number.box
        _, labels = components(mask[top:bottom, left:right])
        one, other = (labels[:, d.box.left - left : d.box.right - left] for d in number.digits)
        assert set(np.unique(one)) & set(np.unique(other)) - {0}


def test_a_break_cuts_a_stroke_in_two_and_no_more():
    ink = np.zeros((100, 20), np.float32)
    ink[5:95, 6:14] = 1
    broken = break_stroke(ink, 90, np.random.default_rng(0))
    found, _ = components((broken > 0.5).astype(np.uint8))
    assert len(found) == 2
    assert 0.02 * 90 < (ink > 0.5).any(axis=1).sum() - (broken > 0.5).any(axis=1).sum() < 0.1 * 90


def test_what_has_no_stroke_stays_whole():
    blob = np.ones((40, 40), np.float32)
    assert break_stroke(blob, 40, np.random.default_rng(0)) is blob


def test_enlarged_strokes_are_those_of_the_digit(digits):
    more = 0
    for image in digits[0][:150]:
        ink = stroke(image, 80.0, 0.6)
        assert ink.min() >= 0
        assert ink.max() == pytest.approx(1, abs=0.02)
        assert ink[0].max() > 0.1
        assert ink[:, -1].max() > 0.1
        rows, columns = np.nonzero(image > 100)
        assert ink.shape[0] == pytest.approx(4 * (np.ptp(rows) + 1), abs=9)
        assert ink.shape[1] == pytest.approx(4 * (np.ptp(columns) + 1), abs=9)
        parts = len(components((ink > 0.5).astype(np.uint8))[0])
        more += parts > len(components((image > 100).astype(np.uint8))[0]) + 1
    assert more <= 3


def test_chalk_is_light_on_a_dark_board(digits, clean_grade):
    clean_grade("hard", board=1.0)
    page = make_page("hard", 0, *digits, long_side=1000)
    assert page.look.is_board
    grey = cv2.cvtColor(page.image, cv2.COLOR_RGB2GRAY)
    assert np.median(grey) < 90
    for left, top, right, bottom in (digit.box for digit in page.digits):
        assert grey[top:bottom, left:right].max() > 120


def test_easy_pages_have_none_of_the_difficulties():
    for seed in range(120):
        look = draw_look(page_looks.GRADES["easy"], np.random.default_rng(seed))
        assert abs(look.tilt) <= 2
        assert (look.climb, look.table, look.soft_shadow, look.hard_shadow, look.back_strength) == (0, "", 0, 0, 0)
        assert look.paper != "board"


def test_hard_pages_have_each_difficulty_often():
    looks = [draw_look(page_looks.GRADES["hard"], np.random.default_rng(seed)) for seed in range(120)]
    assert 0.45 < np.mean([look.table != "" for look in looks]) < 0.7
    assert 0.6 < np.mean([look.ruling != "plain" for look in looks]) < 0.95
    assert 0.4 < np.mean([look.back_strength > 0 for look in looks]) < 0.7
    assert 0.7 < np.mean([look.soft_shadow + look.hard_shadow > 0 for look in looks]) < 0.95
    assert 0.05 < np.mean([look.is_board for look in looks]) < 0.2
    assert max(abs(look.tilt) for look in looks) > 6
    assert {look.ink for look in looks} == {"black", "blue", "red", "green", "pencil", "chalk"}


@pytest.mark.slow
def test_a_page_of_twelve_megapixels(digits):
    page = make_page("hard", 1, *digits, long_side=4000)
    assert page.image.shape[0] * page.image.shape[1] == 12_000_000
    assert min(digit.box.bottom - digit.box.top for digit in page.digits) > 25


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"grade": "simple"}, "grade: 'simple' is none of easy, medium, hard"),
        ({"seed": -1}, "seed: -1 is negative"),
        ({"digits": np.zeros((0, 28, 28), np.uint8), "labels": np.zeros(0, np.uint8)}, "digits"),
        ({"digits": np.zeros((2, 28, 28), np.float32)}, "digits: float32"),
        ({"digits": np.zeros((2, 8, 8), np.uint8)}, "digits: uint8"),
        ({"labels": np.zeros(3, np.uint8)}, "with 3 labels"),
    ],
)
def test_what_cannot_be_a_page_is_refused(change, message):
    values = {
        "grade": "easy", "seed": 0, "digits": np.full((2, 28, 28), 255, np.uint8), "labels": np.zeros(2, np.uint8)
    }  # fmt: skip
    with pytest.raises(ValueError, match=message):
        make_page(**{**values, **change})
