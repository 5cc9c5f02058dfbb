"""Judges of paired scores: of a mean difference, and of the spread over folds of one dataset.

They take frames of `referee.stats.compare.pairs`. Means are tested with the corrected resampled t
(Nadeau and Bengio 2003), over datasets with the unweighted mean of their differences; spreads with
Pitman and Morgan (1939) on each fold's mean over the seeds. Their detectable sizes are those of
the F test, a bound.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import isnan, nan, sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from referee.claims.judgement import Judgement
from referee.stats import paired, spread
from referee.stats.power import detectable_sd_ratio, detectable_shift
from referee.stats.result import Result
from referee.words import number

Tail = Callable[[float], float]  # p of a one-sided test against a value


@dataclass(frozen=True)
class Mean:
    """An effect known with a standard error: one-sided tests and an interval from Student's t.

    Differences that are all equal give no standard error: where they are all 0 there is exactly
    no effect, any other shift cannot be tested (NaN).
    """

    estimate: float
    se: float
    df: float
    n: int

    def above(self, x: float) -> float:
        """Return the p-value of the hypothesis that the effect is x or less."""
        if self.se == 0 and self.estimate == 0:
            return float(x >= 0)
        return float(stats.t.sf((self.estimate - x) / self.se, self.df)) if self.se > 0 else nan

    def below(self, x: float) -> float:
        """Return the p-value of the hypothesis that the effect is x or more."""
        return replace(self, estimate=-self.estimate).above(-x)

    def ends(self) -> tuple[float, float]:
        """Return the 95 % interval of the effect."""
        half = float(stats.t.isf((1 - 0.95) / 2, self.df)) * self.se if self.df > 0 else nan
        return self.estimate - half, self.estimate + half

    def detectable(self, **test: Any) -> float:
        """Return the smallest effect that a test finds, as in `power.detectable_shift`."""
        return self.se * detectable_shift(self.df, **test) if self.se > 0 else nan


def mean_over_datasets(parts: pd.DataFrame) -> tuple[Mean, pd.DataFrame]:
    """Return the mean over datasets of score - score_baseline, and the numbers of each dataset.

    Degrees of freedom are Satterthwaite's.
    """
    rows = []
    for dataset, cells in parts.groupby("dataset", sort=False):
        a, b = cells["score"].to_numpy(), cells["score_baseline"].to_numpy()
        test = paired.corrected_t(a, b, float(cells["ratio"].mean()))
        row = {"dataset": dataset, "n": len(cells), "mean": a.mean(), "baseline": b.mean()}
        rows.append(row | {"difference": test.estimate, "se": test.se, "df": test.df})
    numbers = pd.DataFrame(rows)
    squares, df = numbers["se"] ** 2, float(numbers["df"].sum())
    se = sqrt(squares.sum(skipna=False)) / len(rows)
    if se > 0:
        df = float(squares.sum() ** 2 / (squares**2 / numbers["df"]).sum())
    return Mean(float(numbers["difference"].mean()), se, df, int(numbers["n"].sum())), numbers


def within(parts: pd.DataFrame, ends: tuple[float, float]) -> Judgement:
    """Judge if the mean difference lies between the ends, by two one-sided tests."""
    mean, shown = _mean(parts)
    low, high = ends
    return Judgement(
        **shown,
        p_for=float(np.maximum(mean.above(low), mean.below(high))),
        p_against=either(mean.below(low), mean.above(high)),
        supported=f"within {number(low)} to {number(high)}",
        contradicted=f"outside of {number(low)} to {number(high)}",
        # Both one-sided tests must succeed, so each may fail in half of 20 %.
        detects=lambda level: mean.detectable(alpha=level, alternative="greater", power=0.9),
        detectable_words="equality within ± {}",
    )


def rise(parts: pd.DataFrame, least: float) -> Judgement:
    """Judge by a two-sided test if the mean difference is above 0; below `least` contradicts it."""
    mean, shown = _mean(parts)
    return Judgement(
        **shown,
        p_for=either(mean.above(0.0)),
        p_against=mean.below(least),
        supported="above 0",
        contradicted=f"below {number(least)}, the smallest value that counts as a rise",
        detects=lambda level: mean.detectable(alpha=level),
        detectable_words="a true value of {}",
    )


def _mean(parts: pd.DataFrame) -> tuple[Mean, dict[str, Any]]:
    """The mean over datasets, and what every judgement of it shows."""
    mean, numbers = mean_over_datasets(parts)
    low, high = mean.ends()
    note = paired.too_few(mean.n) if mean.n < 2 or isnan(mean.se) else ""
    if mean.se == 0:
        note = "there is no spread to test against" if mean.estimate else "the arms are identical"
    shown = {"value": mean.estimate, "ci_low": low, "ci_high": high, "n": mean.n}
    return mean, shown | {"numbers": numbers, "notes": (note,) if note else ()}


def either(*p: float) -> float:
    """Return the p-value of a two-sided test from its one-sided ones."""
    return float(np.minimum(1.0, 2 * np.min(p)))  # both keep NaN, unlike min


def _above(arm: np.ndarray, baseline: np.ndarray, x: float) -> float:
    """The p of the hypothesis that sd(arm) / sd(baseline) is x or less; NaN without any spread."""
    if _same(spread.pitman_morgan(arm, baseline)):
        return float(x >= 1)
    scaled = spread.pitman_morgan(arm, x * baseline)
    return float(stats.t.sf(scaled.statistic, scaled.df))


def _same(test: Result) -> bool:
    """Whether the arms are the same but for a constant."""
    return bool(test.note and test.p == 1)


def _ratio(parts: pd.DataFrame, power: int = 1) -> tuple[Tail, Tail, dict[str, Any]]:
    """The tests that the ratio of standard deviations is above and below, and what is shown of it.

    The numbers hold the ratio raised to the power: 2 for variances.
    """
    folds = parts.groupby("fold")[["score", "score_baseline"]].mean()
    arm, baseline = folds["score"].to_numpy(), folds["score_baseline"].to_numpy()
    test = spread.pitman_morgan(arm, baseline)
    low, high, note = test.ci_low, test.ci_high, test.note
    if _same(test):
        low, high, note = 1.0, 1.0, f"{note}: their spread is the same"
    ratio = "variance_ratio" if power == 2 else "sd_ratio"
    numbers = {"dataset": parts["dataset"].iloc[0], "folds": len(folds)}
    numbers |= {"std": folds["score"].std(), "baseline_std": folds["score_baseline"].std()}
    numbers |= {ratio: test.estimate**power, "ci_low": low**power, "ci_high": high**power}
    shown = {"value": test.estimate, "ci_low": low, "ci_high": high, "n": len(folds)}
    more = {"numbers": pd.DataFrame([numbers]), "notes": (note,) if note else ()}
    below = partial(_above, baseline, arm)
    return partial(_above, arm, baseline), lambda x: below(1 / x), shown | more


def spread_falls(parts: pd.DataFrame, least: float) -> Judgement:
    """Judge if the spread over a dataset's folds falls; a ratio above `least` contradicts it."""
    above, below, shown = _ratio(parts)
    return Judgement(
        **shown,
        p_for=either(below(1.0)),
        p_against=above(least),
        supported="below 1",
        contradicted=f"above {number(least)}, the largest ratio that counts as a fall",
        detects=lambda level: 1 / detectable_sd_ratio(shown["n"], shown["n"], alpha=level),
        detectable_words="a true ratio of {}",
    )


def spread_stays(parts: pd.DataFrame, bound: float) -> Judgement:
    """Judge if a dataset's spread over folds does not fall: if its ratio is above `bound`."""
    above, below, shown = _ratio(parts)
    n, words = shown["n"], f"{number(bound)}, the largest ratio that counts as a fall"
    return Judgement(
        **shown,
        p_for=above(bound),
        p_against=below(bound),
        supported=f"above {words}",
        contradicted=f"below {words}",
        detects=lambda level: bound * detectable_sd_ratio(n, n, alpha=2 * level),
        detectable_words=f"a true ratio of {{}} to be above {number(bound)}",
    )


def variance_within(parts: pd.DataFrame, ends: tuple[float, float]) -> Judgement:
    """Judge whether the ratio of variances over the folds of a dataset lies between the ends.

    It must also lie on their side of 1: data without any change must not pass where the tolerance
    holds 1. Value and interval are given as the reduction in percent, 100 (1 - ratio).
    """
    above, below, shown = _ratio(parts, power=2)
    n, (low, high) = shown["n"], ends
    value, most, least = (100 * (1 - shown[name] ** 2) for name in ("value", "ci_low", "ci_high"))
    shown |= {"value": value, "ci_low": least, "ci_high": most}
    region = f"{number(100 * (1 - high))} % to {number(100 * (1 - low))} %"
    falls = low * high < 1
    p_change = below(1.0) if falls else above(1.0)
    return Judgement(
        **shown,
        unit=" %",
        p_for=float(np.max([above(sqrt(low)), below(sqrt(high)), p_change])),
        p_against=either(below(sqrt(low)), above(sqrt(high))),
        supported=f"within {region} and {'above' if falls else 'below'} 0",
        contradicted=f"outside of {region}",
        detects=lambda level: detectable_sd_ratio(n, n, alpha=2 * level, power=0.9) ** 2,
        detectable_words="equality of variances within a factor of {}",
    )
