"""`python -m mnist_lit read`: photos of handwritten numbers in; text, JSON or CSV and an annotated picture out.

JSON is one list with an object per file: `file`, `notes`, `error`, and what `Page.to_dict` has (no `lines` where there
is an error). CSV has one row per digit; a file without ink has none, a file that failed has one with its error.
"""

import csv
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_lit.arguments import ArgumentParser
from mnist_lit.data.atomic import write_atomically
from mnist_lit.data.image_files import RgbImage, display_name, find_images, read_rgb
from mnist_lit.errors import Failure, UsageError
from mnist_lit.use.transcript import Page

if TYPE_CHECKING:
    from mnist_lit.use.recognizer import Recognizer

COLUMNS = (
    "file",
    "line",
    "number",
    "position",
    "digit",
    "confidence",
    "second",
    "second_confidence",
    "left",
    "top",
    "right",
    "bottom",
    "error",
)
FORMATS = ("text", "json", "csv")
_WANTED_PIXELS = 16_000_000  # more than photos of today have; larger ones are reduced while they are decoded


@dataclass(frozen=True, eq=False)
class Reading:
    """What came of one file.

    Attributes:
        path: the file.
        page: what was read, with places in the file's own pixels; None where that failed.
        notes: what was decided on the way.
        error: why it failed, one line, or empty.
    """

    path: Path
    page: Page | None
    notes: tuple[str, ...] = ()
    error: str = ""


def as_text(readings: Sequence[Reading]) -> str:
    """Return the lines of every page; with several files each has its name before it and an empty line after it."""
    texts = []
    for reading in readings:
        text = reading.page.text if reading.page else ""
        if len(readings) > 1:
            failed = f" (failed: {reading.error})" if reading.error else ""
            texts.append(
                f"{display_name(reading.path)}:{failed}\n{text}\n"
                if text
                else f"{display_name(reading.path)}:{failed}\n"
            )
        elif text:
            texts.append(text + "\n")
    return "\n".join(texts)


def as_json(readings: Sequence[Reading]) -> str:
    """Return a list with one object per file, as JSON."""
    objects = [
        {
            "file": display_name(reading.path),
            "notes": list(reading.notes),
            "error": reading.error,
            **(reading.page.to_dict() if reading.page else {}),
        }
        for reading in readings
    ]
    return json.dumps(objects, indent=1, ensure_ascii=False) + "\n"


def as_csv(readings: Sequence[Reading]) -> str:
    """Return one row per digit, after a row of `COLUMNS`; lines, numbers and positions count from 1."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for reading in readings:
        name = display_name(reading.path)
        if reading.page is None:
            writer.writerow([name, *[""] * (len(COLUMNS) - 2), reading.error])
            continue
        for row, line in enumerate(reading.page.lines, 1):
            for column, number in enumerate(line.numbers, 1):
                for position, digit in enumerate(number.digits, 1):
                    sure, less = f"{digit.confidence:.4f}", f"{digit.second_confidence:.4f}"
                    answers = [digit.text, sure, digit.second, less]
                    writer.writerow([name, row, column, position, *answers, *digit.box, ""])
    return text.getvalue()


def _write(path: Path, data: bytes) -> None:
    write_atomically(path, lambda file: file.write(data))


def _write_annotated(path: Path, image: RgbImage, page: Page) -> None:
    from PIL import Image

    from mnist_lit.use.annotation import annotate

    picture = io.BytesIO()
    Image.fromarray(annotate(image.pixels, page)).save(picture, "PNG", compress_level=3)
    _write(path, picture.getvalue())


def _read(path: Path, image: RgbImage, recognizer: "Recognizer") -> Page:
    from mnist_lit.use.ink import TooMuchInk
    from mnist_lit.use.reader import read_page

    try:
        return read_page(image.pixels, recognizer)
    except TooMuchInk as error:
        raise Failure(f"{display_name(path)}: {error}") from None


def run(args: Sequence[str]) -> int:
    """Run the command; 1 where a file failed."""
    parser = ArgumentParser("read", "Read handwritten digits from photos or scans.")
    parser.add_argument("photos", nargs="+", metavar="PHOTO", help="image files, and folders of them")
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="run folder, .ckpt, .safetensors or .onnx (bundled weights)"
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="of what is printed (text)")
    parser.add_argument("--annotate", type=Path, metavar="OUT.png", help="picture of the one photo with what was read")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write into this file instead of printing")
    options = parser.parse_args(args)
    paths = find_images(options.photos)
    if options.annotate is not None and len(paths) != 1:
        raise UsageError(f"--annotate: one PHOTO is needed, {len(paths)} given")
    if options.annotate is not None and options.annotate.suffix.lower() != ".png":
        raise UsageError(f"--annotate: {display_name(options.annotate)}: not a .png (it is written as PNG)")

    from mnist_lit.use.recognizer import load_recognizer

    recognizer = load_recognizer(options.model)
    readings = []
    for path in paths:
        try:
            image = read_rgb(path, wanted_pixels=_WANTED_PIXELS)
            page = _read(path, image, recognizer)
        except Failure as error:
            print(f"read: {error}", file=sys.stderr)  # noqa: T201
            readings.append(Reading(path, None, error=str(error)))
            continue
        if options.annotate is not None:
            _write_annotated(options.annotate, image, page)
        readings.append(Reading(path, page.scaled(image.reduction), image.notes))
    text = {"text": as_text, "json": as_json, "csv": as_csv}[options.format](readings)
    if options.output is None:
        print(text, end="")  # noqa: T201
    else:
        _write(options.output, text.encode("utf-8"))
    return 1 if any(reading.error for reading in readings) else 0
