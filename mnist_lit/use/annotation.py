"""A page with what was read on it: a box around every digit, coloured by confidence, and the answer above."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from mnist_lit.use.transcript import Box, Digit, Page

_SURE, _LIKELY = 0.9, 0.7  # confidence from which a box is blue, amber; vermilion below
_COLOURS = ((0, 114, 178), (200, 120, 0), (213, 94, 0))  # Okabe and Ito's, the middle one darker: it must show on white
_WHITE = (255, 255, 255)


def annotate(image: npt.NDArray[np.uint8], page: Page) -> npt.NDArray[np.uint8]:
    """Draw what was read onto an image; strokes stay visible.

    Args:
        image: uint8, grey `(H, W)` or RGB `(H, W, 3)`: what was read.
        page: what was read from it.

    Returns:
        RGB, uint8 `(H, W, 3)`, a new array.
    """
    rgb = np.repeat(image[..., None], 3, axis=2) if image.ndim == 2 else image
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    if not page.digits:
        return np.array(picture)
    draw = ImageDraw.Draw(picture)
    usual = float(np.median([digit.box.bottom - digit.box.top for digit in page.digits]))
    line_width = max(1, round(usual / 28))
    margin = line_width + max(1, round(usual / 20))
    taken = [digit.box for digit in page.digits]
    for digit in page.digits:
        left, top, right, bottom = digit.box
        frame = (left - margin, top - margin, right - 1 + margin, bottom - 1 + margin)
        draw.rectangle(frame, outline=_colour(digit), width=line_width)
    for digit in page.digits:
        _label(draw, digit, usual, margin, taken, picture.size)
    return np.array(picture)


def _colour(digit: Digit) -> tuple[int, int, int]:
    sure = digit.confidence >= _SURE
    return _COLOURS[0 if sure else 1 if digit.confidence >= _LIKELY else 2]


def _label(
    draw: ImageDraw.ImageDraw, digit: Digit, usual: float, margin: int, taken: list[Box], size: tuple[int, int]
) -> None:
    """Write the answer above the box, or below it where another digit or the border is in the way."""
    font = ImageFont.load_default(max(9.0, 0.42 * usual))
    left, top, right, bottom = draw.textbbox((0, 0), digit.text, font=font)
    width, height = int(right - left), int(bottom - top)
    pad = max(1, round(0.03 * usual))
    x = (digit.box.left + digit.box.right - width) // 2
    x = max(pad, min(x, size[0] - width - pad))
    above = digit.box.top - margin - 2 * pad - height
    places = [above, digit.box.bottom + margin + 2 * pad]
    free = [
        y
        for y in places
        if y >= pad and y + height + pad <= size[1] and not _covers((x, y, x + width, y + height), taken)
    ]
    y = free[0] if free else max(pad, above)
    plate = (x - pad, y - pad, x + width + pad, y + height + pad)
    draw.rectangle(plate, fill=_colour(digit))
    draw.text((x - left, y - top), digit.text, fill=_WHITE, font=font)


def _covers(place: tuple[int, int, int, int], taken: list[Box]) -> bool:
    """Whether a place lies over the ink of a digit."""
    left, top, right, bottom = place
    return any(left < box.right and box.left < right and top < box.bottom and box.top < bottom for box in taken)
