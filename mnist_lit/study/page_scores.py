"""How well a page was read: digits with boxes and lines of text, the truth beside the answer, counts out.

A digit counts as right only if exactly one answer lies on it and says what it is. An answer that lies on no digit, or
on one that has its answer already, is false.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

UNSURE = "?"  # what the reader says instead of guessing
_MIN_OVERLAP = 0.5  # intersection over union from which two boxes mean the same digit
_MAX_OFFSET = 0.25  # or their centres are this close, in heights or widths, whichever is longer
_MAX_RATIO = 1.6  # with longer sides this similar


class Mark(NamedTuple):
    """A digit and its place: `text` is one character, `box` is left, top, right, bottom in pixels."""

    text: str
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class MarkedLine:
    """A line: its text with a space between numbers, and its digits."""

    text: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True)
class Mistake:
    """One thing that was read wrongly.

    Attributes:
        kind: `missed` (no answer on a digit), `unsure` (`?`), `wrong`, or `false` (an answer without a digit).
        truth: the digit, or empty.
        answer: what was read, or empty.
        box: of the digit, of the false answer where there is none.
    """

    kind: str
    truth: str
    answer: str
    box: tuple[int, int, int, int]


@dataclass
class Score:
    """Counts over one page or several; `+=` adds those of another.

    Attributes:
        digits: that are on the page.
        right: of them with the right answer.
        wrong: of them with another digit as their answer.
        unsure: of them with `?` as their answer.
        missed: of them without an answer.
        false: answers other than `?` that are the answer to no digit.
        unsure_elsewhere: `?` that are the answer to no digit.
        lines: that are on the page.
        lines_right: of them whose text is right, spaces included.
        characters: on all lines, spaces included.
        character_errors: edit distance of the lines' texts.
        digit_errors: the same without spaces.
    """

    digits: int = 0
    right: int = 0
    wrong: int = 0
    unsure: int = 0
    missed: int = 0
    false: int = 0
    unsure_elsewhere: int = 0
    lines: int = 0
    lines_right: int = 0
    characters: int = 0
    character_errors: int = 0
    digit_errors: int = 0
    mistakes: list[Mistake] = field(default_factory=list)

    def __iadd__(self, other: "Score") -> "Score":
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))
        return self

    @property
    def recall(self) -> float:
        """Share of the digits that were found and read right; 1 where there are none."""
        return _share(self.right, self.digits)

    @property
    def precision(self) -> float:
        """Share of the answers other than `?` that are right; 1 where there are none."""
        return _share(self.right, self.right + self.wrong + self.false)

    @property
    def false_share(self) -> float:
        """False answers per digit; where there are no digits, per answer."""
        return self.false / max(1, self.digits)

    @property
    def character_error_rate(self) -> float:
        """Edit distance per character of the lines, spaces included."""
        return self.character_errors / max(1, self.characters)

    def plain(self) -> dict[str, Any]:
        """Return counts and rates as plain data, without the mistakes."""
        counts = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "mistakes"}
        rates = ("recall", "precision", "false_share", "character_error_rate")
        return {**counts, **{name: round(getattr(self, name), 6) for name in rates}}


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 1.0


def overlap(a: Sequence[int], b: Sequence[int]) -> float:
    """Return intersection over union of two boxes (left, top, right, bottom), 0 to 1."""
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def same_place(truth: Sequence[int], answer: Sequence[int]) -> bool:
    """Tell whether two boxes mean the same digit: they overlap by half, or have one middle and one size.

    The second is for thin digits, whose boxes overlap little when they differ by a pixel.
    """
    if overlap(truth, answer) >= _MIN_OVERLAP:
        return True
    long, other = (max(box[2] - box[0], box[3] - box[1]) for box in (truth, answer))
    offset = max(abs(truth[i] + truth[i + 2] - answer[i] - answer[i + 2]) / 2 for i in (0, 1))
    return offset <= _MAX_OFFSET * long and max(long, other) <= _MAX_RATIO * min(long, other)


def match(truth: Sequence[Mark], answers: Sequence[Mark]) -> dict[int, int]:
    """Pair digits with answers, one to one, the boxes that overlap most first.

    What is read plays no part: a wrong answer is the answer to the digit that it lies on.

    Returns:
        The index of the answer for the index of each digit that has one.
    """
    pairs = [
        (-overlap(digit.box, answer.box), i, j)
        for i, digit in enumerate(truth)
        for j, answer in enumerate(answers)
        if same_place(digit.box, answer.box)
    ]
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, i, j in sorted(pairs):
        if i not in found and j not in taken:
            found[i] = j
            taken.add(j)
    return found


def edit_distance(a: str, b: str) -> int:
    """Return the least number of insertions, deletions and substitutions that make `b` of `a` (Levenshtein)."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]


def score_page(truth: Sequence[MarkedLine], answers: Sequence[MarkedLine]) -> Score:
    """Compare what was read on a page with what stands there.

    Args:
        truth: the lines of the page.
        answers: the lines that were read, in any order.
    """
    digits = [(row, mark) for row, line in enumerate(truth) for mark in line.marks]
    read = [(row, mark) for row, line in enumerate(answers) for mark in line.marks]
    found = match([mark for _, mark in digits], [mark for _, mark in read])
    score = Score(digits=len(digits), lines=len(truth), characters=sum(len(line.text) for line in truth))
    for i, (_, digit) in enumerate(digits):
        answer = read[found[i]][1].text if i in found else ""
        if answer == digit.text:
            score.right += 1
            continue
        kind = "missed" if i not in found else "unsure" if answer == UNSURE else "wrong"
        setattr(score, kind, getattr(score, kind) + 1)
        score.mistakes.append(Mistake(kind, digit.text, answer, digit.box))
    for j in sorted(set(range(len(read))) - set(found.values())):
        answer, box = read[j][1]
        if answer == UNSURE:
            score.unsure_elsewhere += 1
        else:
            score.false += 1
            score.mistakes.append(Mistake("false", "", answer, box))
    _score_lines(score, truth, answers, [(digits[i][0], read[j][0]) for i, j in found.items()])
    return score


def _score_lines(
    score: Score, truth: Sequence[MarkedLine], answers: Sequence[MarkedLine], shared: list[tuple[int, int]]
) -> None:
    """Compare texts: a line is read by the answer with most of its digits; `shared` has a pair of rows per digit."""
    partners: dict[int, int] = {}
    for row, other in sorted(set(shared), key=lambda pair: (-shared.count(pair), pair)):
        if row not in partners and other not in partners.values():
            partners[row] = other
    for row, line in enumerate(truth):
        text = answers[partners[row]].text if row in partners else ""
        score.lines_right += text == line.text
        score.character_errors += edit_distance(line.text, text)
        score.digit_errors += edit_distance(line.text.replace(" ", ""), text.replace(" ", ""))
    for other in set(range(len(answers))) - set(partners.values()):
        score.character_errors += len(answers[other].text)
        score.digit_errors += len(answers[other].text.replace(" ", ""))
