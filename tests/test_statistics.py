"""Student's t, corrections and paired comparisons, against SciPy and against numbers worked by hand."""

import math

import numpy as np
import pytest
from scipy import special, stats

from mnist_lit.study.statistics import (
    Estimate,
    compare,
    estimate,
    holm,
    incomplete_beta,
    paired_p,
    t_critical,
    t_two_sided,
)


@pytest.mark.parametrize("a", [0.5, 1.0, 4.5, 60.0])
@pytest.mark.parametrize("b", [0.5, 1.0, 3.0, 25.0])
def test_incomplete_beta_is_that_of_scipy(a, b):
    for x in (0.0, 1e-9, 0.01, 0.3, 0.5, 0.77, 0.999, 1.0):
        assert incomplete_beta(a, b, x) == pytest.approx(special.betainc(a, b, x), rel=1e-10, abs=1e-14)


@pytest.mark.parametrize("df", [1, 2, 4, 9, 29, 500])
def test_p_values_are_those_of_scipy(df):
    for t in (0.0, 1e-6, 0.5, -1.7, 3.0, -12.0, 40.0):
        assert t_two_sided(t, df) == pytest.approx(2 * stats.t.sf(abs(t), df), rel=1e-9)


@pytest.mark.parametrize("df", [1, 2, 4, 9, 29, 500])
@pytest.mark.parametrize("alpha", [0.9, 0.32, 0.05, 0.05 / 38, 0.05 / 304, 1e-7])
def test_quantiles_are_those_of_scipy(df, alpha):
    assert t_critical(alpha, df) == pytest.approx(stats.t.isf(alpha / 2, df), rel=1e-9)


def test_an_infinite_t_has_no_chance():
    assert t_two_sided(math.inf, 3) == 0.0


def test_quantile_of_the_textbook():
    assert t_critical(0.05, 9) == pytest.approx(2.262157, abs=1e-6)


def test_estimate_against_hand_worked_numbers():
    # 1, 2, 3: mean 2, sd 1, standard error 1/√3, t(0.975; 2) = 4.302653
    value = estimate([1.0, 2.0, 3.0])
    assert (value.n, value.mean, value.sd) == (3, 2.0, 1.0)
    assert value.low == pytest.approx(2 - 4.302653 / math.sqrt(3), abs=1e-6)
    assert value.high == pytest.approx(2 + 4.302653 / math.sqrt(3), abs=1e-6)


def test_estimate_of_one_value_has_no_spread():
    assert estimate([0.5]) == Estimate(1, 0.5, None, None, None)


def test_estimate_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        estimate([])


def test_interval_is_that_of_scipy():
    values = np.random.default_rng(3).normal(size=10)
    value = estimate(list(values))
    low, high = stats.t.interval(0.95, 9, loc=values.mean(), scale=stats.sem(values))
    assert (value.low, value.high) == (pytest.approx(low), pytest.approx(high))


@pytest.mark.parametrize("n", [2, 3, 10])
def test_paired_p_is_that_of_scipy(n):
    one, other = np.random.default_rng(n).normal(size=(2, n))
    assert paired_p(list(one - other)) == pytest.approx(stats.ttest_rel(one, other).pvalue)


@pytest.mark.parametrize(("differences", "p"), [([0.3], None), ([0.0, 0.0], 1.0), ([0.5, 0.5, 0.5], 0.0)])
def test_paired_p_where_there_is_no_spread(differences, p):
    assert paired_p(differences) == p


def test_holm_against_hand_worked_numbers():
    # sorted 0.01 × 4, 0.02 × 3 = 0.06, 0.03 × 2 = 0.06, 0.04 × 1 raised to 0.06
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])


def test_holm_keeps_to_one_and_to_the_order():
    p = np.random.default_rng(0).uniform(size=40) ** 3
    corrected = np.array(holm(list(p)))
    assert corrected.max() <= 1.0
    assert (np.diff(corrected[np.argsort(p)]) >= 0).all()
    # Independently: adjusted p = running maximum of (m − k) p over the sorted values.
    assert np.sort(corrected) == pytest.approx(np.minimum(np.maximum.accumulate(np.arange(40, 0, -1) * np.sort(p)), 1))


def test_holm_of_nothing():
    assert holm([]) == []


def test_comparisons_share_one_family():
    rng = np.random.default_rng(1)
    differences = [list(rng.normal(mean, 1.0, size=6)) for mean in (0.0, 1.0, 5.0)]
    comparisons = compare(differences)
    p_values = [stats.ttest_1samp(d, 0.0).pvalue for d in differences]
    assert [c.p for c in comparisons] == pytest.approx(p_values)
    assert [c.p_holm for c in comparisons] == pytest.approx(holm(p_values))
    for values, comparison in zip(differences, comparisons, strict=True):
        low, high = stats.t.interval(1 - 0.05 / 3, 5, loc=np.mean(values), scale=stats.sem(values))
        assert (comparison.low, comparison.high) == (pytest.approx(low), pytest.approx(high))
        assert comparison.difference == estimate(values)


def test_one_pair_each_gives_differences_alone():
    comparisons = compare([[0.25], [-0.5]])
    assert [c.difference.mean for c in comparisons] == [0.25, -0.5]
    assert all(c.low is c.high is c.p is c.p_holm is None for c in comparisons)
    assert not any(c.is_certain for c in comparisons)


def test_simultaneous_intervals_hold_together():
    """Of 200 families of 5 true differences of 0, some 5 % have an interval beside 0; intervals alone far more."""
    rng = np.random.default_rng(7)
    missed = alone = 0
    for _ in range(200):
        comparisons = compare([list(rng.normal(size=4)) for _ in range(5)])
        missed += any(c.low > 0 or c.high < 0 for c in comparisons)
        alone += any(c.difference.low > 0 or c.difference.high < 0 for c in comparisons)
    assert missed / 200 < 0.09
    assert alone / 200 > 0.15
