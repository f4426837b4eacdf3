"""The page in a real browser: languages, themes, layout, and where it sends its requests."""

import json
from urllib.parse import urlsplit

import numpy as np
import pytest
from browser import (
    DIGITS,
    answer,
    chips,
    chromium,
    draw,
    opened,
    text,
    upload,
    wait_for,
)
from PIL import Image

pytestmark = pytest.mark.slow


# Language and theme


def test_the_page_speaks_chinese_when_asked_and_remembers_it(page):
    assert page.execute_script("return document.documentElement.lang") == "en"
    draw(page, DIGITS[0])
    wait_for(lambda: answer(page) == "0")
    page.find_element("id", "language").click()
    assert page.execute_script("return document.documentElement.lang") == "zh-CN"
    assert text(page, "clear") == "清除"
    assert "把握" in text(page, "sentence")
    assert answer(page) == "0"
    page.get(page.current_url)
    assert text(page, "clear") == "清除"
    assert page.find_element("id", "pad").get_attribute("aria-label") == "画板"
    assert untranslated(page) == []
    page.find_element("id", "language").click()
    assert text(page, "clear") == "Clear"


def untranslated(driver):
    """Texts on the page that have an English word, other than names."""
    script = """
        const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        const found = [];
        while (walker.nextNode()) {
            const parent = walker.currentNode.parentElement;
            if (!parent.closest("noscript, script, #language, h1")) found.push(walker.currentNode.data.trim());
        }
        return found;"""
    names = {"MNIST", "Ctrl+Z", "Esc"}
    return [
        line
        for line in driver.execute_script(script)
        if any(word.isascii() and word.isalpha() and len(word) > 3 and word not in names for word in line.split())
    ]


def test_a_chinese_browser_gets_the_chinese_page(address, tmp_path):
    with chromium(tmp_path, language="zh-CN") as driver:
        driver.get(address)
        wait_for(lambda: text(driver, "clear") == "清除")
        assert driver.title == "mnist_lit · 手写数字"


def background(driver):
    colour = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    return sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(",")))


def test_light_and_dark_follow_the_system_until_somebody_chooses(page):
    def prefer(scheme):
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def pressed():
        return page.find_element("id", "theme").get_attribute("aria-pressed")

    # The colours are the style sheet's and change first; the button is told by an event, a moment later.
    prefer("light")
    wait_for(lambda: background(page) > 600 and pressed() == "false")
    prefer("dark")
    wait_for(lambda: background(page) < 150 and pressed() == "true")
    page.find_element("id", "theme").click()
    wait_for(lambda: background(page) > 600 and pressed() == "false")
    page.get(page.current_url)
    assert background(page) > 600
    prefer("")


# Looks


SCREENS = {
    "1280x800": (1280, 800, False),
    "tablet": (768, 1024, False),
    "phone": (390, 844, True),
    "small": (320, 640, True),
}
OVERLAPS = """
    // Pairs of things to read or press that lie over each other, and what sticks out of the window or of its own card.
    const things = "h1, h2, button, #pad, #photo, #sentence span, .bars li, figure, #error, #keys";
    const seen = [...document.querySelectorAll(things)].filter(
        (e) => e.checkVisibility({ visibilityProperty: true }) && !e.closest(".unseen, .numbers")
    );
    const name = (e) => e.id || e.className || e.textContent || e.tagName;
    const places = seen.map((e) => e.getBoundingClientRect());
    const found = [];
    for (const [i, a] of seen.entries()) {
        const p = places[i];
        const card = (a.closest(".card") ?? document.body).getBoundingClientRect();
        const right = Math.min(card.right, document.documentElement.clientWidth) + 0.5;
        if (p.left < 0 || p.right > right || p.bottom > card.bottom + 0.5) found.push(`${name(a)} sticks out`);
        for (const [j, b] of seen.entries()) {
            const q = places[j];
            const wide = Math.min(p.right, q.right) - Math.max(p.left, q.left);
            const high = Math.min(p.bottom, q.bottom) - Math.max(p.top, q.top);
            if (j > i && wide > 1 && high > 1 && !a.contains(b)) found.push(`${name(a)} over ${name(b)}`);
        }
    }
    return found;"""


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
def test_it_looks_sane(address, tmp_path, photo, screen, language):
    width, height, phone = SCREENS[screen]
    with chromium(tmp_path / "profile", width=width, height=height, phone=phone, language=language) as driver:
        driver.get(address)
        wait_for(lambda: driver.execute_script("return document.documentElement.dataset.ready"))
        look_at(driver, width, height, tmp_path / "empty.png")
        draw(driver, DIGITS[4], left=0.02, top=0.25, side=0.5)
        draw(driver, DIGITS[2], left=0.5, top=0.25, side=0.5)
        wait_for(lambda: chips(driver) == ["4", "2"])
        look_at(driver, width, height, tmp_path / "drawing.png")
        upload(driver, photo)
        wait_for(lambda: len(chips(driver)) == 8)
        look_at(driver, width, height, tmp_path / "photo.png")
        (tmp_path / "text.png").write_bytes(b"this is no picture")
        upload(driver, tmp_path / "text.png")
        wait_for(lambda: text(driver, "error"))
        look_at(driver, width, height, tmp_path / "error.png")


def test_what_lies_over_something_else_is_noticed(page):
    page.execute_script("document.getElementById('clear').style.marginLeft = '-40px'")
    assert page.execute_script(OVERLAPS) == ["undo over clear"]


def look_at(driver, width, height, path):
    """Check what can be seen: no scrolling sideways, nothing over anything else, the whole board in the window."""
    root = "document.documentElement"
    assert driver.execute_script(f"return {root}.scrollWidth <= {root}.clientWidth && innerWidth === {width}")
    assert driver.execute_script(OVERLAPS) == []
    board = driver.find_element("id", "stage").rect
    assert board["y"] + board["height"] <= height
    assert board["width"] > 0.5 * width
    assert driver.save_screenshot(str(path))
    picture = np.asarray(Image.open(path).convert("L"))
    scale = picture.shape[1] / width
    assert picture.shape == (round(height * scale), round(width * scale))
    assert len(np.unique(picture)) > 40  # a page, not a blank


def test_at_1280_by_800_everything_is_seen_without_scrolling(page, photo):
    def fits():
        return page.execute_script("return document.documentElement.scrollHeight <= innerHeight")

    assert fits()
    draw(page, DIGITS[5])
    wait_for(lambda: answer(page) == "5")
    assert fits()
    upload(page, photo)
    wait_for(lambda: answer(page) == "3" and len(chips(page)) == 8)
    assert fits()


def test_touch_draws_on_a_phone_and_does_not_scroll(address, tmp_path):
    with chromium(tmp_path, width=390, height=844, phone=True) as driver:
        driver.get(address)
        wait_for(lambda: driver.execute_script("return document.documentElement.dataset.ready"))
        pad = driver.find_element("id", "pad").rect

        def touch(kind, *points):
            points = [{"x": x, "y": y} for x, y in points]
            driver.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        x = pad["x"] + pad["width"] / 2
        touch("touchStart", (x, pad["y"] + 30))
        for step in range(1, 20):
            touch("touchMove", (x, pad["y"] + 30 + step * 10))
        touch("touchEnd")
        wait_for(lambda: answer(driver) == "1")
        assert driver.execute_script("return scrollY") == 0


# Requests


def test_no_request_goes_to_another_host(browser, address, photo):
    browser.get_log("performance")
    page = opened(browser, address)
    draw(page, DIGITS[3])
    wait_for(lambda: answer(page) == "3")
    upload(page, photo)
    wait_for(lambda: len(chips(page)) == 8)
    page.find_element("id", "language").click()
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert sum("/api/" in url for url in urls) >= 2
    own = urlsplit(address)
    for url in map(urlsplit, urls):
        assert url.scheme in ("blob", "data") or (url.scheme, url.netloc) == (own.scheme, own.netloc)
    assert not any(event["method"] == "Network.loadingFailed" for event in events)


def test_at_most_one_question_is_on_its_way_and_the_last_one_counts(page):
    page.execute_script(
        """
        const real = window.fetch;
        window.most = window.now = window.all = 0;
        window.fetch = async (...words) => {
            window.now += 1;
            window.all += 1;
            window.most = Math.max(window.most, window.now);
            try {
                await new Promise((done) => setTimeout(done, 80));
                return await real(...words);
            } finally {
                window.now -= 1;
            }
        };"""
    )
    draw(page, DIGITS[3])
    wait_for(lambda: answer(page) == "3")
    wait_for(lambda: page.execute_script("return window.now") == 0)
    most, count = page.execute_script("return [window.most, window.all]")
    assert most == 1
    assert count > 1
    assert answer(page) == "3"
