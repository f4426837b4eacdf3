"""Whether an exported network answers as PyTorch does, image by image."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from mnist_lit.data.filters import FilterChain, Images
from mnist_lit.use.onnx_backend import Answers

_CHUNK = 125


@dataclass(frozen=True)
class Agreement:
    """What a comparison found.

    Attributes:
        images: how many images were compared.
        same: how many have the same answer.
        logits: largest absolute difference of a logit.
        probabilities: largest absolute difference of a probability.
    """

    images: int
    same: int
    logits: float
    probabilities: float

    def __str__(self) -> str:
        return (
            f"{self.same:,} of {self.images:,} answers as PyTorch's; "
            f"largest difference: logits {self.logits:.1e}, probabilities {self.probabilities:.1e}"
        )


def compare(
    expected: Callable[[Images], Answers],
    found: Callable[[Images], Answers],
    images: Images,
    *,
    chain: FilterChain,
    filters_inside: bool,
) -> tuple[Agreement, Images, Images]:
    """Compare two runtimes.

    Args:
        expected: takes filtered images, uint8 `(N, 28, 28)`.
        found: takes the images as they are where `filters_inside`, else filtered ones.
        images: uint8 `(N, 28, 28)`, not filtered, N at least 1.
        chain: the filters.
        filters_inside: whether `found` filters.

    Returns:
        What was found, and the answers of the two, uint8 `(N,)`.
    """
    ours, theirs, logits, probabilities = [], [], 0.0, 0.0
    for start in tqdm(range(0, len(images), _CHUNK), desc="compare", delay=1.0, leave=False, disable=None):
        raw = images[start : start + _CHUNK]
        filtered = chain(raw)
        one, other = expected(filtered), found(raw if filters_inside else filtered)
        logits = max(logits, float(np.abs(one[0] - other[0]).max()))
        probabilities = max(probabilities, float(np.abs(one[1] - other[1]).max()))
        ours.append(one[0].argmax(axis=1))
        theirs.append(other[0].argmax(axis=1))
    first, second = (np.concatenate(parts).astype(np.uint8) for parts in (ours, theirs))
    same = int(np.sum(first == second))
    return Agreement(len(images), same, logits, probabilities), first, second
