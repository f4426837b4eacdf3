"""Which ink is one digit: lines of pieces in, digits out, by what the recognizer makes of every possible grouping.

Pieces that may be several digits are cut where little ink is crossed; then neighbouring parts are grouped in every
plausible way, all groups are recognized in one batch, and each line takes the grouping with the best score. What a
group scores is a weighted sum of what speaks for and against it; the weights make the true grouping of generated lines
of MNIST's validation digits most likely among all groupings (a semi-Markov conditional random field, Sarawagi and
Cohen 2004).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.use.cutting import cut, render, stroke_length, stroke_width, widened
from mnist_lit.use.ink import Piece
from mnist_lit.use.lines import TextLine
from mnist_lit.use.paper import Bytes, Floats

_MAX_PARTS = 5  # of one digit
_BEYOND = (0.6, 1.1)  # stroke widths: how far ink beyond a cut may be a group's as well
_LEAST = -7.0  # groups that are less plausible by their shape alone are not even recognized

# Shapes of the digits 0 to 9 among the 55,000 training images of MNIST, as natural logarithms, mean and standard
# deviation: width : height; length of the strokes : height (see `stroke_length`), which tells one digit from two.
_ASPECT_MEAN = np.array([-0.107, -0.944, -0.074, -0.241, -0.248, -0.078, -0.333, -0.270, -0.288, -0.403], np.float32)
_ASPECT_SD = np.array([0.200, 0.464, 0.221, 0.214, 0.216, 0.263, 0.219, 0.218, 0.224, 0.207], np.float32)
_LENGTH_MEAN = np.array([0.837, 0.044, 0.719, 0.695, 0.556, 0.729, 0.617, 0.480, 0.763, 0.587], np.float32)
_LENGTH_SD = np.array([0.117, 0.101, 0.162, 0.162, 0.118, 0.162, 0.186, 0.128, 0.148, 0.138], np.float32)

# What speaks for or against a group, see `_group`, in units of log probability.
_WEIGHTS = np.array(
    [
        1.02,  # every digit: one wide digit is no better than two narrow ones
        2.37,  # taller than usual on the line, per squared logarithm
        -11.04,  # smaller than usual
        -0.97,  # every piece joined to another that it does not touch
        -6.27,  # the same, per digit height by which the smaller side exceeds a bar or a dot
        -8.78,  # per digit height of clear space between them, across
        2.70,  # per digit height that they overlap, across
        -9.35,  # per digit height between their ink, in any direction
        -0.30,  # a cut
        -2.21,  # per stroke width of ink that it crosses
        -0.68,  # per stroke that it crosses beyond the first
        -0.85,  # standing above or below the neighbour, per share of the width
        -6.80,  # made of small parts only, per digit height that the tallest is below 0.6
        -3.93,  # fainter than the line, per share of its darkness below 0.8
        0.19,  # a cut inside, per cut
    ],
    np.float32,
)
_NET = 5.60  # per log probability of an answer
# An answer: narrow ones come of many things.
_ANSWERS = np.array([0.70, -1.83, -0.48, 0.40, -0.47, -0.10, -0.64, -0.66, 1.60, 2.34], np.float32)
_WIDE, _NARROW = -0.92, -0.15  # a width that is unusual for the answer, per half squared standard deviation
_LONG, _SHORT = -0.51, -0.20  # strokes that are unusual for the answer, the same beyond `_NEAR`
_NEAR = 0.6
_SKIP = np.array([-5.78, -2.52, 7.28, 2.35], np.float32)  # what is no digit: see `_skip_measures`
_LARGEST_SPECK = 0.45  # digit heights


@dataclass(frozen=True, eq=False)
class Part:
    """Ink that is not divided further.

    Attributes:
        piece: the ink.
        parent: index of the piece it was cut from.
        cut: ink crossed by the cut at its right, in stroke widths; 0 where the piece ends there.
        strokes: how many strokes that cut crosses.
    """

    piece: Piece
    parent: int
    cut: float
    strokes: int


@dataclass(frozen=True, eq=False)
class Segment:
    """Ink that is taken for one digit.

    Attributes:
        pieces: the ink.
        image: uint8 `(28, 28)`, as MNIST has it.
        probabilities: float32 `(10,)`.
    """

    pieces: tuple[Piece, ...]
    image: npt.NDArray[np.uint8]
    probabilities: Floats


@dataclass(frozen=True, eq=False)
class Group:
    """Neighbouring parts that may be one digit.

    Attributes:
        line: index of their line.
        first: index of the first part in the line.
        last: index of the last part.
        pieces: their ink.
        aspect: natural logarithm of width : height.
        measures: float32 `(15,)`, what `_WEIGHTS` weighs.
    """

    line: int
    first: int
    last: int
    pieces: tuple[Piece, ...]
    aspect: float
    measures: Floats


def segment(
    lines: Sequence[TextLine], ink: Bytes, recognize: Callable[[npt.NDArray[np.uint8]], Floats]
) -> list[list[Segment]]:
    """Find the digits of every line, from the left.

    Args:
        lines: of the page.
        ink: uint8 `(H, W)`, the ink map.
        recognize: uint8 `(N, 28, 28)` to float32 `(N, 10)`.
    """
    parts = [_parts(line, ink) for line in lines]
    groups, views = candidates(lines, parts, ink)
    if not groups:
        return [[] for _ in lines]
    probabilities = recognize(np.concatenate(views))
    chosen, start = [], 0
    for own in views:  # the view that the recognizer is surest of
        chosen.append(start + int(np.argmax(probabilities[start : start + len(own)].max(axis=1))))
        start += len(own)
    probabilities, images = probabilities[chosen], np.concatenate(views)[chosen]
    scores = [
        float(group.measures @ _WEIGHTS) + _answer_score(group.aspect, stroke_length(image), answer)
        for group, image, answer in zip(groups, images, probabilities, strict=True)
    ]
    found = []
    for index, line in enumerate(lines):
        of_line = [number for number, group in enumerate(groups) if group.line == index]
        skips = [float(_skip_measures(part, line) @ _SKIP) for part in parts[index]]
        path = _best_path([groups[number] for number in of_line], [scores[number] for number in of_line], skips)
        taken = [of_line[place] for place in path]
        found.append([Segment(groups[n].pieces, images[n], probabilities[n]) for n in taken])
    return found


def candidates(
    lines: Sequence[TextLine], parts: Sequence[Sequence[Part]], ink: Bytes
) -> tuple[list[Group], list[npt.NDArray[np.uint8]]]:
    """Every group worth a look, and its views `(V, 28, 28)`: as it was cut, then with some ink from beyond the cuts."""
    groups, views = [], []
    for index, line in enumerate(lines):
        widths = [stroke_width(piece) for piece in line.pieces]
        for group in _groups(index, parts[index], line):
            image = render(group.pieces, ink)
            shape = _shape_scores(group.aspect, stroke_length(image))
            if float(group.measures @ _WEIGHTS) + float(shape.max()) > _LEAST:
                groups.append(group)
                wider = _widened(parts[index][group.first : group.last + 1], line, widths)
                views.append(np.stack([image, *(render(pieces, ink) for pieces in wider)]))
    return groups, views


def _widened(parts: Sequence[Part], line: TextLine, widths: Sequence[float]) -> list[list[Piece]]:
    """The ink of a group with that beyond its cuts, by growing reach; nothing where the group has no cuts.

    `widths` has the stroke width of every piece of the line, pixels.
    """
    by_parent: dict[int, list[Piece]] = {}
    for part in parts:
        by_parent.setdefault(part.parent, []).append(part.piece)
    whole = sum(line.pieces[parent].area for parent in by_parent)
    if sum(piece.area for pieces in by_parent.values() for piece in pieces) == whole:
        return []
    return [
        [widened(own, line.pieces[parent], max(1, round(by * widths[parent]))) for parent, own in by_parent.items()]
        for by in _BEYOND
    ]


def _parts(line: TextLine, ink: Bytes) -> list[Part]:
    parts = [
        Part(part, parent, crossed, strokes)
        for parent, piece in enumerate(line.pieces)
        for part, crossed, strokes in cut(piece, ink, line.height)
    ]
    return sorted(parts, key=lambda part: (part.piece.left + part.piece.right) / 2)


def _skip_measures(part: Part, line: TextLine) -> Floats:
    """What says whether a part is no digit's: 1, its longer side, how faint it is, how far it is larger than specks."""
    size = max(part.piece.height, part.piece.width) / line.height
    faint = max(0.0, 0.8 - part.piece.darkness / line.darkness)
    return np.array([1.0, size, faint, max(0.0, size - _LARGEST_SPECK)], np.float32)


def _groups(line: int, parts: Sequence[Part], about: TextLine) -> list[Group]:
    distances: dict[tuple[int, int], float] = {}
    found = []
    for first in range(len(parts)):
        for last in range(first, min(first + _MAX_PARTS, len(parts))):
            group = _group(line, first, last, parts, about, distances)
            if group is not None:
                found.append(group)
    return found


def _size(parts: Sequence[Part], height: float) -> float:
    """The longer side of the box around parts, in digit heights."""
    pieces = [part.piece for part in parts]
    width = max(piece.right for piece in pieces) - min(piece.left for piece in pieces)
    tall = max(piece.bottom for piece in pieces) - min(piece.top for piece in pieces)
    return max(width, tall) / height


def _outline(piece: Piece) -> npt.NDArray[np.float32]:
    """Points along the edge of a piece, `(N, 2)`."""
    contours, _ = cv2.findContours(piece.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    points = np.concatenate(contours)[:, 0].astype(np.float32)
    return points + np.array([piece.left, piece.top], np.float32)


def _distance(parts: Sequence[Part], one: int, other: int, known: dict[tuple[int, int], float]) -> float:
    """Pixels between the ink of two parts, given by their indices."""
    if (one, other) not in known:
        away = _outline(parts[one].piece)[:, None] - _outline(parts[other].piece)
        known[one, other] = float(np.sqrt((away**2).sum(axis=2).min()))
    return known[one, other]


def _group(
    line: int, first: int, last: int, parts: Sequence[Part], about: TextLine, distances: dict[tuple[int, int], float]
) -> Group | None:
    """Measure a group; None where it cannot be a digit."""
    height = about.height
    chosen, after = parts[first : last + 1], parts[last + 1 :]
    left, right = min(part.piece.left for part in chosen), max(part.piece.right for part in chosen)
    top, bottom = min(part.piece.top for part in chosen), max(part.piece.bottom for part in chosen)
    width, tall = (right - left) / height, (bottom - top) / height
    if tall < 0.35 or (width > 1.8 and len(chosen) > 1):
        return None
    joins = np.zeros(5)
    inner = 0
    for number in range(1, len(chosen)):
        before, part = chosen[:number], chosen[number]
        if any(part.parent == other.parent for other in before):
            inner += 1
            continue
        gap = (part.piece.left - max(other.piece.right for other in before)) / height
        if gap > 0.35:
            return None
        own = [other for other in chosen if other.parent == part.parent]
        size = min(_size(own, height), _size(before, height))
        near = min(_distance(parts, first + number, first + other, distances) for other in range(number)) / height
        joins += 1, max(0.0, size - 0.4), max(0.0, gap), min(max(0.0, -gap), 0.3), min(near, 0.5)
    final = chosen[-1]
    is_cut = any(part.parent == final.parent for part in after)
    shared = 0.0
    if after and after[0].parent != final.parent:
        common = min(right, after[0].piece.right) - max(left, after[0].piece.left)
        shared = max(0.0, common / min(right - left, after[0].piece.width))
    solid = max(part.piece.height for part in chosen) / height
    darkness = max(part.piece.darkness for part in chosen) / about.darkness
    log_tall = float(np.clip(np.log(tall), -1.5, 1.5))
    measures = (
        *(1, max(0.0, log_tall) ** 2, min(0.0, log_tall) ** 2),
        *joins,
        *((1, final.cut, max(0, final.strokes - 1)) if is_cut else (0, 0, 0)),
        *(shared, max(0.0, 0.6 - solid), max(0.0, 0.8 - darkness), inner),
    )
    pieces = tuple(part.piece for part in chosen)
    return Group(line, first, last, pieces, float(np.log(width / tall)), np.array(measures, np.float32))


def _shape_scores(aspect: float, length: float) -> Floats:
    """How well a shape suits each of the ten digits, as logarithms `(10,)`."""
    wide = np.clip((aspect - _ASPECT_MEAN) / _ASPECT_SD, -4.0, 4.0)
    away = (length - _LENGTH_MEAN) / _LENGTH_SD
    away = np.clip(np.sign(away) * np.maximum(np.abs(away) - _NEAR, 0.0), -5.0, 5.0)
    width = np.where(wide > 0, _WIDE, _NARROW) * wide**2 / 2
    return np.asarray(_ANSWERS + width + np.where(away > 0, _LONG, _SHORT) * away**2 / 2, np.float32)


def _answer_score(aspect: float, length: float, probabilities: Floats) -> float:
    """What the recognizer makes of a group, where its shape suits the answer, as a logarithm."""
    return float(np.max(_NET * np.log(probabilities + 1e-4) + _shape_scores(aspect, length)))


def _best_path(groups: Sequence[Group], scores: Sequence[float], skips: Sequence[float]) -> list[int]:
    """Which groups cover the parts of a line best: indices from the left.

    Args:
        groups: of the line.
        scores: one per group.
        skips: one per part: what leaving it out scores.
    """
    count = len(skips)
    best = [0.0] + [-1e18] * count
    came: list[tuple[int, int | None]] = [(0, None)] * (count + 1)
    by_first: dict[int, list[int]] = {}
    for number, group in enumerate(groups):
        by_first.setdefault(group.first, []).append(number)
    for place in range(count):
        value = best[place] + skips[place]
        if value > best[place + 1]:
            best[place + 1], came[place + 1] = value, (place, None)
        for number in by_first.get(place, []):
            end = groups[number].last + 1
            value = best[place] + scores[number]
            if value > best[end]:
                best[end], came[end] = value, (place, number)
    path: list[int] = []
    place = count
    while place > 0:
        place, chosen = came[place]
        if chosen is not None:
            path.append(chosen)
    return path[::-1]
