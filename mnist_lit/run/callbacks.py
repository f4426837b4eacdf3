"""What happens around the training steps: the run folder, calm progress, stopping on a signal."""

import copy
import signal
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar
from torch import nn

from mnist_lit.model.checkpoint import KEY
from mnist_lit.run.folder import BEST, CONFIG, LAST, RunCSV, RunTensorBoard, reserve


class RunFolder(Callback):
    """Makes the run folder when the fit starts, points loggers and checkpoints at it, keeps the config in both.

    Args:
        log_dir: where runs are kept.
        experiment: name of the folder between it and `version_N`.
        config: the resolved config as plain data, to be stored in every checkpoint.
        config_text: the same as YAML, for `config.yaml`.
        resumed: the folder of the run that goes on, if it does.
        first_step: the step it goes on with.
        folder: where a new run is written; left out, the next free `version_N`.
    """

    def __init__(
        self,
        log_dir: Path,
        experiment: str,
        config: dict[str, Any],
        config_text: str,
        resumed: Path | None = None,
        first_step: int | None = None,
        folder: Path | None = None,
    ) -> None:
        self.log_dir = log_dir
        self.experiment = experiment
        self.config = config
        self.config_text = config_text
        self.resumed = resumed
        self.first_step = first_step
        self.folder = folder
        self.path: Path | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Reserve the folder in the main process and tell the others."""
        if stage != "fit" or self.path is not None:
            return
        path = self.resumed or self.folder
        if path is None and trainer.is_global_zero:
            path = reserve(self.log_dir, self.experiment)
        self.path = path = Path(trainer.strategy.broadcast(str(path)))
        if trainer.is_global_zero:
            path.mkdir(parents=True, exist_ok=True)
            (path / CONFIG).write_text(self.config_text, encoding="utf-8")
            print(f"run folder: {path}", flush=True)  # noqa: T201
        step = self.first_step if self.resumed is not None else None
        trainer.loggers = [RunTensorBoard(path, step), RunCSV(path, step)]
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint):
                callback.dirpath = str((path / "checkpoints").absolute())

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give TensorBoard the graph of the network: a copy on the CPU, so that nothing of the run is touched."""
        if self.resumed is None and trainer.is_global_zero:
            assert isinstance(pl_module.network, nn.Module)
            network = copy.deepcopy(pl_module.network).cpu().eval()
            for logger in trainer.loggers:
                if isinstance(logger, RunTensorBoard):
                    with warnings.catch_warnings():
                        # TensorBoard reads a graph from torch.jit.trace only, which torch calls deprecated.
                        warnings.simplefilter("ignore", FutureWarning)
                        warnings.simplefilter("ignore", DeprecationWarning)
                        logger.experiment.add_graph(network, torch.zeros(1, 1, 28, 28))

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Store the config, so that a run can be gone on with from the checkpoint alone."""
        checkpoint.setdefault(KEY, {})["config"] = self.config


class _EpochCheckpoint(ModelCheckpoint):
    """A checkpoint callback that is not asked after every step whether it wants to save."""

    on_train_batch_end = None  # type: ignore[assignment]  # the trainer passes over what cannot be called


def checkpoints(*, by_validation: bool) -> list[ModelCheckpoint]:
    """Return the callbacks that keep `best.ckpt` and `last.ckpt`, written at the end of an epoch.

    Args:
        by_validation: whether the best epoch is that with the best validation accuracy; else the last epoch counts,
            and both files are of it.
    """
    best = _EpochCheckpoint(
        filename=BEST,
        monitor="val/acc" if by_validation else None,
        mode="max",
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )
    last = _EpochCheckpoint(filename=LAST, enable_version_counter=False, save_on_train_epoch_end=True)
    return [best, last]


class StopOnSignal(Callback):
    """Ctrl-C and SIGTERM stop the training between two steps, with a checkpoint that the run can go on from.

    A second Ctrl-C stops at once. `signum` tells afterwards what was received.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._alone = True  # no other process that could have been told
        self._before: dict[int, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Listen, while fitting and in the main thread only."""
        self._alone = trainer.world_size == 1
        if stage == "fit":
            try:
                for signum in (signal.SIGINT, signal.SIGTERM):
                    self._before[signum] = signal.signal(signum, self._receive)
            except ValueError:  # not the main thread, where Python allows no handlers: the default ones stay
                self._before.clear()

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if self.signum is not None:
            raise KeyboardInterrupt
        self.signum = signum
        print("\nstopping after this step (once more: at once)", file=sys.stderr, flush=True)  # noqa: T201

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save and stop, if a signal came."""
        if (self._alone and self.signum is None) or not self._any_process_was_told(trainer):
            return
        folder = next(c.dirpath for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint))
        trainer.save_checkpoint(Path(str(folder)) / f"{LAST}.ckpt")
        raise KeyboardInterrupt

    def _any_process_was_told(self, trainer: Trainer) -> bool:
        told = self.signum is not None
        return told if trainer.world_size == 1 else trainer.strategy.reduce_boolean_decision(told, all=False)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop, if a signal came while the last epoch was scored and saved."""
        if self._any_process_was_told(trainer):
            raise KeyboardInterrupt

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop before the final test, if a signal came while the last epoch was scored and saved."""
        if self._any_process_was_told(trainer):
            raise KeyboardInterrupt

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the signals back."""
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        self._before.clear()


_SECONDS_BETWEEN_DRAWINGS = 0.1


class Progress(TQDMProgressBar):
    """A bar with the two numbers that matter; one line per epoch where stderr is not a terminal.

    Args:
        say: prints a line to the user.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(refresh_rate=1)
        self._say = say
        self._drawn = 0.0  # when, by `time.perf_counter`
        self._is_terminal = sys.stderr.isatty()
        self._epoch_start = 0.0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Choose bar or lines."""
        super().setup(trainer, pl_module, stage)
        if not self._is_terminal:
            self.disable()

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        """Return training loss and validation accuracy, if there is one yet."""
        metrics = trainer.callback_metrics
        shown = {name: metrics[name].item() for name in ("train/loss", "val/acc") if name in metrics}
        return {name: f"{value:.4f}" for name, value in shown.items()}

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Draw the bar anew, ten times a second and at the end: steps can be many times faster than eyes."""
        if not self._is_terminal:
            return
        now = time.perf_counter()
        if now - self._drawn >= _SECONDS_BETWEEN_DRAWINGS or batch_idx + 1 == self.total_train_batches:
            self._drawn = now
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_train_start(self, trainer: Trainer, *args: Any) -> None:
        """Start the clock: a run that goes on in mid-epoch has no start of an epoch."""
        super().on_train_start(trainer, *args)
        self._epoch_start = time.perf_counter()

    def on_train_epoch_start(self, trainer: Trainer, *args: Any) -> None:
        """Start the clock of the epoch."""
        super().on_train_epoch_start(trainer, *args)
        self._epoch_start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Say how the epoch went."""
        super().on_train_epoch_end(trainer, pl_module)
        if self._is_terminal or not trainer.is_global_zero:
            return
        seconds = time.perf_counter() - self._epoch_start
        metrics = trainer.callback_metrics
        parts = [f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"]
        parts += [f"{name} {metrics[name]:.4f}" for name in ("train/loss", "val/loss", "val/acc") if name in metrics]
        self._say("  ".join([*parts, f"{seconds:.1f} s"]))
