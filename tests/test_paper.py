"""From a photo to its ink: what is paper, table, light or ruling leaves nothing behind."""

import cv2
import numpy as np
import pytest
from reader_pages import Sheet, turned

from mnist_lit.use.arrays import resized
from mnist_lit.use.paper import find_polarity, map_ink
from mnist_lit.use.rulings import find_tilt, opened, without_rulings
from mnist_lit.use.sheet import find_sheet, without_table


def ink_of(image, **options):
    return map_ink(image, 1.0, "dark on light", None, **{"reach": 50, "length": 160, "tilt": 0.0, **options})


def on_table(note, size=(600, 900), level=45):
    table = np.full((*size, 3), level, np.uint8)
    top, left = (size[0] - note.shape[0]) // 2, (size[1] - note.shape[1]) // 2
    table[top : top + note.shape[0], left : left + note.shape[1]] = note
    return table


@pytest.mark.parametrize("level", [1.0, 0.6, 0.35])
def test_ink_is_as_dark_in_shadow_as_in_light(level):
    ink = ink_of(Sheet(300, 200).write("8", 120, 60, 70).photo(level, noise=0.0)).ink
    assert 190 < np.percentile(ink[60:130, 120:190], 99) < 240


def test_paper_is_without_ink_under_a_shadow_with_an_edge():
    light = np.ones((300, 500), np.float32)
    light[:, 250:] = 0.55
    ink = ink_of(Sheet(500, 300).photo(cv2.GaussianBlur(light, (0, 0), 4), noise=0.005)).ink
    assert ink[20:-20, 20:-20].max() < 40


def test_noise_is_measured():
    quiet, loud = (ink_of(Sheet(300, 200).photo(noise=noise)).noise for noise in (0.005, 0.04))
    assert loud > 2 * quiet


def test_ink_of_every_colour_is_found():
    for colour in ((0.7, 0.13, 0.16), (0.13, 0.2, 0.55), (0.08, 0.4, 0.22)):
        ink = ink_of(Sheet(300, 200).write("8", 120, 60, 70, colour=colour).photo()).ink
        assert np.percentile(ink[60:130, 120:190], 95) > 110


def test_rulings_go_and_strokes_stay():
    plain = Sheet(500, 300).write("4071", 60, 100).photo(noise=0.0)
    ruled = Sheet(500, 300).write("4071", 60, 100).rule(40, down=True).photo(noise=0.0)
    before, after = ink_of(plain).ink.astype(int), ink_of(ruled).ink.astype(int)
    strokes = before > 120
    assert after[strokes].mean() > 0.85 * before[strokes].mean()
    assert np.percentile(after[before < 5], 99) < 30


def test_a_ruling_goes_and_a_stroke_shorter_than_it_stays():
    density = np.zeros((100, 400), np.uint8)
    density[50:52], density[20:22, 100:160] = 60, 60
    left = without_rulings(density, 150)
    assert left[50:52].max() == 0
    assert left[20:22, 110:150].min() == 60


@pytest.mark.parametrize("degrees", [-7.0, -2.0, 0.0, 5.0])
def test_the_tilt_of_rulings_is_found(degrees):
    ink = ink_of(turned(Sheet(600, 500).rule(40).photo(), degrees), length=10_000).ink
    assert find_tilt(ink) == pytest.approx(degrees, abs=0.4)


def test_a_tilted_page_is_levelled_and_its_places_are_kept():
    image = turned(Sheet(600, 500).rule(40).write("8", 280, 220).photo(), 6)
    found = ink_of(image, tilt=None)
    assert found.tilt == pytest.approx(6, abs=0.4)
    rows, columns = np.nonzero(found.ink > 120)
    x, y = found.to_image @ (columns.mean(), rows.mean(), 1)
    dark_rows, dark_columns = np.nonzero(image.max(axis=2) < 90)
    assert (x, y) == pytest.approx((dark_columns.mean(), dark_rows.mean()), abs=3)


def test_places_are_kept_when_the_map_is_smaller():
    image = Sheet(600, 400).write("8", 280, 220).photo()
    found = map_ink(image, 0.5, "dark on light", None, reach=30, length=100, tilt=0.0)
    assert found.ink.shape == (200, 300)
    assert found.to_image @ (100, 50, 1) == pytest.approx((200, 100))


def test_a_sheet_on_a_table_is_found():
    image = on_table(turned(Sheet(600, 400).write("4071", 100, 150).photo(), 0))
    sheet = resized(find_sheet(image.min(axis=2)), 900 / 320) > 0
    truth = np.zeros((600, 900), bool)
    truth[100:500, 150:750] = True
    sheet = cv2.resize(sheet.astype(np.uint8), (900, 600), interpolation=cv2.INTER_NEAREST) > 0
    assert (sheet & truth).sum() / (sheet | truth).sum() > 0.97


def test_ink_on_a_note_is_the_same_whatever_is_printed_on_the_table():
    note = Sheet(200, 290, paper=(0.91, 0.90, 0.43)).write("4071", 30, 50, 24, colour=(0.2, 0.34, 0.42), thinness=0.6)
    plain = on_table(note.photo(), (600, 460), 26)
    printed = np.full_like(plain, 26)
    for row in range(60, 600, 70):
        cv2.putText(printed, "TABLE", (5, row), cv2.FONT_HERSHEY_SIMPLEX, 2.6, (90, 90, 200), 12)
    top, left = 155, 130
    place = np.s_[top : top + 290, left : left + 200]
    printed[place] = plain[place]
    sheet = np.zeros((600, 460), np.uint8)
    sheet[place] = 1
    one, other = (
        map_ink(image, 1.0, "dark on light", sheet, reach=60, length=180, tilt=0.0) for image in (plain, printed)
    )
    middle = np.s_[top + 12 : top + 278, left + 12 : left + 188]
    assert np.percentile(one.ink[middle], 99.5) > 100
    np.testing.assert_allclose(one.ink[middle].astype(int), other.ink[middle].astype(int), atol=5)


def test_a_soft_shadow_is_no_sheet():
    light = np.ones((400, 600), np.float32)
    light[:, 300:] = 0.5
    image = Sheet(600, 400).photo(cv2.GaussianBlur(light, (0, 0), 40))
    assert find_sheet(image.min(axis=2)) is None


def test_a_page_that_fills_the_photo_has_no_sheet_and_no_table():
    image = Sheet(600, 400).write("4071", 100, 150).photo().min(axis=2)
    assert find_sheet(image) is None
    assert without_table(image, None) is None


def test_a_strip_of_table_is_taken_away_and_writing_is_not():
    image = Sheet(600, 400).write("4071", 100, 150).photo().min(axis=2)
    for row in range(400):
        image[row, 590 - row // 20 :] = 40
    sheet = without_table(image, None)
    kept = cv2.resize(sheet, (600, 400), interpolation=cv2.INTER_NEAREST)
    assert kept[:, :560].all()
    assert kept[image == 40].mean() < 0.02


def test_a_dark_stroke_that_leaves_the_photo_is_no_table():
    image = Sheet(600, 400).photo().min(axis=2)
    cv2.line(image, (0, 100), (120, 260), 30, 9)
    cv2.ellipse(image, (300, 0), (60, 60), 0, 0, 360, 30, 9)
    assert without_table(image, None) is None


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 2), (20, 20)])
def test_tiny_images_have_no_table(size):
    assert without_table(np.random.default_rng(0).integers(0, 255, size).astype(np.uint8), None) is None


@pytest.mark.parametrize("inverted", [False, True], ids=["dark on light", "light on dark"])
def test_polarity(inverted):
    image = cv2.cvtColor(Sheet(600, 400).write("4071", 100, 150).photo(), cv2.COLOR_RGB2GRAY)
    expected = "light on dark" if inverted else "dark on light"
    assert find_polarity(255 - image if inverted else image, None) == expected


def test_a_light_sheet_on_a_table_is_paper_even_where_its_squares_stand_out():
    note = Sheet(600, 400, paper=(0.55, 0.55, 0.53)).rule(20, down=True, colour=(0.6, 0.6, 0.6)).photo()
    image = cv2.cvtColor(on_table(note, level=25), cv2.COLOR_RGB2GRAY)
    sheet = np.zeros((214, 320), np.uint8)
    sheet[36:178, 54:266] = 1
    assert find_polarity(image, sheet) == "dark on light"


@pytest.mark.parametrize("height", [40, 80, 140, 200])
def test_one_digit_on_a_large_page_tells_its_polarity(height):
    light = np.linspace(1.0, 0.65, 1000, dtype=np.float32)[None].repeat(750, axis=0)
    for digit in "0123456789":
        photo = Sheet(1000, 750).write(digit, 120, 300, height).photo(light)[..., 1]
        assert find_polarity(photo, None) == "dark on light", digit
        assert find_polarity(255 - photo, None) == "light on dark", digit


@pytest.mark.parametrize("length", [20, 21, 64, 113])
def test_lines_are_what_an_opening_by_their_length_leaves(length):
    density = np.random.default_rng(0).integers(0, 256, (40, 400)).astype(np.uint8)
    density[10] = np.where(np.arange(400) // 70 % 2, 200, 0)
    density = cv2.blur(density, (15, 1))
    sides = (length - 1 - length // 2, length // 2)
    beyond = np.pad(density, ((0, 0), sides), constant_values=255)  # a line may go on where the picture ends
    expected = np.zeros_like(beyond)
    for start in range(400):
        window = np.s_[:, start : start + length]
        expected[window] = np.maximum(expected[window], beyond[window].min(axis=1, keepdims=True))
    np.testing.assert_array_equal(opened(density, length), expected[:, sides[0] : sides[0] + 400])
