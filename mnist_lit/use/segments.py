"""Which ink is one digit: lines of pieces in, digits out, by what the recognizer makes of every possible grouping.

Pieces that may be several digits are cut where little ink is crossed; then neighbouring parts are grouped in every
plausible way, all groups are recognized in one batch, and each line takes the grouping with the best score. What it
took is recognized once more, moved about a little. What a group scores is a weighted sum of what speaks for and against
it; the weights (`segment_model`) make the true grouping of generated lines most likely among all groupings (a
semi-Markov conditional random field, Sarawagi and Cohen 2004).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_lit.use.arrays import Bytes, Floats
from mnist_lit.use.cutting import render, stroke_length, stroke_width, widened
from mnist_lit.use.groups import Group, Part, groups_of, parts_of, skip_measures
from mnist_lit.use.ink import Piece
from mnist_lit.use.lines import TextLine
from mnist_lit.use.segment_model import MEASURES, SegmentWeights, load_segment_weights
from mnist_lit.use.wholes import COLUMNS, ROWS, view

_BEYOND = (0.6, 1.1)  # stroke widths: how far ink beyond a cut may be a group's as well
_LEAST = -12.0  # groups that are less plausible by their shape alone are not even recognized


@dataclass(frozen=True, eq=False)
class Segment:
    """Ink that is taken for one digit.

    Attributes:
        pieces: the ink.
        image: uint8 `(28, 28)`, as MNIST has it.
        probabilities: float32 `(10,)`, the mean over nine places a pixel apart.
    """

    pieces: tuple[Piece, ...]
    image: npt.NDArray[np.uint8]
    probabilities: Floats


@dataclass(frozen=True, eq=False)
class Observed:
    """The groups of a page, and what is known of them.

    Attributes:
        parts: of each line, from the left.
        groups: of all lines.
        images: uint8 `(N, 28, 28)`, each group as MNIST would have it.
        probabilities: float32 `(N, 10)`, the recognizer's.
        views: uint8 `(N, 2, 32, 40)`, see `view`.
    """

    parts: tuple[tuple[Part, ...], ...]
    groups: tuple[Group, ...]
    images: npt.NDArray[np.uint8]
    probabilities: Floats
    views: npt.NDArray[np.uint8]

    @property
    def measures(self) -> Floats:
        """The groups' measures, `(N, 15)`."""
        return np.array([group.measures for group in self.groups], np.float32).reshape(-1, len(MEASURES))

    @property
    def aspects(self) -> Floats:
        """Their width : height, natural logarithm `(N,)`."""
        return np.array([group.aspect for group in self.groups], np.float32)

    @property
    def lengths(self) -> Floats:
        """The length of their strokes : height, natural logarithm `(N,)`."""
        return np.array([stroke_length(image) for image in self.images], np.float32)

    def shapes(self, weights: SegmentWeights) -> Floats:
        """How well their shapes suit each answer, `(N, 10)`."""
        return weights.shape_scores(self.aspects, self.lengths)


def segment(
    lines: Sequence[TextLine], ink: Bytes, recognize: Callable[[npt.NDArray[np.uint8]], Floats]
) -> list[list[Segment]]:
    """Find the digits of every line, from the left.

    Args:
        lines: of the page.
        ink: uint8 `(H, W)`, the ink map.
        recognize: uint8 `(N, 28, 28)` to float32 `(N, 10)`.
    """
    weights = load_segment_weights()
    seen = observe(lines, ink, recognize, weights)
    log_odds = weights.network.log_odds(seen.views)
    scores = weights.group_scores(seen.measures, seen.shapes(weights), seen.probabilities, log_odds)
    found = []
    for index, line in enumerate(lines):
        of_line = [number for number, group in enumerate(seen.groups) if group.line == index]
        skips = [float(skip_measures(part, line) @ weights.skip) for part in seen.parts[index]]
        path = best_path([seen.groups[number] for number in of_line], [float(scores[n]) for n in of_line], skips)
        found.append([of_line[place] for place in path])
    answers = iter(_steadied(seen.images[[n for taken in found for n in taken]], recognize))
    return [[Segment(seen.groups[n].pieces, seen.images[n], next(answers)) for n in taken] for taken in found]


def _steadied(images: npt.NDArray[np.uint8], recognize: Callable[[npt.NDArray[np.uint8]], Floats]) -> Floats:
    """What is made of digits `(N, 28, 28)` where they are and a pixel to every side: the mean, `(N, 10)`.

    An answer that hangs on a pixel is none to be sure of.
    """
    size = len(images)
    if size == 0:
        return np.zeros((0, 10), np.float32)
    room = np.pad(images, ((0, 0), (1, 1), (1, 1)))
    height, width = images.shape[1:]
    places = [room[:, top : top + height, left : left + width] for top in range(3) for left in range(3)]
    return np.asarray(recognize(np.concatenate(places)).reshape(len(places), size, -1).mean(axis=0), np.float32)


def observe(
    lines: Sequence[TextLine],
    ink: Bytes,
    recognize: Callable[[npt.NDArray[np.uint8]], Floats],
    weights: SegmentWeights,
) -> Observed:
    """Find every group worth a look, and look at it.

    Of the views of a group with cuts (without and with ink from beyond them) the one counts that the recognizer is
    surest of.

    Args:
        lines: of the page.
        ink: uint8 `(H, W)`, the ink map.
        recognize: uint8 `(N, 28, 28)` to float32 `(N, 10)`.
        weights: say which groups are worth a look.
    """
    parts = tuple(tuple(parts_of(line, ink)) for line in lines)
    groups, renderings = _candidates(lines, parts, ink, weights)
    if not groups:
        none = np.zeros((0, ROWS, COLUMNS), np.uint8)
        return Observed(parts, (), none[:, :28, :28], np.zeros((0, 10), np.float32), none.reshape(0, 2, ROWS, COLUMNS))
    images = np.concatenate(renderings)
    probabilities = recognize(images)
    chosen, start = [], 0
    for own in renderings:
        chosen.append(start + int(np.argmax(probabilities[start : start + len(own)].max(axis=1))))
        start += len(own)
    views = [view(group.pieces, ink, lines[group.line].height, lines[group.line].darkness) for group in groups]
    return Observed(parts, tuple(groups), images[chosen], probabilities[chosen], np.stack(views))


def _candidates(
    lines: Sequence[TextLine], parts: Sequence[Sequence[Part]], ink: Bytes, weights: SegmentWeights
) -> tuple[list[Group], list[npt.NDArray[np.uint8]]]:
    """Every group worth a look, and its renderings `(V, 28, 28)`: as cut, then with ink from beyond the cuts."""
    groups, renderings = [], []
    for index, line in enumerate(lines):
        widths = [stroke_width(piece) for piece in line.pieces]
        for group in groups_of(index, parts[index], line):
            image = render(group.pieces, ink)
            shape = weights.shape_scores(group.aspect, stroke_length(image))
            if float(group.measures @ weights.measures) + float(shape.max()) > _LEAST:
                groups.append(group)
                wider = _widened(parts[index][group.first : group.last + 1], line, widths)
                renderings.append(np.stack([image, *(render(pieces, ink) for pieces in wider)]))
    return groups, renderings


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


def best_path(groups: Sequence[Group], scores: Sequence[float], skips: Sequence[float]) -> list[int]:
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
