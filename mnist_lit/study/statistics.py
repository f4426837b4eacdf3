"""Means, intervals and paired comparisons: a few numbers per group in, what can be said about them out.

Student's t is computed here, from the regularised incomplete beta function, so that the package needs no statistics
library; the tests compare it with one.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

_SMALLEST = 1e-300  # keeps a continued fraction from dividing by nothing
_MOST_TERMS = 10_000


def incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), for a and b above 0 and x in [0, 1].

    Source: the continued fraction DLMF 8.17.22, evaluated by the method of Lentz (Thompson and Barnett 1986).
    """
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1.0) / (a + b + 2.0):  # the fraction converges fast on the other side
        return 1.0 - incomplete_beta(b, a, 1.0 - x)
    front = a * math.log(x) + b * math.log1p(-x) + math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    value, numerator, denominator = 1.0, 1.0, 0.0
    for term in range(_MOST_TERMS):
        m = term // 2
        if term == 0:
            coefficient = 1.0
        elif term % 2 == 0:
            coefficient = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            coefficient = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        denominator = 1.0 / (1.0 + coefficient * denominator or _SMALLEST)
        numerator = 1.0 + coefficient / numerator or _SMALLEST
        change = numerator * denominator
        value *= change
        if abs(change - 1.0) < 1e-15:
            break
    return math.exp(front) * (value - 1.0) / a


def t_two_sided(t: float, df: int) -> float:
    """Return the probability that |T| is at least |t|, for Student's t with `df` degrees of freedom."""
    if math.isinf(t):
        return 0.0
    return incomplete_beta(df / 2, 0.5, df / (df + t * t))


def t_critical(alpha: float, df: int) -> float:
    """Return the t that |T| exceeds with probability `alpha` (0 < alpha < 1), by bisection."""
    low, high = 0.0, 1.0
    while t_two_sided(high, df) > alpha:
        low, high = high, 2.0 * high
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if t_two_sided(middle, df) > alpha else (low, middle)
    return high


@dataclass(frozen=True)
class Estimate:
    """The mean of n independent values.

    Attributes:
        n: how many values.
        mean: their mean.
        sd: their standard deviation (n − 1); None for one value.
        low: lower end of the confidence interval of the mean; None for one value.
        high: its upper end.
    """

    n: int
    mean: float
    sd: float | None
    low: float | None
    high: float | None


def estimate(values: Sequence[float], alpha: float = 0.05) -> Estimate:
    """Estimate a mean with its interval at the level 1 − `alpha`, by Student's t.

    Raises:
        ValueError: there are no values.
    """
    n = len(values)
    if n == 0:
        raise ValueError("values: none given; at least 1 is needed")
    mean = statistics.fmean(values)
    if n == 1:
        return Estimate(1, mean, None, None, None)
    sd = statistics.stdev(values)
    half = t_critical(alpha, n - 1) * sd / math.sqrt(n)
    return Estimate(n, mean, sd, mean - half, mean + half)


def wilson(successes: float, n: int, alpha: float = 0.05) -> tuple[float, float]:
    """Return the confidence interval of a proportion at the level 1 − `alpha`.

    Args:
        successes: how many of `n` (a mean over several counts need not be whole).
        n: independent trials, at least 1.
        alpha: chance that the interval misses.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".
    """
    z = statistics.NormalDist().inv_cdf(1 - alpha / 2)
    share, scale = successes / n, 1 + z * z / n
    centre = (share + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


@dataclass(frozen=True)
class Comparison:
    """A paired comparison as one of several.

    Attributes:
        difference: mean of the differences, with the interval for this comparison alone.
        low: lower end of the simultaneous interval (Bonferroni): all of the family hold together at the level; None
            for one pair.
        high: its upper end.
        p: two-sided p-value of the paired t-test, alone; None for one pair.
        p_holm: the same, corrected for the family by Holm.
    """

    difference: Estimate
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None

    @property
    def is_certain(self) -> bool:
        """Whether a difference is shown at the 5 % level after the correction."""
        return self.p_holm is not None and self.p_holm < 0.05


def paired_p(differences: Sequence[float]) -> float | None:
    """Return the two-sided p-value of the paired t-test that the mean difference is 0; None for one pair.

    Differences that are all alike have no spread: then 1 if they are 0, else 0.
    """
    n = len(differences)
    if n < 2:
        return None
    mean, sd = statistics.fmean(differences), statistics.stdev(differences)
    if sd == 0.0:
        return 1.0 if mean == 0.0 else 0.0
    return t_two_sided(mean / (sd / math.sqrt(n)), n - 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Correct p-values for their number (Holm 1979): the chance of any false finding stays below the level.

    The k-th smallest of m is multiplied by m − k + 1, kept at most 1, and never below the one before it.
    """
    corrected = [0.0] * len(p_values)
    highest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = highest
    return corrected


def compare(family: Sequence[Sequence[float]], alpha: float = 0.05) -> list[Comparison]:
    """Compare pairs in one family of comparisons.

    Args:
        family: for each comparison of the family, the differences of its pairs (all the same number of them).
        alpha: level of the intervals.

    Returns:
        One `Comparison` each, in order.
    """
    p_values = [paired_p(differences) for differences in family]
    known = [p for p in p_values if p is not None]
    corrected: list[float | None] = list(holm(known)) if len(known) == len(p_values) else [None] * len(p_values)
    comparisons = []
    for differences, p, p_holm in zip(family, p_values, corrected, strict=True):
        wide = estimate(differences, alpha / len(family))
        comparisons.append(Comparison(estimate(differences, alpha), wide.low, wide.high, p, p_holm))
    return comparisons
