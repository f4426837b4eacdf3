"""Which ink stands on which line: lines may climb, lie close, hold numbers far apart and digits of different sizes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mnist_lit.use.ink import SMALLEST, TALLEST, Piece

_WIDEST = 9.0  # of the usual digit height: what is wider is no writing
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
    for piece in parts_of:
        if piece in taken or max(piece.width, piece.height) >= _LOOSE * height or piece.darkness <= _FAINT * usual:
            continue
        distances = [_distance(piece, row) for row in rows]
        nearest = int(np.argmin(distances))
        if distances[nearest] <= _REACH * height:
            extended[nearest].append(piece)
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
    boxes = np.array([(one.left, one.top, one.right, one.bottom) for one in pieces], np.float64).reshape(-1, 4)
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) / height
    fragments = np.flatnonzero((sides >= _FRAGMENT[0]) & (sides <= _FRAGMENT[1]))
    low, high = boxes[fragments, None, :2], boxes[fragments, None, 2:]
    gaps = np.maximum(low, low.transpose(1, 0, 2)) - np.minimum(high, high.transpose(1, 0, 2))
    are_near = (gaps <= height * np.array(_BREAK)).all(axis=2)
    home = [[number] for number in range(len(pieces))]  # the group of each
    for one, other in fragments[np.argwhere(np.triu(are_near, 1))]:
        joined = home[one] + home[other]
        size = boxes[joined, 2:].max(axis=0) - boxes[joined, :2].min(axis=0)
        if home[one] is not home[other] and size.max() <= _WHOLE * height:
            for number in joined:
                home[number] = joined
    wholes = {id(group): [pieces[number] for number in group] for group in home}
    return {_union(parts): tuple(parts) for parts in wholes.values()}


def _union(pieces: Sequence[Piece]) -> Piece:
    """One piece with the ink of several, as dark as the darkest."""
    if len(pieces) == 1:
        return pieces[0]
    left, top = min(piece.left for piece in pieces), min(piece.top for piece in pieces)
    right, bottom = max(piece.right for piece in pieces), max(piece.bottom for piece in pieces)
    mask = np.zeros((bottom - top, right - left), np.bool_)
    for piece in pieces:
        y, x = piece.top - top, piece.left - left
        mask[y : y + piece.height, x : x + piece.width] |= piece.mask
    return Piece(left, top, mask, max(piece.darkness for piece in pieces))


def _level(line: TextLine, slope: float) -> float:
    return float(np.median([y - slope * x for x, y in map(_middle, line.pieces)]))


def _is_big(piece: Piece, height: float, shape: tuple[int, int]) -> bool:
    if not SMALLEST * height <= piece.height <= TALLEST * height or piece.width > _WIDEST * height:
        return False
    edges = (piece.left <= 1) + (piece.top <= 1) + (piece.right >= shape[1] - 1) + (piece.bottom >= shape[0] - 1)
    return edges < 2 or piece.height > 0.9 * shape[0]


def _distance(piece: Piece, row: Sequence[Piece]) -> float:
    """How far the box of a piece is from the nearest box of a row."""
    gaps = []
    for other in row:
        across = max(other.left - piece.right, piece.left - other.right, 0)
        down = max(other.top - piece.bottom, piece.top - other.bottom, 0)
        gaps.append(max(across, down))
    return float(min(gaps))


def _usual_slope(pieces: Sequence[Piece], height: float) -> float:
    """How much lines fall per pixel to the right: the median over neighbours, weighted by their distance."""
    slopes, weights = [], []
    for piece in pieces:
        x, y = _middle(piece)
        for other in pieces:
            across, down = _middle(other)[0] - x, _middle(other)[1] - y
            if 0.3 * height < across < 4 * height and abs(down) < 0.25 * across + 0.15 * height:
                slopes.append(down / across)
                weights.append(min(across, 2 * height))
    if len(slopes) < 6:
        return 0.0
    order = np.argsort(slopes)
    running = np.cumsum(np.array(weights)[order])
    return float(np.array(slopes)[order][np.searchsorted(running, running[-1] / 2)])


def _rows(pieces: Sequence[Piece], height: float, slope: float) -> list[list[Piece]]:
    """Follow every line from the left: each piece joins the line whose continuation it is nearest to."""
    rows: list[list[Piece]] = []
    for piece in sorted(pieces, key=lambda one: one.left):
        x, y = _middle(piece)
        best, nearest = None, _STRAY
        for row in rows:
            ends = [_middle(one) for one in row[-4:]]
            expected = float(np.mean([end_y + slope * (x - end_x) for end_x, end_y in ends]))
            own = min(max(piece.height, 0.7 * height), 1.3 * height)
            away = abs(y - expected) / own
            if away < nearest:
                best, nearest = row, away
        if best is None:
            rows.append([piece])
        else:
            best.append(piece)
    return rows
