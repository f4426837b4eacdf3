"""What the tests of filters and of their chains share."""

import numpy as np
import pytest
from hypothesis import strategies as st

from mnist_lit.data import filter_base
from mnist_lit.data.filters import (
    FILTERS,
    filter_name,
)

EVERY_FILTER = pytest.mark.parametrize("kind", FILTERS, ids=filter_name)


def noise(*shape, seed=3):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def message(error):
    """Return the text of a refusal, which is always one line."""
    text = str(error.value)
    assert "\n" not in text
    assert 0 < len(text) < 700
    return text


def values(rule):
    """Strategy for the values that a rule allows."""
    if isinstance(rule, filter_base.Choice):
        return st.sampled_from(rule.options)
    if isinstance(rule, filter_base.Real):
        return st.floats(rule.low, rule.high, exclude_min=rule.above)
    number = st.integers(rule.low, rule.high)
    if rule.odd:
        number = st.integers(rule.low // 2, (rule.high - 1) // 2).map(lambda half: 2 * half + 1)
    return number | st.tuples(number, number) if rule.pair else number
