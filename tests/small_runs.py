"""Trainings through the command line that take a second, and what to look at in their folders."""

import csv
from pathlib import Path

import torch

from mnist_lit.model.checkpoint import load_checkpoint

CHAIN = "gaussian(kernel_size=5, sigma=1.0, rounds=1)"


def small_fit(data: Path, logs: Path, *more: str) -> list[str]:
    """Return the words of a fit that takes a second."""
    words = ["fit", "--data.dataset", "idx", "--data.root", str(data), "--log_dir", str(logs)]
    words += ["--data.val_size", "140", "--data.filters", CHAIN, "--data.batch_size", "50", "--trainer.max_epochs", "2"]
    words += ["--trainer.log_every_n_steps", "2", "--trainer.precision", "32-true", "--trainer.accelerator", "cpu"]
    return [*words, *more]


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return load_checkpoint(checkpoint)["state_dict"]


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def metrics_rows(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))
