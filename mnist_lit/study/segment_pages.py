"""Generated pages as examples of grouping: what the reader sees of each line, and which of its groups are digits.

`mnist_lit.study.fit_segments` learns from them. A page is read up to the decision, and its groups are compared with
the truth by their boxes.
"""

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from mnist_lit.data.idx import DigitSet, Images, Labels
from mnist_lit.study.pages import GeneratedPage, make_page
from mnist_lit.use.arrays import Floats
from mnist_lit.use.groups import skip_measures
from mnist_lit.use.reader import box_in_image, find_ink_lines
from mnist_lit.use.recognizer import Recognizer
from mnist_lit.use.segment_model import SegmentWeights
from mnist_lit.use.segments import Observed, observe

_CLOSE, _SLACK = 0.6, 0.1  # intersection over union of a group that is a digit, and how far below the best it may be
_READ_CLOSE, _READ_SLACK = 0.5, 0.25  # the same where it is read right
_READ = 0.4  # probability from which it is
_COVERED = 0.7  # share of a digit's box from which a group holds that digit
_SHAPED, _WIDTHS = 0.4, (0.75, 1.6)  # pages whose digits are of another width, and how many times as wide they are
_UNEVEN = 0.1  # how much the digits of one page differ in that, as the standard deviation of the logarithm
_SMALL_ZEROS, _SIZES = 0.3, (0.4, 0.8)  # pages whose zeros are smaller than the rest, and how large they are
_MOST_ON_A_PAGE = 400  # digits, of those given

Bools = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LineExample:
    """One line of a page: G groups of n parts.

    Attributes:
        first: `(G,)`, index of each group's first part.
        last: `(G,)`, of its last.
        measures: `(G, 15)`.
        probabilities: `(G, 10)`.
        aspects: `(G,)`.
        lengths: `(G,)`.
        views: uint8 `(G, 2, 32, 40)`.
        skips: `(n, 4)`.
        is_digit: `(G,)`, in the truth; a digit may have several such groups.
        is_unclear: `(G,)`, neither clearly a digit nor clearly none.
        must: `(n,)`, parts that a digit needs.
        is_sound: whether every digit of the line has a group, and they can all be taken together.
    """

    first: Numbers
    last: Numbers
    measures: Floats
    probabilities: Floats
    aspects: Floats
    lengths: Floats
    views: npt.NDArray[np.uint8]
    skips: Floats
    is_digit: Bools
    is_unclear: Bools
    must: Bools
    is_sound: bool


def examples_of(
    grade: str, seed: int, digits: DigitSet, recognizer: Recognizer, weights: SegmentWeights
) -> list[LineExample]:
    """Generate a page and return its lines as examples; lines without ink are left out.

    Args:
        grade: of the page.
        seed: of the page.
        digits: what is written on it.
        recognizer: reads the groups.
        weights: say which groups are worth a look.
    """
    page = make_page(grade, seed, *of_a_hand(digits, seed))
    _, ink, lines = find_ink_lines(page.image)
    seen = observe(lines, ink.ink, recognizer.probabilities, weights)
    if not seen.groups or not page.digits:
        return []
    size = (page.look.width, page.look.height)
    boxes = np.array([box_in_image(group.pieces, ink.to_image, size) for group in seen.groups])
    truth = np.array([digit.box for digit in page.digits])
    overlaps = overlap_of(boxes, truth)
    good = _true_groups(page, seen, overlaps)
    several = (shares_of(boxes, truth) > _COVERED).sum(axis=1) > 1
    unclear = ~good.any(axis=1) & ~several & (overlaps.max(axis=1) >= _CLOSE)
    skips = [
        np.array([skip_measures(part, line) for part in parts], np.float32).reshape(len(parts), -1)
        for parts, line in zip(seen.parts, lines, strict=True)
    ]
    return [
        _line(index, seen, overlaps, good, unclear, skips[index]) for index in range(len(lines)) if len(skips[index])
    ]


def of_a_hand(digits: DigitSet, seed: int) -> tuple[Images, Labels]:
    """Choose digits for a page; on some they are narrower or wider than MNIST's, or zeros small, as some hands write.

    Args:
        digits: images of 28 × 28 pixels.
        seed: of the page.

    Returns:
        At most 400 images, uint8 `(N, 28, 28)`, and their labels.
    """
    rng = np.random.default_rng((seed, 1))
    chosen = rng.permutation(len(digits.labels))[:_MOST_ON_A_PAGE]
    images, labels = digits.images[chosen], digits.labels[chosen]
    if rng.random() < _SHAPED:
        usual = rng.uniform(*np.log(_WIDTHS))
        widths = np.exp(usual + _UNEVEN * rng.standard_normal(len(images)))
        across, down = np.minimum(widths, 1.0), np.minimum(1 / widths, 1.0)
        images = np.stack([_shrunk(*one) for one in zip(images, across, down, strict=True)])
    if rng.random() < _SMALL_ZEROS:
        size = rng.uniform(*_SIZES)
        images = np.stack(
            [_shrunk(image, size, size) if label == 0 else image for image, label in zip(images, labels, strict=True)]
        )
    return images, labels


def _shrunk(image: npt.NDArray[np.uint8], across: float, down: float) -> npt.NDArray[np.uint8]:
    """Make a digit so many times as wide and as tall, 1 or less, about the middle of its image."""
    middle = (image.shape[0] - 1) / 2
    matrix = np.array([[across, 0.0, middle * (1 - across)], [0.0, down, middle * (1 - down)]])
    return np.asarray(cv2.warpAffine(image, matrix, image.shape[::-1], flags=cv2.INTER_CUBIC), np.uint8)


def _common(boxes: Numbers, others: Numbers) -> Numbers:
    low = np.maximum(boxes[:, None, :2], others[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], others[None, :, 2:])
    return np.asarray(np.clip(high - low, 0, None).prod(axis=2), np.int64)


def _areas(boxes: Numbers) -> Numbers:
    return np.asarray(np.maximum(1, (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)), np.int64)


def overlap_of(boxes: Numbers, others: Numbers) -> Floats:
    """Intersection over union of boxes (left, top, right, bottom), `(N, 4)` and `(M, 4)`: `(N, M)`."""
    common = _common(boxes, others)
    return np.asarray(common / (_areas(boxes)[:, None] + _areas(others)[None] - common), np.float32)


def shares_of(boxes: Numbers, others: Numbers) -> Floats:
    """How much of each of `others` `(M, 4)` lies in each of `boxes` `(N, 4)`, as a share of its area `(N, M)`."""
    return np.asarray(_common(boxes, others) / _areas(others)[None], np.float32)


def _true_groups(page: GeneratedPage, seen: Observed, overlaps: Floats) -> Bools:
    """Which groups are which digits, `(N, T)`: those that are read right where there are such, by their boxes else."""
    best = overlaps.max(axis=0)
    labels = [int(digit.text) for digit in page.digits]
    close = overlaps >= np.maximum(_READ_CLOSE, best - _READ_SLACK)
    right = close & (seen.probabilities[:, labels] >= _READ)
    by_box = overlaps >= np.maximum(_CLOSE, best - _SLACK)
    return np.asarray(np.where(right.any(axis=0), right, by_box), np.bool_)


def _line(index: int, seen: Observed, overlaps: Floats, good: Bools, unclear: Bools, skips: Floats) -> LineExample:
    home = np.array([group.line for group in seen.groups], np.int64)
    first = np.array([group.first for group in seen.groups])
    last = np.array([group.last for group in seen.groups])
    best = overlaps.max(axis=0)
    where = home[np.where(good, overlaps, overlaps - 1).argmax(axis=0)]  # the line of each digit
    own = np.asarray(home == index, np.bool_)
    digits = np.flatnonzero(((where == index) & (best > 0.25)) | good[own].any(axis=0))
    must = np.zeros(len(skips), bool)
    is_sound = all(good[:, digit].any() and where[digit] == index for digit in digits)
    for digit in digits:
        groups = np.asarray(own & good[:, digit], np.bool_)
        if not groups.any():
            continue
        begin, end = int(first[groups].max()), int(last[groups].min())
        if end < begin:  # two groups without a common part: which parts the digit needs is not clear
            is_sound = False
        must[begin : end + 1] = True
    return LineExample(
        first[own],
        last[own],
        seen.measures[own],
        seen.probabilities[own],
        seen.aspects[own],
        seen.lengths[own],
        seen.views[own],
        skips,
        np.asarray(good.any(axis=1), np.bool_)[own],
        unclear[own],
        must,
        is_sound,
    )
