"""What was read from a page: lines of numbers of digits, each with its place in the image; as text or plain data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt


class Box(NamedTuple):
    """A place in the upright image, pixels; `right` and `bottom` are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    def scaled(self, factor: int) -> "Box":
        """Return the box in an image that is `factor` times as wide and high."""
        return Box(*(side * factor for side in self))


def around(boxes: Sequence[Box]) -> Box:
    """Return the smallest box that holds all of some boxes, at least one."""
    left, top = min(box.left for box in boxes), min(box.top for box in boxes)
    return Box(left, top, max(box.right for box in boxes), max(box.bottom for box in boxes))


@dataclass(frozen=True, eq=False)
class Digit:
    """One digit.

    Attributes:
        text: `0` to `9`, or `?` where the confidence is below the reader's `CONFIDENCE_THRESHOLD`.
        confidence: probability of the best answer, 0 to 1.
        best: the best answer, even where `text` is `?`.
        second: the second best.
        second_confidence: its probability.
        box: around its ink.
        image: uint8 `(28, 28)`, what the network was shown.
    """

    text: str
    confidence: float
    best: int
    second: int
    second_confidence: float
    box: Box
    image: npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Number:
    """Digits that stand close together, from the left."""

    digits: tuple[Digit, ...]
    box: Box

    @property
    def text(self) -> str:
        """Its digits."""
        return "".join(digit.text for digit in self.digits)


@dataclass(frozen=True, eq=False)
class Line:
    """Numbers on one line, from the left."""

    numbers: tuple[Number, ...]
    box: Box

    @property
    def text(self) -> str:
        """Its numbers, joined by one space."""
        return " ".join(number.text for number in self.numbers)


@dataclass(frozen=True, eq=False)
class Page:
    """What was read.

    Attributes:
        lines: from the top; empty where there is no ink.
        width: of the image, pixels.
        height: of the image, pixels.
        polarity: `dark on light` or `light on dark`.
    """

    lines: tuple[Line, ...]
    width: int
    height: int
    polarity: str

    @property
    def text(self) -> str:
        """Its lines, joined by line breaks."""
        return "\n".join(line.text for line in self.lines)

    def scaled(self, factor: int) -> "Page":
        """Return the page with its places in an image that is `factor` times as wide and high."""
        if factor == 1:
            return self
        lines = tuple(
            Line(
                tuple(
                    Number(
                        tuple(replace(digit, box=digit.box.scaled(factor)) for digit in number.digits),
                        number.box.scaled(factor),
                    )
                    for number in line.numbers
                ),
                line.box.scaled(factor),
            )
            for line in self.lines
        )
        return Page(lines, self.width * factor, self.height * factor, self.polarity)

    @property
    def digits(self) -> tuple[Digit, ...]:
        """Every digit, line by line."""
        return tuple(digit for line in self.lines for number in line.numbers for digit in number.digits)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data.

        Keys: `text`, `width`, `height`, `polarity`, `lines`: a list of `text`, `box`, `numbers`: a list of `text`,
        `box`, `digits`: a list of `text`, `confidence`, `best`, `second`, `second_confidence`, `box`. A box is
        `[left, top, right, bottom]`.
        """
        return {
            "text": self.text,
            "width": self.width,
            "height": self.height,
            "polarity": self.polarity,
            "lines": [
                {
                    "text": line.text,
                    "box": list(line.box),
                    "numbers": [
                        {
                            "text": number.text,
                            "box": list(number.box),
                            "digits": [
                                {
                                    "text": digit.text,
                                    "confidence": round(digit.confidence, 4),
                                    "best": digit.best,
                                    "second": digit.second,
                                    "second_confidence": round(digit.second_confidence, 4),
                                    "box": list(digit.box),
                                }
                                for digit in number.digits
                            ],
                        }
                        for number in line.numbers
                    ],
                }
                for line in self.lines
            ],
        }
