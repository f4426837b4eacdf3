"""The tables of a training over several seeds: every value, mean, spread, intervals and the committee.

CSV, JSON and Markdown, and the picture of the committee's mistakes.
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mnist_lit.data.atomic import write_atomically
from mnist_lit.data.disputed import MNIST_DISPUTED, RATERS
from mnist_lit.data.idx import DigitSet
from mnist_lit.data.sources import class_names
from mnist_lit.run.figures import mistakes_figure, save_figure
from mnist_lit.run.markdown import table
from mnist_lit.run.results import write_json
from mnist_lit.study.committee import Committee, SeedRun
from mnist_lit.study.statistics import estimate, wilson

SCHEMA = 1
PICTURE = "mistakes.png"


def csv_text(runs: Sequence[SeedRun]) -> str:
    """Return one row per seed; accuracies are fractions, intervals are Wilson's."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("seed", "test_acc", "errors", "n", "low", "high", "best_val_acc", "epochs", "fit_seconds"))
    for run in runs:
        low, high = wilson(run.n - run.errors, run.n)
        best = run.results["best_val_acc"]
        row = (f"{run.accuracy:.6g}", run.errors, run.n, f"{low:.6f}", f"{high:.6f}")
        writer.writerow((run.seed, *row, "" if best is None else f"{best:.6g}", run.results["epochs"], run.seconds))
    return text.getvalue()


def json_data(runs: Sequence[SeedRun], together: Committee, disputed: bool) -> dict[str, Any]:
    """Return all values as plain data; accuracies are fractions.

    Args:
        runs: the trainings.
        together: their committee.
        disputed: whether the test images are those of the list of disputed labels.
    """
    singles = []
    for run in runs:
        low, high = wilson(run.n - run.errors, run.n)
        singles.append(
            {
                "seed": run.seed,
                "test_acc": run.accuracy,
                "errors": run.errors,
                "interval": [low, high],
                "best_val_acc": run.results["best_val_acc"],
                "epochs": run.results["epochs"],
                "fit_seconds": run.seconds,
            }
        )
    mean = estimate([run.accuracy for run in runs])
    mistakes = [
        {"index": int(i), "given": int(truth), "answer": int(answer), "confidence": round(float(confidence), 6)}
        | ({"raters": RATERS[int(i)]} if disputed and int(i) in RATERS else {})
        for i, truth, answer, confidence in zip(
            together.wrong, together.truths, together.answers, together.confidences, strict=True
        )
    ]
    return {
        "n": together.n,
        "seeds": singles,
        "mean": {**asdict(mean), "interval": list(wilson(mean.mean * together.n, together.n))},
        "fit_seconds": asdict(estimate([run.seconds for run in runs])),
        "committee": {
            "members": together.members,
            "test_acc": together.accuracy,
            "errors": together.errors,
            "interval": list(wilson(together.n - together.errors, together.n)),
            "disputed": sum("raters" in one for one in mistakes),
            "mistakes": mistakes,
        },
    }


def _interval(pair: Sequence[float]) -> str:
    return f"{100 * pair[0]:.2f} – {100 * pair[1]:.2f}"


def seed_table(data: dict[str, Any]) -> str:
    """Return the Markdown table of `json_data`: one row per seed, then the mean, then the committee."""
    head = ("seed", "test accuracy, %", "wrong", "95 % interval, %", "best validation, %", "training, s")
    rows = [head, ("--:",) * len(head)]
    for one in data["seeds"]:
        best = "" if one["best_val_acc"] is None else f"{100 * one['best_val_acc']:.2f}"
        score = (f"{100 * one['test_acc']:.2f}", str(one["errors"]), _interval(one["interval"]))
        rows.append((str(one["seed"]), *score, best, f"{one['fit_seconds']:.1f}"))
    mean, seconds, together = data["mean"], data["fit_seconds"], data["committee"]
    spread = "" if mean["sd"] is None else f" ± {100 * mean['sd']:.3f}"
    wrong = data["n"] * (1 - mean["mean"])
    center = (f"{100 * mean['mean']:.3f}{spread}", f"{wrong:.1f}", _interval(mean["interval"]))
    rows.append((f"mean of {mean['n']}", *center, "", f"{seconds['mean']:.1f}"))
    joint = (f"{100 * together['test_acc']:.2f}", str(together["errors"]), _interval(together["interval"]))
    rows.append((f"committee of {together['members']}", *joint, "", ""))
    return table(rows)


def markdown_text(data: dict[str, Any]) -> str:
    """Return the report; `data` is the content of `seeds.json`."""
    first, last = data["seeds"][0]["seed"], data["seeds"][-1]["seed"]
    val_size = data["data"]["val_size"]
    kept = f"the epoch that is best on {val_size:,} validation images" if val_size else "the last epoch"
    mean, together = data["mean"], data["committee"]
    spoilt = data["config"]["data"]["training_corruptions"]["p"]
    turns = ""
    if isinstance(spoilt, list):
        shares = ", ".join(f"{100 * p:g} %" for p in spoilt)
        turns = f" Corrupted are, seed by seed in turn, {shares} of the training images."
    sections = [
        f"# {data['experiment']}: seeds {first} to {last}",
        f"{data['network']} network, {data['parameters']:,} parameters, {data['epochs']} epochs on "
        f"{data['data']['train_size']:,} images, filters: {data['filters']}. Kept of each training: {kept}. Nothing is "
        f"chosen on the {data['n']:,} test images, and every seed counts.{turns}",
        seed_table(data),
        "Mean ± standard deviation over the seeds. The intervals are Wilson's: what one measurement on that many test "
        "images leaves open. The committee answers with the largest mean of the networks' probabilities."
        + (
            f" Over the seeds alone, the mean lies in {_interval((mean['low'], mean['high']))} (95 %, Student's t)."
            if mean["sd"] is not None
            else ""
        ),
    ]
    if data["data"]["dataset"] == "mnist":
        sections.append(
            f"Of the {together['errors']} mistakes of the committee, human raters dispute the given label in "
            f"{together['disputed']} ({PICTURE})."
        )
    for where in data["environments"]:
        hardware = where["accelerator"] or f"{where['cores']} × {where['processor']}"
        versions = f"torch {where['torch']}, lightning {where['lightning']}, Python {where['python']}"
        sections.append(f"{hardware}, {where['precision']}; {versions}.")
    return "\n\n".join(sections) + "\n"


def write_tables(
    folder: Path, runs: Sequence[SeedRun], together: Committee, test: DigitSet, settings: dict[str, Any]
) -> tuple[dict[str, Any], list[Path]]:
    """Write `seeds.csv`, `seeds.json`, `seeds.md` and the picture of the committee's mistakes.

    Args:
        folder: where they go.
        runs: the trainings, in order of seed.
        together: their committee.
        test: the test images and labels.
        settings: plain data for the JSON: `config` of the fits, `threads` and the like.

    Returns:
        The content of `seeds.json`, and the paths.
    """
    first = runs[0].results
    dataset = first["data"]["dataset"]
    is_mnist = dataset == "mnist"
    environments: list[dict[str, Any]] = []
    for run in runs:
        if run.results["environment"] not in environments:
            environments.append(run.results["environment"])
    about = {key: first[key] for key in ("experiment", "network", "parameters", "filters", "epochs", "data")}
    values = json_data(runs, together, is_mnist)
    data = {"schema": SCHEMA, **about, **values, **settings, "environments": environments}
    paths = [folder / name for name in ("seeds.csv", "seeds.json", "seeds.md", PICTURE)]
    for path, text in ((paths[0], csv_text(runs)), (paths[2], markdown_text(data))):
        write_atomically(path, lambda file, text=text: file.write(text.encode("utf-8")))
    write_json(paths[1], data)
    figure = mistakes_figure(
        test.images[together.wrong],
        together.truths,
        together.answers,
        together.confidences,
        together.wrong,
        class_names=class_names(dataset),
        total_errors=together.errors,
        total=together.n,
        disputed=MNIST_DISPUTED if is_mnist else (),
        whose=f"Committee of {together.members} networks",
    )
    save_figure(figure, paths[3])
    return data, paths
