"""Helpers for the browser tests: the page in a process of its own, a headless Chromium, a pen to draw with."""

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import httpx
import numpy as np
from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.actions.pointer_input import PointerInput

PATHS = json.loads((Path(__file__).parent / "recorded_strokes.json").read_text(encoding="utf-8"))["paths"]
DIGITS = {path["digit"]: path["strokes"] for path in reversed(PATHS)}
TIMEOUT = 60.0


def start(folder, *words):
    """Start `draw` in a process of its own, on a free port; returns the process and the page's address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "mnist_lit", "draw", "--no-browser", "--port", "0", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    for line in process.stdout:
        if line.startswith("page "):
            return process, line.split()[1]
    raise AssertionError(process.communicate())


@contextmanager
def served(folder, *words):
    """Serve the page in a process; yields its address."""
    process, address = start(folder, *words)
    try:
        # The first answer waits for PyTorch to start, which takes long where many tests run at once.
        sample = bytes(cv2.imencode(".png", np.full((60, 80), 255, np.uint8))[1])
        headers = {"content-type": "image/png"}
        assert httpx.post(f"{address}api/digit", content=sample, headers=headers, timeout=TIMEOUT).status_code == 200
        yield address
    finally:
        process.terminate()
        process.communicate(timeout=TIMEOUT)


def program(*names):
    """Find an installed program, so that selenium does not go and look for one on the internet."""
    found = next(filter(None, map(shutil.which, names)), None)
    assert found, f"install one of {', '.join(names)}"
    return found


@contextmanager
def chromium(profile, *, width=1280, height=800, language="en-US", phone=False):
    """A fresh headless browser that logs its console and its requests."""
    options = webdriver.ChromeOptions()
    options.binary_location = program("chromium", "chromium-browser", "google-chrome", "chrome")
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--no-first-run",
        f"--user-data-dir={profile}",
        f"--window-size={width},{height}",
        f"--lang={language}",
        f"--accept-lang={language}",
    ):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"intl.accept_languages": language})
    if phone:
        metrics = {"width": width, "height": height, "pixelRatio": 3.0, "touch": True}
        options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(program("chromedriver")))
    try:
        if not phone:
            driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
            )
        yield driver
    finally:
        driver.quit()


def wait_for(condition, seconds=30.0):
    """Wait until the condition gives something true, and return it."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"still {value!r} after {seconds} s")
        time.sleep(0.03)


def draw(driver, strokes, *, left=None, top=0.0, side=1.0):
    """Draw pen paths on the board with the mouse, as a hand would: down, along, up.

    Args:
        driver: the browser.
        strokes: pen paths in pixels of a 28 × 28 image.
        left: where the image's left edge lies, in heights of the board; in the middle if left out.
        top: where its upper edge lies.
        side: how large it is.
    """
    pad = driver.find_element("id", "pad").rect
    height = pad["height"]
    start = (pad["width"] / height - side) / 2 if left is None else left
    for stroke in strokes:
        actions = ActionBuilder(driver, mouse=PointerInput("mouse", "mouse"), duration=2)
        pen = actions.pointer_action
        for number, (x, y) in enumerate(stroke):
            pen.move_to_location(
                round(pad["x"] + (start + x / 28 * side) * height), round(pad["y"] + (top + y / 28 * side) * height)
            )
            if number == 0:
                pen.pointer_down()
        pen.pointer_up()
        actions.perform()


def press(driver, *keys):
    actions = ActionChains(driver, duration=0)
    for key in keys:
        actions.send_keys(key)
    actions.perform()


def upload(driver, path):
    driver.find_element("id", "file").send_keys(str(path))


def resize(driver, width, height):
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def write_photo(path):
    """Draw a page of 900 × 600 pixels with two lines of numbers, 31 58 and 2047, from recorded pen paths."""
    paper = np.full((600, 900), 235, np.uint8)
    for left, top, digit in [
        (80, 80, 3),
        (190, 80, 1),
        (480, 80, 5),
        (590, 80, 8),
        (80, 340, 2),
        (200, 340, 0),
        (320, 340, 4),
        (440, 340, 7),
    ]:
        for stroke in DIGITS[digit]:
            points = np.rint((np.array(stroke) * 160 / 28 + (left, top)) * 16).astype(np.int32)
            cv2.polylines(paper, [points[:, None]], False, 40, 11, cv2.LINE_AA, shift=4)
    Image.fromarray(paper).save(path, quality=90)
    return path


# What is on the page


def complaints(driver):
    """What the console shows, other than the browser's remark on these tests' own way of reading pixels."""
    levels = ("WARNING", "SEVERE")
    messages = [entry["message"] for entry in driver.get_log("browser") if entry["level"] in levels]
    return [message for message in messages if "willReadFrequently" not in message]


def opened(driver, address):
    driver.get(address)
    driver.execute_script("localStorage.clear()")
    driver.get(address)
    wait_for(lambda: driver.execute_script("return document.documentElement.dataset.ready"))
    return driver


def text(driver, name):
    return driver.find_element("id", name).get_attribute("textContent")


def answer(driver):
    return text(driver, "digit")


def each(driver, selector, what="textContent"):
    """A property of every element at once: one after the other, the page may have changed in between."""
    return driver.execute_script(f"return [...document.querySelectorAll(arguments[0])].map((e) => e.{what})", selector)


def chips(driver):
    return each(driver, "#numbers .chip")


def bars(driver):
    """What a screen reader is told of the ten bars, in percent."""
    return list(map(float, each(driver, "#bars [role=meter]", "ariaValueNow")))


def is_empty(driver):
    return answer(driver) == "–" and text(driver, "sentence") == "Nothing drawn yet." and sum(bars(driver)) == 0
