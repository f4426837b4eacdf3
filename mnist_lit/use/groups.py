"""What may be one digit: the parts of a line, the groups of neighbouring parts, and what can be measured of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.use.arrays import Bytes, Floats
from mnist_lit.use.cutting import cut
from mnist_lit.use.ink import Piece
from mnist_lit.use.lines import TextLine

MAX_PARTS = 6  # of one digit, unless they are all of one piece
_LARGEST_SPECK = 0.45  # digit heights
_WIDEST, _WIDEST_PIECE = 1.8, 2.4  # digit heights: of a digit put together of pieces, and of one piece that was cut


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
class Group:
    """Neighbouring parts that may be one digit.

    Attributes:
        line: index of their line.
        first: index of the first part in the line.
        last: index of the last part.
        pieces: their ink.
        aspect: natural logarithm of width : height.
        measures: float32 `(15,)`, see `MEASURES` of `segment_model`.
    """

    line: int
    first: int
    last: int
    pieces: tuple[Piece, ...]
    aspect: float
    measures: Floats


def parts_of(line: TextLine, ink: Bytes) -> list[Part]:
    """Cut the pieces of a line; parts from the left by their middles."""
    parts = [
        Part(part, parent, crossed, strokes)
        for parent, piece in enumerate(line.pieces)
        for part, crossed, strokes in cut(piece, ink, line.height)
    ]
    return sorted(parts, key=lambda part: (part.piece.left + part.piece.right) / 2)


def skip_measures(part: Part, line: TextLine) -> Floats:
    """What says whether a part is no digit's, `(4,)`: see `SKIP_MEASURES` of `segment_model`."""
    size = max(part.piece.height, part.piece.width) / line.height
    faint = max(0.0, 0.8 - part.piece.darkness / line.darkness)
    return np.array([1.0, size, faint, max(0.0, size - _LARGEST_SPECK)], np.float32)


def groups_of(line: int, parts: Sequence[Part], about: TextLine) -> list[Group]:
    """Return every group of neighbouring parts that may be a digit: a few parts, or all of one piece.

    Args:
        line: index of the line.
        parts: of the line, from the left.
        about: the line.
    """
    distances: dict[tuple[int, int], float] = {}
    spans = [(first, last) for first in range(len(parts)) for last in range(first, min(first + MAX_PARTS, len(parts)))]
    for parent in {part.parent for part in parts}:
        own = [place for place, part in enumerate(parts) if part.parent == parent]
        if len(own) > MAX_PARTS and own[-1] - own[0] < len(own):
            spans.append((own[0], own[-1]))
    groups = (_group(line, first, last, parts, about, distances) for first, last in spans)
    return [group for group in groups if group is not None]


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


def _is_one_piece(chosen: Sequence[Part], parts: Sequence[Part]) -> bool:
    """Whether some of the parts of a line are all of one piece."""
    parent = chosen[0].parent
    return all(part.parent == parent for part in chosen) and len(chosen) == sum(part.parent == parent for part in parts)


def _group(
    line: int, first: int, last: int, parts: Sequence[Part], about: TextLine, distances: dict[tuple[int, int], float]
) -> Group | None:
    """Measure a group; None where it cannot be a digit."""
    height = about.height
    chosen, after = parts[first : last + 1], parts[last + 1 :]
    left, right = min(part.piece.left for part in chosen), max(part.piece.right for part in chosen)
    top, bottom = min(part.piece.top for part in chosen), max(part.piece.bottom for part in chosen)
    width, tall = (right - left) / height, (bottom - top) / height
    if tall < 0.35:
        return None
    if width > _WIDEST and len(chosen) > 1 and (width > _WIDEST_PIECE or not _is_one_piece(chosen, parts)):
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
