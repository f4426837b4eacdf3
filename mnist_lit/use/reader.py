"""A photo or scan of handwritten numbers in; lines of numbers of digits out, each with its box and confidence.

The way of a page: `closeup` sees to pictures of a few bold digits, `paper` takes away light, table and rulings,
`ink` finds the strokes, `lines` puts them in rows, `segments` decides which of them are one digit, by what the
recognizer makes of them.
"""

from dataclasses import replace

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.data.digit_image import digit_from_image
from mnist_lit.use.annotation import annotate
from mnist_lit.use.arrays import Bytes, Matrix, resized
from mnist_lit.use.closeup import find_closeup
from mnist_lit.use.ink import Piece, TooMuchInk, digit_height, find_pieces, ink_mask
from mnist_lit.use.lines import TextLine, find_lines
from mnist_lit.use.paper import InkMap, Polarity, find_polarity, map_ink
from mnist_lit.use.recognizer import Recognizer
from mnist_lit.use.segments import Segment, segment
from mnist_lit.use.sheet import find_sheet, without_table
from mnist_lit.use.transcript import Box, Digit, Line, Number, Page, around

__all__ = ["CONFIDENCE_THRESHOLD", "Box", "Digit", "Line", "Number", "Page", "annotate", "read_page"]

CONFIDENCE_THRESHOLD = 0.4  # of the best answer; below it, where most answers are wrong, the text has a "?"
UNKNOWN = "?"
_LOOK_PIXELS = 1.2e6  # of the first look, which finds the size of the digits
_MOST_PIXELS = 6e6  # of the ink map that is read from
_DIGIT = 44.0  # pixels; digits are read at this height
_FINE, _COARSE = 30.0, 90.0  # pixels; between them the first look is good enough to read from
_LARGEST_GAP, _SMALLEST_SPACE = 0.7, 0.4  # of a digit's height: within a number, and between two numbers
_SPACE = 4.0  # times the usual gap of a line is a space between two numbers, within those limits
_FEWEST_GAPS = 3  # from which on there is a usual one
FIELD = 28
MOST_PIECES = 3_000  # of ink on a page; a sheet full of digits has some 2,000, and each takes about 10 ms


def read_page(image: Bytes, recognizer: Recognizer) -> Page:
    """Read the handwritten digits on a page.

    Args:
        image: uint8, grey `(H, W)` or RGB `(H, W, 3)`, upright; dark strokes on light or light strokes on dark.
        recognizer: says which digit an image is.

    Returns:
        The page; without lines where there is no ink.

    Raises:
        TooMuchInk: there are more than `MOST_PIECES` pieces of ink.
        ValueError: `image` is of another shape or dtype, or empty.
    """
    if image.dtype != np.uint8 or image.size == 0 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise ValueError(f"image must be uint8 (H, W) or (H, W, 3), not {image.dtype} {image.shape}")
    height, width = image.shape[:2]
    if (height, width) == (FIELD, FIELD):
        return _read_mnist(_grey(image), recognizer)
    polarity, ink, lines = find_ink_lines(image)
    segments = segment(lines, ink.ink, recognizer.probabilities)
    found = [
        _line(row, line.height, ink.to_image, (width, height)) for row, line in zip(segments, lines, strict=True) if row
    ]
    return Page(tuple(found), width, height, polarity)


def find_ink_lines(image: Bytes) -> tuple[Polarity, InkMap, list[TextLine]]:
    """Find the ink of a page and the lines that it stands on.

    Args:
        image: uint8, grey `(H, W)` or RGB `(H, W, 3)`, as in `read_page`.

    Returns:
        Whether ink is dark or light, the ink map, and its lines; none where there is no ink.

    Raises:
        TooMuchInk: there are more than `MOST_PIECES` pieces of it.
    """
    overview = _overview(image)
    darkest = _darkest(overview)
    sheet = find_sheet(darkest)
    paper = without_table(darkest, sheet)
    closeup = find_closeup(overview, paper)
    to_image = None
    if closeup is not None:
        to_image = closeup.to_image * (image.shape[1] / overview.shape[1])
        image = overview = closeup.image
        sheet = paper = None
    polarity = find_polarity(_grey(overview), sheet)
    if polarity == "dark on light":
        sheet = paper
    ink, tall, pieces = _look(image, overview, polarity, sheet)
    if len(pieces) > MOST_PIECES:
        raise TooMuchInk(
            f"{len(pieces):,} pieces of ink: more than the {MOST_PIECES:,} that are read (crop it to the numbers)"
        )
    if to_image is not None:
        ink = replace(ink, to_image=_one_after_another(ink.to_image, to_image))
    return polarity, ink, find_lines(pieces, tall, ink.ink.shape) if pieces else []


def _overview(image: Bytes) -> Bytes:
    """Halve a large image: enough for all but the digits themselves, and much sooner looked through."""
    return resized(image, 0.5) if image.shape[0] * image.shape[1] >= 4 * _LOOK_PIXELS else image


def _grey(image: Bytes) -> Bytes:
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def _darkest(image: Bytes) -> Bytes:
    """The least of the channels, `(H, W)`."""
    if image.ndim == 2:
        return image
    red, green, blue = cv2.split(image)
    return np.asarray(cv2.min(cv2.min(red, green), blue), np.uint8)


def _one_after_another(first: Matrix, second: Matrix) -> Matrix:
    """The affine map `(2, 3)` that does what `first` does and then what `second` does."""
    return np.asarray(second[:, :2] @ first + [[0.0, 0.0, x] for x in second[:, 2]], np.float64)


def _look(image: Bytes, overview: Bytes, polarity: Polarity, sheet: Bytes | None) -> tuple[InkMap, float, list[Piece]]:
    """Find the ink at a scale at which digits have a good size: the ink map, the digits' height in it, its pieces."""
    pixels = image.shape[0] * image.shape[1]
    scale = min(1.0, (_LOOK_PIXELS / pixels) ** 0.5)
    side = max(image.shape[:2]) * scale
    first = scale * image.shape[1] / overview.shape[1]
    ink = map_ink(overview, first, polarity, sheet, reach=max(9, round(side / 10)), length=max(20, round(0.3 * side)))
    pieces = find_pieces(ink, ink_mask(ink, max(8, round(side / 24))), 6)
    tall = digit_height(pieces, ink.ink.shape)
    if tall == 0:
        return ink, 0.0, []
    finer = min(scale * _DIGIT / tall, (_MOST_PIXELS / pixels) ** 0.5, 6.0)
    ratio = finer / scale
    reach = max(9, round(0.8 * tall * ratio))
    length = max(20, round(2.6 * tall * ratio))
    ink = map_ink(image, finer, polarity, sheet, reach=reach, length=length, tilt=ink.tilt)
    tall *= ratio
    pieces = find_pieces(ink, ink_mask(ink, round(tall)), max(2, round(0.08 * tall)))
    return ink, tall, pieces


def _read_mnist(grey: Bytes, recognizer: Recognizer) -> Page:
    """Read an image of the network's own size: one digit, or none."""
    digit = digit_from_image(grey)
    box = Box(0, 0, FIELD, FIELD)
    if not digit.has_ink:
        return Page((), FIELD, FIELD, digit.polarity)
    ys, xs = np.nonzero((grey if digit.polarity == "light on dark" else 255 - grey) > 40)
    if len(ys):
        box = Box(int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1)
    answer = _answer(digit.pixels, recognizer.probabilities(digit.pixels[None])[0], box)
    return Page((Line((Number((answer,), box),), box),), FIELD, FIELD, digit.polarity)


def _answer(image: npt.NDArray[np.uint8], probabilities: npt.NDArray[np.float32], box: Box) -> Digit:
    second, best = (int(answer) for answer in np.argsort(probabilities)[-2:])
    confidence = float(probabilities[best])
    text = str(best) if confidence >= CONFIDENCE_THRESHOLD else UNKNOWN
    return Digit(text, confidence, best, second, float(probabilities[second]), box, image)


def box_in_image(pieces: tuple[Piece, ...], to_image: Matrix, size: tuple[int, int]) -> Box:
    """The box in the image around pieces of the ink map."""
    corners = []
    for piece in pieces:
        ys, xs = np.nonzero(piece.mask)
        hull = cv2.convexHull(np.stack([xs, ys], axis=1).astype(np.int32))[:, 0].astype(np.float64)
        hull += np.array([piece.left, piece.top])
        corners.append((hull[:, None] + np.array([[0, 0], [1, 0], [1, 1], [0, 1]])).reshape(-1, 2))
    points = np.concatenate(corners) @ to_image[:, :2].T + to_image[:, 2]
    low, high = np.floor(points.min(axis=0) + 0.5), np.ceil(points.max(axis=0) - 0.5)
    left, top = max(0, int(low[0])), max(0, int(low[1]))
    return Box(left, top, max(left + 1, min(int(high[0]), size[0])), max(top + 1, min(int(high[1]), size[1])))


def _narrowest_space(gaps: list[int], tall: float) -> float:
    """What separates two numbers on a line: much more than is usual between its digits; pixels, as the gaps."""
    if len(gaps) < _FEWEST_GAPS:
        return _LARGEST_GAP * tall
    usual = float(np.median(gaps)) / tall
    return tall * min(max(_SPACE * usual, _SMALLEST_SPACE), _LARGEST_GAP)


def _line(row: list[Segment], tall: float, to_image: Matrix, size: tuple[int, int]) -> Line:
    starts = [min(piece.left for piece in one.pieces) for one in row]
    ends = np.maximum.accumulate([max(piece.right for piece in one.pieces) for one in row])
    gaps = [start - int(end) for start, end in zip(starts[1:], ends[:-1], strict=True)]
    space = _narrowest_space(gaps, tall)
    numbers: list[list[Digit]] = [[]]
    for one, gap in zip(row, [0, *gaps], strict=True):
        if gap > space:
            numbers.append([])
        numbers[-1].append(_answer(one.image, one.probabilities, box_in_image(one.pieces, to_image, size)))
    found = tuple(Number(tuple(digits), around([digit.box for digit in digits])) for digits in numbers)
    return Line(found, around([number.box for number in found]))
