"""Tests of spread: does one arm vary less than another?

Every test takes `arm` (n,) and `baseline` (m,), in one unit. The effect is the ratio of their
standard deviations, sd(arm) / sd(baseline) with ddof 1, which has no unit. `detectable` is the
ratio, below 1, that the F test detects with a power of 80 % at this n; the other tests need a
smaller one. If a side has no spread or only one value, p is NaN and `Result.note` says why.
"""

from dataclasses import replace
from math import comb, nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from referee.stats.power import detectable_sd_ratio
from referee.stats.result import Result

RESAMPLES = 3999  # up to 7 against 7 values all permutations are enumerated, and none are drawn


def _sd(x: np.ndarray) -> float:
    """Return the standard deviation (ddof 1): 0 for values equal up to rounding, NaN for one."""
    if len(x) < 2:
        return nan
    return 0.0 if np.ptp(x) <= 1e-12 * np.abs(x).max() else float(x.std(ddof=1))


def _begin(
    test: str, arm: ArrayLike, baseline: ArrayLike, family: int = 1
) -> tuple[np.ndarray, np.ndarray, Result]:
    """Return both sides as arrays, and the result without its p-value."""
    a, b = np.asarray(arm, dtype=float), np.asarray(baseline, dtype=float)
    n, m, sd_a, sd_b = len(a), len(b), _sd(a), _sd(b)
    ratio, note = sd_a / sd_b if sd_b else nan, ""
    if min(n, m) < 2:
        note = f"{min(n, m)} values: no spread"
    elif not sd_a or not sd_b:
        note = f"no spread in {'either' if sd_a == sd_b else 'one'} arm"
    detectable = 1 / detectable_sd_ratio(n, m, alpha=0.05 / family)
    result = Result(test, n, 1, max(n - 1, 0), "two-sided", ratio, smallest_p=0.0, note=note)
    return a, b, replace(result, detectable=detectable)


def sd_ratio(arm: ArrayLike, baseline: ArrayLike, *, family: int = 1) -> Result:
    """Run the F test of equal variances, with the interval of the SD ratio.

    It is exact for normal values only. At 5 against 5 values the 95 % interval reaches from the
    estimate divided by 3.1 to the estimate times 3.1. `family` is the number of tests made
    together; `detectable` is at the level 0.05 / family.
    """
    a, b, result = _begin("F", arm, baseline, family)
    if result.note:
        return result
    n, m, f = len(a), len(b), result.estimate**2
    tail = min(stats.f.cdf(f, n - 1, m - 1), stats.f.sf(f, n - 1, m - 1))
    low, high = stats.f.ppf([0.025, 0.975], n - 1, m - 1)
    p = min(1.0, float(2 * tail))
    return replace(result, statistic=f, p=p, ci_low=sqrt(f / high), ci_high=sqrt(f / low))


def brown_forsythe(arm: ArrayLike, baseline: ArrayLike) -> Result:
    """Run Levene's test on absolute deviations from the medians.

    Brown and Forsythe (1974), Journal of the American Statistical Association 69. It keeps its
    level in small samples.
    """
    return _levene("Brown-Forsythe", "median", arm, baseline)


def levene_mean(arm: ArrayLike, baseline: ArrayLike) -> Result:
    """Run Levene's test on absolute deviations from the means (Levene 1960).

    At 5 against 5 normal values and a level of 5 % it gives 7.3 % false alarms.
    """
    return _levene("Levene, mean", "mean", arm, baseline)


def _levene(test: str, center: str, arm: ArrayLike, baseline: ArrayLike) -> Result:
    a, b, result = _begin(test, arm, baseline)
    if result.note:
        return result
    middle = np.mean if center == "mean" else np.median
    if all(_sd(np.abs(x - middle(x))) == 0 for x in (a, b)):  # as with two values a side
        return replace(result, note="deviations are all equal: no test")
    levene = stats.levene(a, b, center=center)
    statistic, p = float(levene.statistic), float(levene.pvalue)
    return replace(result, statistic=statistic, p=p, df=len(a) + len(b) - 2)


def pitman_morgan(arm: ArrayLike, baseline: ArrayLike) -> Result:
    """Run the test of equal variances of paired values: do sum and difference correlate?

    Pitman (1939) and Morgan (1939), both Biometrika 31; df = n - 2. The 95 % interval of the ratio
    is Pitman's. Pass the logarithms of times, whose spread grows with their mean. Raises ValueError
    if the sides differ in length.
    """
    a, b, result = _begin("Pitman-Morgan", arm, baseline)
    n = len(a)
    if n != len(b):
        raise ValueError(f"paired values differ in number: {n} and {len(b)}")
    if result.note:
        return result
    if n < 3:
        return replace(result, note=f"{n} pairs: no degree of freedom")
    if _sd(a - b) == 0 or _sd(a + b) == 0:
        return replace(result, p=1.0, note="arms differ by a constant")
    r = np.corrcoef(a + b, a - b)[0, 1]
    t = r * sqrt((n - 2) / max(1 - r**2, 1e-300))
    correlation = np.corrcoef(a, b)[0, 1]
    k = 1 + 2 * max(1 - correlation**2, 0) * stats.t.isf(0.025, n - 2) ** 2 / (n - 2)
    p = float(2 * stats.t.sf(abs(t), n - 2))
    root = sqrt(k + sqrt(k**2 - 1))
    low, high = result.estimate / root, result.estimate * root
    return replace(result, statistic=float(t), p=p, df=n - 2, ci_low=low, ci_high=high)


def permutation(arm: ArrayLike, baseline: ArrayLike) -> Result:
    """Run the permutation test of the log ratio of spreads.

    A side's spread is the root mean square of its deviations from the median. (Deviations from the
    mean would give 12 % false alarms for skewed values at 5 against 5.) All permutations are
    enumerated up to 7 against 7 values; beyond, 3,999 are drawn from a fixed seed. `statistic` is
    the log ratio.
    """
    a, b, result = _begin("permutation", arm, baseline)
    if result.note:
        return result
    a, b = a - np.median(a), b - np.median(b)
    with np.errstate(divide="ignore"):  # a permuted side can be all zeros
        permuted = stats.permutation_test(
            (a, b),
            lambda x, y, axis: np.log((x**2).mean(axis) / (y**2).mean(axis)).round(12) / 2,
            vectorized=True,
            n_resamples=RESAMPLES,
            rng=np.random.default_rng(0),
        )
    # If n is odd, the median is one of the values, so a deviation is zero. Swapping that zero with
    # any value of the other side leaves the ratio as extreme: 5 against 5 cannot go below
    # 12/252 = 0.048.
    sides = ((np.count_nonzero(a == 0), len(b)), (np.count_nonzero(b == 0), len(a)))
    extreme = min(comb(zeros + others, zeros) for zeros, others in sides)
    arrangements = comb(len(a) + len(b), len(a))
    smallest = min(1.0, 2 * extreme / arrangements)
    if arrangements > RESAMPLES:
        smallest = max(smallest, 2 / (RESAMPLES + 1))
    log_ratio, p = float(permuted.statistic), float(permuted.pvalue)
    return replace(result, statistic=log_ratio, p=p, smallest_p=smallest)


def variance_reduction(arm: ArrayLike, baseline: ArrayLike) -> dict[str, float]:
    """Return by how many percent the variance fell, and how likely that is without any effect.

    They are `n`, the number of values in the arm; `variance_reduction_percent`,
    100 (1 - var(arm) / var(baseline)) with ddof 1, negative where the variance grew; and
    `null_probability`, see the function of that name.
    """
    a, b = np.asarray(arm, dtype=float), np.asarray(baseline, dtype=float)
    sd_a, sd_b = _sd(a), _sd(b)
    percent = 100 * (1 - (sd_a / sd_b) ** 2) if sd_b > 0 else nan
    probability = null_probability(percent, len(a), len(b)) if sd_a > 0 else nan
    return {"n": len(a), "variance_reduction_percent": percent, "null_probability": probability}


def null_probability(percent: float, n: int, m: int) -> float:
    """Return P(variance reduction >= percent) if there is no effect, from the F distribution.

    The n values of the arm and the m of the baseline are taken to be normal with equal variances.
    The result is NaN where either has fewer than two values.
    """
    return float(stats.f.cdf(1 - percent / 100, n - 1, m - 1)) if min(n, m) > 1 else nan
