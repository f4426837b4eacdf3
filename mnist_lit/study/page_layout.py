"""Where the digits of a page stand: lines of numbers of digits on an upright sheet, with the ink of each."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_lit.study.page_ink import Floats, break_stroke, stroke
from mnist_lit.study.page_looks import Grade, Look

MARGIN = 0.09  # of the sheet's height, around the writing
SMALLEST = 24.0  # digit height in pixels; smaller ones are hard to read for people too


@dataclass
class Written:
    """One digit on the sheet.

    Attributes:
        index: of the digit among those given.
        ink: `(H, W)`, 0 to 1.
        left: of the ink's crop on the sheet, pixels.
        top: of the ink's crop on the sheet, pixels.
        is_touching: whether it was written onto the digit before it.
        is_broken: whether its stroke has a gap.
    """

    index: int
    ink: Floats
    left: int
    top: int
    is_touching: bool
    is_broken: bool

    @property
    def right(self) -> int:
        """The first column after it."""
        return self.left + int(self.ink.shape[1])


@dataclass(frozen=True)
class Layout:
    """What is written on the sheet.

    Attributes:
        lines: lines of numbers of digits, from the top and from the left.
        height: nominal digit height, pixels.
        pitch: distance of lines, pixels.
        baseline: where the first line stands, pixels from the top.
        left: where the writing begins, pixels.
    """

    lines: list[list[list[Written]]]
    height: float
    pitch: float
    baseline: float
    left: float


def _edges(digit: Written, top: int, bottom: int, reach: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """First and last inked column of each sheet row from `top` to `bottom`, the ink widened by `reach` rows."""
    first = np.full(bottom - top, 10**9)
    last = np.full(bottom - top, -(10**9))
    for row, ink in enumerate(digit.ink > 0.4):
        columns = np.flatnonzero(ink)
        if len(columns):
            rows = slice(max(0, digit.top + row - reach - top), max(0, digit.top + row + reach + 1 - top))
            first[rows] = np.minimum(first[rows], digit.left + columns[0])
            last[rows] = np.maximum(last[rows], digit.left + columns[-1] + 1)
    return first, last


def _clearance(before: Written, digit: Written, reach: int) -> int:
    """Smallest horizontal distance of the ink of two neighbours, over the rows that they share."""
    top = min(before.top, digit.top)
    bottom = max(before.top + before.ink.shape[0], digit.top + digit.ink.shape[0])
    _, last = _edges(before, top, bottom, reach)
    first, _ = _edges(digit, top, bottom, reach)
    distance = int((first - last).min())
    return distance if distance < 10**8 else digit.left - before.right


class _Writer:
    """Writes digits one after the other onto one sheet."""

    def __init__(
        self, look: Look, grade: Grade, digits: npt.NDArray[np.uint8], height: float, rng: np.random.Generator
    ) -> None:
        self.look, self.grade, self.digits, self.height, self.rng = look, grade, digits, height, rng
        self.thinness = float(rng.uniform(0.48, 0.64))
        self.gap = grade.gap.draw(rng)
        self.order = self._shuffled()

    def _shuffled(self) -> Iterator[int]:
        """Every digit once in random order, then again."""
        while True:
            yield from (int(i) for i in self.rng.permutation(len(self.digits)))

    def write(self, x: float, line_y: float, before: Written | None) -> Written:
        """Write one digit at `x`, or beside the one before it in the same number; `line_y` is its middle."""
        rng, height = self.rng, self.height
        index = next(self.order)
        own = max(SMALLEST, height * float(1 + rng.uniform(-self.grade.size_spread, self.grade.size_spread)))
        ink = stroke(self.digits[index], own, self.thinness)
        is_broken = rng.random() < self.grade.broken
        if is_broken:
            whole, ink = ink, break_stroke(ink, own, rng)
            is_broken = whole is not ink
        offset = float(rng.uniform(-self.grade.jitter, self.grade.jitter)) * height
        top = round(line_y + offset - ink.shape[0] / 2)
        touching = rng.random() < self.grade.touching
        gap = max(3.0, height * self.gap * float(rng.uniform(0.75, 1.25)))
        overlap = max(1.5, height * float(rng.uniform(0.02, 0.05)))
        digit = Written(index, ink, round(x), top, False, is_broken)
        if before is not None:
            if touching:
                self._move(digit, before, -overlap, 0)
                digit.is_touching = _clearance(before, digit, 0) <= 0
            if not digit.is_touching:  # or one would have had to stand on the other to touch it
                self._move(digit, before, gap, round(0.1 * height))
        return digit

    def _move(self, digit: Written, before: Written, clear: float, reach: int) -> None:
        """Move a digit sideways until it is `clear` pixels from the ink of the one before it, or a little farther."""
        digit.left = before.right
        digit.left += round(clear - _clearance(before, digit, reach))
        least = before.left + round(0.2 * self.height), before.right - round(0.25 * self.height)
        digit.left = max(digit.left, *least)


def lay_out(look: Look, grade: Grade, digits: npt.NDArray[np.uint8], rng: np.random.Generator) -> Layout:
    """Fill a sheet of the look's size with lines of numbers.

    Args:
        look: what the page looks like.
        grade: how often digits touch or break, and how regular the writing is.
        digits: uint8 `(N, 28, 28)`, taken in random order, each once before any comes again.
        rng: where chance comes from.
    """
    margin = MARGIN * look.height
    climb = np.tan(np.radians(look.climb))
    room_to_climb = abs(climb) * (look.width - 2 * margin)
    usable = look.height - 2 * margin - room_to_climb
    pitch = min(usable / look.lines, 0.2 * look.height)
    height = max(SMALLEST, look.size * pitch)
    count = max(1, min(look.lines, int(usable / max(pitch, 1.5 * height))))
    pitch = max(pitch, 1.5 * height)
    left = margin + (0.5 * height if look.margin_line else 0.0)
    right = look.width - margin
    first = margin + pitch / 2 + (room_to_climb if climb > 0 else 0.0)
    writer = _Writer(look, grade, digits, height, rng)
    wide = [float(rng.uniform(2.6, 4.2)) * height for _ in range(20)]
    columns = np.cumsum([left, *wide]) if look.columns else None
    waver = min(np.tan(np.radians(grade.waver)), 0.2 * pitch / (right - left))
    lines = []
    for row in range(count):
        slope = climb + float(rng.uniform(-waver, waver))
        line: list[list[Written]] = []
        x = left + (0.0 if columns is not None else float(rng.uniform(0, 0.8)) * height)
        end = right if rng.random() < 0.7 else left + (right - left) * float(rng.uniform(0.35, 0.9))
        while True:
            if columns is not None:
                later = columns[columns >= x - 0.1]
                if len(later) == 0:
                    break
                x = float(later[0])
            number: list[Written] = []
            length = int(rng.integers(1, 4 if columns is not None else 6))
            for _ in range(length):
                before = number[-1] if number else None
                at = x if before is None else before.right
                middle = first + row * pitch - slope * (at - left)
                number.append(writer.write(at, middle, before))
            if number[-1].right > end:
                if line:
                    break
                number = [digit for digit in number if digit.right <= end] or number[:1]
            line.append(number)
            x = max(digit.right for digit in number) + float(rng.uniform(0.9, 2.2)) * height
        lines.append(line)
    return Layout(lines, height, pitch, first, left)
