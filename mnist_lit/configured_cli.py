"""LightningCLI with the rules of this project around it: what happens before a command does its work.

Every mistake is one line; a checkpoint brings its own config along, and what the user says wins over it; no untrained
network is scored; the preprocessing contract is kept.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonargparse.typing import NonNegativeInt, register_type
from lightning import Callback, Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from mnist_lit.data.datamodule import DigitsDataModule
from mnist_lit.data.filters import FilterChain
from mnist_lit.errors import UsageError
from mnist_lit.model.checkpoint import load_checkpoint, passport, read_contract
from mnist_lit.model.checkpoint_io import AtomicCheckpointIO
from mnist_lit.model.classifier import DigitClassifier
from mnist_lit.run.averaging import AveragedWeights
from mnist_lit.run.callbacks import Progress, RunFolder, StopOnSignal, checkpoints
from mnist_lit.run.folder import checkpoints_newest_first, find_checkpoint, folder_of
from mnist_lit.run.precision import default_precision
from mnist_lit.settings import (
    check_devices,
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


class ConfiguredCLI(LightningCLI):
    """A command that trains or scores, up to the moment at which model, data and trainer are made.

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
        parser.add_argument(
            "--keep",
            type=Literal["best", "last"],
            default="best",
            help="Which epoch counts: the one best on the validation images, or the last.",
        )
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
            by_validation = config.keep == "best" and config.data.val_size > 0
            callbacks += [self.run_folder, self.stop, *checkpoints(by_validation=by_validation)]
        given = self._get(self.config_init, "trainer")
        plugins = [*(given.get("plugins") or []), AtomicCheckpointIO()]
        own = [*(given.get("callbacks") or []), *callbacks, *self.callbacks]
        return super().instantiate_trainer(plugins=plugins, callbacks=own, **kwargs)

    def say(self, line: str) -> None:
        """Print a line to the user, once, whatever the number of processes."""
        if self.trainer.is_global_zero:
            print(line, flush=True)  # noqa: T201


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
