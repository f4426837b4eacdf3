"""The figures of a run folder, made from what lies in it: logs, results and the name of the data. No network is run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_lit.data.disputed import MNIST_DISPUTED
from mnist_lit.data.filters import FilterChain
from mnist_lit.data.sources import class_names, load_part
from mnist_lit.errors import Failure, UsageError
from mnist_lit.model.networks import build_network
from mnist_lit.run.figures import confusion_figure, curves_figure, filters_figure, mistakes_figure, save_figure
from mnist_lit.run.folder import METRICS, RESULTS, read_metrics
from mnist_lit.run.network_figure import network_figure

CURVES = ("train/loss", "train/acc", "val/loss", "val/acc", "test/loss", "test/acc", "lr")


def read_results(folder: Path) -> dict[str, Any]:
    """Read `results.json` of a run folder.

    Raises:
        UsageError: the folder has none.
        Failure: it is damaged.
    """
    path = folder / RESULTS
    try:
        results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UsageError(f"{folder}: not a finished run: no {RESULTS} in it") from error
    except (ValueError, OSError) as error:
        raise Failure(f"{path}: cannot be read: {error}") from error
    return results


def read_history(folder: Path, steps_per_epoch: float) -> dict[str, list[tuple[float, float]]]:
    """Return each curve of `metrics.csv` as (epoch, value) points.

    Args:
        folder: the run folder.
        steps_per_epoch: to place what was logged within an epoch.
    """
    history: dict[str, list[tuple[float, float]]] = {name: [] for name in CURVES}
    path = folder / METRICS
    for row in read_metrics(path) if path.is_file() else []:
        for name in CURVES:
            if name in row:
                within = name in ("train/loss", "lr")
                epoch = row["step"] / steps_per_epoch if within else row["epoch"] + 1.0
                history[name].append((epoch, row[name]))
    return history


def one_of_each_class(images: npt.NDArray[np.uint8], labels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the first image of every class that occurs, `(K, 28, 28)` in the order of the classes."""
    _, first = np.unique(labels, return_index=True)
    return images[first]


def write_figures(folder: Path) -> list[Path]:
    """Draw every figure of a finished run into its `figures/` and return their paths.

    Raises:
        UsageError: not a finished run.
        Failure: a file of the run or of the data is damaged.
    """
    results = read_results(folder)
    data, name = results["data"], f"{results['experiment']}, seed {results['seed']}"
    root = Path(data["root"]) if data["root"] else None
    names = class_names(data["dataset"])
    steps_per_epoch = results["steps"] / max(1, results["epochs"])
    figures = {
        "curves": curves_figure(read_history(folder, steps_per_epoch), title=f"Training curves – {name}"),
        "network": network_figure(build_network(results["network"]), title=f"Network “{results['network']}”"),
    }
    train = load_part(data["dataset"], root, "train")
    samples = one_of_each_class(train.images, train.labels)
    stages = [("raw image", samples), *FilterChain.parse(results["filters"]).stages(samples)]
    figures["filters"] = filters_figure(stages, title="What the network sees: the image after each filter")
    if results["test"]:
        test, scores = load_part(data["dataset"], root, "t10k"), results["test"]
        figures["confusion"] = confusion_figure(
            np.array(scores["confusion"]),
            class_names=names,
            title=f"Confusion matrix – {name}",
        )
        worst = scores["mistakes"]
        column = {key: [one[key] for one in worst] for key in ("index", "truth", "answer", "confidence")}
        figures["mistakes"] = mistakes_figure(
            test.images[np.array(column["index"], dtype=np.int64)],
            column["truth"],
            column["answer"],
            column["confidence"],
            column["index"],
            class_names=names,
            total_errors=scores["errors"],
            total=scores["n"],
            disputed=MNIST_DISPUTED if data["dataset"] == "mnist" else (),
        )
    paths = []
    for stem, figure in figures.items():
        path = folder / "figures" / f"{stem}.png"
        save_figure(figure, path)
        paths.append(path)
    return paths
