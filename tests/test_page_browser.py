"""The page in a real browser that draws, types and uploads."""

import time

import numpy as np
import pytest
from browser import (
    DIGITS,
    PATHS,
    answer,
    bars,
    chips,
    draw,
    each,
    is_empty,
    opened,
    press,
    resize,
    text,
    upload,
    wait_for,
)
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

pytestmark = pytest.mark.slow


# Drawing


@pytest.mark.parametrize("path", PATHS[:10], ids=lambda path: f"{path['digit']}-{path['index']}")
def test_a_drawn_digit_is_answered_right(page, path):
    draw(page, path["strokes"])
    wait_for(lambda: answer(page) == str(path["digit"]))
    time.sleep(0.3)  # what is still on its way must not change it
    assert answer(page) == str(path["digit"])
    assert np.argmax(bars(page)) == path["digit"]
    assert sum(bars(page)) == pytest.approx(100, abs=1)


def test_what_the_network_sees_and_where_it_looked_are_shown(page):
    draw(page, DIGITS[5])
    wait_for(lambda: answer(page) == "5")
    pictures = page.execute_script(
        """
        return [...document.querySelectorAll("#stages canvas, #attention canvas")].map((canvas) => {
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            const lit = data.some((value, index) => index % 4 < 3 && value > 80);
            return [lit, canvas.getAttribute("role"), canvas.getAttribute("aria-label")];
        });"""
    )
    assert len(pictures) >= 2
    for lit, role, label in pictures:
        assert lit
        assert role == "img"
        assert label


def test_a_screen_reader_is_told_the_answer_in_words_once_it_stands(page):
    spoken = page.find_element("id", "spoken")
    assert (spoken.get_attribute("role"), spoken.get_attribute("aria-live")) == ("status", "polite")
    draw(page, DIGITS[7])
    wait_for(lambda: text(page, "spoken").startswith("The network says 7, "))


def test_several_digits_are_read_as_numbers_and_each_can_be_looked_at(page):
    draw(page, DIGITS[4], left=0.02, top=0.25, side=0.5)
    draw(page, DIGITS[2], left=0.36, top=0.25, side=0.5)
    draw(page, DIGITS[7], left=0.85, top=0.25, side=0.5)
    wait_for(lambda: chips(page) == ["4", "2", "7"] and answer(page) == "7")
    assert len(each(page, "#boxes rect")) == 3
    page.find_elements("css selector", "#numbers .chip")[0].click()
    wait_for(lambda: answer(page) == "4")
    page.find_element("id", "undo").click()
    wait_for(lambda: chips(page) == ["4", "2"])


def test_a_digit_that_is_chosen_while_an_answer_is_on_its_way_stays_chosen(page):
    for digit, left in ((4, 0.02), (2, 0.36), (7, 0.85)):
        draw(page, DIGITS[digit], left=left, top=0.25, side=0.5)
    wait_for(lambda: chips(page) == ["4", "2", "7"] and answer(page) == "7")
    page.set_network_conditions(latency=500, throughput=10**7)  # milliseconds; bytes per second
    try:
        draw(page, [DIGITS[7][-1][-2:]], left=0.85, top=0.25, side=0.5)  # its end once more: a new question
        page.find_elements("css selector", "#numbers .chip")[0].click()
        wait_for(lambda: answer(page) == "4")
        time.sleep(2)  # what was on its way has come
        assert answer(page) == "4"
        chosen = "return [...document.querySelectorAll('#numbers .chip')].map((chip) => chip.ariaChecked)"
        assert page.execute_script(chosen) == ["true", "false", "false"]
    finally:
        page.delete_network_conditions()


@pytest.mark.parametrize(("gap", "text"), [(0.05, ["38"]), (0.3, ["3", "8"])])
def test_digits_that_stand_wide_apart_are_two_numbers(page, gap, text):
    width, left = {3: (5.5, 19.3), 8: (6.7, 20.7)}, 0.1
    for digit in (3, 8):
        first, last = width[digit]
        draw(page, DIGITS[digit], left=left - 0.7 * first / 28, top=0.15, side=0.7)
        left += 0.7 * (last - first) / 28 + 0.066 + gap
    wait_for(lambda: chips(page) == ["3", "8"])
    assert each(page, "#boxes text") == text


def test_undo_takes_the_last_stroke_and_clear_takes_all(page):
    undo, clear = page.find_element("id", "undo"), page.find_element("id", "clear")
    assert not undo.is_enabled()
    assert not clear.is_enabled()
    draw(page, DIGITS[1], left=0.1, top=0.2, side=0.5)
    wait_for(lambda: answer(page) == "1")
    draw(page, DIGITS[3], left=0.7, top=0.2, side=0.5)
    wait_for(lambda: chips(page) == ["1", "3"])
    undo.click()
    wait_for(lambda: chips(page) == [] and answer(page) == "1")
    undo.click()
    wait_for(lambda: is_empty(page))
    draw(page, DIGITS[4])
    wait_for(lambda: answer(page) == "4")
    clear.click()
    wait_for(lambda: is_empty(page))
    assert not clear.is_enabled()
    undo.click()  # what was cleared by mistake
    wait_for(lambda: answer(page) == "4")


def test_the_drawing_survives_a_change_of_the_windows_size(page):
    ink = """
        const pad = document.getElementById("pad");
        const { data } = pad.getContext("2d").getImageData(0, 0, pad.width, pad.height);
        return data.filter((value, index) => index % 4 == 3 && value > 128).length / (pad.width * pad.height);"""
    draw(page, DIGITS[8])
    wait_for(lambda: answer(page) == "8")
    before = page.execute_script(ink)
    resize(page, 900, 700)
    try:
        time.sleep(0.3)
        assert page.execute_script(ink) == pytest.approx(before, rel=0.05)
    finally:
        resize(page, 1280, 800)


# Keyboard


def test_a_digit_can_be_drawn_with_the_keyboard_alone(page):
    press(page, Keys.TAB, Keys.TAB, Keys.TAB)
    assert page.switch_to.active_element.get_attribute("id") == "pad"
    press(page, " ", *[Keys.ARROW_DOWN] * 18, " ")
    wait_for(lambda: answer(page) == "1")
    press(page, Keys.ESCAPE)
    wait_for(lambda: is_empty(page))
    press(page, *[Keys.ARROW_UP] * 18, " ", *[Keys.ARROW_RIGHT] * 9, *[Keys.ARROW_DOWN] * 16, " ")
    wait_for(lambda: answer(page) == "7")
    press(page, Keys.DELETE)
    wait_for(lambda: is_empty(page))


def test_arrows_go_from_digit_to_digit(page, photo):
    upload(page, photo)
    wait_for(lambda: answer(page) == "3" and len(chips(page)) == 8)
    page.execute_script("document.querySelector('#numbers .chip').focus()")
    for key, expected in [(Keys.ARROW_RIGHT, "1"), (Keys.END, "7"), (Keys.ARROW_RIGHT, "3"), (Keys.ARROW_LEFT, "7")]:
        press(page, key)
        wait_for(lambda expected=expected: answer(page) == expected)
        assert page.switch_to.active_element.get_attribute("textContent") == expected
    press(page, Keys.TAB)
    assert "chip" not in page.switch_to.active_element.get_attribute("class")


def test_ctrl_z_takes_the_last_stroke(page):
    draw(page, DIGITS[6])
    wait_for(lambda: answer(page) == "6")
    ActionChains(page).key_down(Keys.CONTROL).send_keys("z").key_up(Keys.CONTROL).perform()
    wait_for(lambda: is_empty(page))


def test_every_control_is_reached_by_tab_and_shows_it(page):
    draw(page, DIGITS[6])
    wait_for(lambda: answer(page) == "6")
    page.execute_script("const h1 = document.querySelector('h1'); h1.tabIndex = -1; h1.focus();")
    reached = []
    for _ in range(6):
        press(page, Keys.TAB)
        element = page.switch_to.active_element
        reached.append(element.get_attribute("id"))
        shown = page.find_element("id", "stage") if reached[-1] == "pad" else element
        assert shown.value_of_css_property("outline-style") == "solid", reached[-1]
    assert reached == ["language", "theme", "pad", "undo", "clear", "upload"]


def test_every_control_has_a_name(page):
    page.execute_cdp_cmd("Accessibility.enable", {})
    nodes = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    named = [(node["role"]["value"], node.get("name", {}).get("value")) for node in nodes if not node.get("ignored")]
    found = [(role, name) for role, name in named if role in ("button", "meter", "application", "image", "heading")]
    assert all(name for _, name in found), found
    assert sum(role == "meter" for role, _ in found) == 10
    assert ("application", "Drawing board") in found
    assert ("button", "Undo") in found


# Photos


def test_an_uploaded_photo_is_read_and_its_digits_can_be_looked_at(page, photo):
    upload(page, photo)
    wait_for(lambda: len(each(page, "#boxes rect")) == 8)
    assert each(page, "#boxes text") == ["31", "58", "2047"]
    assert chips(page) == list("31582047")
    wait_for(lambda: answer(page) == "3")
    page.find_elements("css selector", "#boxes rect")[3].click()
    wait_for(lambda: answer(page) == "8")
    assert each(page, "#numbers .chip", "ariaChecked").index("true") == 3
    wait_for(lambda: text(page, "spoken").startswith("8 digits: 31 58, 2047"))
    assert "31 58" in page.find_element("id", "photo").get_attribute("alt")


def test_boxes_lie_on_the_digits_of_the_photo(page, photo):
    upload(page, photo)
    wait_for(lambda: len(each(page, "#boxes rect")) == 8)
    stage = page.find_element("id", "stage").rect
    wait_for(lambda: answer(page) == "3")
    first = page.find_element("css selector", "#boxes rect").rect
    scale = stage["width"] / 900  # the photo is wider than the board is: it fills its width
    above = (stage["height"] - 600 * scale) / 2
    points = np.array([point for stroke in DIGITS[3] for point in stroke]) * 160 / 28 + (80, 80)
    left, top = points.min(axis=0) * scale
    right, bottom = points.max(axis=0) * scale
    assert first["x"] - stage["x"] == pytest.approx(left, abs=10)
    assert first["y"] - stage["y"] - above == pytest.approx(top, abs=10)
    assert first["width"] == pytest.approx(right - left, abs=16)
    assert first["height"] == pytest.approx(bottom - top, abs=16)


def test_after_a_photo_the_drawing_is_still_there(page, photo):
    draw(page, DIGITS[9])
    wait_for(lambda: answer(page) == "9")
    upload(page, photo)
    wait_for(lambda: len(chips(page)) == 8)
    page.find_element("id", "undo").click()
    wait_for(lambda: chips(page) == [] and answer(page) == "9")
    assert not page.find_element("id", "photo").is_displayed()


def test_a_photo_that_the_browser_cannot_show_is_read_all_the_same(page, photo, tmp_path):
    path = tmp_path / "numbers.tif"
    Image.open(photo).save(path)
    upload(page, path)
    wait_for(lambda: chips(page) == list("31582047"))
    assert not page.find_element("id", "photo").is_displayed()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.png", b"this is no picture", "photo: not an image"),
        ("empty.png", b"", "photo: empty file"),
        ("page.pdf", b"%PDF-1.7", "This is not a picture"),
        ("large.png", b"\0" * (10 * 2**20 + 1), "larger than 10 MiB"),
    ],
)
def test_what_cannot_be_read_is_said_and_the_page_goes_on(browser, address, tmp_path, name, content, message):
    page = opened(browser, address)
    draw(page, DIGITS[6])
    wait_for(lambda: answer(page) == "6")
    (tmp_path / name).write_bytes(content)
    upload(page, tmp_path / name)
    wait_for(lambda: message in text(page, "error"))
    time.sleep(0.5)  # the drawing is back, and its answer must not take the message away
    assert message in text(page, "error")
    assert answer(page) == "6"
    page.find_element("id", "clear").click()
    draw(page, DIGITS[2])
    wait_for(lambda: answer(page) == "2" and text(page, "error") == "")
    browser.get_log("browser")  # the browser itself reports every 4xx there
