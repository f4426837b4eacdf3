"""Filters as they are in an exported graph: equal to OpenCV's to the byte."""

import numpy as np
import pytest
import torch

from mnist_lit.data.filters import FILTERS, FilterChain
from mnist_lit.data.idx import BUNDLED, read_set
from mnist_lit.use.graph_filters import LINEAR, graph_filters, non_linear

CHAINS = [
    "gaussian",
    "gaussian(kernel_size=1)",
    "gaussian(kernel_size=3, sigma=0.05)",
    "gaussian(kernel_size=3, sigma=0.8)",
    "gaussian(kernel_size=5, sigma=1.3, rounds=5)",
    "gaussian(kernel_size=(5, 9), sigma=2.0)",
    "gaussian(kernel_size=(1, 7), sigma=0.7)",
    "gaussian(kernel_size=27, sigma=100)",
    "box",
    "box(kernel_size=1)",
    "box(kernel_size=(27, 3), rounds=3)",
    "box(kernel_size=15)",
    "box(kernel_size=27)",
    "unsharp",
    "unsharp(amount=0.3)",
    "unsharp(kernel_size=(3, 7), sigma=1.7, amount=2.3, rounds=2)",
    "unsharp(amount=0)",
    "unsharp(amount=10)",
    "invert",
    "gaussian | invert | box(kernel_size=5) | unsharp(amount=0.7) | gaussian(sigma=0.5)",
    "none",
]


@pytest.fixture(scope="module")
def images():
    """Digits, noise, and what saturates: `(90, 28, 28)`."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (30, 28, 28), dtype=np.uint8)
    harsh = (rng.random((30, 28, 28)) < 0.5).astype(np.uint8) * 255
    return np.concatenate([read_set(BUNDLED, "train").images[:30], noise, harsh])


@pytest.mark.parametrize("text", CHAINS)
def test_filter_in_the_graph_gives_the_bytes_of_opencv(images, text):
    chain = FilterChain.parse(text)
    found = graph_filters(chain)(torch.from_numpy(images)[:, None].float())[:, 0].numpy()
    np.testing.assert_array_equal(found, chain(images))


def test_every_linear_filter_is_among_those_compared():
    assert {type(one) for text in CHAINS for one in FilterChain.parse(text)} == set(LINEAR)


@pytest.mark.parametrize("kind", [kind for kind in FILTERS if kind not in LINEAR], ids=lambda kind: kind.__name__)
def test_other_filters_are_named_and_refused(kind):
    chain = FilterChain([LINEAR[0](), kind()])
    assert non_linear(chain) == [kind()]
    with pytest.raises(ValueError, match="is not linear"):
        graph_filters(chain)
