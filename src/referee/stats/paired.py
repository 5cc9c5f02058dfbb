"""Paired tests: is one arm better than another, or as good?

Scores are paired by dataset, seed and fold. Every test takes `arm` and `baseline`, two (n,) arrays
with the scores of the same cells in the same order, and raises ValueError if they differ in shape
or a score is not finite. The effect is the mean of arm - baseline, in the unit of the score.
`test_train_ratio` is n_test / n_train, which is 1 / (k - 1) for k folds, and NaN where it is not
known; `margin`, of equivalence, is in units of the score; intervals have a level of 95 %;
`alternative` is "two-sided", "greater" or "less"; `family` is the number of tests made together:
`detectable` is at the level 0.05 / family, that of the first step of Holm. If all differences are
equal up to rounding, there is no spread to test against: zero differences give p = 1, a constant
shift gives p = NaN, and `Result.note` says so.
"""

from dataclasses import replace
from math import nan, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import special, stats

from referee.stats.power import detectable_shift, smallest_p_sign_flip
from referee.stats.result import Result

MARGIN = 0.01  # of equivalence, in units of the score
IDENTICAL = "identical scores"
RESAMPLES = 2**16  # all sign flips are enumerated up to n = 16; beyond, this many are drawn


def _differences(arm: ArrayLike, baseline: ArrayLike) -> np.ndarray:
    """Return (n,) arm - baseline; differences that are all equal up to rounding are made equal."""
    a, b = np.asarray(arm, dtype=float), np.asarray(baseline, dtype=float)
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"pairs need two arrays of one length, not {a.shape} and {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise ValueError("a score is not finite")
    d = a - b
    noise = 1e-12 * np.abs([a, b]).max(initial=0)
    if (np.abs(d) <= noise).all():
        return np.zeros_like(d)
    return np.full_like(d, d.mean()) if np.ptp(d) <= noise else d


def too_few(n: int) -> str:
    """Return the note on a sample of fewer than two pairs."""
    return f"{n} {'pair' if n == 1 else 'pairs'}: no spread"


def _mean_and_sd(d: np.ndarray) -> tuple[float, float]:
    """Return the mean and the standard deviation (ddof 1) of (n,) differences."""
    if not len(d) or not np.ptp(d):  # std of equal numbers need not be 0 in floating point
        return (float(d[0]) if len(d) else nan), (0.0 if len(d) > 1 else nan)
    return float(d.mean()), float(d.std(ddof=1))


def paired_t(arm: ArrayLike, baseline: ArrayLike, *, alternative: str = "two-sided") -> Result:
    """Run the paired t test, which treats folds as independent.

    They are not: under cross-validation it rejects far too often (see `corrected_t`).
    """
    return replace(corrected_t(arm, baseline, 0.0, alternative=alternative), test="paired t")


def corrected_t(
    arm: ArrayLike,
    baseline: ArrayLike,
    test_train_ratio: float,
    *,
    alternative: str = "two-sided",
    family: int = 1,
) -> Result:
    """Run the corrected resampled t test: se^2 = s^2 (1/n + n_test/n_train), df = n - 1.

    Nadeau and Bengio (2003), "Inference for the generalization error", Machine Learning 52. For r
    repeats of k-fold cross-validation, n = rk: Bouckaert and Frank (2004), "Evaluating the
    replicability of significance tests for comparing learning algorithms", PAKDD. The training
    sets of different folds overlap, so their scores are correlated; however many repeats are run,
    the second term of the variance stays.
    """
    d = _differences(arm, baseline)
    n, (mean, sd) = len(d), _mean_and_sd(d)
    if n < 2 or np.isnan(test_train_ratio):
        note = "no ratio of test to training clips" if n > 1 else too_few(n)
        return Result("corrected t", n, 1, max(n - 1, 0), alternative, mean, note=note)
    se = sd * sqrt(1 / n + test_train_ratio)
    return t_from(mean, se, n - 1, n=n, alternative=alternative, family=family)


def t_from(
    estimate: float,
    se: float,
    df: float,
    *,
    n: int,
    test: str = "corrected t",
    alternative: str = "two-sided",
    alpha: float = 0.05,
    family: int = 1,
) -> Result:
    """Run the t test of an estimate whose standard error is given.

    `estimate` and `se` are in units of the score, `df` are the degrees of freedom of `se`; `n` and
    `test` go into the result. `alpha` is the level of the test and 1 - alpha that of the interval.
    """
    result = Result(test, n, 1, df, alternative, estimate, se=se, smallest_p=0.0)
    if se == 0:
        same = estimate == 0
        note = IDENTICAL if same else "all differences are equal: no spread to test against"
        p = 1.0 if same else nan
        return replace(result, p=p, ci_low=estimate, ci_high=estimate, note=note)
    t = estimate / se
    shift = detectable_shift(df, alpha=alpha / family, alternative=alternative)
    half = float(stats.t.isf(alpha / 2 if alternative == "two-sided" else alpha, df)) * se
    at_least = stats.t.cdf(t, df) if alternative == "less" else stats.t.sf(t, df)
    p = 2 * stats.t.sf(abs(t), df) if alternative == "two-sided" else at_least
    return replace(
        result,
        statistic=t,
        p=float(p),
        ci_low=-np.inf if alternative == "less" else estimate - half,
        ci_high=np.inf if alternative == "greater" else estimate + half,
        detectable=shift * se,
    )


def tost(
    arm: ArrayLike, baseline: ArrayLike, test_train_ratio: float, *, margin: float = MARGIN
) -> Result:
    """Run the equivalence test: two one-sided corrected t tests (TOST).

    Schuirmann (1987), Journal of Pharmacokinetics and Biopharmaceutics 15. A small p means that
    the mean of arm - baseline lies between -margin and margin. The interval has a level of 90 %, so
    it lies within the margin exactly where p < 0.05. `detectable` is the smallest margin within
    which two equal arms would be found equivalent with a power of 80 %.
    """
    t = corrected_t(arm, baseline, test_train_ratio)
    if np.isnan(t.se):
        return replace(t, test="TOST", alternative="equivalence")
    return tost_from(t.estimate, t.se, t.df, n=t.n, margin=margin)


def tost_from(estimate: float, se: float, df: float, *, n: int, margin: float = MARGIN) -> Result:
    """Run the equivalence test of an estimate whose standard error is given."""
    t = t_from(estimate, se, df, test="TOST", n=n, alpha=0.1)
    result = replace(t, alternative="equivalence", p=nan)
    if se == 0:
        return result
    smaller_t = (margin - abs(estimate)) / se  # of the two one-sided tests
    p = float(stats.t.sf(smaller_t, df))
    # both one-sided tests must succeed: for a power of 80 % each may fail in 10 % of samples
    shift = detectable_shift(df, alternative="greater", power=0.9)
    return replace(result, statistic=smaller_t, p=p, detectable=shift * se)


def posterior(
    arm: ArrayLike, baseline: ArrayLike, test_train_ratio: float, *, margin: float = MARGIN
) -> dict[str, float]:
    """Return the posterior mass below, within and above the margin: Bayesian correlated t test.

    Corani and Benavoli (2015), "A Bayesian approach for comparing cross-validated algorithms on
    multiple data sets", Machine Learning 100; computed with baycomp. `p_below`, `p_within` and
    `p_above` are the probabilities that the mean of arm - baseline lies below -margin, between
    -margin and margin, and above margin. All are NaN where n < 2 or all differences equal one
    number that is not 0; for identical scores `p_within` is 1.
    """
    from baycomp.single import Posterior

    d = _differences(arm, baseline)
    n, (mean, sd) = len(d), _mean_and_sd(d)
    names = ("p_below", "p_within", "p_above")
    if n < 2 or np.isnan(test_train_ratio) or (sd == 0 and mean != 0):
        return dict.fromkeys(names, nan)
    masses = Posterior(mean, sd**2 * (1 / n + test_train_ratio), n - 1, margin).probs()
    return dict(zip(names, map(float, masses), strict=True))


def sign_flip(arm: ArrayLike, baseline: ArrayLike, *, alternative: str = "two-sided") -> Result:
    """Run the permutation test of the mean difference under random signs of the differences.

    All sign flips are enumerated up to n = 16; beyond, 65,536 are drawn from a fixed seed.
    """
    d = _differences(arm, baseline)
    result = _exact("sign flip", d, d, alternative)
    if result.note:
        return result
    permuted = stats.permutation_test(
        (d,),
        lambda x, axis: x.mean(axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        alternative=alternative,
        rng=np.random.default_rng(0),
    )
    return replace(result, statistic=result.estimate, p=float(permuted.pvalue))


def wilcoxon(arm: ArrayLike, baseline: ArrayLike, *, alternative: str = "two-sided") -> Result:
    """Run the signed-rank test (Wilcoxon 1945, Biometrics Bulletin 1).

    Zero differences are dropped, and `n` counts the others. With ties the p-value is that of the
    permutation distribution of the tied ranks.
    """
    d = _differences(arm, baseline)
    nonzero = d[d != 0]
    result = _exact("Wilcoxon", d, nonzero, alternative)
    if result.note:
        return result
    tied = len(np.unique(np.abs(nonzero))) < len(nonzero)
    flips = stats.PermutationMethod(n_resamples=RESAMPLES, rng=np.random.default_rng(0))
    ranked = stats.wilcoxon(nonzero, alternative=alternative, method=flips if tied else "exact")
    return replace(result, statistic=float(ranked.statistic), p=float(ranked.pvalue))


def _exact(test: str, d: np.ndarray, flipped: np.ndarray, alternative: str) -> Result:
    """Return the result without its p, and with a note where no p can be computed."""
    n, identical = len(flipped), len(d) > 1 and not d.any()
    smallest = smallest_p_sign_flip(n, alternative)
    if n > 16:
        smallest = max(smallest, 2 / (RESAMPLES + 1))
    p, note = (1.0, IDENTICAL) if identical else (nan, too_few(n) if n < 2 else "")
    mean = _mean_and_sd(d)[0]
    return Result(test, n, 0, nan, alternative, mean, p=p, smallest_p=smallest, note=note)


def effect_size(arm: ArrayLike, baseline: ArrayLike) -> dict[str, float]:
    """Return the mean difference and its standardised forms.

    They are `n`, the number of pairs; `mean_difference`, in units of the score, whose interval
    `corrected_t` gives; `d_z`, Cohen's mean / SD of the differences (ddof 1); and `hedges_g`, d_z
    without its small-sample bias (Hedges 1981, Journal of Educational Statistics 6), NaN below
    three pairs.
    """
    d = _differences(arm, baseline)
    n, (mean, sd) = len(d), _mean_and_sd(d)
    d_z = mean / sd if sd > 0 else nan
    half = max(n - 1, 1) / 2
    unbias = float(np.exp(special.gammaln(half) - special.gammaln(half - 0.5)) / sqrt(half))
    return {"n": n, "mean_difference": mean, "d_z": d_z, "hedges_g": d_z * unbias if n > 2 else nan}
