"""Which ink stands on which line: lines may climb, lie close, hold numbers far apart and digits of different sizes."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.use.ink import SMALLEST, TALLEST, Piece, union

_WIDEST = 9.0  # of the usual digit height: what is wider is no writing
_SMALLEST_RING = 0.3  # of the usual digit height: many people write zeros smaller than the rest
_ROUND, _OPEN = (0.55, 1.8), 0.12  # of a ring: width to height, and the share of its box that its hole has
_STRAY = 0.62  # of a digit's height: how far above or below a line its digits may stand
_FAINT, _LONELY = 0.3, 0.5  # of the usual darkness: what is fainter is print from the back; a few pieces by themselves
_LOOSE = 1.2  # of a digit's height: what is longer is no loose part
_REACH = 0.35  # of a digit's height: how far a loose part may lie from its digit
_FRAGMENT = (0.15, 1.15)  # of a digit's height: the longer side of what may be a part of a broken digit
_BREAK = (0.1, 0.25)  # of a digit's height: the gap between two such parts, across and down
_WHOLE = 1.4  # of a digit's height: the longer side of the digit that they make


@dataclass(frozen=True, eq=False)
class TextLine:
    """The ink of one line.

    Attributes:
        pieces: from the left; digits, several that touch, and loose parts.
        height: usual height of its digits, pixels.
        darkness: usual darkness of its digits, in the ink map's levels.
    """

    pieces: tuple[Piece, ...]
    height: float
    darkness: float


def _middle(piece: Piece) -> tuple[float, float]:
    return (piece.left + piece.right) / 2, (piece.top + piece.bottom) / 2


def _boxes(pieces: Sequence[Piece]) -> npt.NDArray[np.float64]:
    """Left, top, right and bottom of each piece, `(N, 4)`."""
    return np.array([(one.left, one.top, one.right, one.bottom) for one in pieces], np.float64).reshape(-1, 4)


def find_lines(pieces: Sequence[Piece], height: float, shape: tuple[int, int]) -> list[TextLine]:
    """Group pieces into lines, from the top.

    Args:
        pieces: of the page.
        height: usual digit height, pixels.
        shape: of the ink map.
    """
    parts_of = _mended(pieces, height)
    big = [whole for whole in parts_of if _is_big(whole, height, shape)]
    if not big:
        return []
    usual = float(np.median([piece.darkness for piece in big]))
    big = [piece for piece in big if piece.darkness > _FAINT * usual]
    slope = _usual_slope(big, height)
    rows = _rows(big, height, slope)
    rows = [row for row in rows if len(row) > 2 or max(piece.darkness for piece in row) > _LONELY * usual]
    if not rows:
        return []
    taken = set(big)
    extended = [list(row) for row in rows]
    home = [number for number, row in enumerate(rows) for _ in row]
    boxes = _boxes([piece for row in rows for piece in row])
    for piece in parts_of:
        if piece in taken or max(piece.width, piece.height) >= _LOOSE * height or piece.darkness <= _FAINT * usual:
            continue
        distances = _distances(piece, boxes)
        nearest = int(np.argmin(distances))
        if distances[nearest] <= _REACH * height:
            extended[home[nearest]].append(piece)
    lines = []
    for row, wholes in zip(rows, extended, strict=True):
        own = float(np.median([piece.height for piece in row]))
        ordered = sorted((part for whole in wholes for part in parts_of[whole]), key=lambda part: _middle(part)[0])
        lines.append(TextLine(tuple(ordered), own, float(np.median([piece.darkness for piece in row]))))
    return sorted(lines, key=lambda line: _level(line, slope))


def _mended(pieces: Sequence[Piece], height: float) -> dict[Piece, tuple[Piece, ...]]:
    """Join what may be parts of one broken digit, so that all of it stands on one line.

    Args:
        pieces: of the page.
        height: usual digit height, pixels.

    Returns:
        The parts of every whole; most are their own only part.
    """
    boxes = _boxes(pieces)
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) / height
    fragments = np.flatnonzero((sides >= _FRAGMENT[0]) & (sides <= _FRAGMENT[1]))
    fragments = fragments[np.argsort(boxes[fragments, 0], kind="stable")]
    ends = np.searchsorted(boxes[fragments, 0], boxes[fragments, 2] + _BREAK[0] * height, side="right")
    near = []
    for place, one in enumerate(fragments):
        others = fragments[place + 1 : ends[place]]
        gaps = np.maximum(boxes[others, 1], boxes[one, 1]) - np.minimum(boxes[others, 3], boxes[one, 3])
        near += [(min(one, other), max(one, other)) for other in others[gaps <= _BREAK[1] * height]]
    home = [[number] for number in range(len(pieces))]  # the group of each
    for one, other in sorted(near):
        joined = home[one] + home[other]
        size = boxes[joined, 2:].max(axis=0) - boxes[joined, :2].min(axis=0)
        if home[one] is not home[other] and size.max() <= _WHOLE * height:
            for number in joined:
                home[number] = joined
    wholes = {id(group): [pieces[number] for number in group] for group in home}
    return {union(parts): tuple(parts) for parts in wholes.values()}


def _level(line: TextLine, slope: float) -> float:
    return float(np.median([y - slope * x for x, y in map(_middle, line.pieces)]))


def _is_big(piece: Piece, height: float, shape: tuple[int, int]) -> bool:
    if not _SMALLEST_RING * height <= piece.height <= TALLEST * height or piece.width > _WIDEST * height:
        return False
    if piece.height < SMALLEST * height and not _is_ring(piece):
        return False
    edges = (piece.left <= 1) + (piece.top <= 1) + (piece.right >= shape[1] - 1) + (piece.bottom >= shape[0] - 1)
    return edges < 2 or piece.height > 0.9 * shape[0]


def _is_ring(piece: Piece) -> bool:
    """Whether a piece is a loop around one hole, and nothing else."""
    if not _ROUND[0] < piece.width / piece.height < _ROUND[1]:
        return False
    contours, hierarchy = cv2.findContours(piece.mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    holes = [contour for contour, (_, _, _, parent) in zip(contours, hierarchy[0], strict=True) if parent >= 0]
    return len(holes) == 1 and cv2.contourArea(holes[0]) > _OPEN * piece.width * piece.height


def _distances(piece: Piece, boxes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How far the box of a piece is from each of `boxes` `(N, 4)`, across or down: `(N,)`."""
    gaps = (boxes[:, 0] - piece.right, piece.left - boxes[:, 2], boxes[:, 1] - piece.bottom, piece.top - boxes[:, 3])
    return np.asarray(np.max([*gaps, np.zeros(len(boxes))], axis=0), np.float64)


def _usual_slope(pieces: Sequence[Piece], height: float) -> float:
    """How much lines fall per pixel to the right: the median over neighbours, weighted by their distance."""
    middles = np.array([_middle(piece) for piece in pieces]).reshape(-1, 2)
    steps = []
    for middle in middles:
        across, down = (middles - middle).T
        is_near = (0.3 * height < across) & (across < 4 * height) & (np.abs(down) < 0.25 * across + 0.15 * height)
        steps.append(np.stack([down[is_near] / across[is_near], np.minimum(across[is_near], 2 * height)]))
    slopes, weights = np.concatenate([np.zeros((2, 0)), *steps], axis=1)
    if len(slopes) < 6:
        return 0.0
    order = np.argsort(slopes)
    running = np.cumsum(weights[order])
    return float(slopes[order][np.searchsorted(running, running[-1] / 2)])


def _rows(pieces: Sequence[Piece], height: float, slope: float) -> list[list[Piece]]:
    """Follow every line from the left: each piece joins the line whose continuation it is nearest to."""
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda one: one.left):
        x, y = _middle(piece)
        best, nearest = None, _STRAY
        for row in rows:
            ends = [_middle(one) for one in row[-4:]]
            expected = sum(end_y + slope * (x - end_x) for end_x, end_y in ends) / len(ends)
            own = min(max(piece.height, 0.7 * height), 1.3 * height)
            away = abs(y - expected) / own
            if away < nearest:
                best, nearest = row, away
        if best is None:
            rows.append([piece])
        else:
            best.append(piece)
    return rows
