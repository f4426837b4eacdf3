"""`python -m mnist_lit bench table`: the READMEs' tables of benchmarks, from the JSON files that the others wrote."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mnist_lit.arguments import ArgumentParser
from mnist_lit.errors import Failure
from mnist_lit.run.markdown import table
from mnist_lit.run.report import fill_in

RESULTS = Path("docs/bench")
_HEADS: dict[str, dict[str, tuple[str, ...]]] = {
    "read": {
        "en": ("pages", "digits", "found and right", "false", "char. errors", "seconds per page"),
        "zh": ("页面", "数字", "找到且正确", "误报", "字符错误率", "每页秒数"),
    },
    "predict": {
        "en": ("runtime", "one image, ms", "images per second, 1024 at once"),
        "zh": ("运行库", "单张图像(毫秒)", "每秒图像数(一次 1024 张)"),
    },
}
_GRADES = {
    "en": {"easy": "easy", "medium": "medium", "hard": "hard"},
    "zh": {"easy": "容易", "medium": "中等", "hard": "困难"},
}


def marks(name: str) -> tuple[str, str]:
    """Return the marks in a README between which the table of a benchmark stands."""
    return f"<!-- bench {name}: start -->", f"<!-- bench {name}: end -->"


def read_table(result: dict[str, Any], language: str = "en") -> str:
    """Return the scores of the reader, a row for each grade; `result` is what `bench read --output` wrote."""
    rows: list[Sequence[str]] = [_HEADS["read"][language], ("---", *["--:"] * 5)]
    pages = result["pages_per_grade"]
    for grade, score in result["grades"].items():
        seconds = score["seconds_per_page"]
        rows.append(
            (
                f"{pages} × {_GRADES[language][grade]}",
                f"{score['digits']:,}",
                f"{100 * score['recall']:.2f} %",
                f"{100 * score['false_share']:.2f} %",
                f"{100 * score['character_error_rate']:.2f} %",
                _spread(seconds, 1.0, "{:.2f}"),
            )
        )
    return table(rows)


def predict_table(result: dict[str, Any], language: str = "en") -> str:
    """Return the speed of each runtime, a row for each; `result` is what `bench predict --output` wrote."""
    rows: list[Sequence[str]] = [_HEADS["predict"][language], ("---", "--:", "--:")]
    images = result["images"]
    for name, one in images["1"].items():
        many = images["1024"][name]
        rows.append((name, _spread(one["seconds"], 1e3, "{:.3f}"), f"{many['images_per_second']:,.0f}"))
    return table(rows)


def _spread(values: dict[str, Any], factor: float, form: str) -> str:
    """Write a median with its quartiles."""
    middle, low, high = (form.format(factor * values[name]) for name in ("median", "low", "high"))
    return f"{middle} ({low}–{high})"


TABLES: dict[str, Callable[[dict[str, Any], str], str]] = {"read": read_table, "predict": predict_table}


def load(folder: Path, name: str) -> dict[str, Any]:
    """Read the committed result of a benchmark.

    Raises:
        Failure: it is missing or damaged.
    """
    path = folder / f"{name}.json"
    try:
        result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Failure(f"{path}: cannot be read: {error} (bench {name} --output {path} writes it)") from error
    return result


def run(args: Sequence[str]) -> int:
    """Run the command."""
    parser = ArgumentParser("bench table", "Fill the tables of benchmarks in READMEs from the results in a folder.")
    parser.add_argument("files", nargs="+", type=Path, metavar="README", help="files with the tables' marks")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="DIR", help=f"the results ({RESULTS})")
    options = parser.parse_args(args)
    for file in options.files:
        language = "zh" if ".zh" in file.name else "en"
        for name, make in TABLES.items():
            fill_in(file, make(load(options.results, name), language), *marks(name))
        print(f"wrote {file}")  # noqa: T201
    return 0
