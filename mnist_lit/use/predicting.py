"""`python -m mnist_lit predict` without a checkpoint to score: one digit per image file -> `predictions.csv`.

It needs neither Lightning nor, with the bundled network or an `.onnx` model, PyTorch, so that it answers at once.
"""

from collections.abc import Sequence
from pathlib import Path

from mnist_lit.arguments import ArgumentParser
from mnist_lit.data.digit_files import read_digit_files
from mnist_lit.errors import UsageError
from mnist_lit.run.predictions import write_predictions
from mnist_lit.use.recognizer import load_recognizer


def run(args: Sequence[str]) -> int:
    """Run the command."""
    parser = ArgumentParser("predict", "Read one digit per image file and write predictions.csv.")
    parser.add_argument(
        "images", nargs="*", type=Path, metavar="IMAGES", help="image files, folders of them, - for standard input"
    )
    parser.add_argument(
        "--data.images", dest="more", action="append", default=[], type=Path, metavar="IMAGES", help="the same"
    )
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help="run folder, .ckpt, .safetensors or .onnx; left out: the bundled weights",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("predictions.csv"), metavar="FILE", help="default: predictions.csv"
    )
    options = parser.parse_args(args)
    paths = [*options.images, *options.more]
    if not paths:
        raise UsageError("IMAGES: missing (give image files, or a folder of them, with one digit each)")
    recognizer = load_recognizer(options.model)
    _say(f"model      {recognizer.source}: {recognizer.network_name}, filters {recognizer.chain}")
    files, digits = read_digit_files(paths)
    failed = write_predictions(
        options.output,
        files,
        [recognizer.probabilities(digits)],
        class_names=recognizer.class_names,
        say=_say,
    )
    return 1 if failed else 0


def _say(line: str) -> None:
    print(line)  # noqa: T201
