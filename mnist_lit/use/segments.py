"""Which ink is one digit: lines of pieces in, digits out, by what the recognizer makes of every possible grouping.

Pieces that may be several digits are cut where little ink is crossed; then neighbouring parts are grouped in every
plausible way, all groups are recognized in one batch, and each line takes the grouping with the best score.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.data.digit_image import place_digit
from mnist_lit.use.ink import Piece
from mnist_lit.use.lines import TextLine
from mnist_lit.use.paper import Bytes, Floats

_MAX_PARTS = 5  # of one digit
_CUTS = 4.0  # cuts that are tried, per digit height of a piece's width
_LEAST = -3.2  # groups that are less plausible by their shape alone are not even recognized

# Natural logarithm of width : height of the digits 0 to 9 among the 55,000 training images of MNIST.
_ASPECT_MEAN = np.array([-0.107, -0.944, -0.074, -0.241, -0.248, -0.078, -0.333, -0.270, -0.288, -0.403], np.float32)
_ASPECT_SD = np.array([0.200, 0.464, 0.221, 0.214, 0.216, 0.263, 0.219, 0.218, 0.224, 0.207], np.float32)

# What speaks for or against a group, in units of log probability; set by random search on generated pages of training
# digits.
_DIGIT = 0.8  # for every digit: one wide digit is no better than two narrow ones
_ASPECT = 0.26  # against an unusual width, per half squared standard deviation
_TALL = 2.9  # against an unusual height, per squared logarithm
_JOIN = 0.7  # against joining pieces that do not touch
_JOIN_LARGE = 1.1  # the same, per digit height by which the smaller of them exceeds a bar or a dot
_GAP = 2.0  # the same, per digit height of clear space between them; overlap speaks for it
_CUT = 0.55  # against a cut
_CROSSED = 0.36  # the same, per stroke width of ink that it crosses
_SHARED = 1.3  # against a digit that stands above or below its neighbour, per share of the width
_SKIP, _SKIP_SIZE = 1.0, 1.2  # against taking a part for a speck, and per digit height of its size


@dataclass(frozen=True, eq=False)
class Part:
    """Ink that is not divided further.

    Attributes:
        piece: the ink.
        parent: index of the piece it was cut from.
        cut: ink crossed by the cut at its right, in stroke widths; 0 where the piece ends there.
    """

    piece: Piece
    parent: int
    cut: float


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
class _Group:
    """Neighbouring parts that may be one digit.

    Attributes:
        line: index of their line.
        first: index of the first part in the line.
        last: index of the last part.
        pieces: their ink.
        aspect: natural logarithm of width : height.
        tall: natural logarithm of height : usual height on the line.
        joins: for every part that belongs to no piece of an earlier one: its gap to them, and the size of the smaller
            side, both in digit heights.
        cut: ink crossed by the cut that ends the group, in stroke widths; None where it ends with its piece.
        shared: how much of its width overlaps with the next part, where that is another piece.
    """

    line: int
    first: int
    last: int
    pieces: tuple[Piece, ...]
    aspect: float
    tall: float
    joins: tuple[tuple[float, float], ...]
    cut: float | None
    shared: float


def stroke_width(piece: Piece) -> float:
    """Pixels: four times the mean distance of its ink from the edge."""
    padded = np.pad(piece.mask.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)
    return max(1.0, 4 * float(distance[padded > 0].mean()) - 1)


def cut(piece: Piece, ink: Bytes, height: float) -> list[tuple[Piece, float]]:
    """Cut a piece from top to bottom wherever that crosses little ink.

    Args:
        piece: the piece.
        ink: uint8 `(H, W)`, the ink map.
        height: of the line's digits, pixels.

    Returns:
        The parts from the left, each with the ink crossed by the cut at its right, in stroke widths (0 for the last).
    """
    whole = [(piece, 0.0)]
    if piece.width < 0.5 * height or piece.height < 0.4 * height:
        return whole
    window = ink[piece.top : piece.bottom, piece.left : piece.right]
    cost = np.where(piece.mask, np.minimum(window / max(piece.darkness, 1.0), 1.0), 0.0).astype(np.float32)
    step = max(2, round(0.07 * height))
    starts = np.arange(step, piece.width - step + 1, step)
    if len(starts) == 0:
        return whole
    paths, inked = _seams(cost, starts, max(2, round(0.2 * height)))
    width = stroke_width(piece)
    crossed = inked / width
    most = max(1, round(_CUTS * piece.width / height)) if piece.width > 0.6 * height else 1
    chosen: list[int] = []
    for seam in np.argsort(crossed):
        if crossed[seam] > 2.6 or len(chosen) == most:
            break
        if all(np.abs(paths[seam] - paths[other]).mean() > 0.12 * height for other in chosen):
            chosen.append(int(seam))
    chosen.sort(key=lambda seam: float(paths[seam].mean()))
    columns = np.arange(piece.width)
    number = np.zeros(piece.mask.shape, np.int32)
    for seam in chosen:
        number += columns[None] >= paths[seam][:, None]
    parts: list[tuple[Piece, float]] = []
    for part in range(len(chosen) + 1):
        mask = piece.mask & (number == part)
        if mask.sum() < 0.5 * width * width:
            continue
        parts.append((_cropped(mask, piece), float(crossed[chosen[part]]) if part < len(chosen) else 0.0))
    if not parts:
        return whole
    parts[-1] = (parts[-1][0], 0.0)
    return parts


def _cropped(mask: npt.NDArray[np.bool_], piece: Piece) -> Piece:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    inside = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Piece(piece.left + int(columns[0]), piece.top + int(rows[0]), inside, piece.darkness)


def _seams(cost: Floats, starts: npt.NDArray[np.int64], reach: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """The cheapest paths from the top to the bottom, one around each start.

    Args:
        cost: `(h, w)`, 0 where there is no ink.
        starts: `(K,)`, columns.
        reach: how far a path may leave its start, pixels.

    Returns:
        Columns `(K, h)`, and what each path costs `(K,)`.
    """
    height, width = cost.shape
    offsets = np.arange(-reach, reach + 1)
    columns = starts[:, None] + offsets
    bands = np.pad(cost, ((0, 0), (reach + 1, reach + 1)))[:, columns + reach + 1]  # (h, K, 2 reach + 1)
    slant = 0.02  # a path is no longer than it must be
    total = bands[0] + 0.002 * np.abs(offsets)
    choices = np.zeros(bands.shape, np.int8)
    wide = np.full((len(starts), len(offsets) + 2), 1e9, np.float32)
    for row in range(1, height):
        wide[:, 1:-1] = total
        options = np.stack([wide[:, :-2] + slant, total, wide[:, 2:] + slant])
        choice = np.argmin(options, axis=0)
        choices[row] = choice - 1
        total = np.take_along_axis(options, choice[None], axis=0)[0] + bands[row]
    paths = np.zeros((len(starts), height), np.int64)
    at = np.argmin(total, axis=1)
    index = np.arange(len(starts))
    inked = np.zeros(len(starts), np.float32)
    for row in range(height - 1, -1, -1):
        paths[:, row] = np.clip(columns[index, at], 0, width)
        inked += bands[row, index, at]
        at = at + choices[row, index, at]
    return paths, inked


def render(pieces: Sequence[Piece], ink: Bytes) -> npt.NDArray[np.uint8]:
    """Draw pieces as MNIST would have them.

    Args:
        pieces: of one digit.
        ink: uint8 `(H, W)`, the ink map.

    Returns:
        uint8 `(28, 28)`.
    """
    left, top = min(piece.left for piece in pieces) - 1, min(piece.top for piece in pieces) - 1
    right, bottom = max(piece.right for piece in pieces) + 1, max(piece.bottom for piece in pieces) + 1
    mask = np.zeros((bottom - top, right - left), np.uint8)
    for piece in pieces:
        place = mask[piece.top - top : piece.bottom - top, piece.left - left : piece.right - left]
        place |= piece.mask
    fringe = cv2.dilate(mask, np.ones((3, 3), np.uint8))
    padded = np.zeros(mask.shape, np.float32)
    y, x = max(top, 0), max(left, 0)
    window = ink[y:bottom, x:right]
    padded[y - top : y - top + window.shape[0], x - left : x - left + window.shape[1]] = window
    level = max(1.0, float(np.percentile(padded[mask > 0], 80)))
    return place_digit(np.clip(np.where(fringe, padded, 0) / level, 0, 1).astype(np.float32))


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
    groups = [group for index, line in enumerate(lines) for group in _groups(index, parts[index], line.height)]
    if not groups:
        return [[] for _ in lines]
    images = np.stack([render(group.pieces, ink) for group in groups])
    probabilities = recognize(images)
    found = []
    for index in range(len(lines)):
        own = [number for number, group in enumerate(groups) if group.line == index]
        scores = [_score(groups[number], probabilities[number]) for number in own]
        skips = [_skip(part, lines[index].height) for part in parts[index]]
        path = _best_path([groups[number] for number in own], scores, skips)
        found.append([Segment(groups[own[one]].pieces, images[own[one]], probabilities[own[one]]) for one in path])
    return found


def _parts(line: TextLine, ink: Bytes) -> list[Part]:
    parts = [
        Part(part, parent, crossed)
        for parent, piece in enumerate(line.pieces)
        for part, crossed in cut(piece, ink, line.height)
    ]
    return sorted(parts, key=lambda part: (part.piece.left + part.piece.right) / 2)


def _skip(part: Part, height: float) -> float:
    """What it costs to take a part for a speck; infinite for what is too large to be one."""
    size = max(part.piece.height, part.piece.width) / height
    return _SKIP + _SKIP_SIZE * size if size < 0.45 else 1e9


def _groups(line: int, parts: Sequence[Part], height: float) -> list[_Group]:
    groups = []
    for first in range(len(parts)):
        for last in range(first, min(first + _MAX_PARTS, len(parts))):
            group = _group(line, first, last, parts, height)
            if group is not None and _plausible(group) > _LEAST:
                groups.append(group)
    return groups


def _size(parts: Sequence[Part], height: float) -> float:
    """The longer side of the box around parts, in digit heights."""
    pieces = [part.piece for part in parts]
    width = max(piece.right for piece in pieces) - min(piece.left for piece in pieces)
    tall = max(piece.bottom for piece in pieces) - min(piece.top for piece in pieces)
    return max(width, tall) / height


def _group(line: int, first: int, last: int, parts: Sequence[Part], height: float) -> _Group | None:
    """Measure a group; None where it cannot be a digit."""
    chosen, after = parts[first : last + 1], parts[last + 1 :]
    left, right = min(part.piece.left for part in chosen), max(part.piece.right for part in chosen)
    top, bottom = min(part.piece.top for part in chosen), max(part.piece.bottom for part in chosen)
    width, tall = (right - left) / height, (bottom - top) / height
    if tall < 0.35 or (width > 1.8 and len(chosen) > 1):
        return None
    joins = []
    for number in range(1, len(chosen)):
        before, part = chosen[:number], chosen[number]
        if any(part.parent == other.parent for other in before):
            continue
        gap = (part.piece.left - max(other.piece.right for other in before)) / height
        if gap > 0.35:
            return None
        own = [other for other in chosen if other.parent == part.parent]
        joins.append((gap, min(_size(own, height), _size(before, height))))
    final = chosen[-1]
    cut_here = final.cut if any(part.parent == final.parent for part in after) else None
    shared = 0.0
    if after and after[0].parent != final.parent:
        common = min(right, after[0].piece.right) - max(left, after[0].piece.left)
        shared = max(0.0, common / min(right - left, after[0].piece.width))
    pieces = tuple(part.piece for part in chosen)
    return _Group(
        line, first, last, pieces, float(np.log(width / tall)), float(np.log(tall)), tuple(joins), cut_here, shared
    )


def _plausible(group: _Group) -> float:
    """How well a group's shape and bounds suit a digit, as a logarithm: at most 0 and `_DIGIT`."""
    score = _DIGIT - _TALL * min(abs(group.tall), 1.5) ** 2
    for gap, size in group.joins:
        score -= max(0.0, _JOIN + _JOIN_LARGE * max(0.0, size - 0.4) + _GAP * max(gap, -0.3))
    if group.cut is not None:
        score -= _CUT + _CROSSED * group.cut
    return score - _SHARED * group.shared


def _score(group: _Group, probabilities: Floats) -> float:
    """How likely a group is one digit, as a logarithm: shape, bounds, and what the recognizer makes of it."""
    away = np.minimum(np.abs((group.aspect - _ASPECT_MEAN) / _ASPECT_SD), 4.0)
    answers = np.log(probabilities + 1e-4) - _ASPECT * away**2 / 2
    return _plausible(group) + float(answers.max())


def _best_path(groups: Sequence[_Group], scores: Sequence[float], skips: Sequence[float]) -> list[int]:
    """Which groups cover the parts of a line best: indices from the left."""
    count = len(skips)
    best = [0.0] + [-1e18] * count
    came: list[tuple[int, int | None]] = [(0, None)] * (count + 1)
    by_first: dict[int, list[int]] = {}
    for number, group in enumerate(groups):
        by_first.setdefault(group.first, []).append(number)
    for place in range(count):
        value = best[place] - skips[place]
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
