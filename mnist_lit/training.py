"""fit, validate, test and predict: LightningCLI with the rules of this project around it.

What is added to LightningCLI: every mistake is one line; a checkpoint brings its own config along, and what the user
says wins over it; no untrained network is scored; the preprocessing contract is kept; `fit` ends by testing the best
checkpoint and filling the run folder.
"""

import json
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from jsonargparse.typing import NonNegativeInt, register_type
from lightning import Callback, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from mnist_lit.data.corruptions import CORRUPTIONS
from mnist_lit.data.datamodule import DigitsDataModule
from mnist_lit.data.filters import FilterChain
from mnist_lit.errors import Failure, UsageError
from mnist_lit.model.checkpoint import load_checkpoint, passport, read_contract
from mnist_lit.model.checkpoint_io import AtomicCheckpointIO
from mnist_lit.model.classifier import DigitClassifier
from mnist_lit.run.averaging import AveragedWeights
from mnist_lit.run.callbacks import Progress, RunFolder, StopOnSignal, checkpoints
from mnist_lit.run.folder import checkpoints_newest_first, find_checkpoint, folder_of
from mnist_lit.run.light_steps import lighten
from mnist_lit.run.precision import default_precision
from mnist_lit.run.quiet import silence_libraries
from mnist_lit.settings import (
    check_devices,
    differences,
    plain_config,
    remembered_config,
)
from mnist_lit.usage import OneLineParser, StrictConfigFile

register_type(FilterChain, str, FilterChain.parse, deserializer_exceptions=(ValueError,))

# Of the remembered config, what a command that only uses the model takes over: the trainer's devices are those of
# another machine, but the precision is part of the answers.
_USE_SECTIONS = ("model", "data")

_DESCRIPTIONS = {
    "fit": "Train, keep the best checkpoint, test it, write a run folder. With --ckpt_path: go on with a run.",
    "validate": "Score a checkpoint on the validation images.",
    "test": "Score a checkpoint on the test images.",
    "predict": "Read one digit per image file and write predictions.csv.",
}


class DigitsCLI(LightningCLI):
    """The four commands that train or score.

    Args:
        command: which of them.
        args: the words after it.
        stop: listens for signals.
        folder: where `fit` writes; left out, the next free folder under `log_dir`.
        callbacks: more of them for the trainer.
    """

    def __init__(
        self,
        command: str,
        args: Sequence[str],
        *,
        stop: StopOnSignal,
        folder: Path | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.command = command
        self.stop = stop
        self.folder = folder
        self.callbacks = callbacks
        self.checkpoint: Path | None = None
        self.remembered: dict[str, Any] | None = None  # the config in the checkpoint
        self.entry: dict[str, Any] = {}  # the checkpoint's own entry, see `mnist_lit.model.checkpoint`
        self.first_step: int | None = None  # of a resumed run
        self.failed = 0  # image files that could not be read
        super().__init__(
            DigitClassifier,
            DigitsDataModule,
            save_config_callback=None,  # `RunFolder` keeps the config, in the folder that it makes
            trainer_defaults={
                "max_epochs": 5,
                "num_sanity_val_steps": 0,  # would score two batches twice, to find faults that the tests find
                "enable_model_summary": False,  # one line instead, see `describe`
                "logger": False,  # `RunFolder` makes the loggers
            },
            seed_everything_default=0,
            parser_class=OneLineParser,
            parser_kwargs={
                name: {
                    "description": text,
                    "usage": f"python -m mnist_lit {name} [-c FILE] [--data.KEY VALUE] [--model.KEY VALUE] …",
                }
                for name, text in _DESCRIPTIONS.items()
            },
            args=[command, *args],
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,  # would store class paths in checkpoints
        )

    # ------------------------------------------------------------------ arguments

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """Make a parser whose `--config` reads strictly."""
        parser = OneLineParser(**kwargs)
        parser.add_argument(
            "-c", "--config", action=StrictConfigFile, help="YAML file; may be given several times, the later one wins."
        )
        return parser

    def add_default_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what belongs to a run as a whole."""
        parser.add_argument(
            "--seed_everything", type=NonNegativeInt, default=0, help="Seed of weights, sample order and augmentation."
        )
        parser.add_argument("--experiment", type=str, default="default", help="Folder of the run under log_dir.")
        parser.add_argument("--log_dir", type=Path, default=Path("lightning_logs"), help="Where run folders are.")
        parser.add_argument(
            "--override_contract",
            type=bool,
            default=False,
            help="Use the filter chain given here although the model was trained with another one.",
        )
        parser.add_argument(
            "--output",
            type=Path | None,
            default=None,
            help="Where predict, validate and test write (predictions.csv; the scores in the run folder).",
        )

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the arguments of data, model and trainer, what is this project's own first."""
        parser.add_lightning_class_args(DigitsDataModule, "data")
        parser.add_lightning_class_args(DigitClassifier, "model")
        parser.add_lightning_class_args(Trainer, "trainer")
        parser.set_defaults({f"trainer.{key}": value for key, value in self.trainer_defaults.items()})

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Let one seed govern the data too."""
        parser.link_arguments("seed_everything", "data.seed")

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """Return the commands, with the arguments of the trainer's methods that are not the user's to set."""
        ours = {"model", "datamodule", "weights_only", "verbose", "return_predictions"}
        return {
            "fit": ours | {"train_dataloaders", "val_dataloaders"},
            "validate": ours | {"dataloaders"},
            "test": ours | {"dataloaders"},
            "predict": ours | {"dataloaders"},
        }

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse; if a checkpoint is named, parse again on top of the config that it remembers."""
        config = parser.parse_args(args)[self.command]
        if config.ckpt_path is None and self.command != "fit":
            newest = next(iter(checkpoints_newest_first(config.log_dir)), None)
            hint = (
                f"the newest is {newest}" if newest else f"there is none under {config.log_dir} yet: train one with fit"
            )
            raise UsageError(f"--ckpt_path: missing; an untrained network is not scored ({hint})")
        if config.ckpt_path is not None:
            self.checkpoint = find_checkpoint(str(config.ckpt_path), config.log_dir)
            loaded = load_checkpoint(self.checkpoint)
            self.entry = passport(loaded, self.checkpoint)
            self.first_step = int(loaded["global_step"])
            self.remembered = remembered = remembered_config(self.entry)
            if self.command != "fit":
                precision = remembered.get("trainer", {}).get("precision")
                remembered = {key: remembered[key] for key in _USE_SECTIONS if key in remembered}
                remembered["trainer"] = {"precision": precision}
            # First, so that everything the user says comes later and wins.
            args = [self.command, "--config", json.dumps(remembered, ensure_ascii=False), *args[1:]]
        self.config = parser.parse_args(args)

    def _parse_ckpt_path(self) -> None:
        """Do nothing: the stock version lets a checkpoint win over the user's own flags."""

    def _set_seed(self) -> None:
        from lightning import seed_everything

        seed_everything(self.config[self.command]["seed_everything"], workers=True, verbose=False)

    # ------------------------------------------------------------------ before the run

    def before_instantiate_classes(self) -> None:
        """Check what the parser cannot, and resolve what depends on the machine."""
        config = self.config[self.command]
        trainer = config.trainer
        for key in ("max_epochs", "log_every_n_steps"):
            value = trainer[key]
            if value is not None and value < 1:
                raise UsageError(f"trainer.{key}: {value} is not allowed; a whole number above 0 is")
        if config.data.corruption is not None and self.command != "test":
            raise UsageError(
                f"data.corruption: {config.data.corruption} is not allowed in {self.command}; only in test"
            )
        if trainer.logger not in (False, None):
            raise UsageError(f"trainer.logger: {trainer.logger} is not allowed; a run folder has loggers of its own")
        trainer.logger = False
        check_devices(trainer)
        if trainer.precision is None:
            trainer.precision = default_precision(trainer.accelerator)
        if self.checkpoint is not None:
            self._keep_contract(config)
        config.ckpt_path = str(self.checkpoint) if self.checkpoint else None

    def _keep_contract(self, config: Any) -> None:
        assert self.checkpoint is not None
        own = FilterChain.parse(read_contract(self.entry, self.checkpoint).filters)
        if config.data.filters is None:
            config.data.filters = own
        elif config.data.filters != own and not config.override_contract:
            raise UsageError(
                f"data.filters: {config.data.filters} differs from the chain of {self.checkpoint}: {own} "
                "(leave data.filters out, or say --override_contract true)"
            )
        network = self.entry["network"]
        if config.model.network != network:
            raise UsageError(f"model.network: {config.model.network} expected, but {self.checkpoint} holds {network}")

    def instantiate_classes(self) -> None:
        """Make model, data and trainer; a value they refuse is wrong use."""
        try:
            super().instantiate_classes()
        except (ValueError, TypeError, MisconfigurationException) as error:
            raise UsageError(_short(error)) from error

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Make the trainer with this project's callbacks and its checkpoint files."""
        config = self.config[self.command]
        callbacks: list[Any] = [Progress(self.say)] if config.trainer.enable_progress_bar is not False else []
        self.run_folder: RunFolder | None = None
        if self.command == "fit":
            plain = plain_config(self._parser("fit"), config)
            resumed = folder_of(self.checkpoint) if self.checkpoint is not None else None
            text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)
            self.run_folder = RunFolder(
                config.log_dir, config.experiment, plain, text, resumed, self.first_step, self.folder
            )
            if config.model.ema_decay > 0:
                callbacks.append(AveragedWeights(config.model.ema_decay))
            callbacks += [self.run_folder, self.stop, *checkpoints(config.data.val_size)]
        given = self._get(self.config_init, "trainer")
        plugins = [*(given.get("plugins") or []), AtomicCheckpointIO()]
        own = [*(given.get("callbacks") or []), *callbacks, *self.callbacks]
        return super().instantiate_trainer(plugins=plugins, callbacks=own, **kwargs)

    # ------------------------------------------------------------------ the commands

    def say(self, line: str) -> None:
        """Print a line to the user, once, whatever the number of processes."""
        if self.trainer.is_global_zero:
            print(line, flush=True)  # noqa: T201

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
        self.trainer.fit(self.model, datamodule=self.datamodule, ckpt_path=self.checkpoint, weights_only=True)
        seconds = time.perf_counter() - started
        assert self.run_folder is not None
        finish_fit(
            self.trainer,
            self.model,
            self.datamodule,
            self.run_folder,
            seconds=seconds,
            resumed=self.checkpoint is not None,
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


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


class _FitConfig(DigitsCLI):
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
