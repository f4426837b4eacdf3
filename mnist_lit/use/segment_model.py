"""What was learned about the grouping of strokes into digits: the weights that `segments` scores a grouping with.

They are in one file of plain tensors, `weights/segments.safetensors`, which `python -m mnist_lit.study.fit_segments`
writes. What the tensors weigh is said here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_lit.errors import Failure
from mnist_lit.use.arrays import Floats
from mnist_lit.use.wholes import WholeDigits

BUNDLED_SEGMENTS = Path(__file__).parent / "weights" / "segments.safetensors"
MEASURES = (
    "every digit: one wide digit is no better than two narrow ones",
    "taller than usual on the line, per squared logarithm",
    "smaller than usual, the same",
    "every piece joined to another that it does not touch",
    "the same, per digit height by which the smaller side exceeds a bar or a dot",
    "the same, per digit height of clear space between them, across",
    "the same, per digit height that they overlap, across",
    "the same, per digit height between their ink, in any direction",
    "a cut at its right",
    "the same, per stroke width of ink that it crosses",
    "the same, per stroke that it crosses beyond the first",
    "standing above or below the neighbour, per share of the width",
    "made of small parts only, per digit height that the tallest is below 0.6",
    "fainter than the line, per share of its darkness below 0.8",
    "a cut inside, per cut",
)
SKIP_MEASURES = (
    "every part that is left out",
    "per digit height of its longer side",
    "fainter than the line, per share of its darkness below 0.8",
    "per digit height that its longer side exceeds 0.45, which is larger than specks",
)
NETWORK_PREFIX = "whole."  # before the names of the network's tensors in the file

# Shapes of the digits 0 to 9 among the 55,000 training images of MNIST, as natural logarithms, mean and standard
# deviation: width : height; length of the strokes : height (see `stroke_length`), which tells one digit from two.
ASPECT_MEAN = np.array([-0.107, -0.944, -0.074, -0.241, -0.248, -0.078, -0.333, -0.270, -0.288, -0.403], np.float32)
ASPECT_SD = np.array([0.200, 0.464, 0.221, 0.214, 0.216, 0.263, 0.219, 0.218, 0.224, 0.207], np.float32)
LENGTH_MEAN = np.array([0.837, 0.044, 0.719, 0.695, 0.556, 0.729, 0.617, 0.480, 0.763, 0.587], np.float32)
LENGTH_SD = np.array([0.117, 0.101, 0.162, 0.162, 0.118, 0.162, 0.186, 0.128, 0.148, 0.138], np.float32)
NEAR = 0.6  # standard deviations of the stroke length that are as good as none
LEAST_PROBABILITY = 1e-4  # added to the recognizer's, so that no answer is ruled out
MOST_LOG_ODDS = 8.0  # of a whole digit; beyond them it is no surer


@dataclass(frozen=True, eq=False)
class SegmentWeights:
    """The weights of the random field, in units of log probability, and the network beside it.

    Attributes:
        measures: float32 `(15,)`, see `MEASURES`.
        net: `(1,)`, per log probability of an answer.
        answers: `(10,)`, every answer: narrow ones come of many things.
        width: `(2,)`, a width that is unusual for the answer, too wide and too narrow, per half squared standard
            deviation.
        length: `(2,)`, strokes that are too long and too short for the answer, the same.
        whole: `(2,)`, per log odds of being one whole digit, above 0 and below.
        skip: `(4,)`, see `SKIP_MEASURES`.
        network: tells whole digits.
    """

    measures: Floats
    net: Floats
    answers: Floats
    width: Floats
    length: Floats
    whole: Floats
    skip: Floats
    network: WholeDigits

    def shape_scores(self, aspect: npt.NDArray[Any] | float, length: npt.NDArray[Any] | float) -> Floats:
        """How well shapes suit each of the ten digits, as logarithms `(..., 10)`.

        Args:
            aspect: natural logarithm of width : height, `(...)`.
            length: natural logarithm of the length of the strokes : height, `(...)`.
        """
        wide = np.clip((np.asarray(aspect)[..., None] - ASPECT_MEAN) / ASPECT_SD, -4.0, 4.0)
        away = (np.asarray(length)[..., None] - LENGTH_MEAN) / LENGTH_SD
        away = np.clip(np.sign(away) * np.maximum(np.abs(away) - NEAR, 0.0), -5.0, 5.0)
        width = np.where(wide > 0, *self.width) * wide**2 / 2
        return np.asarray(self.answers + width + np.where(away > 0, *self.length) * away**2 / 2, np.float32)

    def group_scores(self, measures: Floats, shapes: Floats, probabilities: Floats, log_odds: Floats) -> Floats:
        """What speaks for groups, `(N,)`.

        Args:
            measures: `(N, 15)`.
            shapes: `(N, 10)`, from `shape_scores`.
            probabilities: `(N, 10)`, the recognizer's.
            log_odds: `(N,)`, the network's.
        """
        answers = self.net * np.log(probabilities + LEAST_PROBABILITY) + shapes
        odds = np.clip(log_odds, -MOST_LOG_ODDS, MOST_LOG_ODDS)
        whole = np.where(odds > 0, *self.whole) * odds
        return np.asarray(measures @ self.measures + answers.max(axis=1) + whole, np.float32)

    def tensors(self) -> dict[str, Floats]:
        """Return everything by its name in the file."""
        named = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "network"}
        return named | {NETWORK_PREFIX + name: values for name, values in self.network.weights.items()}


def from_tensors(tensors: Mapping[str, Floats]) -> SegmentWeights:
    """Return the weights that `SegmentWeights.tensors` gave."""
    network = {
        name.removeprefix(NETWORK_PREFIX): values for name, values in tensors.items() if name.startswith(NETWORK_PREFIX)
    }
    own = {one.name: tensors[one.name] for one in fields(SegmentWeights) if one.name != "network"}
    return SegmentWeights(**own, network=WholeDigits(network))


@cache
def load_segment_weights(path: Path = BUNDLED_SEGMENTS) -> SegmentWeights:
    """Read a file of weights.

    Raises:
        Failure: it is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return from_tensors(load_file(path))
    except OSError as error:
        raise Failure(f"{path}: cannot be read: {error.strerror or error}") from error
    except (SafetensorError, KeyError) as error:
        raise Failure(f"{path}: not the weights of the segmentation (install mnist_lit again)") from error
