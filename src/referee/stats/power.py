"""What a sample of this size can show at all."""

from functools import cache
from math import comb, sqrt

from scipy import stats
from scipy.optimize import brentq

POWER = 0.8


def t_power(
    shift: float, df: float, *, alpha: float = 0.05, alternative: str = "two-sided"
) -> float:
    """Power of a t test, from the noncentral t.

    Args:
        shift: noncentrality, the true effect in standard errors of its estimate.
        df: degrees of freedom.
        alpha: level; divide by the size of the family for Bonferroni, or the first step of Holm.
        alternative: "two-sided", or anything else for one side, that of the effect.

    """
    if alternative != "two-sided":
        return float(stats.nct.sf(stats.t.isf(alpha, df), df, shift))
    limit = stats.t.isf(alpha / 2, df)
    return float(stats.nct.sf(limit, df, shift) + stats.nct.sf(limit, df, -shift))


@cache
def detectable_shift(
    df: float, *, alpha: float = 0.05, alternative: str = "two-sided", power: float = POWER
) -> float:
    """Smallest effect, in standard errors, that a t test finds with the power; NaN at df 0."""
    if not df > 0:
        return float("nan")
    limit = stats.t.isf(alpha / 2 if alternative == "two-sided" else alpha, df)

    def lacking(shift: float) -> float:
        return t_power(shift, df, alpha=alpha, alternative=alternative) - power

    return float(brentq(lacking, 0.0, 20 * limit + 20, xtol=1e-10))


def detectable_t(
    n: int,
    *,
    test_train_ratio: float = 0.0,
    alpha: float = 0.05,
    alternative: str = "two-sided",
    power: float = POWER,
) -> float:
    """Smallest effect of n pairs, in standard deviations of the differences.

    Args:
        n: pairs.
        test_train_ratio: 0 for the plain t test, n_test / n_train for the corrected one.
        alpha: level of one test.
        alternative: as in `t_power`.
        power: that it must have.

    """
    shift = detectable_shift(n - 1, alpha=alpha, alternative=alternative, power=power)
    return shift * sqrt(1 / n + test_train_ratio) if n else float("nan")


def f_power(sd_ratio: float, n: int, m: int, *, alpha: float = 0.05) -> float:
    """Power of the two-sided F test for a true ratio of standard deviations, n values against m."""
    low, high = stats.f.ppf([alpha / 2, 1 - alpha / 2], n - 1, m - 1) / sd_ratio**2
    return float(stats.f.cdf(low, n - 1, m - 1) + stats.f.sf(high, n - 1, m - 1))


@cache
def detectable_sd_ratio(n: int, m: int, *, alpha: float = 0.05, power: float = POWER) -> float:
    """Smallest true ratio above 1 that the F test finds; a bound for the robuster tests."""
    if min(n, m) < 2:
        return float("nan")
    guess = sqrt(stats.f.isf(alpha / 2, n - 1, m - 1) / stats.f.isf(power, n - 1, m - 1))
    return float(brentq(lambda r: f_power(r, n, m, alpha=alpha) - power, 1.0, 2 * guess))


def smallest_p_sign_flip(n: int, alternative: str = "two-sided") -> float:
    """Smallest p of the sign-flip and the Wilcoxon signed-rank test: all n signs agree."""
    return min(1.0, (2 if alternative == "two-sided" else 1) / 2**n)


def smallest_p_permutation(n: int, m: int, extreme: int = 1) -> float:
    """Smallest two-sided p of a permutation test of n against m values.

    Args:
        n: values of one side.
        m: values of the other.
        extreme: arrangements that are never less extreme than the best imaginable data.

    """
    return min(1.0, 2 * extreme / comb(n + m, n))
