"""`python -m mnist_lit bench read`: how well and how fast photos of handwritten numbers are read.

Pages with known truth are generated (`mnist_lit.study.pages`) from MNIST's test digits, which no network and no
threshold of this project was chosen on, read, and scored (`mnist_lit.study.page_scores`). One page more, a photo of 12
megapixels, is read in a process of its own for its time and memory.
"""

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from mnist_lit.arguments import ArgumentParser
from mnist_lit.data.idx import DigitSet
from mnist_lit.errors import Failure
from mnist_lit.study.bench_output import aligned, whole
from mnist_lit.study.measuring import Spread, spread, surroundings
from mnist_lit.study.page_digits import TEST, VALIDATION, load_digits
from mnist_lit.study.page_scores import Mark, MarkedLine, Score, score_page
from mnist_lit.study.pages import GRADES, GeneratedPage, make_page
from mnist_lit.use.annotation import annotate
from mnist_lit.use.reader import read_page
from mnist_lit.use.recognizer import Recognizer, load_recognizer
from mnist_lit.use.transcript import Box, Page

SCHEMA = 1
FIRST_SEED = 1000
PAGES = 50
PHOTO_GRADE, PHOTO_SIDE, PHOTO_REPEATS = "hard", 4000, 7

Reader = Callable[[npt.NDArray[np.uint8]], Page]


@dataclass
class GradeResult:
    """What came of the pages of one grade.

    Attributes:
        score: summed over the pages.
        seconds: to read each page, decoding not counted.
        mistakes: each with the page's seed and the looks that may explain it, as plain data.
    """

    score: Score = field(default_factory=Score)
    seconds: list[float] = field(default_factory=list)
    mistakes: list[dict[str, Any]] = field(default_factory=list)

    def plain(self) -> dict[str, Any]:
        """Return it as plain data."""
        seconds = spread(self.seconds).plain()
        return {**self.score.plain(), "seconds_per_page": seconds, "mistakes": self.mistakes}


def marked_lines(page: GeneratedPage | Page) -> list[MarkedLine]:
    """Return what stands on a page, or what was read on one, for scoring."""
    return [
        MarkedLine(line.text, tuple(Mark(d.text, Box(*d.box)) for number in line.numbers for d in number.digits))
        for line in page.lines
    ]


def score_grade(
    grade: str, seeds: Sequence[int], digits: DigitSet, read: Reader, show: Path | None, step: Callable[[], Any]
) -> GradeResult:
    """Generate, read and score the pages of one grade.

    Args:
        grade: see `GRADES`.
        seeds: one page each.
        digits: what is written on them.
        read: reads an RGB image.
        show: a folder for the pages and what was read on them; None to write nothing.
        step: called after each page.
    """
    result = GradeResult()
    for seed in seeds:
        page = make_page(grade, seed, digits.images, digits.labels)
        start = time.perf_counter()
        answer = read(page.image)
        result.seconds.append(time.perf_counter() - start)
        score = score_page(marked_lines(page), marked_lines(answer))
        result.mistakes += [_explained(asdict(mistake), page, seed) for mistake in score.mistakes]
        result.score += score
        if show is not None:
            _show(show / f"{grade}_{seed:04}", page, answer)
        step()
    return result


def _explained(mistake: dict[str, Any], page: GeneratedPage, seed: int) -> dict[str, Any]:
    about: dict[str, Any] = {"seed": seed, **mistake, "paper": page.look.paper, "ruling": page.look.ruling}
    for digit in page.digits:
        if mistake["truth"] and digit.box == mistake["box"]:
            about |= {"touching": digit.is_touching, "broken": digit.is_broken, "index": digit.index}
    return about


def _show(stem: Path, page: GeneratedPage, answer: Page) -> None:
    Image.fromarray(page.image).save(stem.with_name(f"{stem.name}.png"))
    Image.fromarray(annotate(page.image, answer)).save(stem.with_name(f"{stem.name}_read.png"))
    stem.with_name(f"{stem.name}.txt").write_text(f"{page.text}\n", encoding="utf-8")


def measure_photo(seed: int, digits: DigitSet, model: Path | None) -> dict[str, Any]:
    """Read a photo of 12 megapixels in a process of its own.

    Returns:
        Plain data: pixels, digits, seconds from file to answer (the program already running), peak resident bytes.

    Raises:
        Failure: the process failed.
    """
    page = make_page(PHOTO_GRADE, seed, digits.images, digits.labels, long_side=PHOTO_SIDE)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        Image.fromarray(page.image).save(path, quality=92)
        command = [sys.executable, "-m", "mnist_lit.study.photo_process", str(path), str(PHOTO_REPEATS)]
        done = subprocess.run(
            command + ([str(model)] if model else []), capture_output=True, text=True, encoding="utf-8", check=False
        )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise Failure(f"photo: the process that read it ended with status {done.returncode}: {last}")
    measured = json.loads(done.stdout)
    return {
        "width": page.look.width,
        "height": page.look.height,
        "grade": PHOTO_GRADE,
        "seed": seed,
        "digits": len(page.digits),
        "seconds": spread(measured["seconds"]).plain(),
        "peak_bytes": measured["peak_bytes"],
        "peak_bytes_before": measured["peak_bytes_before"],
    }


def table(results: dict[str, GradeResult]) -> str:
    """Return one row per grade, with aligned columns."""
    head = (
        "grade", "pages", "digits", "right", "precision", "false", "unsure", "missed", "char. errors", "lines right",
        "seconds per page",
    )  # fmt: skip
    rows = [head]
    for grade, result in results.items():
        score = result.score
        rows.append(
            (
                grade,
                str(len(result.seconds)),
                f"{score.digits:,}",
                f"{100 * score.recall:.2f} %",
                f"{100 * score.precision:.2f} %",
                f"{100 * score.false_share:.2f} %",
                str(score.unsure),
                str(score.missed),
                f"{100 * score.character_error_rate:.2f} %",
                f"{score.lines_right} of {score.lines}",
                spread(result.seconds).text(),
            )
        )
    return aligned(rows)


def photo_line(photo: dict[str, Any]) -> str:
    """Return the sentence about the large photo."""
    seconds = Spread(**photo["seconds"])
    peak, before = photo["peak_bytes"], photo["peak_bytes_before"]
    memory = f"{peak / 1e6:.0f} MB ({before / 1e6:.0f} before)" if peak else "not told by this system"
    pixels = photo["width"] * photo["height"] / 1e6
    return (
        f"photo      {pixels:.0f} megapixels, {photo['digits']} digits: {seconds.text()} s from file to answer "
        f"(n = {seconds.n}), peak memory {memory}"
    )


def run(args: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = ArgumentParser("bench read", "Score the reader on generated photos of numbers, and time it.")
    parser.add_argument("--pages", type=whole("--pages"), default=PAGES, metavar="N", help=f"per grade ({PAGES})")
    parser.add_argument("--seed", type=whole("--seed", 0), default=FIRST_SEED, help=f"of the first page ({FIRST_SEED})")
    parser.add_argument("--grades", nargs="+", choices=GRADES, default=list(GRADES), help="which grades (all)")
    parser.add_argument(
        "--digits", choices=(TEST, VALIDATION), default=TEST, help="what is written on the pages: MNIST's test digits"
        ", or validation digits, for development"
    )  # fmt: skip
    parser.add_argument("--model", type=Path, metavar="FILE", help="run folder or weights file (the bundled weights)")
    parser.add_argument("--no-photo", action="store_true", help="leave the photo of 12 megapixels out")
    parser.add_argument("--output", type=Path, metavar="JSON", help="write every figure, and every mistake, here")
    parser.add_argument("--show", type=Path, metavar="FOLDER", help="write the pages, what was read and truth here")
    options = parser.parse_args(args)
    recognizer = load_recognizer(options.model)
    digits = load_digits(options.digits)
    if options.show is not None:
        options.show.mkdir(parents=True, exist_ok=True)
    seeds = range(options.seed, options.seed + options.pages)
    print(f"model      {recognizer.source}: {recognizer.network_name}, {recognizer.contract.filters}")  # noqa: T201
    print(f"pages      {options.pages} per grade, seeds {seeds[0]} to {seeds[-1]}, MNIST {options.digits} digits")  # noqa: T201
    results: dict[str, GradeResult] = {}
    with tqdm(total=len(options.grades) * options.pages, desc="read", unit=" pages", disable=None) as bar:
        for grade in dict.fromkeys(options.grades):
            results[grade] = score_grade(
                grade, seeds, digits, lambda image: read_page(image, recognizer), options.show, bar.update
            )
    print(table(results))  # noqa: T201
    photo = None if options.no_photo else measure_photo(options.seed, digits, options.model)
    if photo is not None:
        print(photo_line(photo))  # noqa: T201
    if options.output is not None:
        _write(options.output, results, photo, recognizer, options.model, digits, options.digits, seeds)
        print(f"wrote      {options.output}")  # noqa: T201
    if options.show is not None:
        print(f"wrote      {options.show}: {3 * len(results) * options.pages} files")  # noqa: T201
    return 0


def _write(
    path: Path,
    results: dict[str, GradeResult],
    photo: dict[str, Any] | None,
    recognizer: Recognizer,
    model: Path | None,
    digits: DigitSet,
    which: str,
    seeds: range,
) -> None:
    from mnist_lit.run.results import write_json
    from mnist_lit.use.model_files import find_model

    write_json(
        path,
        {
            "schema": SCHEMA,
            "benchmark": "read",
            "model": {
                "source": recognizer.source,
                "sha256": hashlib.sha256(find_model(model).read_bytes()).hexdigest(),
                "network": recognizer.network_name,
                "contract": asdict(recognizer.contract),
            },
            "digits": {"part": which, "sha256": digits.sha256},
            "seeds": [seeds[0], seeds[-1]],
            "pages_per_grade": len(seeds),
            "grades": {grade: result.plain() for grade, result in results.items()},
            "photo": photo,
            "environment": surroundings(),
        },
    )
