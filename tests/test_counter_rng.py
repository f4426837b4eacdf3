"""The counter-based numbers: frozen, recomputed in plain Python, uniform, independent, and free of the batch."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from mnist_lit.data.counter_rng import permutation, uniform

N = 60_000
WORD = 2**32


def fmix32(h):
    """MurmurHash3's finaliser, written from its definition."""
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        h = (h ^ h >> shift) * factor % WORD
    return h ^ h >> 16


def words(seed, epoch, index, draws, stream):
    """The 32-bit words of one sample, in Python integers."""
    key = 0
    for part in (seed % WORD, seed // WORD, epoch, stream):
        key = fmix32((key * 0x9E3779B1 + part + 0x7F4A7C15) % WORD)
    sample = fmix32(index ^ key)
    return [fmix32(fmix32((sample + draw * 0x9E3779B1) % WORD) ^ key) for draw in range(draws)]


def numbers(seed=0, epoch=0, stream=0, draws=1):
    return uniform(seed, epoch, torch.arange(N), draws, stream).double().numpy()


def p_uniform(values):
    """The smaller p of two tests against the uniform distribution: Kolmogorov-Smirnov, and chi-square in 256 bins."""
    bins = np.histogram(values, bins=256, range=(0, 1))[0]
    return min(stats.kstest(values, "uniform").pvalue, stats.chisquare(bins).pvalue)


def correlation(a, b):
    """In standard errors."""
    return abs(np.corrcoef(a, b)[0, 1]) * np.sqrt(len(a))


def test_the_finaliser_is_that_of_murmurhash3():
    # The hash of nothing is the finaliser of the seed; these two are published test vectors of MurmurHash3_x86_32.
    assert fmix32(1) == 0x514E28B7
    assert fmix32(0xFFFFFFFF) == 0x81F16F39


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1, 2**32, 12345678901])
@pytest.mark.parametrize(("epoch", "stream"), [(0, 0), (7, 2), (1000, 0x5000)])
def test_the_numbers_are_those_of_plain_python(seed, epoch, stream):
    indices = [0, 1, 59_999, 2**31, 2**32 - 1]
    found = uniform(seed, epoch, torch.tensor(indices), 3, stream)
    wanted = [[word // 256 / 2**24 for word in words(seed, epoch, index, 3, stream)] for index in indices]
    assert found.tolist() == wanted


def test_the_numbers_are_frozen():
    found = uniform(0, 0, torch.arange(3), 2) * 2**24
    assert found.tolist() == [[5741435, 8911784], [15197460, 1602399], [562277, 4575060]]
    found = uniform(12345678901, 7, torch.tensor([59_999, 0]), 3, stream=2) * 2**24
    assert found.tolist() == [[3069225, 2120017, 873615], [14968765, 13842950, 10026115]]


def test_shape_and_dtype():
    found = uniform(0, 0, torch.arange(5), 3)
    assert found.shape == (5, 3)
    assert found.dtype == torch.float32
    assert uniform(0, 0, torch.arange(0), 3).shape == (0, 3)
    assert uniform(0, 0, torch.arange(5), 0).shape == (5, 0)


def test_the_numbers_lie_from_0_to_below_1():
    found = numbers(draws=6)
    assert 0 <= found.min() < 1e-4
    assert 1 - 1e-4 < found.max() < 1


@pytest.mark.parametrize(("seed", "epoch", "stream"), [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2**40, 99, 0x5000)])
def test_the_numbers_are_uniform(seed, epoch, stream):
    assert p_uniform(numbers(seed, epoch, stream)[:, 0]) > 1e-3


def test_the_numbers_of_one_sample_are_uniform():
    assert p_uniform(uniform(3, 0, torch.tensor([42]), N).double().numpy()[0]) > 1e-3


def test_the_test_of_uniformity_notices_a_slight_bend():
    assert p_uniform(numbers()[:, 0] ** 1.03) < 1e-3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"seed": 0}, {"seed": 1}),
        ({"seed": 0}, {"seed": 2**32}),
        ({"epoch": 0}, {"epoch": 1}),
        ({"stream": 0}, {"stream": 1}),
        ({"seed": 1, "epoch": 0}, {"seed": 0, "epoch": 1}),
        ({"epoch": 1, "stream": 0}, {"epoch": 0, "stream": 1}),
    ],
    ids=str,
)
def test_other_seeds_epochs_and_streams_are_independent(first, second):
    a, b = (numbers(**key)[:, 0] for key in (first, second))
    assert correlation(a, b) < 4
    assert p_uniform((a - b) % 1) > 1e-3  # of independent uniform numbers, this is uniform as well


def test_the_draws_of_a_sample_are_independent():
    columns = numbers(draws=6).T
    for a, b in itertools.combinations(columns, 2):
        assert correlation(a, b) < 4
        assert p_uniform((a - b) % 1) > 1e-3


def test_neighbouring_samples_are_independent():
    values = numbers()[:, 0]
    for distance in (1, 2, 64):
        assert correlation(values[:-distance], values[distance:]) < 4
        assert p_uniform((values[:-distance] - values[distance:]) % 1) > 1e-3


def test_the_test_of_independence_notices_a_weak_tie():
    a, b = numbers(seed=0)[:, 0], numbers(seed=1)[:, 0]
    assert correlation(a, 0.97 * b + 0.03 * a) > 4


def test_a_sample_gets_the_same_numbers_in_any_batch():
    whole = uniform(5, 2, torch.arange(1000), 4)
    some = torch.tensor([999, 3, 500, 3])
    assert torch.equal(uniform(5, 2, some, 4), whole[some])
    assert torch.equal(uniform(5, 2, some.int(), 4), whole[some])


def test_more_draws_leave_the_first_ones_as_they_are():
    assert torch.equal(uniform(5, 2, torch.arange(100), 7)[:, :4], uniform(5, 2, torch.arange(100), 4))


def test_the_state_of_torch_is_neither_used_nor_changed():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = uniform(0, 0, torch.arange(10), 2), permutation(0, 0, 10)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    second = uniform(0, 0, torch.arange(10), 2), permutation(0, 0, 10)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


# The order of the samples


@pytest.mark.parametrize("n", [0, 1, 2, 1000, 55_000])
def test_a_permutation_holds_every_sample_once(n):
    order = permutation(3, 4, n)
    assert order.dtype == torch.int64
    assert torch.equal(order.sort().values, torch.arange(n))


def test_the_order_is_that_of_plain_python():
    keys = [(words(9, 2, index, 2, 0x4000), index) for index in range(500)]
    assert permutation(9, 2, 500).tolist() == [index for _, index in sorted(keys)]


def test_the_order_is_frozen():
    assert permutation(0, 0, 12).tolist() == [6, 5, 11, 0, 4, 1, 7, 8, 10, 2, 9, 3]
    assert permutation(0, 1, 12).tolist() == [8, 3, 10, 4, 11, 0, 7, 9, 2, 1, 5, 6]


def test_every_seed_and_epoch_has_an_order_of_its_own():
    seeds = [*range(1500), *(2**32 + seed for seed in range(1500))]
    orders = {tuple(permutation(seed, epoch, 20).tolist()) for seed in seeds for epoch in (0, 1)}
    assert len(orders) == 6000


def test_every_place_is_equally_likely():
    n = 20
    orders = np.stack([permutation(seed, 0, n).numpy() for seed in range(2000)])
    for place in (0, 7, n - 1):
        assert stats.chisquare(np.bincount(orders[:, place], minlength=n)).pvalue > 1e-3


@pytest.mark.parametrize("other", [(0, 1), (1, 0), (2**32, 0)])
def test_orders_are_independent(other):
    a, b = permutation(0, 0, N).argsort().numpy(), permutation(*other, N).argsort().numpy()
    assert correlation(a, b) < 4


def test_order_and_augmentation_are_independent():
    places = permutation(0, 0, N).argsort().numpy()
    assert correlation(places, numbers()[:, 0]) < 4
