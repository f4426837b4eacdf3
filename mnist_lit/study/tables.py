"""The tables of a filter study: accuracies in, a summary with paired comparisons, CSV, JSON and Markdown out."""

import csv
import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_lit.data.atomic import write_atomically
from mnist_lit.run.results import write_json
from mnist_lit.study.config import CLEAN, VALIDATION
from mnist_lit.study.statistics import Comparison, Estimate, compare, estimate

MEAN = "mean"  # over all corruptions; not a set of its own


@dataclass(frozen=True)
class Scores:
    """All that was measured.

    Attributes:
        chains: name and text of each chain.
        baseline: name of the chain that the others are compared with.
        sets: names of the sets: `validation` (where there is one), `clean`, then the corruptions.
        accuracy: float64 `(chains, seeds, sets)`, in [0, 1].
    """

    chains: dict[str, str]
    baseline: str
    sets: list[str]
    accuracy: npt.NDArray[np.float64]

    @property
    def corruptions(self) -> list[str]:
        """The names of the corrupted sets."""
        return [name for name in self.sets if name not in (VALIDATION, CLEAN)]

    @property
    def others(self) -> list[str]:
        """The names of the chains that are compared with the baseline."""
        return [name for name in self.chains if name != self.baseline]

    def of(self, chain: str, part: str) -> list[float]:
        """Return the accuracies of a chain on a set, or on average over the corruptions (`mean`), in order of seed."""
        values = self.accuracy[list(self.chains).index(chain)]
        if part == MEAN:
            return [float(v) for v in values[:, [self.sets.index(name) for name in self.corruptions]].mean(axis=1)]
        return [float(v) for v in values[:, self.sets.index(part)]]

    def differences(self, chain: str, part: str) -> list[float]:
        """Return by how much a chain is better than the baseline with the same seed, in order of seed."""
        return [a - b for a, b in zip(self.of(chain, part), self.of(self.baseline, part), strict=True)]


@dataclass(frozen=True)
class Summary:
    """What can be said about the scores.

    Attributes:
        estimates: for (chain, set), the mean accuracy; sets include `mean`.
        main: for (chain, `clean` or `mean`), the comparison with the baseline; one family, that of the table.
        by_set: for (chain, set), the same on each test set alone; one family, that of the heat map.
    """

    estimates: dict[tuple[str, str], Estimate]
    main: dict[tuple[str, str], Comparison]
    by_set: dict[tuple[str, str], Comparison]


def summarize(scores: Scores) -> Summary:
    """Estimate every mean, and compare every chain with the baseline, in two families of comparisons."""
    estimates = {(c, p): estimate(scores.of(c, p)) for c in scores.chains for p in [*scores.sets, MEAN]}

    def family(parts: list[str]) -> dict[tuple[str, str], Comparison]:
        places = [(chain, part) for chain in scores.others for part in parts]
        return dict(zip(places, compare([scores.differences(*place) for place in places]), strict=True))

    return Summary(estimates, family([CLEAN, MEAN]), family([CLEAN, *scores.corruptions]))


def ranked(scores: Scores, summary: Summary) -> list[str]:
    """Return the chains other than the baseline, the best mean over the corruptions first."""
    return sorted(scores.others, key=lambda name: -summary.estimates[name, MEAN].mean)


def csv_text(scores: Scores) -> str:
    """Return every accuracy in long form: one row per chain, seed and set."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("chain", "seed", "set", "accuracy"))
    for chain, values in zip(scores.chains, scores.accuracy, strict=True):
        for seed, row in enumerate(values):
            writer.writerows((chain, seed, part, f"{value:.6g}") for part, value in zip(scores.sets, row, strict=True))
    return text.getvalue()


def json_data(scores: Scores, summary: Summary) -> dict[str, Any]:
    """Return values, means and comparisons as plain data; accuracies and differences are fractions."""
    chains: dict[str, Any] = {}
    for name, text in scores.chains.items():
        chains[name] = {
            "chain": text,
            "accuracy": {part: scores.of(name, part) for part in [*scores.sets, MEAN]},
            "estimates": {part: asdict(summary.estimates[name, part]) for part in [*scores.sets, MEAN]},
        }
        if name != scores.baseline:
            chains[name]["differences"] = {part: asdict(summary.main[name, part]) for part in (CLEAN, MEAN)}
            parts = [CLEAN, *scores.corruptions]
            chains[name]["differences_by_set"] = {part: asdict(summary.by_set[name, part]) for part in parts}
    return {
        "baseline": scores.baseline,
        "sets": scores.sets,
        "seeds": scores.accuracy.shape[1],
        "comparisons": {"differences": len(summary.main), "differences_by_set": len(summary.by_set)},
        "chains": chains,
    }


def percent(value: Estimate) -> str:
    """Write a mean accuracy with its standard deviation, in percent: `98.91 ± 0.07`."""
    spread = "" if value.sd is None else f" ± {100 * value.sd:.2f}"
    return f"{100 * value.mean:.2f}{spread}"


def points(value: Comparison) -> str:
    """Write a difference in percentage points with its simultaneous interval; `*` if it is more than chance."""
    text = f"{100 * value.difference.mean:+.2f}"
    if value.low is None or value.high is None:
        return text
    mark = " *" if value.is_certain else ""
    return f"{text} [{100 * value.low:+.2f}, {100 * value.high:+.2f}]{mark}"


def _markdown(rows: list[tuple[str, ...]], align: str) -> str:
    rule = tuple("--:" if side == "r" else "---" for side in align)
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in [rows[0], rule, *rows[1:]]
    )


def main_table(scores: Scores, summary: Summary) -> str:
    """Return the table of the study in Markdown: one row per chain, the baseline first, then by mean accuracy."""
    count = len(scores.corruptions)
    rows: list[tuple[str, ...]] = [
        ("filter", "clean, %", "to baseline, points", f"mean of {count} corruptions, %", "to baseline, points", "n")
    ]
    for name in [scores.baseline, *ranked(scores, summary)]:
        clean, mean = summary.estimates[name, CLEAN], summary.estimates[name, MEAN]
        gains = [points(summary.main[name, part]) if name in scores.others else "" for part in (CLEAN, MEAN)]
        rows.append((name, percent(clean), gains[0], percent(mean), gains[1], str(clean.n)))
    return _markdown(rows, "lrrrrr")


def chain_table(scores: Scores, summary: Summary) -> str:
    """Return a Markdown table of what each name stands for, with its validation accuracy."""
    with_validation = VALIDATION in scores.sets
    rows: list[tuple[str, ...]] = [("filter", "chain", *(["validation, %"] if with_validation else []))]
    for name, text in scores.chains.items():
        value = [percent(summary.estimates[name, VALIDATION])] if with_validation else []
        rows.append((name, f"`{text}`", *value))
    return _markdown(rows, "llr" if with_validation else "ll")


def set_table(scores: Scores, summary: Summary) -> str:
    """Return a Markdown table of mean accuracies in percent, filters × sets."""
    parts = [CLEAN, *scores.corruptions]
    rows: list[tuple[str, ...]] = [("filter", *parts)]
    rows += [(name, *(f"{100 * summary.estimates[name, p].mean:.2f}" for p in parts)) for name in scores.chains]
    return _markdown(rows, "l" + "r" * len(parts))


def markdown_text(scores: Scores, summary: Summary, what: str) -> str:
    """Return the whole report; `what` says what was trained."""
    seeds = scores.accuracy.shape[1]
    explanation = (
        f"Mean ± standard deviation over the seeds 0 to {seeds - 1}. Differences to “{scores.baseline}” are paired by "
        "seed: the same initial weights, the same order of the training images. In brackets: simultaneous 95 % "
        f"intervals (Student's t, Bonferroni over the {len(summary.main)} comparisons of this table). A star marks "
        "differences with p < 0.05 in the paired t-test after Holm's correction for the same number, which finds a "
        "little more than Bonferroni's intervals show."
        if seeds > 1
        else "One seed: no standard deviations, no intervals, nothing that could be told from chance."
    )
    sections = [
        "# Does filtering help?",
        f"{what}; {len(scores.chains)} filter chains × {seeds} seeds. No corruption is seen in training, and nothing "
        "is chosen by these scores. A corruption comes before the filter, as a camera's does.",
        main_table(scores, summary),
        explanation,
        "The intervals speak of the training's own chance (weights and order) with these test images.",
        "## Accuracy on each test set, %",
        set_table(scores, summary),
        "## The chains",
        chain_table(scores, summary),
    ]
    return "\n\n".join(sections) + "\n"


def write_tables(folder: Path, scores: Scores, summary: Summary, settings: dict[str, Any], what: str) -> list[Path]:
    """Write `study.csv`, `study.json` and `study.md`.

    Args:
        folder: where they go.
        scores: what was measured.
        summary: what can be said about it.
        settings: plain data for the JSON: config, environment and the like.
        what: says in the report what was trained.
    """
    paths = [folder / f"study.{kind}" for kind in ("csv", "json", "md")]
    texts = {paths[0]: csv_text(scores), paths[2]: markdown_text(scores, summary, what)}
    for path, text in texts.items():
        write_atomically(path, lambda file, text=text: file.write(text.encode("utf-8")))
    write_json(paths[1], {**settings, **json_data(scores, summary)})
    return paths
