"""What commands ask of a config beyond its types: plain data to keep, differences to show, what a machine allows."""

import os
from typing import Any

import torch
import yaml
from lightning.pytorch.cli import LightningArgumentParser

from mnist_lit.errors import UsageError


def plain_config(parser: LightningArgumentParser, config: Any) -> dict[str, Any]:
    """Return the resolved config as plain data: what `config.yaml` and every checkpoint hold.

    Without `ckpt_path`, which belongs to one call and not to the run.
    """
    text = parser.dump(config, skip_unset=False, skip_link_targets=True, format="yaml")
    plain: dict[str, Any] = yaml.safe_load(text)
    for key in ("ckpt_path", "config", "output", "override_contract"):
        plain.pop(key, None)
    return plain


# Settings of the trainer that never name a class: only these are taken out of a checkpoint.
_PLAIN_TRAINER_KEYS = (
    "precision",
    "max_epochs",
    "min_epochs",
    "max_steps",
    "min_steps",
    "limit_train_batches",
    "limit_val_batches",
    "limit_test_batches",
    "overfit_batches",
    "val_check_interval",
    "check_val_every_n_epoch",
    "log_every_n_steps",
    "accumulate_grad_batches",
    "gradient_clip_val",
    "gradient_clip_algorithm",
    "deterministic",
    "sync_batchnorm",
)


def remembered_config(entry: dict[str, Any]) -> dict[str, Any]:
    """Return what a checkpoint remembers of its run's config, without anything that could name code or a place.

    Args:
        entry: the checkpoint's own entry, see `mnist_lit.model.checkpoint.passport`.
    """
    config = entry.get("config")
    if not isinstance(config, dict):
        return {}
    kept = {key: config[key] for key in ("seed_everything", "experiment", "keep", "model", "data") if key in config}
    trainer = config.get("trainer")
    if isinstance(trainer, dict):
        plain = {key: trainer[key] for key in _PLAIN_TRAINER_KEYS if key in trainer}
        kept["trainer"] = {key: value for key, value in plain.items() if not isinstance(value, (dict, list))}
    return kept


def differences(old: Any, new: Any, prefix: str = "") -> list[str]:
    """Return one line `key: old -> new` for every value that differs between two nested dicts."""
    if isinstance(old, dict) and isinstance(new, dict):
        lines: list[str] = []
        for key in [*old, *(k for k in new if k not in old)]:
            lines += differences(old.get(key), new.get(key), f"{prefix}.{key}" if prefix else str(key))
        return lines
    return [] if old == new else [f"{prefix}: {old} -> {new}"]


def check_devices(trainer: Any) -> None:
    """Refuse a GPU that is not there, and more processes on a CPU than can make sense.

    How many GPUs there are, Lightning itself knows.

    Raises:
        UsageError: with what is allowed.
    """
    kinds = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kinds["gpu"] = any(kinds.values())
    if not kinds.get(str(trainer.accelerator), True):
        raise UsageError(
            f"trainer.accelerator: {trainer.accelerator} is not allowed here; PyTorch finds none (cpu or auto)"
        )
    on_cpu = trainer.accelerator == "cpu" or not kinds["gpu"]
    most = max(8, os.cpu_count() or 1)
    text = str(trainer.devices)
    if on_cpu and text.isdigit() and not 1 <= int(text) <= most:
        raise UsageError(f"trainer.devices: {text} is not allowed on this CPU; 1 to {most} processes are")
