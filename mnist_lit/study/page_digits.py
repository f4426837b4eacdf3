"""Which of MNIST's digits are written on generated pages."""

from mnist_lit.data.idx import DigitSet
from mnist_lit.data.preparation import stratified_split
from mnist_lit.data.sources import load_part

TRAINING, VALIDATION, TEST = "training", "validation", "test"
_SPLIT = (5000, 0)  # size and seed of the default validation split


def load_digits(which: str) -> DigitSet:
    """Return the 10,000 `test` digits, or the 5,000 `validation` or 55,000 `training` digits of the default split."""
    if which == TEST:
        return load_part("mnist", None, "t10k")
    digits = load_part("mnist", None, "train")
    chosen = stratified_split(digits.labels, *_SPLIT)[(TRAINING, VALIDATION).index(which)]
    return DigitSet(digits.images[chosen], digits.labels[chosen], digits.sha256)
