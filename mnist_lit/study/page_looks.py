"""How hard a generated page is to read: three grades, each a set of ranges and chances, and what is drawn from them.

A `Grade` is fixed once and for all: scores of different versions of the reader are only comparable on the same pages.
A `Look` is what one page got. Lengths are in digit heights (`h`) or in shares of the page, so that a look means the
same at every resolution; brightness is in shares of full scale.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

Colour = tuple[float, float, float]  # red, green, blue; 0 to 1


class Range(NamedTuple):
    """From `low` to `high`, all equally likely."""

    low: float
    high: float

    def draw(self, rng: np.random.Generator) -> float:
        """Draw one value."""
        return float(rng.uniform(self.low, self.high))


@dataclass(frozen=True)
class Grade:
    """What pages of one grade may look like: ranges to draw from, chances from 0 to 1, weights of kinds.

    Attributes:
        long_side: pixels.
        lines: lines of writing.
        size: digit height as a share of the distance between lines.
        size_spread: how much digits of one page differ in height, ±.
        jitter: how far digits leave the line, ±h.
        gap: clear space between the digits of a number, h.
        tilt: of the whole sheet, ± degrees.
        climb: of the writing on the sheet, ± degrees.
        waver: how much lines differ in their climb, ± degrees.
        touching: chance that a digit touches the one before it in its number.
        broken: chance that a digit has a gap in its stroke.
        columns: chance that the numbers of all lines stand in columns.
        inks: weights of the inks.
        second_ink: chance that some lines are written with another ink.
        fading: how much of the ink is missing where the pen was light.
        papers: weights of the papers.
        rulings: weights of the rulings.
        ruling_strength: how far printed lines differ from the paper.
        margin_line: chance of a red line beside the writing.
        back: chance that print shows through from the other side.
        back_strength: how far it differs from the paper.
        specks: number of dark specks on the page.
        smudges: number of faint smudges.
        board: chance of white chalk on a blackboard instead of ink on paper.
        table: chance that the whole note is in the photo, lying on a table.
        perspective: how far corners are displaced, share of the page.
        falloff: how much darker one end of the page is.
        soft_shadow: chance of a shadow with a wide edge.
        hard_shadow: chance of a shadow with a narrow edge.
        shadow: how dark shadows are.
        blur: standard deviation, h.
        noise: standard deviation.
        jpeg: quality, 0 to 100.
    """

    long_side: Range
    lines: tuple[int, int]
    size: Range
    size_spread: float
    jitter: float
    gap: Range
    tilt: float
    climb: float
    waver: float
    touching: float
    broken: float
    columns: float
    inks: dict[str, float]
    second_ink: float
    fading: Range
    papers: dict[str, float]
    rulings: dict[str, float]
    ruling_strength: Range
    margin_line: float
    back: float
    back_strength: Range
    specks: tuple[int, int]
    smudges: tuple[int, int]
    board: float
    table: float
    perspective: float
    falloff: Range
    soft_shadow: float
    hard_shadow: float
    shadow: Range
    blur: Range
    noise: Range
    jpeg: tuple[int, int]


INKS: dict[str, Colour] = {
    "black": (0.11, 0.11, 0.13),
    "blue": (0.13, 0.20, 0.55),
    "red": (0.70, 0.13, 0.16),
    "green": (0.08, 0.40, 0.22),
    "pencil": (0.36, 0.36, 0.38),
    "chalk": (0.93, 0.93, 0.90),
}
PAPERS: dict[str, Colour] = {
    "white": (0.97, 0.97, 0.965),
    "off-white": (0.94, 0.925, 0.88),
    "yellow": (0.97, 0.93, 0.74),
    "recycled": (0.81, 0.80, 0.77),
    "board": (0.13, 0.17, 0.15),
}

GRADES: dict[str, Grade] = {
    "easy": Grade(
        long_side=Range(1000, 2000),
        lines=(3, 7),
        size=Range(0.45, 0.62),
        size_spread=0.06,
        jitter=0.04,
        gap=Range(0.16, 0.36),
        tilt=2.0,
        climb=0.0,
        waver=0.0,
        touching=0.0,
        broken=0.0,
        columns=0.4,
        inks={"black": 0.55, "blue": 0.45},
        second_ink=0.0,
        fading=Range(0.0, 0.10),
        papers={"white": 0.7, "off-white": 0.3},
        rulings={"plain": 0.6, "ruled": 0.25, "squared": 0.15},
        ruling_strength=Range(0.04, 0.09),
        margin_line=0.1,
        back=0.0,
        back_strength=Range(0.0, 0.0),
        specks=(0, 2),
        smudges=(0, 0),
        board=0.0,
        table=0.0,
        perspective=0.0,
        falloff=Range(0.0, 0.08),
        soft_shadow=0.0,
        hard_shadow=0.0,
        shadow=Range(0.0, 0.0),
        blur=Range(0.004, 0.012),
        noise=Range(0.003, 0.012),
        jpeg=(88, 97),
    ),
    "medium": Grade(
        long_side=Range(1000, 2000),
        lines=(3, 8),
        size=Range(0.42, 0.62),
        size_spread=0.12,
        jitter=0.07,
        gap=Range(0.12, 0.32),
        tilt=4.0,
        climb=1.5,
        waver=0.4,
        touching=0.02,
        broken=0.02,
        columns=0.4,
        inks={"black": 0.3, "blue": 0.35, "red": 0.12, "green": 0.08, "pencil": 0.15},
        second_ink=0.15,
        fading=Range(0.05, 0.25),
        papers={"white": 0.5, "off-white": 0.2, "yellow": 0.15, "recycled": 0.15},
        rulings={"plain": 0.3, "ruled": 0.35, "squared": 0.35},
        ruling_strength=Range(0.06, 0.16),
        margin_line=0.3,
        back=0.3,
        back_strength=Range(0.03, 0.06),
        specks=(0, 12),
        smudges=(0, 2),
        board=0.10,
        table=0.35,
        perspective=0.015,
        falloff=Range(0.05, 0.30),
        soft_shadow=0.45,
        hard_shadow=0.15,
        shadow=Range(0.15, 0.35),
        blur=Range(0.006, 0.018),
        noise=Range(0.008, 0.022),
        jpeg=(70, 92),
    ),
    "hard": Grade(
        long_side=Range(1000, 2200),
        lines=(4, 9),
        size=Range(0.42, 0.64),
        size_spread=0.20,
        jitter=0.10,
        gap=Range(0.09, 0.30),
        tilt=7.0,
        climb=3.0,
        waver=0.9,
        touching=0.08,
        broken=0.06,
        columns=0.4,
        inks={"black": 0.22, "blue": 0.30, "red": 0.14, "green": 0.12, "pencil": 0.22},
        second_ink=0.3,
        fading=Range(0.10, 0.40),
        papers={"white": 0.35, "off-white": 0.2, "yellow": 0.2, "recycled": 0.25},
        rulings={"plain": 0.1, "ruled": 0.4, "squared": 0.5},
        ruling_strength=Range(0.10, 0.24),
        margin_line=0.5,
        back=0.6,
        back_strength=Range(0.04, 0.09),
        specks=(5, 40),
        smudges=(1, 5),
        board=0.12,
        table=0.65,
        perspective=0.035,
        falloff=Range(0.15, 0.50),
        soft_shadow=0.7,
        hard_shadow=0.4,
        shadow=Range(0.20, 0.45),
        blur=Range(0.010, 0.026),
        noise=Range(0.012, 0.035),
        jpeg=(50, 85),
    ),
}


@dataclass(frozen=True)
class Look:
    """What one page got.

    Attributes:
        width: of the image, pixels.
        height: of the image, pixels.
        lines: number of lines asked for; a page too small for a line's first digit has fewer.
        size: digit height as a share of the distance between lines.
        tilt: of the sheet, degrees, positive turns clockwise.
        climb: of the writing, degrees, positive climbs.
        columns: whether numbers stand in columns.
        ink: name of the ink.
        second_ink: name of the ink of some lines, or empty.
        fading: how much ink is missing where the pen was light.
        paper: name of the paper; `board` for a blackboard.
        ruling: `plain`, `ruled` or `squared`.
        ruling_strength: how far printed lines differ from the paper.
        margin_line: whether there is a red line beside the writing.
        back_strength: how far print from the back differs from the paper; 0 for none.
        specks: number of specks.
        smudges: number of smudges.
        table: `dark`, `wood`, or empty where the sheet fills the photo.
        perspective: how far corners are displaced, share of the page.
        falloff: how much darker one end of the page is.
        soft_shadow: how dark the shadow with a wide edge is; 0 for none.
        hard_shadow: how dark the shadow with a narrow edge is; 0 for none.
        blur: standard deviation, h.
        noise: standard deviation.
        jpeg: quality.
    """

    width: int
    height: int
    lines: int
    size: float
    tilt: float
    climb: float
    columns: bool
    ink: str
    second_ink: str
    fading: float
    paper: str
    ruling: str
    ruling_strength: float
    margin_line: bool
    back_strength: float
    specks: int
    smudges: int
    table: str
    perspective: float
    falloff: float
    soft_shadow: float
    hard_shadow: float
    blur: float
    noise: float
    jpeg: int

    @property
    def is_board(self) -> bool:
        """Whether strokes are lighter than what they are on."""
        return self.paper == "board"


def _choice(rng: np.random.Generator, weights: dict[str, float]) -> str:
    shares = np.array(list(weights.values()))
    return str(rng.choice(list(weights), p=shares / shares.sum()))


def _either(rng: np.random.Generator, chance: float, strength: Range) -> float:
    """Draw a strength, or 0 where chance leaves the thing out."""
    value = strength.draw(rng)
    return value if rng.random() < chance else 0.0


def draw_look(grade: Grade, rng: np.random.Generator, long_side: int | None = None) -> Look:
    """Draw what one page of a grade looks like.

    Args:
        grade: the ranges.
        rng: where chance comes from; how much is drawn does not depend on what was drawn.
        long_side: pixels; drawn from the grade's range if left out.
    """
    drawn = round(grade.long_side.draw(rng))
    long = long_side or drawn
    sides = (long, round(0.75 * long))
    width, height = sides if rng.random() < 0.5 else sides[::-1]
    board = rng.random() < grade.board
    inks = [_choice(rng, grade.inks) for _ in range(2)]
    two_inks = rng.random() < grade.second_ink
    paper, ruling = _choice(rng, grade.papers), _choice(rng, grade.rulings)
    ruling_strength, margin_line = grade.ruling_strength.draw(rng), bool(rng.random() < grade.margin_line)
    back_strength = _either(rng, grade.back, grade.back_strength)
    on_table, wooden = rng.random() < grade.table, rng.random() < 0.5
    return Look(
        width=width,
        height=height,
        lines=int(rng.integers(grade.lines[0], grade.lines[1] + 1)),
        size=grade.size.draw(rng),
        tilt=float(rng.uniform(-grade.tilt, grade.tilt)),
        climb=float(rng.uniform(-grade.climb, grade.climb)),
        columns=bool(rng.random() < grade.columns),
        ink="chalk" if board else inks[0],
        second_ink=inks[1] if two_inks and not board else "",
        fading=grade.fading.draw(rng),
        paper="board" if board else paper,
        ruling="plain" if board else ruling,
        ruling_strength=0.0 if board else ruling_strength,
        margin_line=margin_line and not board,
        back_strength=0.0 if board else back_strength,
        specks=int(rng.integers(grade.specks[0], grade.specks[1] + 1)),
        smudges=int(rng.integers(grade.smudges[0], grade.smudges[1] + 1)),
        table=("wood" if wooden else "dark") if on_table and not board else "",
        perspective=grade.perspective,
        falloff=grade.falloff.draw(rng),
        soft_shadow=_either(rng, grade.soft_shadow, grade.shadow),
        hard_shadow=_either(rng, grade.hard_shadow, grade.shadow),
        blur=grade.blur.draw(rng),
        noise=grade.noise.draw(rng),
        jpeg=int(rng.integers(grade.jpeg[0], grade.jpeg[1] + 1)),
    )
