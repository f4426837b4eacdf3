"""The sheet that digits are written on: paper or blackboard, printed lines, print from the back, specks, smudges.

A sheet is float32 `(H, W, 3)`, red, green and blue, 0 to 1: how much light it gives back, evenly lit. It is made
larger than the page by a bleed on every side, which fills the corners of the photo where the page is turned.
"""

import cv2
import numpy as np

from mnist_lit.study.page_ink import Floats, smooth_noise
from mnist_lit.study.page_layout import Layout
from mnist_lit.study.page_looks import PAPERS, Look

_LINE_COLOURS = {"blue": (0.62, 0.20, 0.0), "grey": (0.35, 0.32, 0.30), "red": (0.10, 0.55, 0.5)}  # taken from white
_FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_TRIPLEX)


def blank_sheet(look: Look, bleed: int, height: float, rng: np.random.Generator) -> Floats:
    """Return paper or a blackboard without anything on it.

    Args:
        look: what the page looks like.
        bleed: pixels around the page.
        height: digit height, pixels.
        rng: where chance comes from.
    """
    shape = (look.height + 2 * bleed, look.width + 2 * bleed)
    colour = np.array(PAPERS[look.paper], np.float32)
    if look.is_board:
        dust = 0.05 * np.clip(smooth_noise(rng, shape, 2.5 * height) + 0.3, 0, 2)
        streaks = cv2.GaussianBlur(smooth_noise(rng, shape, 0.15 * height), (0, 0), 0.6 * height, sigmaY=0.1)
        grain = dust + 0.03 * streaks + 0.008 * smooth_noise(rng, shape, 2)
        return np.asarray(colour + grain[..., None], np.float32)
    fibre = {"recycled": 0.020, "yellow": 0.006}.get(look.paper, 0.004)
    grain = fibre * smooth_noise(rng, shape, max(1.2, 0.02 * height)) + 0.006 * smooth_noise(rng, shape, 3 * height)
    return np.asarray(np.clip(colour * (1 + grain[..., None]), 0, 1), np.float32)


def _line(sheet: Floats, mask: Floats, colour: str, strength: float) -> None:
    taken = np.array(_LINE_COLOURS[colour], np.float32)
    taken *= strength / float(taken @ (0.299, 0.587, 0.114))  # the strength is that of the grey level
    sheet *= 1 - mask[..., None] * np.minimum(taken, 0.9)


def print_lines(sheet: Floats, look: Look, layout: Layout, bleed: int, rng: np.random.Generator) -> None:
    """Print the ruling and the margin line onto a sheet, in place."""
    rows, columns = (np.arange(side, dtype=np.float32) - bleed for side in sheet.shape[:2])
    width = max(1.0, 0.022 * layout.height) * float(rng.uniform(0.9, 1.5))

    def stripes(positions: Floats, start: float, spacing: float) -> Floats:
        away = np.abs((positions - start + spacing / 2) % spacing - spacing / 2)
        return np.asarray(np.clip(width / 2 - away + 0.5, 0, 1), np.float32)

    colour = str(rng.choice(["blue", "grey", "blue", "red"]))
    halves = int(rng.integers(1, 3))
    square = float(rng.uniform(0.55, 1.0)) * layout.height
    if look.ruling == "ruled":
        across = stripes(rows, layout.baseline + 0.58 * layout.height, layout.pitch / halves)
        _line(sheet, np.broadcast_to(across[:, None], sheet.shape[:2]), colour, look.ruling_strength)
    elif look.ruling == "squared":
        across, down = stripes(rows, layout.baseline, square), stripes(columns, layout.left, square)
        _line(sheet, np.maximum(across[:, None], down[None, :]), colour, look.ruling_strength)
    if look.margin_line:
        down = np.clip(width * 0.7 - np.abs(columns - (layout.left - 0.35 * layout.height)) + 0.5, 0, 1)
        strength = max(look.ruling_strength, 0.06)
        _line(sheet, np.broadcast_to(down[None, :], sheet.shape[:2]).astype(np.float32), "red", strength)


def show_back(sheet: Floats, look: Look, height: float, rng: np.random.Generator) -> None:
    """Let print from the back shine through a sheet, mirrored and blurred, in place."""
    if not look.back_strength:
        return
    size = height * float(rng.uniform(0.35, 0.8))
    font = int(rng.choice(_FONTS))
    scale = size / 22  # Hershey capitals are about 22 pixels high at scale 1
    print_mask = np.zeros(sheet.shape[:2], np.uint8)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz   ABCDERST  ,."))
    pitch = size * float(rng.uniform(1.6, 2.2))
    for y in np.arange(size, sheet.shape[0], pitch):
        text = "".join(rng.choice(letters, round(sheet.shape[1] / (size * 0.75))))
        weight = max(1, round(size / 12))
        cv2.putText(print_mask, text, (round(size), round(y)), font, scale, 255, weight, cv2.LINE_AA)
    seen = cv2.GaussianBlur(print_mask[:, ::-1].astype(np.float32) / 255, (0, 0), max(0.8, 0.07 * size))
    patchy = np.clip(0.8 + 0.3 * smooth_noise(rng, sheet.shape[:2], 4 * height), 0.2, 1.2)
    sheet *= (1 - look.back_strength * seen * patchy)[..., None]


def soil(sheet: Floats, look: Look, bleed: int, height: float, rng: np.random.Generator) -> None:
    """Put specks and smudges on a sheet, in place; on a blackboard they are light."""
    spots = np.zeros(sheet.shape[:2], np.float32)
    for _ in range(look.smudges):
        x, y = rng.uniform(0, look.width) + bleed, rng.uniform(0, look.height) + bleed
        angle, long, wide = rng.uniform(0, 180), rng.uniform(0.6, 2.5) * height, rng.uniform(0.2, 0.7) * height
        one = np.zeros_like(spots)
        cv2.ellipse(one, ((x, y), (long, wide), angle), float(rng.uniform(0.04, 0.12)), -1)
        spots = np.maximum(spots, _softened(one, 0.25 * wide, x, y, long))
    for _ in range(look.specks):
        x, y = rng.uniform(0, look.width) + bleed, rng.uniform(0, look.height) + bleed
        radius = max(0.6, float(rng.uniform(0.012, 0.04)) * height)
        stretched = radius * float(rng.uniform(0.6, 1.4))
        box = ((x, y), (2 * radius, 2 * stretched), float(rng.uniform(0, 180)))
        cv2.ellipse(spots, box, float(rng.uniform(0.3, 0.8)), -1, cv2.LINE_AA)
    towards = 0.8 if look.is_board else 0.12
    sheet += spots[..., None] * (towards - sheet)


def _softened(spot: Floats, sigma: float, x: float, y: float, reach: float) -> Floats:
    """Blur a spot at `x`, `y`, and only the surroundings that it fills."""
    around = reach + 4 * sigma
    rows = slice(max(0, round(y - around)), round(y + around))
    columns = slice(max(0, round(x - around)), round(x + around))
    spot[rows, columns] = cv2.GaussianBlur(spot[rows, columns], (0, 0), sigma)
    return spot
