"""The run folder: where it is, how it is found again, and the loggers that write into it.

::

    lightning_logs/<experiment>/version_N/
      config.yaml  metrics.csv  events.out.tfevents…  results.json  checkpoints/{best,last}.ckpt
      figures/{curves,confusion,mistakes,filters,network}.png
"""

import csv
import re
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter
from lightning.pytorch.utilities import rank_zero_only

from mnist_lit.errors import Failure, UsageError

CONFIG = "config.yaml"
METRICS = "metrics.csv"
RESULTS = "results.json"
BEST = "best"
LAST = "last"


def reserve(log_dir: Path, experiment: str) -> Path:
    """Make the next free `log_dir/experiment/version_N`; two runs that ask in the same instant get different ones.

    Raises:
        Failure: the folder cannot be made; the message names it.
    """
    parent = log_dir / experiment
    try:
        parent.mkdir(parents=True, exist_ok=True)
        taken = [int(m.group(1)) for p in parent.iterdir() if (m := re.fullmatch(r"version_(\d+)", p.name))]
        number = max(taken, default=-1) + 1
        while True:
            folder = parent / f"version_{number}"
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                number += 1
    except OSError as error:
        raise Failure(
            f"{parent}: cannot make a run folder there: {error.strerror} (choose another --log_dir)"
        ) from error


def folder_of(checkpoint: Path) -> Path | None:
    """Return the run folder that a checkpoint lies in, or None if it lies elsewhere."""
    folder = checkpoint.parent.parent
    if checkpoint.absolute().parent.name == "checkpoints" and (folder / CONFIG).is_file():
        return folder
    return None


def checkpoints_newest_first(log_dir: Path) -> list[Path]:
    """Return all `best.ckpt` and `last.ckpt` of runs under `log_dir`, those of the newest run first."""
    found = [p for name in (BEST, LAST) for p in log_dir.glob(f"*/version_*/checkpoints/{name}.ckpt")]
    # Within a run both files may be equally old: `best` is what one wants to be told of.
    return sorted(found, key=lambda p: (p.parent.parent.stat().st_mtime, p.stem == BEST), reverse=True)


def find_checkpoint(text: str, log_dir: Path) -> Path:
    """Turn `best`, `last`, a run folder or a file into the path of a checkpoint.

    Args:
        text: what the user gave as `--ckpt_path`.
        log_dir: where runs are, for `best` and `last` of the newest run that has one.

    Raises:
        UsageError: there is none; for `best` and `last` the message says where was looked.
    """
    if text in (BEST, LAST):
        for path in checkpoints_newest_first(log_dir):
            if path.stem == text:
                return path
        raise UsageError(f"--ckpt_path {text}: no run under {log_dir} has a {text}.ckpt (train one with fit)")
    if "://" in text:  # before `Path` makes one slash of two
        raise UsageError(f"--ckpt_path {text}: a checkpoint is read from a file, never from a URL")
    path = Path(text)
    if path.is_dir():
        for name in (BEST, LAST):
            candidate = path / "checkpoints" / f"{name}.ckpt"
            if candidate.is_file():
                return candidate
        raise UsageError(f"--ckpt_path {text}: the folder holds no checkpoints/{BEST}.ckpt")
    return path


class RunTensorBoard(TensorBoardLogger):
    """TensorBoard events straight into the run folder; hyper-parameters are in `config.yaml`, not in a second file."""

    def __init__(self, folder: Path, first_step: int | None) -> None:
        super().__init__(
            save_dir=folder.parent.parent,
            name=folder.parent.name,
            version=folder.name,
            default_hp_metric=False,
            # A resumed run replaces what was logged after its checkpoint.
            purge_step=first_step,
        )

    @rank_zero_only
    def save(self) -> None:
        """Write what is waiting in memory."""
        self.experiment.flush()


class RunCSV(CSVLogger):
    """`metrics.csv` in the run folder; a resumed run keeps the rows up to its checkpoint and goes on below them."""

    def __init__(self, folder: Path, first_step: int | None) -> None:
        super().__init__(save_dir=folder.parent.parent, name=folder.parent.name, version=folder.name)
        self._first_step = first_step

    @rank_zero_only
    def log_hyperparams(self, params: Any = None) -> None:
        """Do nothing: they are in `config.yaml`."""

    @property
    def experiment(self) -> ExperimentWriter:
        """The writer; the first access of a resumed run hands it the earlier rows, which it would delete otherwise."""
        if self._experiment is not None or self._first_step is None:
            writer: ExperimentWriter = super().experiment
            return writer
        path = Path(self.log_dir) / METRICS
        rows = read_metrics(path) if path.is_file() else []
        path.unlink(missing_ok=True)
        writer = super().experiment
        writer.metrics = [row for row in rows if row["step"] < self._first_step]
        writer.save()
        return writer


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Read `metrics.csv`: one dict a row, without the cells that are empty."""
    with path.open(newline="") as file:
        return [
            {key: int(cell) if key in ("epoch", "step") else float(cell) for key, cell in row.items() if cell}
            for row in csv.DictReader(file)
        ]
