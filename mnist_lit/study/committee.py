"""Many trainings of one config: their test probabilities in, single scores and those of the committee out.

The committee's answer is the largest mean of the networks' probabilities. Every network takes part: none is chosen.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_lit.data.idx import DigitSet
from mnist_lit.errors import Failure
from mnist_lit.run.folder import RESULTS

PROBABILITIES = "probabilities.npy"  # float32 (N, 10), in the order of the test file; written last of a seed


@dataclass(frozen=True)
class SeedRun:
    """One training and its test.

    Attributes:
        seed: of weights, sample order and augmentation.
        probabilities: float32 `(N, 10)`, of the test images.
        errors: test images read wrongly.
        results: contents of its `results.json`.
    """

    seed: int
    probabilities: npt.NDArray[np.float32]
    errors: int
    results: dict[str, Any]

    @property
    def n(self) -> int:
        """Number of test images."""
        return len(self.probabilities)

    @property
    def accuracy(self) -> float:
        """Share of the test images read rightly."""
        return 1.0 - self.errors / self.n

    @property
    def seconds(self) -> float:
        """Wall time of the training."""
        return float(self.results["fit_seconds"])


@dataclass(frozen=True)
class Committee:
    """What several networks make of the test images together.

    Attributes:
        members: number of networks.
        n: number of test images.
        wrong: `(E,)` indices of the images that are read wrongly, the most confident answer first.
        truths: `(E,)` their given labels.
        answers: `(E,)` the committee's answers.
        confidences: `(E,)` mean probabilities of the answers.
    """

    members: int
    n: int
    wrong: npt.NDArray[np.int64]
    truths: npt.NDArray[np.int64]
    answers: npt.NDArray[np.int64]
    confidences: npt.NDArray[np.float64]

    @property
    def errors(self) -> int:
        """How many images are read wrongly."""
        return len(self.wrong)

    @property
    def accuracy(self) -> float:
        """Share of the images read rightly."""
        return 1.0 - self.errors / self.n


def read_seed(folder: Path, seed: int, test: DigitSet) -> SeedRun:
    """Read what a finished training left.

    Args:
        folder: its run folder.
        seed: its seed.
        test: the test images that it was scored on.

    Raises:
        Failure: a file is missing or damaged, or is of another seed or of other test images.
    """
    try:
        probabilities = np.load(folder / PROBABILITIES, allow_pickle=False)
        results = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
        if results["seed"] != seed:
            raise ValueError(f"its results are of seed {results['seed']}")
        if results["data"]["sha256"]["test"] != test.sha256:
            raise ValueError("it was scored on other test images")
        whole = probabilities.ndim == 2 and 0 < len(probabilities) <= len(test.labels)
        if not whole or not np.isfinite(probabilities).all():
            raise ValueError(f"{PROBABILITIES} is damaged")
        float(results["fit_seconds"])
    except (ValueError, KeyError, TypeError, EOFError, OSError) as error:
        raise Failure(f"{folder}: not a sound run: {error} (delete it and it will be made again)") from error
    labels = test.labels[: len(probabilities)]
    return SeedRun(seed, probabilities, int((probabilities.argmax(axis=1) != labels).sum()), results)


def committee(runs: Sequence[SeedRun], labels: npt.NDArray[np.uint8]) -> Committee:
    """Return what the networks answer together.

    Args:
        runs: at least one, all of the same test images.
        labels: `(N,)` or longer, the given labels.

    Raises:
        Failure: the networks were scored on different numbers of images.
    """
    if len({run.n for run in runs}) > 1:
        raise Failure(f"the seeds were scored on different numbers of images: {sorted({run.n for run in runs})}")
    mean = np.mean([run.probabilities.astype(np.float64) for run in runs], axis=0)
    truths = labels[: len(mean)].astype(np.int64)
    answers, confidences = mean.argmax(axis=1), mean.max(axis=1)
    wrong = np.flatnonzero(answers != truths)
    wrong = wrong[np.argsort(-confidences[wrong], kind="stable")]
    return Committee(len(runs), len(mean), wrong, truths[wrong], answers[wrong], confidences[wrong])
