"""Image files with one digit each, for `predict`: paths in, uint8 `(N, 28, 28)` out, and what went wrong."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mnist_lit.data.digit_image import digit_from_image
from mnist_lit.data.idx import SIZE, Images
from mnist_lit.data.image_files import find_images, read_grey
from mnist_lit.errors import Failure


@dataclass(frozen=True)
class DigitFile:
    """What came of one image file.

    Attributes:
        path: the file.
        polarity: `dark on light`, `light on dark`, or empty where the file could not be read.
        notes: what was decided on the way, such as "first frame of 3".
        error: why there is no digit, or empty.
    """

    path: Path
    polarity: str = ""
    notes: tuple[str, ...] = ()
    error: str = ""


def read_digit_files(paths: Sequence[str | os.PathLike[str]]) -> tuple[list[DigitFile], Images]:
    """Read files and folders of images.

    Args:
        paths: image files, and folders that hold them.

    Returns:
        One `DigitFile` per image file, and the digits `(N, 28, 28)` of those without an error, in the same order.

    Raises:
        UsageError: a folder holds no image file.
    """
    files: list[DigitFile] = []
    digits: list[Images] = []
    for path in tqdm(find_images(paths), desc="read images", unit=" files", delay=1.0, leave=False, disable=None):
        try:
            grey = read_grey(path)
        except Failure as error:
            files.append(DigitFile(path, error=str(error)))
            continue
        digit = digit_from_image(grey.pixels)
        if not digit.has_ink:
            files.append(DigitFile(path, notes=grey.notes, error="no ink found"))
            continue
        files.append(DigitFile(path, digit.polarity, grey.notes))
        digits.append(digit.pixels)
    return files, np.stack(digits) if digits else np.empty((0, SIZE, SIZE), dtype=np.uint8)
