"""`python -m mnist_lit.study.fit_segments`: learn the weights that `read` groups strokes into digits with.

Pages are generated from MNIST's training digits for the network that tells whole digits, and from validation digits for
the weights of the random field (`segment_learning`); test digits are not touched. Half of the pages are hard, a quarter
each medium and easy; on some the digits are wide, narrow or have small zeros (`segment_pages.of_a_hand`). Where the
recognizer is trained anew, the field wants to be fitted again: `--keep-network`.
"""

import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import cv2
import torch
from tqdm import tqdm

from mnist_lit.arguments import ArgumentParser
from mnist_lit.data.atomic import write_atomically
from mnist_lit.errors import Failure, UsageError
from mnist_lit.study.page_digits import TRAINING, VALIDATION, load_digits
from mnist_lit.study.segment_learning import fit_field, train_network
from mnist_lit.study.segment_pages import LineExample, examples_of
from mnist_lit.use.recognizer import load_recognizer
from mnist_lit.use.segment_model import BUNDLED_SEGMENTS, SegmentWeights, load_segment_weights

GRADES_IN_TURN = ("hard", "hard", "medium", "easy")
NETWORK_SEED, FIELD_SEED = 10_000, 100  # of the first pages; scores are looked at with seeds from 700 to 9,999
NETWORK_PAGES, FIELD_PAGES = 960, 240
EPOCHS, STEPS = 8, 120


def collect(
    which: str, seeds: Sequence[int], model: Path | None, weights: SegmentWeights, processes: int
) -> list[LineExample]:
    """Return the lines of generated pages, one page a seed.

    Args:
        which: `training` or `validation` digits.
        seeds: of the pages; the grades take turns.
        model: reads the groups; None for the bundled weights.
        weights: say which groups are worth a look.
        processes: at work side by side; 1 for this one alone.
    """
    grades = [GRADES_IN_TURN[turn % len(GRADES_IN_TURN)] for turn in range(len(seeds))]
    of_page = partial(_examples, which, model, weights)

    def shown(pages: Iterator[list[LineExample]]) -> list[LineExample]:
        bar = tqdm(pages, desc=f"{which} pages", total=len(seeds), file=sys.stderr)
        return [line for lines in bar for line in lines]

    if processes == 1:
        return shown(map(of_page, grades, seeds))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_work_alone) as pool:
        return shown(pool.map(of_page, grades, seeds))


def _work_alone() -> None:
    """One thread for one of several processes."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def _examples(which: str, model: Path | None, weights: SegmentWeights, grade: str, seed: int) -> list[LineExample]:
    return examples_of(grade, seed, _digits(which), _recognizer(model), weights)


_digits, _recognizer = cache(load_digits), cache(load_recognizer)


def write(path: Path, weights: SegmentWeights, origin: dict[str, Any]) -> None:
    """Write weights as safetensors, with plain data about where they come from in its header."""
    from safetensors.numpy import save

    data = save(weights.tensors(), metadata={"origin": json.dumps(origin)})
    write_atomically(path, lambda file: file.write(data))


def run(args: Sequence[str]) -> int:
    """Run the command."""
    parser = ArgumentParser("fit_segments", "Learn how strokes are grouped into digits, from generated pages.")
    parser.prog = "python -m mnist_lit.study.fit_segments"
    parser.add_argument("--model", type=Path, metavar="FILE", help="the recognizer (bundled weights)")
    parser.add_argument("--network-pages", type=int, default=NETWORK_PAGES, metavar="N", help=f"({NETWORK_PAGES})")
    parser.add_argument("--field-pages", type=int, default=FIELD_PAGES, metavar="N", help=f"({FIELD_PAGES})")
    parser.add_argument("--epochs", type=int, default=EPOCHS, metavar="N", help=f"of the network ({EPOCHS})")
    parser.add_argument(
        "--processes", type=int, default=os.cpu_count() or 1, metavar="N", help="that generate pages (one per CPU core)"
    )
    parser.add_argument("--keep-network", action="store_true", help="fit the field only")
    parser.add_argument(
        "--output", type=Path, default=BUNDLED_SEGMENTS, metavar="FILE", help="default: the file that `read` uses"
    )
    options = parser.parse_args(args)
    for name in ("network_pages", "field_pages", "epochs", "processes"):
        if getattr(options, name) < 1:
            raise UsageError(f"--{name.replace('_', '-')}: {getattr(options, name)} is not allowed (1 or more)")
    recognizer, weights = load_recognizer(options.model), load_segment_weights()
    _say(f"model      {recognizer.source}: {recognizer.network_name}")
    if not options.keep_network:
        seeds = range(NETWORK_SEED, NETWORK_SEED + options.network_pages)
        lines = collect(TRAINING, seeds, options.model, weights, options.processes)
        network = train_network(
            lines, options.epochs, 0, lambda epoch, loss: _say(f"network    epoch {epoch}: loss {loss:.4f}")
        )
        weights = replace(weights, network=network)
    seeds = range(FIELD_SEED, FIELD_SEED + options.field_pages)
    lines = collect(VALIDATION, seeds, options.model, weights, options.processes)
    weights, (before, after) = fit_field(lines, weights, STEPS)
    sound = sum(line.is_sound for line in lines)
    _say(f"field      {sound} of {len(lines)} lines: loss {before:.4f} before, {after:.4f} after")
    origin = {
        "made_by": "python -m mnist_lit.study.fit_segments",
        "recognizer": recognizer.source,
        "network_pages": None if options.keep_network else options.network_pages,
        "field_pages": options.field_pages,
        "epochs": options.epochs,
    }
    write(options.output, weights, origin)
    _say(f"wrote      {options.output}")
    return 0


def _say(line: str) -> None:
    print(line)  # noqa: T201


def main() -> int:
    """Run the command with the words of the command line; a mistake is one line on stderr."""
    try:
        return run(sys.argv[1:])
    except Failure as error:
        print(f"fit_segments: {error}", file=sys.stderr)  # noqa: T201
        return error.exit_status


if __name__ == "__main__":
    sys.exit(main())
