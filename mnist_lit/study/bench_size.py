"""`python -m mnist_lit bench size`: seconds and memory of a training, for sets of 15,000 to 240,000 images.

The sets are the first images of MNIST's training file, or the whole of it several times over, written as IDX files.
Every training is one epoch of a config on all of its images, in a process of its own; sizes take turns.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mnist_lit.arguments import ArgumentParser
from mnist_lit.data.idx import BUNDLED, DigitSet, Images, Labels, read_set, write_set
from mnist_lit.errors import UsageError
from mnist_lit.run.folder import RESULTS
from mnist_lit.study.bench_output import aligned, machine_line, whole, write_output
from mnist_lit.study.child import run_child
from mnist_lit.study.measuring import Spread, spread, surroundings

SCHEMA = 1
SIZES = (15_000, 30_000, 60_000, 240_000)
# A fit in this Python, which then tells the most memory that it has had resident.
_FIT = """
import json, sys
from mnist_lit.cli import main
from mnist_lit.study.measuring import peak_memory
status = main(["fit", *sys.argv[1:]])
print(json.dumps({"peak_memory": peak_memory()}))
sys.exit(status)
"""


def repeated(digits: DigitSet, size: int) -> tuple[Images, Labels]:
    """Return `size` images and labels, from the first on and over again once all are used."""
    chosen = np.arange(size) % len(digits.labels)
    return digits.images[chosen], digits.labels[chosen]


def train(config: Path, root: Path) -> dict[str, Any]:
    """Train for one epoch on all images of a folder; return seconds of the fit, images a second, and bytes."""
    with tempfile.TemporaryDirectory() as logs:
        words = ["--config", str(config), "--log_dir", logs, "--data.dataset", "idx", "--data.root", str(root)]
        words += ["--data.val_size", "0", "--data.test_curves", "false", "--trainer.max_epochs", "1"]
        ended = run_child(f"{config}, {root.name}", ["-c", _FIT, *words])
        results = json.loads(next(Path(logs).glob(f"*/version_0/{RESULTS}")).read_text(encoding="utf-8"))
    peak = json.loads(ended.output.strip().splitlines()[-1])["peak_memory"]
    return {"fit_seconds": results["fit_seconds"], "peak_memory": peak}


def summary(runs: dict[int, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the results as plain data: seconds, images a second, and megabytes by number of images."""
    sizes: dict[str, Any] = {}
    for size, own in runs.items():
        seconds = [run["fit_seconds"] for run in own]
        peaks = [run["peak_memory"] for run in own if run["peak_memory"] is not None]
        sizes[str(size)] = {
            "fit_seconds": spread(seconds).plain(4),
            "images_per_second": spread([size / value for value in seconds]).plain(1),
            "peak_megabytes": round(max(peaks) / 1e6, 1) if peaks else None,
        }
    return sizes


def table(data: dict[str, Any]) -> str:
    """Return what is printed; `data` is the content of the JSON file."""
    rows = [("images", "fit, s", "images a second", "peak memory, MB")]
    for size, one in data["sizes"].items():
        peak = one["peak_megabytes"]
        rates = Spread(**one["images_per_second"]).text(0)
        rows.append(
            (f"{int(size):,}", Spread(**one["fit_seconds"]).text(1), rates, "" if peak is None else f"{peak:,.0f}")
        )
    return f"{aligned(rows)}\nmedian (first to third quartile) over {data['rounds']} rounds"


def run(args: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = ArgumentParser("bench size", "Time one epoch, and take its memory, for more and more images.")
    parser.add_argument(
        "--config", type=Path, default=Path("configs/default.yaml"), metavar="FILE", help="(configs/default.yaml)"
    )
    parser.add_argument(
        "--sizes", type=whole("--sizes"), nargs="+", default=list(SIZES), metavar="N", help="images (15000 to 240000)"
    )
    parser.add_argument("--rounds", type=whole("--rounds"), default=3, metavar="N", help="turns of each size (3)")
    parser.add_argument("--output", type=Path, metavar="JSON", help="write every figure here")
    options = parser.parse_args(args)
    if not options.config.is_file():
        raise UsageError(f"--config: {options.config}: no such file")
    where = surroundings()
    print(machine_line(where), flush=True)  # noqa: T201
    digits, test = read_set(BUNDLED, "train", known_as="mnist"), read_set(BUNDLED, "t10k", known_as="mnist")
    sizes: list[int] = sorted(set(options.sizes))
    runs: dict[int, list[dict[str, Any]]] = {size: [] for size in sizes}
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            root = Path(folder) / str(size)
            write_set(root, "train", *repeated(digits, size))
            write_set(root, "t10k", test.images, test.labels)
        turns = [sizes[(turn + number) % len(sizes)] for number in range(options.rounds) for turn in range(len(sizes))]
        for size in tqdm(turns, desc="size", unit=" trainings", disable=None):
            runs[size].append(train(options.config, Path(folder) / str(size)))
    data = {
        "schema": SCHEMA, "benchmark": "size", "config": str(options.config), "rounds": options.rounds,
        "sizes": summary(runs), "environment": where,
    }  # fmt: skip
    print(table(data))  # noqa: T201
    write_output(options.output, data)
    return 0
