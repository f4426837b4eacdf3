"""Tables of the READMEs: runs grouped by experiment, mean ± standard deviation, Markdown rows."""

import statistics
from collections.abc import Sequence
from typing import Any

from mnist_lit.errors import UsageError


def by_experiment(runs: Sequence[dict[str, Any]]) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return the runs of each experiment in order of seed, the experiments in order of name.

    Raises:
        UsageError: two runs of an experiment have the same seed.
    """
    groups: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault(run["experiment"], []).append(run)
    for name, group in groups.items():
        group.sort(key=lambda run: run["seed"])
        seeds = [run["seed"] for run in group]
        if len(set(seeds)) != len(seeds):
            raise UsageError(f"{name}: two runs have the same seed among {seeds}")
    return sorted(groups.items())


def percent(fractions: Sequence[float]) -> str:
    """Write accuracies in [0, 1] as their mean in percent, with the standard deviation where there are several."""
    values = [100.0 * value for value in fractions]
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.2f}{spread} %"


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of cells as Markdown; the second row says how each column is aligned."""
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
