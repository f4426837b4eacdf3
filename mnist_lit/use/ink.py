"""From an ink map to pieces of ink: what is stroke, what is noise, and how tall the digits are."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.data.percentiles import percentile
from mnist_lit.errors import Failure
from mnist_lit.use.arrays import Bytes, Floats
from mnist_lit.use.paper import InkMap
from mnist_lit.use.strokes import THINNEST_ONE

_RELATIVE = 0.45  # share of the strokes' own darkness nearby at which a stroke ends: near the half, so width is kept
_FLOOR = 25.0  # of 255, what is never ink: print from the back, smudges
_PAGE_SHARE = 0.12  # of the page's usual ink, below which nothing is ink
_INNER = 0.3  # of a ring's height: what is as tall and lies in it is a digit, no speck
SMALLEST = 0.45  # of the usual digit height: what is smaller and no ring cannot be a digit by itself
TALLEST = 2.6  # of the usual digit height: what is taller is no writing
_UPRIGHT = 8.0  # height to width: what is thinner is a one only where little else could be a digit
_LITTLE = 0.1  # of the ink of such ones
_MARGIN = 0.88  # of `TALLEST`: how much taller than usual a heading is made, for its digits differ
_AS_DARK = 0.6  # of large writing's darkness: small writing, no noise
_BLOT = 0.4  # of its longer side: what is as wide is no stroke
_ROW = 3  # pieces in a row that are small writing
_NOISES = 5.0  # standard deviations of paper


class TooMuchInk(Failure):
    """A picture with more pieces of ink than any page of numbers has: grass, gravel, cloth."""


@dataclass(frozen=True, eq=False)
class Piece:
    """Connected ink.

    Attributes:
        left: of its first column, pixels of the ink map.
        top: of its first row.
        mask: bool `(h, w)`, where its ink is.
        darkness: of its darkest tenth, in the ink map's levels.
    """

    left: int
    top: int
    mask: npt.NDArray[np.bool_]
    darkness: float

    @property
    def right(self) -> int:
        """The column after its last."""
        return self.left + self.width

    @property
    def bottom(self) -> int:
        """The row after its last."""
        return self.top + self.height

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.mask.shape[1])

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.mask.shape[0])

    @property
    def area(self) -> int:
        """Pixels with ink."""
        return int(self.mask.sum())


def union(pieces: Sequence[Piece]) -> Piece:
    """Return one piece with the ink of several, one at least, as dark as the darkest."""
    if len(pieces) == 1:
        return pieces[0]
    left, top = min(piece.left for piece in pieces), min(piece.top for piece in pieces)
    right, bottom = max(piece.right for piece in pieces), max(piece.bottom for piece in pieces)
    mask = np.zeros((bottom - top, right - left), np.bool_)
    for piece in pieces:
        y, x = piece.top - top, piece.left - left
        mask[y : y + piece.height, x : x + piece.width] |= piece.mask
    return Piece(left, top, mask, max(piece.darkness for piece in pieces))


def ink_mask(ink: InkMap, reach: int) -> Bytes:
    """Tell strokes from paper, each by what is usual for strokes around it.

    Args:
        ink: the map.
        reach: pixels, about a digit's height: how far the neighbourhood goes.

    Returns:
        uint8 `(H, W)`, 1 for ink.
    """
    smooth = np.asarray(cv2.GaussianBlur(ink.ink, (0, 0), max(0.6, 0.018 * reach)), np.uint8)
    nearby = _strongest_nearby(smooth, reach)
    floor = max(_NOISES * ink.noise, _FLOOR, _PAGE_SHARE * usual_darkness(smooth, ink.noise))
    return np.asarray(smooth > np.maximum(_RELATIVE * nearby, floor), np.uint8)


def usual_darkness(ink: Bytes, noise: float) -> float:
    """The darkness of most ink: the mean over what stands out from noise, weighted by itself."""
    counts = np.bincount(ink[::2, ::2].ravel(), minlength=256).astype(np.float64)
    levels = np.arange(256.0)
    counts[: int(max(_NOISES * noise, _FLOOR)) + 1] = 0
    weight = float((counts * levels).sum())
    return float((counts * levels**2).sum()) / weight if weight else 0.0


def _strongest_nearby(smooth: Bytes, reach: int) -> Floats:
    """The darkest stroke within `reach`, `(H, W)`, smoothly varying."""
    factor = max(1, reach // 8)
    height, width = smooth.shape
    block = cv2.dilate(smooth, np.ones((factor, factor), np.uint8))[factor // 2 :: factor, factor // 2 :: factor]
    side = max(3, (reach // factor) | 1)
    wide = cv2.dilate(np.ascontiguousarray(block), np.ones((side, side), np.uint8)).astype(np.float32)
    mean = cv2.blur(wide, (side, side))
    return np.asarray(cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def find_pieces(ink: InkMap, mask: Bytes, min_height: int) -> list[Piece]:
    """Connected ink that is at least `min_height` pixels tall or wide and on the sheet, in no particular order."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    sides = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1)
    pieces = []
    for label in np.flatnonzero(sides >= min_height):
        if label == 0:
            continue
        left, top, width, height = (int(value) for value in stats[label, :4])
        window = np.s_[top : top + height, left : left + width]
        inside = labels[window] == label
        if ink.inside is not None and not ink.inside[window][inside].all():
            continue  # the edge of the sheet
        darkness = percentile(ink.ink[window][inside], 90)
        pieces.append(Piece(left, top, inside, darkness))
    return _without_rings(pieces)


def _without_rings(pieces: list[Piece]) -> list[Piece]:
    """Take away what is drawn around others, such as a circle around a number."""
    boxes = np.array([(one.left, one.top, one.right, one.bottom) for one in pieces]).reshape(-1, 4)
    left, top, right, bottom = np.ascontiguousarray(boxes.T)
    kept = []
    for piece in pieces:
        within = (left > piece.left) & (top > piece.top) & (right < piece.right) & (bottom < piece.bottom)
        within &= bottom - top > _INNER * piece.height
        if not any(_encloses(piece, pieces[place]) for place in np.flatnonzero(within)):
            kept.append(piece)
    return kept


def _encloses(outer: Piece, inner: Piece) -> bool:
    """Whether all of `inner` lies in a hole of `outer`."""
    contours, _ = cv2.findContours(outer.mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros(outer.mask.shape, np.uint8), contours, -1, 1, cv2.FILLED)
    x, y = inner.left - outer.left, inner.top - outer.top
    return bool(filled[y : y + inner.height, x : x + inner.width][inner.mask].all())


def digit_height(pieces: list[Piece], shape: tuple[int, int]) -> float:
    """The height of most ink that could be a digit, in pixels; 0 where there is none.

    Where a large number, such as a heading, has most of the ink, it is the height of the small writing, or so much more
    that the large number can be read as well.

    Args:
        pieces: of the page.
        shape: of the ink map.
    """
    writing, ones = [], []
    for piece in pieces:
        edges = (piece.left <= 1) + (piece.top <= 1) + (piece.right >= shape[1] - 1) + (piece.bottom >= shape[0] - 1)
        if 0.35 < piece.height / piece.width < _UPRIGHT and (edges < 2 or len(pieces) == 1):
            writing.append(piece)
        elif _UPRIGHT <= piece.height / piece.width < THINNEST_ONE and edges == 0:
            ones.append(piece)
    if _amount(writing) < _LITTLE * _amount(ones):
        writing = ones
    if not writing:
        return 0.0
    tall = _usual_height(writing)
    least = tall * SMALLEST / TALLEST
    small = [piece for piece in writing if least <= piece.height < SMALLEST * tall]
    large = [piece for piece in writing if piece.height >= SMALLEST * tall]
    darkness = float(np.median([piece.darkness for piece in large]))
    small = [piece for piece in small if piece.darkness > _AS_DARK * darkness and _is_stroke(piece)]
    if len(small) <= len(large) or not _have_a_row(small):
        return tall
    return max(_usual_height(small), tall / (_MARGIN * TALLEST))  # such that both can be read


def _amount(pieces: list[Piece]) -> float:
    """How much ink there is: the area of the pieces, each by its darkness."""
    return sum(piece.area * piece.darkness for piece in pieces)


def _usual_height(pieces: list[Piece]) -> float:
    """The height that half of the ink does not exceed."""
    heights = np.array([piece.height for piece in pieces], np.float64)
    order = np.argsort(heights)
    running = np.cumsum(np.array([piece.area * piece.darkness for piece in pieces])[order])
    return float(heights[order][np.searchsorted(running, running[-1] / 2)])


def _is_stroke(piece: Piece) -> bool:
    """Whether ink is longer than it is wide, which a blot is not."""
    width = 2 * float(cv2.distanceTransform(np.pad(piece.mask, 1).astype(np.uint8), cv2.DIST_L2, 5).max())
    return width < _BLOT * max(piece.height, piece.width)


def _have_a_row(pieces: list[Piece]) -> bool:
    """Whether some pieces of one size stand side by side, none far from the next."""
    for piece in pieces:
        row = sorted(
            (
                one
                for one in pieces
                if abs(one.top + one.bottom - piece.top - piece.bottom) < piece.height
                and 0.6 * piece.height < one.height < 1.6 * piece.height
            ),
            key=lambda one: one.left,
        )
        count = 1
        for one, after in itertools.pairwise(row):
            count = count + 1 if after.left - one.right < 1.5 * piece.height else 1
            if count == _ROW:
                return True
    return False
