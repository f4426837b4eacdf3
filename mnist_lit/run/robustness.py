"""The 15 corruptions in the READMEs: from what `test --data.corruption all` left in run folders to a Markdown table."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mnist_lit.data.corruptions import CORRUPTIONS
from mnist_lit.errors import Failure
from mnist_lit.run.markdown import by_experiment, percent, table

START, END = "<!-- robustness: start -->", "<!-- robustness: end -->"
SUBFOLDER = "robustness"  # of a folder of collected results
_FILES = {"plain": "test-corruptions.json", "adabn": "test-corruptions-adabn.json"}
_HEADINGS = {
    "en": ("config", "network", "filter", "runs", "clean", "mean of 15", "mean of 15, AdaBN"),
    "zh": ("配置", "网络", "滤波", "次数", "干净图像", "15 种损坏平均", "15 种损坏平均（AdaBN）"),
}


def robustness_of(run_folder: Path, results: dict[str, Any]) -> dict[str, Any] | None:
    """Return the accuracies of one run on clean and corrupted test images, as plain data.

    Args:
        run_folder: folder of the run.
        results: contents of its `results.json`.

    Returns:
        `experiment`, `seed`, `network`, `parameters`, `filters`, and for `plain` and `adabn` the accuracy of every
        part, in [0, 1]; None where the run was not tested on all corruptions, with and without AdaBN.

    Raises:
        Failure: a file is damaged.
    """
    if not all((run_folder / name).is_file() for name in _FILES.values()):
        return None
    collected = {key: results[key] for key in ("experiment", "seed", "network", "parameters", "filters")}
    for key, name in _FILES.items():
        path = run_folder / name
        try:
            scores = json.loads(path.read_text(encoding="utf-8"))
            collected[key] = {part: float(scores[part]["acc"]) for part in ("clean", *CORRUPTIONS)}
        except (ValueError, KeyError, TypeError) as error:
            raise Failure(f"{path}: not the scores of all corruptions: {error}") from error
    return collected


def read_robustness(folder: Path) -> list[dict[str, Any]]:
    """Read what was collected.

    Raises:
        Failure: a file is damaged.
    """
    collected = []
    for path in sorted((folder / SUBFOLDER).glob("*.json")):
        try:
            one = json.loads(path.read_text(encoding="utf-8"))
            for key in _FILES:
                mean_of_corruptions(one[key])
        except (ValueError, KeyError, TypeError) as error:
            raise Failure(f"{path}: cannot be read: {error}") from error
        collected.append(one)
    return collected


def mean_of_corruptions(accuracy: dict[str, float]) -> float:
    """Return the mean accuracy over the 15 corruptions; clean images do not count."""
    return statistics.mean(accuracy[name] for name in CORRUPTIONS)


def robustness_table(collected: Sequence[dict[str, Any]], language: str = "en") -> str:
    """Return a Markdown table: one row per experiment, mean ± standard deviation over its seeds, in percent.

    Raises:
        UsageError: two runs of an experiment have the same seed.
    """
    rows: list[tuple[str, ...]] = [_HEADINGS[language], ("---", "---", "---", "--:", "--:", "--:", "--:")]
    for name, group in by_experiment(collected):
        first = group[0]
        rows.append(
            (
                f"`configs/{name}.yaml`",
                f"{first['network']}, {first['parameters']:,}",
                f"`{first['filters']}`".replace("|", "\\|"),
                str(len(group)),
                percent([one["plain"]["clean"] for one in group]),
                percent([mean_of_corruptions(one["plain"]) for one in group]),
                percent([mean_of_corruptions(one["adabn"]) for one in group]),
            )
        )
    return table(rows)
