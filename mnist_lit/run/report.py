"""`python -m mnist_lit report`: figures of a run again, and the result table of the READMEs, from what runs left."""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mnist_lit.arguments import ArgumentParser
from mnist_lit.data.atomic import write_atomically
from mnist_lit.data.filters import FilterChain
from mnist_lit.data.sources import class_names, load_part
from mnist_lit.errors import Failure, UsageError
from mnist_lit.model.checkpoint import load_model
from mnist_lit.model.networks import Normalize, build_network
from mnist_lit.run import robustness
from mnist_lit.run.benchmarks import benchmark_tables, marks
from mnist_lit.run.figures import save_figure
from mnist_lit.run.folder import BEST, RESULTS
from mnist_lit.run.markdown import by_experiment, percent, table
from mnist_lit.run.network_figure import stage_figure
from mnist_lit.run.overview_figure import overview_figure
from mnist_lit.run.results import write_json
from mnist_lit.run.run_figures import one_of_each_class, read_results, write_figures

START, END = "<!-- results: start -->", "<!-- results: end -->"

_HEADINGS = {
    "en": ("config", "network", "parameters", "test accuracy", "runs", "fit, each", "hardware"),
    "zh": ("配置", "网络", "参数量", "测试准确率", "次数", "每次训练用时", "硬件"),
}


_NEEDED: dict[str, Any] = {
    "experiment": str,
    "seed": int,
    "test": (dict, type(None)),
    "fit_seconds": (int, float),
    "network": str,
    "parameters": int,
    "environment": dict,
}


def checked(results: Any, path: Path) -> dict[str, Any]:
    """Return the contents of a `results.json` if the table can be made from them.

    Raises:
        Failure: something is missing or of the wrong type; with the file and the key.
    """
    if not isinstance(results, dict):
        raise Failure(f"{path}: not the results of a run")
    for key, kind in _NEEDED.items():
        if not isinstance(results.get(key, ...), kind):
            raise Failure(f"{path}: not the results of a run: {key} is missing or wrong")
    return results


def result_table(results: Sequence[dict[str, Any]], language: str = "en") -> str:
    """Return a Markdown table, one row per experiment, averaged over its seeds.

    Args:
        results: contents of `results.json` files; those of one experiment differ in their seed.
        language: `en` or `zh`.

    Raises:
        UsageError: a run has no test score, or two runs of an experiment have the same seed.
    """
    rows: list[tuple[str, ...]] = [_HEADINGS[language], ("---", "---", "--:", "--:", "--:", "--:", "---")]
    for name, group in by_experiment(results):
        if any(one["test"] is None for one in group):
            raise UsageError(f"{name}: a run has no test score")
        seconds = statistics.mean(one["fit_seconds"] for one in group)
        first, machine = group[0], group[0]["environment"]
        hardware = machine["accelerator"] or f"{machine['cores']} × {machine['processor']}"
        rows.append(
            (
                f"`configs/{name}.yaml`",
                first["network"],
                f"{first['parameters']:,}",
                percent([one["test"]["acc"] for one in group]),
                str(len(group)),
                f"{seconds:.0f} s",
                f"{hardware}, {machine['precision']}",
            )
        )
    return table(rows)


def fill_in(readme: Path, table: str, start: str = START, end: str = END) -> None:
    """Replace what stands between the two marks of a README by the table.

    Raises:
        UsageError: the file has not both marks.
    """
    text = readme.read_bytes().decode("utf-8")  # as bytes: line ends stay what they are
    if start not in text or end not in text.split(start, 1)[1]:
        raise UsageError(f"{readme}: the marks {start} and {end} are not in it, in this order")
    before, rest = text.split(start, 1)
    after = rest.split(end, 1)[1]
    new = f"{before}{start}\n{table}\n{end}{after}"
    write_atomically(readme, lambda file: file.write(new.encode("utf-8")))


def fill_in_benchmarks(readme: Path, results: Path | None, language: str) -> None:
    """Fill in the tables of benchmarks and seeds whose marks the README has; `results` is the folder of them all."""
    if results is None:
        return
    for name, text in benchmark_tables(results, language).items():
        start, end = marks(name)
        if start in readme.read_text(encoding="utf-8"):
            fill_in(readme, text, start, end)


def read_collected(folder: Path) -> list[dict[str, Any]]:
    """Read every result in a folder of collected ones.

    Raises:
        UsageError: the folder holds none.
        Failure: one is damaged.
    """
    results = []
    for path in sorted(folder.glob("*.json")):
        try:
            results.append(checked(json.loads(path.read_text(encoding="utf-8")), path))
        except ValueError as error:
            raise Failure(f"{path}: cannot be read: {error}") from error
    if not results:
        raise UsageError(f"{folder}: no results in it (collect some: report RUN_DIR --collect {folder})")
    return results


def write_pictures(run_folder: Path, folder: Path) -> list[Path]:
    """Draw what the README shows into `folder`: the run's figures, one picture per stage, and the overview.

    The overview shows the first test image of four classes, whatever the network makes of them.
    """
    results = read_results(run_folder)
    model = load_model(run_folder / "checkpoints" / f"{BEST}.ckpt")
    paths = []
    for path in write_figures(run_folder):
        write_atomically(folder / path.name, lambda file, source=path: file.write(source.read_bytes()))
        paths.append(folder / path.name)
    for stage, _ in model.network.named_children():
        paths.append(folder / f"stage_{stage}.png")
        save_figure(stage_figure(build_network(model.name), stage), paths[-1])
    data = results["data"]
    test = load_part(data["dataset"], Path(data["root"]) if data["root"] else None, "t10k")
    raw = one_of_each_class(test.images, test.labels)[[2, 3, 5, 8]]
    chain = FilterChain.parse(model.contract.filters).for_evaluation()
    filtered = chain(raw)
    normalize = Normalize(model.contract.mean, model.contract.std)
    with torch.no_grad():
        logits = model.network(normalize(torch.from_numpy(filtered)[:, None]))
    figure = overview_figure(
        raw,
        filtered,
        torch.softmax(logits, dim=1).numpy(),
        chain=str(chain),
        network=f"{results['parameters']:,} parameters",
        class_names=class_names(data["dataset"]),
        truths=[2, 3, 5, 8],
    )
    paths.append(folder / "overview.png")
    save_figure(figure, paths[-1])
    return paths


def run(args: Sequence[str]) -> int:
    """Run the command."""
    parser = ArgumentParser("report", "Draw the figures of runs again; collect their results; fill tables in.")
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN_DIR", help="run folders")
    parser.add_argument("--collect", type=Path, metavar="DIR", help="copy results.json of the runs into this folder")
    parser.add_argument("--results", type=Path, metavar="DIR", help="make the table from the results in this folder")
    parser.add_argument(
        "--table", type=Path, nargs="+", default=[], metavar="FILE", help="fill the table in between its marks in FILE"
    )
    parser.add_argument(
        "--pictures", type=Path, metavar="DIR", help="draw the README's pictures of the one run into DIR"
    )
    options = parser.parse_args(args)
    if options.pictures is not None:
        if len(options.runs) != 1:
            raise UsageError(f"--pictures: one RUN_DIR is needed, {len(options.runs)} given")
        for path in write_pictures(options.runs[0], options.pictures):
            print(f"wrote {path}")  # noqa: T201
        return 0
    if not options.runs and options.results is None:
        raise UsageError("RUN_DIR: missing (name a run folder, or --results DIR for the table)")
    results = []
    for folder in options.runs:
        result = checked(read_results(folder), folder / RESULTS)
        results.append(result)
        if options.collect is not None:
            path = options.collect / f"{result['experiment']}-seed{result['seed']}.json"
            write_json(path, result)
            print(f"wrote {path}")  # noqa: T201
            corrupted = robustness.robustness_of(folder, result)
            if corrupted is not None:
                path = options.collect / robustness.SUBFOLDER / path.name
                write_json(path, corrupted)
                print(f"wrote {path}")  # noqa: T201
        else:
            for path in write_figures(folder):
                print(f"wrote {path}")  # noqa: T201
    if options.results is not None:
        results = read_collected(options.results)
    print(result_table(results))  # noqa: T201
    collected = robustness.read_robustness(options.results) if options.results is not None else []
    if collected:
        print(f"\n{robustness.robustness_table(collected)}")  # noqa: T201
    if options.results is not None:
        for text in benchmark_tables(options.results).values():
            print(f"\n{text}")  # noqa: T201
    for readme in options.table:
        language = "zh" if ".zh" in readme.name else "en"
        fill_in(readme, result_table(results, language))
        if collected:
            fill_in(readme, robustness.robustness_table(collected, language), robustness.START, robustness.END)
        fill_in_benchmarks(readme, options.results, language)
        print(f"wrote {readme}")  # noqa: T201
    return 0
