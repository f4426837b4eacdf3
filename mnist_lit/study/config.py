"""What a filter study consists of: the typed config of `python -m mnist_lit study`."""

import math
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from jsonargparse.typing import NonNegativeInt, PositiveFloat, PositiveInt

from mnist_lit.data.corruptions import CORRUPTIONS, check_name
from mnist_lit.data.filters import FilterChain
from mnist_lit.data.sources import DatasetName
from mnist_lit.errors import UsageError
from mnist_lit.model.classifier import DigitClassifier
from mnist_lit.model.networks import NetworkName

VALIDATION, CLEAN = "validation", "clean"  # names of sets beside those of the corruptions

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _+|.-]{0,17}")


@dataclass(frozen=True)
class StudyConfig:
    """What the study consists of.

    Attributes:
        chains: the filter chains, each with a short name: `median: median(kernel_size=3)`.
        seeds: how many trainings each chain gets, with the seeds 0 to seeds − 1.
        baseline: name of the chain that the others are compared with.
        network: which network is trained, see `mnist_lit.model.networks`.
        epochs: epochs of each training.
        batch_size: training images per step.
        optimizer: `adamw` or `sgd`.
        lr: peak of the one-cycle learning rate.
        weight_decay: of weights, not of biases and norms.
        momentum: of `sgd`, 0 to below 1.
        warmup: fraction of the training in which the learning rate rises, 0 to 1.
        precision: `32-true`, or `bf16-mixed` on processors with bfloat16.
        accelerator: what it runs on; one device.
        dataset: which data set; `mnist` is bundled.
        root: folder of the data; left out, the bundle (mnist) or `.cache/data` (downloads).
        val_size: how many training images are kept for validation; 0 trains on all of them.
        split_seed: seed of the split into training and validation.
        corruptions: which corruptions of the test images are scored, by name.
        corruption_seed: seed of the corruptions.
        output: folder of cells, tables and figures.
    """

    chains: dict[str, str] = field(default_factory=lambda: {"none": "none", "median": "median(kernel_size=3)"})
    seeds: PositiveInt = 10
    baseline: str = "none"
    network: NetworkName = "compact"
    epochs: PositiveInt = 2
    batch_size: PositiveInt = 256
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: PositiveFloat = 0.008
    weight_decay: float = 0.01
    momentum: float = 0.0
    warmup: float = 0.3
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    accelerator: Literal["cpu", "gpu", "mps", "auto"] = "cpu"
    dataset: DatasetName = "mnist"
    root: Path | None = None
    val_size: NonNegativeInt = 5_000
    split_seed: NonNegativeInt = 0
    corruptions: list[str] = field(default_factory=lambda: list(CORRUPTIONS))
    corruption_seed: NonNegativeInt = 0
    output: Path = Path("lightning_logs/study_filters")

    def __post_init__(self) -> None:
        """Check what the types do not say, and put every chain in its one full form.

        Raises:
            UsageError: with the key, the value and what is allowed.
        """
        chains = {}
        for name, text in self.chains.items():
            if not (isinstance(name, str) and _NAME.fullmatch(name)):  # YAML reads `on` as a truth value
                raise UsageError(
                    f"chains: the name {name!r} is not allowed; up to 18 letters, digits and + - . _ | or spaces are"
                )
            try:
                chains[name] = str(FilterChain.parse(text))
            except ValueError as error:
                raise UsageError(f"chains.{name}: {error}") from error
        object.__setattr__(self, "chains", chains)  # the dataclass is frozen for everybody else
        if self.baseline not in self.chains:
            raise UsageError(f"baseline: {self.baseline} is not one of the chains {', '.join(self.chains)}")
        if len(self.chains) < 2:
            raise UsageError(f"chains: only {self.baseline} is given; a comparison needs another one")
        if not self.corruptions or len(set(self.corruptions)) != len(self.corruptions):
            raise UsageError(f"corruptions: {self.corruptions} is not allowed; one or more names, each once, are")
        try:
            for name in self.corruptions:
                check_name(name)
            self.classifier()
        except ValueError as error:
            raise UsageError(str(error).removeprefix("model.")) from error
        if not math.isfinite(self.lr):
            raise UsageError(f"lr: {self.lr} is not allowed; a finite number above 0 is")

    def classifier(self) -> DigitClassifier:
        """Return an untrained network with the training rules of the study."""
        return DigitClassifier(
            network=self.network,
            optimizer=self.optimizer,
            lr=self.lr,
            weight_decay=self.weight_decay,
            momentum=self.momentum,
            warmup=self.warmup,
        )

    @property
    def sets(self) -> list[str]:
        """What every training is scored on, in the order of the tables."""
        return [*([VALIDATION] if self.val_size else []), CLEAN, *self.corruptions]

    @property
    def duration(self) -> str:
        """How long a training is, in words."""
        return f"{self.epochs} epoch{'s' if self.epochs > 1 else ''}"

    def plain(self) -> dict[str, Any]:
        """Return the config as plain data."""
        return {name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()}
