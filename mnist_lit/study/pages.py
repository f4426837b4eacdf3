"""Photos of handwritten numbers with known truth: MNIST digits in, a page and what stands where on it out.

A page is a function of grade, seed and the digits given, so that the reader can be scored by anyone on the same pages.
The parts: `page_looks` (what a page of a grade may look like), `page_layout` and `page_ink` (writing), `page_paper`
(the sheet), `page_photo` (table, light, camera).
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.data.idx import Images, Labels
from mnist_lit.study.page_ink import Floats, texture
from mnist_lit.study.page_layout import Layout, Written, lay_out
from mnist_lit.study.page_looks import GRADES as _GRADES
from mnist_lit.study.page_looks import INKS, Look, draw_look
from mnist_lit.study.page_paper import blank_sheet, print_lines, show_back, soil
from mnist_lit.study.page_photo import Matrix, expose, light, photograph, project, view
from mnist_lit.use.transcript import Box

GRADES = tuple(_GRADES)
_BLEED = 0.2  # of the longer side, around the page
_CLEAR = 0.25  # digit heights between every digit and the border of the photo, or of the note


@dataclass(frozen=True)
class TruthDigit:
    """One digit of a page.

    Attributes:
        text: `0` to `9`.
        box: around its ink.
        index: of the digit among those given.
        is_touching: whether its ink meets a neighbour's.
        is_broken: whether its stroke was given a gap.
    """

    text: str
    box: Box
    index: int
    is_touching: bool
    is_broken: bool


def _around(boxes: list[Box]) -> Box:
    return Box(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )


@dataclass(frozen=True)
class TruthNumber:
    """Digits that were written as one number, from the left."""

    digits: tuple[TruthDigit, ...]

    @property
    def text(self) -> str:
        """Its digits."""
        return "".join(digit.text for digit in self.digits)

    @property
    def box(self) -> Box:
        """Around its digits."""
        return _around([digit.box for digit in self.digits])


@dataclass(frozen=True)
class TruthLine:
    """Numbers on one line, from the left."""

    numbers: tuple[TruthNumber, ...]

    @property
    def text(self) -> str:
        """Its numbers, joined by one space."""
        return " ".join(number.text for number in self.numbers)

    @property
    def box(self) -> Box:
        """Around its numbers."""
        return _around([number.box for number in self.numbers])


@dataclass(frozen=True, eq=False)
class GeneratedPage:
    """A page and its truth.

    Attributes:
        image: uint8 `(H, W, 3)`, RGB.
        lines: from the top.
        look: what was drawn for it.
    """

    image: npt.NDArray[np.uint8]
    lines: tuple[TruthLine, ...]
    look: Look

    @property
    def text(self) -> str:
        """Its lines, joined by line breaks."""
        return "\n".join(line.text for line in self.lines)

    @property
    def digits(self) -> tuple[TruthDigit, ...]:
        """Every digit, line by line."""
        return tuple(digit for line in self.lines for number in line.numbers for digit in number.digits)


def make_page(grade: str, seed: int, digits: Images, labels: Labels, *, long_side: int | None = None) -> GeneratedPage:
    """Write digits onto a page and photograph it.

    Args:
        grade: one of `GRADES`.
        seed: at least 0; another seed makes another page.
        digits: uint8 `(N, 28, 28)`, N at least 1; a page takes some 15 to 120 of them at random, each once before any
            is used again.
        labels: uint8 `(N,)`, 0 to 9.
        long_side: of the image in pixels, the other is three quarters of it (4000 makes 12 megapixels); drawn at
            random if left out, 1000 to 2200.

    Raises:
        ValueError: there is no such grade, the seed is negative, or digits and labels do not belong together.
    """
    if grade not in _GRADES:
        raise ValueError(f"grade: {grade!r} is none of {', '.join(GRADES)}")
    if len(digits) == 0 or digits.shape[1:] != (28, 28) or digits.dtype != np.uint8 or len(labels) != len(digits):
        raise ValueError(f"digits: {digits.dtype} {digits.shape} with {len(labels)} labels (uint8 (N, 28, 28), N)")
    if seed < 0:
        raise ValueError(f"seed: {seed} is negative")
    rng = np.random.default_rng([GRADES.index(grade), seed])
    look = draw_look(_GRADES[grade], rng, long_side)
    layout = lay_out(look, _GRADES[grade], digits, rng)
    bleed = round(_BLEED * max(look.width, look.height))
    sheet = blank_sheet(look, bleed, layout.height, rng)
    print_lines(sheet, look, layout, bleed, rng)
    show_back(sheet, look, layout.height, rng)
    soil(sheet, look, bleed, layout.height, rng)
    _write(sheet, look, layout, bleed, rng)
    matrix = _fitting_view(look, layout, rng)
    scene = photograph(sheet, look, bleed, matrix, rng)
    scene *= light(look, rng)[..., None]
    image = expose(scene, look, layout.height, rng)
    return GeneratedPage(image, _truth(layout, labels, matrix), look)


def _written(layout: Layout) -> list[Written]:
    return [digit for line in layout.lines for number in line for digit in number]


def _write(sheet: Floats, look: Look, layout: Layout, bleed: int, rng: np.random.Generator) -> None:
    """Put the ink of all digits on a sheet, in place; where two digits meet, the ink is not darker than ink."""
    second = [bool(look.second_ink) and rng.random() < 0.5 for _ in layout.lines]
    shape = sheet.shape[:2]
    for name, takes in ((look.ink, False), (look.second_ink, True)):
        lines = [line for line, other in zip(layout.lines, second, strict=True) if other == takes]
        if not name or not lines:
            continue
        ink = np.zeros(shape, np.float32)
        for digit in (digit for line in lines for number in line for digit in number):
            top, left = digit.top + bleed, digit.left + bleed
            place = ink[top : top + digit.ink.shape[0], left : left + digit.ink.shape[1]]
            np.maximum(place, digit.ink, out=place)
        grainy = name in ("pencil", "chalk")
        ink *= texture(shape, layout.height, look.fading, grainy, rng)
        sheet += ink[..., None] * (np.array(INKS[name], np.float32) - sheet)


def _outline(digit: Written) -> npt.NDArray[np.float64]:
    """Points around the ink of a digit on the sheet, `(N, 2)` (x, y): every corner of every outer pixel."""
    mask = (digit.ink > 0.35).astype(np.uint8)
    rows, columns = np.nonzero(mask)
    hull = cv2.convexHull(np.stack([columns, rows], axis=1).astype(np.int32))[:, 0].astype(np.float64)
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    points = (hull[:, None] + corners).reshape(-1, 2) + (digit.left, digit.top)  # noqa: RUF005 -- a sum, of arrays
    return np.asarray(points, np.float64)


def _fitting_view(look: Look, layout: Layout, rng: np.random.Generator) -> Matrix:
    """Choose a view that shows every digit whole: the page is drawn back until it does."""
    zoom = float(rng.uniform(0.82, 0.97)) if look.table else 1.0
    state = rng.bit_generator.state
    clear = _CLEAR * layout.height
    points = np.concatenate([_outline(digit) for digit in _written(layout)])
    while True:
        rng.bit_generator.state = state  # the same angle again, from a little farther away
        matrix = view(look, rng, zoom)
        seen = project(points, matrix)
        if seen.min() >= clear and np.all(seen <= np.array([look.width, look.height]) - clear):
            return matrix
        zoom *= 0.98


def _truth(layout: Layout, labels: Labels, matrix: Matrix) -> tuple[TruthLine, ...]:
    lines = []
    for line in layout.lines:
        numbers = []
        for number in line:
            digits = []
            for place, digit in enumerate(number):
                left, top = np.floor(project(_outline(digit), matrix).min(axis=0) + 0.5)
                right, bottom = np.ceil(project(_outline(digit), matrix).max(axis=0) - 0.5)
                touches = digit.is_touching or (place + 1 < len(number) and number[place + 1].is_touching)
                box = Box(int(left), int(top), int(right), int(bottom))
                digits.append(TruthDigit(str(labels[digit.index]), box, digit.index, touches, digit.is_broken))
            numbers.append(TruthNumber(tuple(digits)))
        lines.append(TruthLine(tuple(numbers)))
    return tuple(lines)
