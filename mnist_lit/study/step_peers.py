"""One training step in several frames: a plain loop, bare Lightning, Lightning as `fit` sets it up, stock Lightning.

Every frame draws the same batches from the same loader, with the same optimiser and schedule; each returns the moment
at which every step began.
"""

import contextlib
import io
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from lightning import LightningModule, Trainer
from torch import Tensor, nn

from mnist_lit.data.batches import Batch
from mnist_lit.data.datamodule import DigitsDataModule
from mnist_lit.model.checkpoint_io import AtomicCheckpointIO
from mnist_lit.model.classifier import DigitClassifier, one_cycle
from mnist_lit.model.networks import NetworkName, Normalize
from mnist_lit.run.callbacks import Progress, RunFolder, StopOnSignal, checkpoints
from mnist_lit.run.light_steps import lighten

LR, WEIGHT_DECAY, WARMUP, LOG_EVERY = 1e-3, 0.01, 0.3, 20  # those of configs/default.yaml
ONE_LAYER = "one layer"


class _Terminal(io.TextIOBase):
    """A terminal that nobody looks at: progress bars are drawn for it."""

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)


@contextlib.contextmanager
def unseen_terminal() -> Iterator[None]:
    """Send stdout and stderr to a terminal that nobody looks at."""
    with contextlib.redirect_stdout(_Terminal()), contextlib.redirect_stderr(_Terminal()):
        yield


@contextlib.contextmanager
def as_lightning_leaves_it(*, imported: bool) -> Iterator[None]:
    """Set the variable that importing Lightning sets, which slows optimisers down; or unset it, as a plain loop has it.

    Args:
        imported: whether the peer is one that imports Lightning.
    """
    name = "PYTORCH_NVML_BASED_CUDA_CHECK"
    before = os.environ.pop(name, None)
    if imported:
        os.environ[name] = "1"
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


def make_network(name: str) -> nn.Module:
    """Return a fresh network with its normalisation, channels last: `one layer`, or one by its name in the config."""
    if name == ONE_LAYER:
        network: nn.Module = nn.Sequential(nn.Flatten(), nn.Linear(784, 10))
    else:
        from mnist_lit.model.networks import build_network

        network = build_network(name).to(memory_format=torch.channels_last)
    return nn.Sequential(Normalize(0.13, 0.31), network)


def make_optimizer(network: nn.Module, steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LambdaLR]:
    """Return the optimiser of `DigitClassifier` and its one-cycle schedule over that many steps."""
    decayed = [p for p in network.parameters() if p.ndim > 1]
    others = [p for p in network.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=LR, fused=True)
    rate = partial(_rate, steps=steps)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, rate)


def _rate(step: int, steps: int) -> float:
    return one_cycle(step / max(1, steps - 1), WARMUP)


def plain_steps(network: nn.Module, batches: Iterable[Batch], steps: int, precision: str) -> list[float]:
    """Train in a plain loop: forward, loss, backward, optimiser, schedule."""
    optimizer, scheduler = make_optimizer(network, steps)
    network.train()
    begun = []
    with as_lightning_leaves_it(imported=False):
        for _, batch in zip(range(steps), batches, strict=False):
            begun.append(time.perf_counter())
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
                loss = F.cross_entropy(network(batch.images).float(), batch.targets)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch has no types here
            optimizer.step()
            scheduler.step()
    return begun


class PlainModule(LightningModule):
    """The same step in Lightning's words.

    Args:
        network: what is trained.
        steps: how long the schedule is.
        log: log the loss at every step, as the first page of Lightning's manual does.
    """

    def __init__(self, network: nn.Module, steps: int, *, log: bool) -> None:
        super().__init__()
        self.network = network
        self.steps = steps
        self.logs = log
        self.begun: list[float] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss."""
        self.begun.append(time.perf_counter())
        loss = F.cross_entropy(self.network(batch.images).float(), batch.targets)
        if self.logs:
            self.log("train_loss", loss)
        return loss

    def configure_optimizers(self) -> Any:
        """Return optimiser and schedule."""
        optimizer, scheduler = make_optimizer(self.network, self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}


class OwnModule(DigitClassifier):
    """`DigitClassifier` that notes when its steps begin.

    Args:
        network: `one layer`, or a name of the config.
    """

    def __init__(self, network: str) -> None:
        name: NetworkName = "compact" if network == ONE_LAYER else network  # type: ignore[assignment]
        super().__init__(network=name, lr=LR, weight_decay=WEIGHT_DECAY, warmup=WARMUP)
        if network == ONE_LAYER:
            self.network = make_network(ONE_LAYER)[1]  # type: ignore[index]
        self.begun: list[float] = []

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Note the moment, then do the step."""
        self.begun.append(time.perf_counter())
        return super().training_step(batch, batch_idx)


def bare_steps(network: nn.Module, data: DigitsDataModule, steps: int) -> list[float]:
    """Train by `Trainer(barebones=True)`: no logger, no checkpoint, no bar, no log calls."""
    module = PlainModule(network, steps, log=False)
    trainer = Trainer(barebones=True, accelerator="cpu", devices=1, max_epochs=1, limit_train_batches=steps)
    with as_lightning_leaves_it(imported=True):
        trainer.fit(module, data.train_dataloader())
    return module.begun


def stock_steps(network: nn.Module, data: DigitsDataModule, steps: int) -> list[float]:
    """Train by Lightning as it is installed, the loss logged at every step; the bar is drawn."""
    module = PlainModule(network, steps, log=True)
    with tempfile.TemporaryDirectory() as folder, unseen_terminal(), as_lightning_leaves_it(imported=True):
        trainer = Trainer(
            accelerator="cpu", devices=1, max_epochs=1, limit_train_batches=steps, default_root_dir=folder
        )
        trainer.fit(module, data.train_dataloader())
    return module.begun


def own_callbacks(folder: Path, say: Callable[[str], None]) -> list[Any]:
    """Return the callbacks that `fit` gives its trainer."""
    run_folder = RunFolder(folder, "bench", {}, "{}\n")
    return [Progress(say), run_folder, StopOnSignal(), *checkpoints(by_validation=False)]


def own_steps(network: str, data: DigitsDataModule, steps: int, precision: Any) -> list[float]:
    """Train as `fit` does, with its run folder, loggers, checkpoints and bar."""
    module = OwnModule(network)
    with tempfile.TemporaryDirectory() as folder, unseen_terminal(), as_lightning_leaves_it(imported=True):
        trainer = Trainer(
            accelerator="cpu",
            devices=1,
            precision=precision,
            max_epochs=1,
            limit_train_batches=steps,
            num_sanity_val_steps=0,
            enable_model_summary=False,
            logger=False,
            log_every_n_steps=LOG_EVERY,
            callbacks=own_callbacks(Path(folder), lambda line: None),
            plugins=[AtomicCheckpointIO()],
        )
        lighten(trainer, module)
        trainer.fit(module, datamodule=data)
        for logger in trainer.loggers:
            logger.finalize("success")
    return module.begun
