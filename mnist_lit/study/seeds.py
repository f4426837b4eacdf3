"""`python -m mnist_lit seeds`: the same training over several seeds, its table, and the committee of all networks.

Each seed is a `fit` with a run folder of its own. A seed that is done is not trained again; one that was stopped starts
anew. Tables are made from the run folders, at the end and whenever a finished command is run again.

    OUTPUT/
      config.yaml      of every fit
      seed_N/          run folder of one seed; probabilities.npy is written last, and marks it as done
      seeds.csv  seeds.json  seeds.md  mistakes.png
"""

import contextlib
import gc
import io
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from tqdm import tqdm

from mnist_lit.arguments import ArgumentParser
from mnist_lit.data.atomic import write_atomically
from mnist_lit.data.sources import load_part
from mnist_lit.errors import Failure, UsageError
from mnist_lit.run.folder import CONFIG
from mnist_lit.study.committee import PROBABILITIES, SeedRun, committee, read_seed
from mnist_lit.study.seeds_tables import seed_table, write_tables

Fit = Callable[..., int]  # (words, folder=…, callbacks=…) -> exit status
_OURS = {"--seed_everything": "--first and --n", "--log_dir": "--output", "--ckpt_path": "nothing"}
_NOT_SHARED = ("seed_everything", "log_dir")  # keys of a fit's config that are this command's business


class SeedCallback(Callback):
    """Moves the bar of the whole command on, and keeps the probabilities of the test at the end of the fit.

    Args:
        bar: one unit per seed.
        seed: which seed is trained.
    """

    def __init__(self, bar: Any, seed: int) -> None:
        self._bar = bar
        self._seed = seed
        self._start = bar.n
        self._steps = 1
        self._shown = 0.0
        self._kept: list[tuple[Tensor, Tensor]] = []

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Refuse several processes, each of which would see a part of the test images."""
        if trainer.world_size > 1:
            raise UsageError(f"trainer.devices: {trainer.world_size} processes are not allowed in seeds; 1 is")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Find out how long the training is."""
        self._steps = max(1, int(trainer.estimated_stepping_batches))

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        """Move the bar, now and then."""
        now = time.perf_counter()
        if now - self._shown > 0.5:
            self._shown = now
            accuracy = trainer.callback_metrics.get("val/acc")
            known = "" if accuracy is None else f", val/acc {float(accuracy):.4f}"
            self._bar.set_postfix_str(f"seed {self._seed}, epoch {trainer.current_epoch + 1}{known}", refresh=False)
            self._bar.n = self._start + min(1.0, trainer.global_step / self._steps)
            self._bar.refresh()

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, *args: Any
    ) -> None:
        """Keep the probabilities of a batch."""
        self._kept.append((torch.softmax(outputs.float(), dim=1).cpu(), batch.indices.cpu()))

    def probabilities(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return float32 `(N, 10)`, in the order of the test file.

        Raises:
            Failure: the fit had no test images.
        """
        if not self._kept:
            raise Failure("data.root: no test images in it; a committee needs them")
        values, indices = (torch.cat(columns) for columns in zip(*self._kept, strict=True))
        ordered: np.ndarray[Any, np.dtype[np.float32]] = values[torch.argsort(indices)].numpy()
        return ordered


def prepare(output: Path, config: dict[str, Any], differences: Callable[[Any, Any], list[str]]) -> None:
    """Make the output folder, or check that it is of the same training.

    Args:
        output: the folder.
        config: what every fit of it shares, as plain data.
        differences: names the values in which two configs differ.

    Raises:
        UsageError: it was begun with another config, or is not a folder of seeds.
    """
    path = output / CONFIG
    if path.is_file():
        before = yaml.safe_load(path.read_text(encoding="utf-8"))
        different = differences(before, config)
        if different:
            more = f" and {len(different) - 1} more" if len(different) > 1 else ""
            raise UsageError(
                f"{output}: was begun with another config ({different[0]}{more}); "
                "give the same one, or another --output"
            )
    elif output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"{output}: not a folder of seeds, and not empty (give another --output)")
    else:
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        write_atomically(path, lambda file: file.write(text.encode("utf-8")))


def train_seed(seed: int, folder: Path, words: Sequence[str], fit: Fit, bar: Any) -> int:
    """Train and test one seed; what a stopped training left in the folder goes first.

    Returns:
        The exit status of the fit: anything but 0 means that it was stopped.
    """
    if folder.exists():
        shutil.rmtree(folder)
    callback = SeedCallback(bar, seed)
    with contextlib.redirect_stdout(io.StringIO()):
        status = fit([*words, "--seed_everything", str(seed)], folder=folder, callbacks=[callback])
    if status == 0:
        values = callback.probabilities()
        write_atomically(folder / PROBABILITIES, lambda file: np.save(file, values, allow_pickle=False))
    gc.collect()  # trainer and model hold each other
    return status


def run_seeds(
    output: Path, seeds: range, words: Sequence[str], config: dict[str, Any], fit: Fit, say: Callable[[str], None]
) -> int:
    """Train the seeds that are missing, then make the tables of all.

    Args:
        output: see `prepare`.
        seeds: which seeds.
        words: what every fit is told.
        config: the same, resolved, as plain data.
        fit: runs one.
        say: prints a line to the user.

    Returns:
        0, or the exit status of a fit that was stopped.
    """
    data = config["data"]
    test = load_part(data["dataset"], Path(data["root"]) if data["root"] else None, "t10k")
    folders = {seed: output / f"seed_{seed}" for seed in seeds}
    done: dict[int, SeedRun] = {
        seed: read_seed(folder, seed, test) for seed, folder in folders.items() if (folder / PROBABILITIES).is_file()
    }
    total = len(folders)
    say(f"seeds      {seeds[0]} to {seeds[-1]}: {total} trainings, {len(done)} done")
    say(f"network    {config['model']['network']}, {config['trainer']['max_epochs']} epochs each")
    say(f"output     {output}")
    layout = "{desc} {percentage:3.0f} %|{bar}| {postfix} [{elapsed}<{remaining}]"
    with tqdm(total=total, initial=len(done), desc="seeds", bar_format=layout, disable=None) as bar:
        for seed, folder in folders.items():
            if seed in done:
                continue
            try:
                status = train_seed(seed, folder, words, fit, bar)
            except KeyboardInterrupt:  # between two fits
                status = 130
            if status:
                bar.leave = False
                bar.close()
                kept = f"stopped: {len(done)} of {total} trainings are kept"
                print(f"{kept}; the same command goes on", file=sys.stderr)  # noqa: T201
                return status
            done[seed] = one = read_seed(folder, seed, test)
            bar.n = len(done)
            bar.refresh()
            if bar.disable:  # no terminal: lines for a log instead of a bar
                wrong = f"{one.errors} of {one.n:,} wrong"
                say(f"{len(done)}/{total:<8} seed {seed}: {100 * one.accuracy:.2f} % ({wrong}), {one.seconds:.1f} s")
    runs = [done[seed] for seed in seeds]
    together = committee(runs, test.labels)
    settings = {"threads": torch.get_num_threads(), "config": config}
    values, paths = write_tables(output, runs, together, test, settings)
    say(seed_table(values))
    say(f"wrote      {output}: {', '.join(path.name for path in paths)}")
    return 0


def _number(name: str, text: str, least: int) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < least:
        raise UsageError(f"{name}: {text} is not allowed; a whole number from {least} on is")
    return int(text)


def run(
    args: Sequence[str],
    fit: Fit,
    fit_config: Callable[[Sequence[str]], dict[str, Any]],
    differences: Callable[[Any, Any], list[str]],
) -> int:
    """Run the command.

    Args:
        args: its words; those that are not its own are the fit's.
        fit: runs `fit`: words, `folder` and `callbacks` in, exit status out.
        fit_config: resolves the config of a fit.
        differences: names the values in which two configs differ.
    """
    parser = ArgumentParser(
        "seeds",
        "Train the same config with several seeds; write the table of their scores, and what all networks answer "
        "together. A stopped command goes on where it was. All other options are those of fit, -c FILE among them.",
    )
    parser.usage = "python -m mnist_lit seeds -c FILE [--n N] [--first SEED] [--output DIR] [options of fit]"
    parser.add_argument("--n", default="10", metavar="N", help="how many seeds (10)")
    parser.add_argument("--first", default="0", metavar="SEED", help="the first of them (0)")
    parser.add_argument("--output", type=Path, metavar="DIR", help="folder of it all (lightning_logs/EXPERIMENT_seeds)")
    options, rest = parser.parse_known_args(list(args))
    for word in rest:
        name = word.partition("=")[0]
        if name in _OURS:
            raise UsageError(f"{name}: not allowed in seeds, which sets it (say {_OURS[name]})")
    first = _number("--first", options.first, 0)
    seeds = range(first, first + _number("--n", options.n, 1))
    words = [*rest, "--trainer.enable_progress_bar", "false"]  # there is one bar, over the whole
    config = {key: value for key, value in fit_config(words).items() if key not in _NOT_SHARED}
    output = options.output or Path("lightning_logs") / f"{config['experiment']}_seeds"
    prepare(output, config, differences)
    return run_seeds(output, seeds, words, config, fit, lambda line: print(line, flush=True))  # noqa: T201
