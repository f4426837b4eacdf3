"""fit, validate, test and predict: what each does once model, data and trainer are made.

`fit` ends by testing the best checkpoint and filling the run folder.
"""

import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning import Callback

from mnist_lit.configured_cli import ConfiguredCLI
from mnist_lit.data.corruptions import CORRUPTIONS
from mnist_lit.errors import Failure, UsageError
from mnist_lit.run.callbacks import StopOnSignal
from mnist_lit.run.folder import folder_of
from mnist_lit.run.light_steps import lighten
from mnist_lit.run.quiet import silence_libraries
from mnist_lit.settings import (
    differences,
    plain_config,
)


class DigitsCLI(ConfiguredCLI):
    """The four commands that train or score; arguments as in `ConfiguredCLI`."""

    failed = 0  # image files that could not be read

    # ------------------------------------------------------------------ the commands

    def describe(self) -> None:
        """Say what is about to happen: data, chain, network, device and precision."""
        data, model, trainer = self.datamodule, self.model, self.trainer
        parameters = sum(p.numel() for p in model.network.parameters())
        where = str(data.root) if data.root else "bundled" if data.dataset == "mnist" else ".cache/data"
        devices = f"{trainer.num_devices} × " if trainer.num_devices > 1 else ""
        self.say(f"data       {data.dataset} ({where}), filters: {data.filters}")
        self.say(f"network    {model.network_name}, {parameters:,} parameters")
        self.say(f"device     {devices}{trainer.strategy.root_device.type}, precision {trainer.precision}")
        if self.checkpoint is not None:
            self.say(f"checkpoint {self.checkpoint}")
        if model.adapt_batchnorm:
            self.say("adapts     batch normalisation to the test images (AdaBN)")

    def fit(self, **kwargs: Any) -> None:
        """Train, test the best checkpoint, fill the run folder."""
        from mnist_lit.run.results import finish_fit

        self.describe()
        if self.remembered is not None:
            now = plain_config(self._parser("fit"), self.config["fit"])
            taken = {**now, **self.remembered, "trainer": {**now["trainer"], **self.remembered.get("trainer", {})}}
            for line in differences(taken, now):
                self.say(f"resume     {line}")
        if self.datamodule.val_size == 0 and not self.datamodule.test_curves:
            self.trainer.limit_val_batches = 0  # else Lightning warns of an empty list of loaders
        lighten(self.trainer, self.model)
        started = time.perf_counter()
        try:
            self.trainer.fit(self.model, datamodule=self.datamodule, ckpt_path=self.checkpoint, weights_only=True)
        except _compile_errors(self.model.compiles) as error:
            raise Failure(
                f"model.compile: torch.compile failed: {_first_line(error)} (false does without it)"
            ) from error
        seconds = time.perf_counter() - started
        assert self.run_folder is not None
        finish_fit(
            self.trainer,
            self.model,
            self.datamodule,
            self.run_folder,
            seconds=seconds,
            first_step=self.first_step,
            say=self.say,
        )

    def validate(self, **kwargs: Any) -> None:
        """Score the checkpoint on the validation images."""
        if self.datamodule.val_size == 0:
            raise UsageError("data.val_size: 0 leaves no validation images to score")
        self._score("validate")

    def test(self, **kwargs: Any) -> None:
        """Score the checkpoint on the test images: clean, corrupted, or clean and with every corruption in turn."""
        if self.datamodule.corruption != "all":
            self._score("test")
            return
        self.describe()
        parts: dict[str, Any] = {}
        for name in (None, *CORRUPTIONS):
            self.datamodule.corrupt_test_images(name)
            parts[name or "clean"] = self._scores("test")
            self.say(f"{name or 'clean':<14} {100 * parts[name or 'clean']['acc']:6.2f} %")
        mean = sum(parts[name]["acc"] for name in CORRUPTIONS) / len(CORRUPTIONS)
        self.say(f"{'mean of the 15':<14} {100 * mean:6.2f} %")
        self._write("test-corruptions", {"mean_corrupted_acc": mean, **parts})

    def _score(self, command: str) -> None:
        from mnist_lit.run.results import score_summary

        self.describe()
        part = "val" if command == "validate" else "test"
        scores = self._scores(command)
        self.say(score_summary(part, scores))
        corruption = self.datamodule.corruption if part == "test" else None
        self._write(f"{command}-{corruption}" if corruption else command, {part: scores})

    def _scores(self, command: str) -> dict[str, Any]:
        from mnist_lit.run.results import scores_of

        run = getattr(self.trainer, command)
        run(self.model, datamodule=self.datamodule, ckpt_path=self.checkpoint, weights_only=True, verbose=False)
        return scores_of(self.trainer, self.model, "val" if command == "validate" else "test")

    def _write(self, name: str, scores: dict[str, Any]) -> None:
        """Write scores to `--output`, or beside the checkpoint: into its run folder, if it is in one."""
        from mnist_lit.run.results import write_json

        if not self.trainer.is_global_zero:
            return
        assert self.checkpoint is not None
        data = self.datamodule
        adapted = "-adabn" if self.model.adapt_batchnorm and self.command == "test" else ""
        folder = folder_of(self.checkpoint) or self.checkpoint.parent
        path = self.config[self.command].output or folder / f"{name}{adapted}.json"
        source = {"checkpoint": str(self.checkpoint), "dataset": data.dataset, "filters": str(data.filters)}
        if adapted:
            source["batchnorm"] = "adapted to the test images"
        corrupted = {"corruption": data.corruption, "corruption_seed": data.corruption_seed} if data.corruption else {}
        write_json(path, {**source, "sha256": data.sha256, **corrupted, **scores})
        self.say(f"wrote      {path}")

    def predict(self, **kwargs: Any) -> None:
        """Answer for every image file."""
        from mnist_lit.run.predictions import write_predictions

        assert self.checkpoint is not None
        self.describe()
        data = self.datamodule
        batches: Any = self.trainer.predict(self.model, datamodule=data, ckpt_path=self.checkpoint, weights_only=True)
        if self.trainer.is_global_zero:
            path = self.config[self.command].output or Path("predictions.csv")
            self.failed = write_predictions(path, data.files, batches or [], class_names=data.class_names, say=self.say)


def _compile_errors(compiles: bool) -> tuple[type[Exception], ...]:
    """Return what `torch.compile` raises; nothing where it is not used, since its import takes a second."""
    if not compiles:
        return ()
    from torch._dynamo.exc import TorchDynamoException

    return (TorchDynamoException,)


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


class _FitConfig(ConfiguredCLI):
    """Everything that `fit` does before it trains."""

    def _run_subcommand(self, subcommand: str) -> None:
        """Do nothing."""


def fit_config(args: Sequence[str]) -> dict[str, Any]:
    """Return the config of a new `fit` with these words, resolved, as plain data.

    Raises:
        UsageError: something in it is wrong, or it goes on from a checkpoint.
    """
    silence_libraries()
    cli = _FitConfig("fit", args, stop=StopOnSignal())
    if cli.checkpoint is not None:
        raise UsageError(f"ckpt_path: {cli.checkpoint} is not allowed here; a training from the start is")
    return plain_config(cli._parser("fit"), cli.config["fit"])


def run(
    command: str,
    args: Sequence[str],
    *,
    debug: bool,
    folder: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> int:
    """Run one of the four commands; see `DigitsCLI`, and `mnist_lit.cli.main` for the exit status."""
    if not debug:
        silence_libraries()
    stop = StopOnSignal()
    try:
        cli = DigitsCLI(command, args, stop=stop, folder=folder, callbacks=callbacks)
    except KeyboardInterrupt:
        return 128 + (stop.signum or signal.SIGINT)
    except SystemExit as left:  # after --help, or Lightning's way out of Ctrl-C or (without a code) of SIGTERM
        return 128 + (stop.signum or signal.SIGINT) if left.code or stop.signum else 0
    except OSError as error:
        if debug:
            raise
        raise Failure(f"{error.filename or 'file system'}: {error.strerror or error}") from error
    return 1 if cli.failed else 0
