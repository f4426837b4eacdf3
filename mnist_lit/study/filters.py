"""`python -m mnist_lit study`: does filtering help? Filters × seeds trained, × clean and corrupted test sets scored.

Tables and figures are made from the cells (`mnist_lit.study.cells`), at the end and whenever a finished study is run
again. The study reports, it chooses nothing.

    OUTPUT/
      cells/     one file per training
      images/    filtered test sets, while the study runs
      study.csv  study.json  study.md  heatmap.png  bars.png
"""

import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from mnist_lit.errors import UsageError
from mnist_lit.run.environment import environment
from mnist_lit.run.quiet import silence_libraries
from mnist_lit.study.cells import Study
from mnist_lit.study.config import CLEAN, StudyConfig
from mnist_lit.study.figures import write_figures
from mnist_lit.study.tables import Scores, main_table, summarize, write_tables


def run_study(config: StudyConfig, say: Callable[[str], None]) -> Scores:
    """Make the cells that are missing, then the tables and figures of all.

    Args:
        config: what the study consists of.
        say: prints a line to the user.

    Raises:
        Failure: data cannot be read, a training diverges, or a file of the output folder is damaged.
    """
    study = Study(config)
    done = {cell: found for cell in study.cells if (found := study.read(*cell)) is not None}
    parameters = sum(p.numel() for p in config.classifier().network.parameters())
    total = len(study.cells)
    say(f"study      {len(config.chains)} filters × {config.seeds} seeds = {total} trainings, {len(done)} done")
    say(f"data       {config.dataset}, scored: clean and {len(config.corruptions)} corrupted test sets")
    say(f"network    {config.network}, {parameters:,} parameters, trained for {config.duration}")
    say(f"device     {config.accelerator}, precision {config.precision}")
    with tqdm(total=total, initial=len(done), unit=" trainings", desc="study", disable=None) as bar:
        for cell in study.cells:
            if cell not in done:
                name, seed = cell
                bar.set_postfix_str(f"seed {seed}, {name}")
                try:
                    done[cell] = study.make(name, seed)
                except KeyboardInterrupt:
                    bar.leave = False
                    bar.close()
                    kept = f"stopped: {len(done)} of {total} trainings are kept"
                    print(f"{kept}; the same command goes on", file=sys.stderr)  # noqa: T201
                    raise
                bar.update()
                if bar.disable:  # no terminal: lines for a log instead of a bar
                    accuracy, seconds = done[cell]["accuracy"], sum(done[cell]["seconds"].values())
                    mean = sum(accuracy[part] for part in config.corruptions) / len(config.corruptions)
                    shown = f"clean {100 * accuracy[CLEAN]:.2f} %, corrupted {100 * mean:.2f} %"
                    say(f"{f'{len(done)}/{total}':<10} seed {seed}, {name}: {shown}, {seconds:.1f} s")
    study.clean_up()
    values = [[list(done[name, seed]["accuracy"].values()) for seed in range(config.seeds)] for name in config.chains]
    scores = Scores(dict(config.chains), config.baseline, config.sets, np.array(values))
    summary = summarize(scores)
    settings = {
        "config": config.plain(),
        "parameters": parameters,
        "data_sha256": study.data_sha256,
        "threads": torch.get_num_threads(),  # sums are rounded differently with another number of them
        "environment": environment(torch.device(done[study.cells[0]]["device"]), config.precision),
        "seconds": {f"{name}, seed {seed}": done[name, seed]["seconds"] for name, seed in study.cells},
    }
    what = f"{config.network} network, {config.duration}"
    paths = write_tables(config.output, scores, summary, settings, what)
    paths += write_figures(config.output, scores, summary, what)
    say(main_table(scores, summary))
    say(f"wrote      {config.output}: {', '.join(path.name for path in paths)}")
    return scores


def parse(args: Sequence[str], make_parser: Callable[..., Any], config_action: Any) -> StudyConfig:
    """Read the command line.

    Args:
        args: its words.
        make_parser: makes a parser that refuses with one line.
        config_action: its action for `--config`, which reads files strictly.

    Raises:
        UsageError: something in it, or in a config file, is not right.
    """
    parser = make_parser(
        prog="python -m mnist_lit study",
        description="Train every filter chain with every seed, score each on clean and corrupted test images, and "
        "write tables and figures. A stopped study goes on where it was.",
    )
    parser.add_argument("-c", "--config", action=config_action, help="YAML file; the later of several wins.")
    parser.add_class_arguments(StudyConfig, None, as_group=False)
    values = parser.parse_args(list(args)).as_dict()
    values.pop("config")
    try:
        return StudyConfig(**values)
    except ValueError as error:
        raise UsageError(str(error)) from error


def run(args: Sequence[str], make_parser: Callable[..., Any], config_action: Any) -> int:
    """Run the command; arguments as in `parse`."""
    config = parse(args, make_parser, config_action)
    received: int = signal.SIGINT

    def stop(signum: int, frame: FrameType | None) -> None:
        nonlocal received
        received = int(signum)
        raise KeyboardInterrupt

    before: dict[int, Any] = {}
    try:
        for signum in (signal.SIGINT, signal.SIGTERM):
            before[signum] = signal.signal(signum, stop)
    except ValueError:  # not the main thread, where Python allows no handlers: the default ones stay
        before.clear()
    try:
        with warnings.catch_warnings():
            silence_libraries()
            run_study(config, lambda line: print(line, flush=True))  # noqa: T201
    except KeyboardInterrupt:
        return 128 + received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return 0
