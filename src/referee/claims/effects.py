"""Judges of a mean difference, from frames of paired scores.

Frames are those of `referee.stats.compare.pairs`: dataset, seed, fold, score, score_baseline,
ratio. Means are tested with the corrected resampled t (Nadeau and Bengio 2003), and over datasets
with the unweighted mean of the datasets' differences.
"""

from dataclasses import dataclass, replace
from math import exp, isnan, nan, sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from referee.claims.judgement import LEVEL, Judgement
from referee.stats import paired
from referee.stats.power import detectable_shift
from referee.words import number


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
            return float(not self.estimate > x)
        return float(stats.t.sf((self.estimate - x) / self.se, self.df)) if self.se > 0 else nan

    def below(self, x: float) -> float:
        """Return the p-value of the hypothesis that the effect is x or more."""
        return replace(self, estimate=-self.estimate).above(-x)

    def ends(self) -> tuple[float, float]:
        """Return the 95 % interval of the effect."""
        half = float(stats.t.isf((1 - 0.95) / 2, self.df)) * self.se if self.df > 0 else nan
        return self.estimate - half, self.estimate + half

    def detectable(self, alpha: float, alternative: str, power: float = 0.8) -> float:
        """Return the smallest effect that is found at the level `alpha` with the power."""
        if not self.se > 0:
            return nan
        return self.se * detectable_shift(
            self.df, alpha=alpha, alternative=alternative, power=power
        )


def mean_over_datasets(parts: pd.DataFrame) -> tuple[Mean, pd.DataFrame]:
    """Return the mean over datasets of score - score_baseline, and the numbers of each dataset.

    Degrees of freedom are Satterthwaite's.
    """
    rows = []
    for dataset, cells in parts.groupby("dataset", sort=False):
        a, b = cells["score"].to_numpy(), cells["score_baseline"].to_numpy()
        test = paired.corrected_t(a, b, float(cells["ratio"].mean()))
        rows.append(
            {
                "dataset": dataset,
                "n": len(cells),
                "mean": a.mean(),
                "baseline": b.mean(),
                "difference": test.estimate,
                "se": test.se if len(cells) > 1 else nan,
                "df": test.df,
            }
        )
    numbers = pd.DataFrame(rows)
    squares = numbers["se"] ** 2
    se = sqrt(squares.sum(skipna=False)) / len(rows)
    df = float(numbers["df"].sum())
    if se > 0:
        df = float(squares.sum() ** 2 / (squares**2 / numbers["df"]).sum())
    estimate = float(numbers["difference"].mean())
    return Mean(estimate, se, df, int(numbers["n"].sum())), numbers


def within(parts: pd.DataFrame, ends: tuple[float, float], family: int = 1) -> Judgement:
    """Judge equivalence: the mean difference lies between the ends, by two one-sided tests.

    For a single mean, `score_baseline` is 0. `family` tests are corrected together; here it only
    changes the detectable size.
    """
    mean, numbers = mean_over_datasets(parts)
    low, high = ends
    return Judgement(
        **_shown(mean, numbers, family),
        p_for=float(np.maximum(mean.above(low), mean.below(high))),
        p_against=either(mean.below(low), mean.above(high)),
        supported=f"within {number(low)} to {number(high)}",
        contradicted=f"outside of {number(low)} to {number(high)}",
        # Both one-sided tests must succeed, so each may fail in half of 20 %.
        detectable=mean.detectable(LEVEL / family, "greater", 0.9),
        detectable_words="equality within ± {}",
    )


def rise(parts: pd.DataFrame, least: float, family: int = 1) -> Judgement:
    """Judge an order: the mean difference is above 0, by a two-sided test.

    `least` is the smallest rise that counts: less than this contradicts the claim. `family` is as
    in `within`.
    """
    mean, numbers = mean_over_datasets(parts)
    return Judgement(
        **_shown(mean, numbers, family),
        p_for=either(mean.above(0.0)),
        p_against=mean.below(least),
        supported="above 0",
        contradicted=f"below {number(least)}, the smallest value that counts as a rise",
        detectable=mean.detectable(LEVEL / family, "two-sided"),
        detectable_words="a true value of {}",
    )


def _shown(mean: Mean, numbers: pd.DataFrame, family: int) -> dict[str, Any]:
    """What every judgement of a mean shows."""
    low, high = mean.ends()
    shown = {"value": mean.estimate, "ci_low": low, "ci_high": high, "n": mean.n}
    notes = tuple(filter(None, [_untestable(mean)]))
    return {**shown, "family": family, "numbers": numbers, "notes": notes}


def either(*p: float) -> float:
    """Return the p-value of a two-sided test from its one-sided ones."""
    return float(np.minimum(1.0, 2 * np.min(p)))  # both keep NaN, unlike min


def _untestable(mean: Mean) -> str:
    if mean.n < 2 or isnan(mean.se):
        return paired.too_few(mean.n)
    if mean.se == 0 and mean.estimate == 0:
        return "the arms are identical"
    return "there is no spread to test against" if mean.se == 0 else ""


def ratio_of_medians(log_ratios: "pd.Series[float]") -> tuple[float, float, float]:
    """Return the geometric mean of ratios and its 95 % interval.

    `log_ratios` holds one log ratio a pair of timed models. Models of different folds are timed
    independently, so Student's t needs no correction.
    """
    n = len(log_ratios)
    mean = Mean(float(log_ratios.mean()), float(log_ratios.std()) / sqrt(n), n - 1, n)
    low, high = mean.ends()
    return exp(mean.estimate), exp(low), exp(high)
