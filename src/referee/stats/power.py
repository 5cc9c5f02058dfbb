"""Power: which effects a sample of a given size can detect, and how small its p-values can be.

`alpha` is the level of the test: for Bonferroni or the first step of Holm, the level divided by the
number of tests. Any `alternative` but "two-sided" means one-sided in the direction of the effect.
`df` are degrees of freedom; `power` is the probability with which the test must detect the effect.
"""

from functools import cache
from math import nan, sqrt

from scipy import stats
from scipy.optimize import brentq

POWER = 0.8


def t_power(
    shift: float, df: float, *, alpha: float = 0.05, alternative: str = "two-sided"
) -> float:
    """Return the power of a t test, from the noncentral t distribution.

    `shift`, the noncentrality, is the true effect in standard errors of its estimate.
    """
    if alternative != "two-sided":
        return float(stats.nct.sf(stats.t.isf(alpha, df), df, shift))
    limit = stats.t.isf(alpha / 2, df)
    return float(stats.nct.sf(limit, df, shift) + stats.nct.sf(limit, df, -shift))


@cache
def detectable_shift(
    df: float, *, alpha: float = 0.05, alternative: str = "two-sided", power: float = POWER
) -> float:
    """Return the smallest effect, in standard errors, that a t test detects; NaN without df."""
    if not df > 0:
        return nan
    limit = stats.t.isf(alpha / 2 if alternative == "two-sided" else alpha, df)

    def excess(shift: float) -> float:
        return t_power(shift, df, alpha=alpha, alternative=alternative) - power

    return float(brentq(excess, 0.0, 20 * limit + 20, xtol=1e-10))


def detectable_t(
    n: int, *, test_train_ratio: float = 0.0, alpha: float = 0.05, alternative: str = "two-sided"
) -> float:
    """Return the smallest mean that a t test of n pairs detects, in SDs of the differences.

    `test_train_ratio` is 0 for the plain t test, n_test / n_train for the corrected one.
    """
    shift = detectable_shift(n - 1, alpha=alpha, alternative=alternative)
    return shift * sqrt(1 / n + test_train_ratio) if n else nan


def f_power(sd_ratio: float, n: int, m: int, *, alpha: float = 0.05) -> float:
    """Return the power of the two-sided F test of equal variances.

    `sd_ratio` is the true ratio of standard deviations, of n values to m values.
    """
    low, high = stats.f.ppf([alpha / 2, 1 - alpha / 2], n - 1, m - 1) / sd_ratio**2
    return float(stats.f.cdf(low, n - 1, m - 1) + stats.f.sf(high, n - 1, m - 1))


@cache
def detectable_sd_ratio(n: int, m: int, *, alpha: float = 0.05, power: float = POWER) -> float:
    """Return the smallest true SD ratio above 1 that the F test of n against m values detects.

    It is a lower bound for the more robust tests, which need a larger ratio, and NaN where either
    sample has fewer than two values.
    """
    if min(n, m) < 2:
        return nan
    guess = sqrt(stats.f.isf(alpha / 2, n - 1, m - 1) / stats.f.isf(power, n - 1, m - 1))
    return float(brentq(lambda r: f_power(r, n, m, alpha=alpha) - power, 1.0, 2 * guess))


def smallest_p_sign_flip(n: int, alternative: str = "two-sided") -> float:
    """Return the smallest p of a sign-flip or signed-rank test: all n differences agree in sign."""
    return min(1.0, (2 if alternative == "two-sided" else 1) / 2**n)
