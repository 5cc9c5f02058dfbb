"""Is A better than B, or the same: tests on scores that are paired by dataset, seed and fold.

All take `arm` and `baseline`, (n,) scores of the same cells in the same order; the effect is
arm - baseline, in units of the score. Differences that are all equal up to rounding have no
spread to test against: an identity map gives p = 1, a constant shift p = NaN, each with a note.
"""

from dataclasses import replace
from math import nan, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from referee.stats.power import detectable_shift, smallest_p_sign_flip
from referee.stats.result import Result

Floats = NDArray[np.float64]

MARGIN = 0.01  # of F1, the default region of equivalence
IDENTICAL = "identical scores"
RESAMPLES = 2**16  # sign flips are counted out up to n = 16, drawn beyond


def as_pairs(arm: ArrayLike, baseline: ArrayLike) -> tuple[Floats, Floats]:
    """Both as float arrays.

    Raises:
        ValueError: not one-dimensional, of different length, or not finite.

    """
    a, b = np.asarray(arm, dtype=float), np.asarray(baseline, dtype=float)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"pairs need two arrays of one length, not {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a score is not finite")
    return a, b


def differences(arm: ArrayLike, baseline: ArrayLike) -> Floats:
    """(n,) arm - baseline, without the rounding noise of differences that are all equal."""
    a, b = as_pairs(arm, baseline)
    d = a - b
    if not len(d):
        return d
    noise = 1e-12 * max(np.abs(a).max(), np.abs(b).max())
    if np.abs(d).max() <= noise:
        return np.zeros_like(d)
    return np.full_like(d, d.mean()) if np.ptp(d) <= noise else d


def too_few(n: int) -> str:
    """The note of a sample without spread."""
    return f"{n} {'pair' if n == 1 else 'pairs'}: no spread"


def _mean_and_sd(d: Floats) -> tuple[float, float]:
    if not len(d) or not np.ptp(d):  # std of equal numbers need not be 0 in floating point
        return (float(d[0]) if len(d) else nan), (0.0 if len(d) > 1 else nan)
    return float(d.mean()), float(d.std(ddof=1))


def paired_t(
    arm: ArrayLike,
    baseline: ArrayLike,
    *,
    alternative: str = "two-sided",
    alpha: float = 0.05,
    family: int = 1,
) -> Result:
    """Paired t test, which takes folds for independent: they are not, see `corrected_t`."""
    return _t("paired t", arm, baseline, 0.0, alternative, alpha, family)


def corrected_t(
    arm: ArrayLike,
    baseline: ArrayLike,
    test_train_ratio: float,
    *,
    alternative: str = "two-sided",
    alpha: float = 0.05,
    family: int = 1,
) -> Result:
    """Corrected resampled t test: se^2 = s^2 (1/n + n_test/n_train), df = n - 1.

    Nadeau and Bengio (2003), "Inference for the generalization error", Machine Learning 52; for
    r repeats of k folds, n = rk: Bouckaert and Frank (2004), PAKDD. Training sets of folds
    overlap, so their scores are correlated; repeats never remove the second term.

    Args:
        arm: (n,) scores.
        baseline: (n,) scores of the same cells.
        test_train_ratio: n_test / n_train; 1 / (k - 1) for k folds.
        alternative: of arm - baseline: "two-sided", "greater" or "less".
        alpha: level of the interval and of `detectable`.
        family: number of tests; `detectable` is for the first step of Holm, alpha / family.

    """
    return _t("corrected t", arm, baseline, test_train_ratio, alternative, alpha, family)


def _t(
    test: str,
    arm: ArrayLike,
    baseline: ArrayLike,
    ratio: float,
    alternative: str,
    alpha: float,
    family: int,
) -> Result:
    d = differences(arm, baseline)
    n, (mean, sd) = len(d), _mean_and_sd(d)
    if n < 2 or np.isnan(ratio):
        note = "no ratio of test to training clips" if n > 1 else too_few(n)
        return Result(test, n, 1, max(n - 1, 0), alternative, mean, note=note)
    se = sd * sqrt(1 / n + ratio)
    about: dict[str, Any] = {"alternative": alternative, "alpha": alpha, "family": family}
    return t_from(mean, se, n - 1, test=test, n=n, **about)


def t_from(
    estimate: float,
    se: float,
    df: float,
    *,
    test: str,
    n: int,
    alternative: str = "two-sided",
    alpha: float = 0.05,
    family: int = 1,
) -> Result:
    """The t test of a mean that is known with a standard error."""
    result = Result(test, n, 1, df, alternative, estimate, se=se, smallest_p=0.0)
    if se == 0:
        same = estimate == 0
        note = IDENTICAL if same else "all differences are equal: no spread to test against"
        p = 1.0 if same else nan
        return replace(result, p=p, ci_low=estimate, ci_high=estimate, note=note)
    t = estimate / se
    shift = detectable_shift(df, alpha=alpha / family, alternative=alternative)
    half = float(stats.t.isf(alpha / 2 if alternative == "two-sided" else alpha, df)) * se
    p = {
        "two-sided": 2 * stats.t.sf(abs(t), df),
        "greater": stats.t.sf(t, df),
        "less": stats.t.cdf(t, df),
    }[alternative]
    return replace(
        result,
        statistic=t,
        p=float(p),
        ci_low=-np.inf if alternative == "less" else estimate - half,
        ci_high=np.inf if alternative == "greater" else estimate + half,
        detectable=shift * se,
    )


def tost(
    arm: ArrayLike,
    baseline: ArrayLike,
    test_train_ratio: float,
    *,
    margin: float = MARGIN,
    alpha: float = 0.05,
) -> Result:
    """Two one-sided corrected t tests: p small means |arm - baseline| < margin (Schuirmann 1987).

    The interval is that of level 1 - 2 alpha, which lies inside the margin where p < alpha.
    `detectable` is the smallest margin in which equal arms would be found equivalent.
    """
    d = differences(arm, baseline)
    n, (mean, sd) = len(d), _mean_and_sd(d)
    if n < 2 or np.isnan(test_train_ratio):
        return Result("TOST", n, 1, max(n - 1, 0), "equivalence", mean, note=too_few(n))
    se = sd * sqrt(1 / n + test_train_ratio)
    return tost_from(mean, se, n - 1, n=n, margin=margin, alpha=alpha)


def tost_from(
    estimate: float, se: float, df: float, *, n: int, margin: float = MARGIN, alpha: float = 0.05
) -> Result:
    """TOST of a mean that is known with a standard error."""
    result = t_from(estimate, se, df, test="TOST", n=n, alpha=2 * alpha)
    if se == 0:
        return replace(result, alternative="equivalence", p=nan)
    nearest = (margin - abs(estimate)) / se  # the worse of the two one-sided statistics
    p = float(stats.t.sf(nearest, df))
    # both one-sided tests must succeed, so each may fail in half of 20 %
    shift = detectable_shift(df, alpha=alpha, alternative="greater", power=0.9)
    changed: dict[str, Any] = {"statistic": nearest, "p": p, "detectable": shift * se}
    return replace(result, alternative="equivalence", **changed)


def posterior(
    arm: ArrayLike, baseline: ArrayLike, test_train_ratio: float, *, margin: float = MARGIN
) -> dict[str, float]:
    """Bayesian correlated t test: posterior mass of arm - baseline against the margin.

    Corani and Benavoli (2015), Machine Learning 100; computed by baycomp.

    Returns:
        p_below, p_within, p_above: mass left of, inside and right of the margin; NaN without
            a spread, but all inside for identical scores.

    """
    from baycomp.single import Posterior

    d = differences(arm, baseline)
    n, (mean, sd) = len(d), _mean_and_sd(d)
    names = ("p_below", "p_within", "p_above")
    if n < 2 or np.isnan(test_train_ratio) or (sd == 0 and mean != 0):
        return dict.fromkeys(names, nan)
    masses = Posterior(mean, sd**2 * (1 / n + test_train_ratio), n - 1, margin).probs()
    return {name: float(mass) for name, mass in zip(names, masses, strict=True)}


def sign_flip(arm: ArrayLike, baseline: ArrayLike, *, alternative: str = "two-sided") -> Result:
    """Permutation test of the mean difference: every sign of a difference could be the other.

    Counted out up to n = 16; beyond, 65,536 flips from a fixed seed.
    """
    d = differences(arm, baseline)
    result = _exact("sign flip", d, d, alternative)
    if result.note:
        return result
    found = stats.permutation_test(
        (d,),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        alternative=alternative,
        rng=np.random.default_rng(0),
    )
    return replace(result, statistic=result.estimate, p=float(found.pvalue))


def wilcoxon(arm: ArrayLike, baseline: ArrayLike, *, alternative: str = "two-sided") -> Result:
    """Signed-rank test (Wilcoxon 1945); zeros are dropped, ties get their own exact distribution.

    `n` counts the differences that are not zero.
    """
    d = differences(arm, baseline)
    kept = d[d != 0]
    result = _exact("Wilcoxon", d, kept, alternative)
    if result.note:
        return result
    tied = len(np.unique(np.abs(kept))) < len(kept)
    flips = stats.PermutationMethod(n_resamples=RESAMPLES, rng=np.random.default_rng(0))
    found = stats.wilcoxon(kept, alternative=alternative, method=flips if tied else "exact")
    statistic, p = float(found.statistic), float(found.pvalue)
    return replace(result, statistic=statistic, p=p)


def _exact(test: str, d: Floats, flipped: Floats, alternative: str) -> Result:
    """The test without its p; with a note where there are not two differences to flip."""
    n = len(flipped)
    identical = len(d) > 1 and not d.any()
    smallest = smallest_p_sign_flip(n, alternative)
    return Result(
        test=test,
        n=n,
        ddof=0,
        df=nan,
        alternative=alternative,
        estimate=_mean_and_sd(d)[0],
        p=1.0 if identical else nan,
        smallest_p=max(smallest, 2 / (RESAMPLES + 1)) if n > 16 else smallest,
        note=IDENTICAL if identical else too_few(n) if n < 2 else "",
    )


def effect_size(arm: ArrayLike, baseline: ArrayLike) -> dict[str, float]:
    """Mean difference, Cohen's d_z = mean / sd (ddof 1), and Hedges' g_z, d_z without its bias.

    The interval of the mean difference is that of `corrected_t`.
    """
    d = differences(arm, baseline)
    n, (mean, sd) = len(d), _mean_and_sd(d)
    d_z = mean / sd if sd > 0 else nan
    half = max(n - 1, 1) / 2
    unbias = float(np.exp(special.gammaln(half) - special.gammaln(half - 0.5)) / sqrt(half))
    return {"n": n, "mean_difference": mean, "d_z": d_z, "hedges_g": d_z * unbias if n > 2 else nan}
