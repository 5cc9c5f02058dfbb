"""Judges of the spread over folds, from frames of paired scores of one dataset.

Frames are those of `referee.stats.compare.pairs`. Spreads are compared with the test of Pitman and
Morgan (1939) on a value a fold, its mean over the seeds.
"""

from dataclasses import dataclass
from functools import cached_property
from math import nan, sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from referee.claims.effects import either
from referee.claims.judgement import LEVEL, Judgement
from referee.stats import spread
from referee.stats.power import detectable_sd_ratio
from referee.stats.result import Result
from referee.words import number


@dataclass(frozen=True)
class SpreadRatio:
    """sd(arm) / sd(baseline) of paired values, with the tests of Pitman and Morgan."""

    arm: np.ndarray
    baseline: np.ndarray

    @cached_property
    def test(self) -> Result:
        """The test of equal spreads: `estimate` is the ratio, ddof 1."""
        return spread.pitman_morgan(self.arm, self.baseline)

    def above(self, x: float) -> float:
        """Return the p of the hypothesis that the ratio is x or less; NaN without any spread."""
        if self.test.note:  # the arms are the same but for a constant, or nothing can be told
            return nan if np.isnan(self.test.p) else float(not x < 1)
        scaled = spread.pitman_morgan(self.arm, x * self.baseline)
        return float(stats.t.sf(scaled.statistic, scaled.df))

    def below(self, x: float) -> float:
        """Return the p of the hypothesis that the ratio is x or more."""
        return SpreadRatio(self.baseline, self.arm).above(1 / x)

    @property
    def _equal(self) -> bool:
        return bool(self.test.note and self.test.p == 1)

    def ends(self) -> tuple[float, float]:
        """Return the 95 % interval of the ratio."""
        return (1.0, 1.0) if self._equal else (self.test.ci_low, self.test.ci_high)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is special about the values, if anything."""
        same = (f"{self.test.note}: their spread is the same",)
        return same if self._equal else tuple(filter(None, [self.test.note]))


def _ratio(parts: pd.DataFrame, power: int) -> tuple[SpreadRatio, dict[str, Any]]:
    """The ratio of standard deviations, and what every judgement of it shows.

    The numbers hold the ratio raised to the power: 2 for variances.
    """
    folds = parts.groupby("fold")[["score", "score_baseline"]].mean()
    ratio = SpreadRatio(folds["score"].to_numpy(), folds["score_baseline"].to_numpy())
    low, high = ratio.ends()
    numbers = pd.DataFrame(
        {
            "dataset": [parts["dataset"].iloc[0]],
            "folds": [len(folds)],
            "std": [folds["score"].std()],
            "baseline_std": [folds["score_baseline"].std()],
            "variance_ratio" if power == 2 else "sd_ratio": [ratio.test.estimate**power],
            "ci_low": [low**power],
            "ci_high": [high**power],
        }
    )
    shown = {"value": ratio.test.estimate, "ci_low": low, "ci_high": high, "n": len(folds)}
    return ratio, {**shown, "notes": ratio.notes, "numbers": numbers}


def spread_falls(parts: pd.DataFrame, least: float, family: int = 1) -> Judgement:
    """Judge whether the spread over the folds of a dataset is smaller than the baseline's.

    A ratio of standard deviations above `least` contradicts it. `family` tests are corrected
    together; it only changes the detectable size, which is that of the F test, a bound.
    """
    ratio, shown = _ratio(parts, power=1)
    n = shown["n"]
    return Judgement(
        **shown,
        p_for=either(ratio.below(1.0)),
        p_against=ratio.above(least),
        supported="below 1",
        contradicted=f"above {number(least)}, the largest ratio that counts as a fall",
        detectable=1 / detectable_sd_ratio(n, n, alpha=LEVEL / family),
        detectable_words="a true ratio of {}",
        family=family,
    )


def spread_stays(parts: pd.DataFrame, bound: float, family: int = 1) -> Judgement:
    """Judge whether the spread over the folds of a dataset does not fall.

    A ratio of standard deviations above `bound` supports it, one below contradicts it. `family`
    is as in `spread_falls`.
    """
    ratio, shown = _ratio(parts, power=1)
    n, words = shown["n"], f"{number(bound)}, the largest ratio that counts as a fall"
    return Judgement(
        **shown,
        p_for=ratio.above(bound),
        p_against=ratio.below(bound),
        supported=f"above {words}",
        contradicted=f"below {words}",
        detectable=bound * detectable_sd_ratio(n, n, alpha=2 * LEVEL / family),
        detectable_words=f"a true ratio of {{}} to be above {number(bound)}",
        family=family,
    )


def variance_within(parts: pd.DataFrame, ends: tuple[float, float]) -> Judgement:
    """Judge whether the ratio of variances over the folds of a dataset lies between the ends.

    It must also lie on their side of 1: data without any change must not pass where the tolerance
    holds 1. Value and interval are given as the reduction in percent, 100 (1 - ratio).
    """
    ratio, shown = _ratio(parts, power=2)
    n, (low, high) = shown["n"], ends
    value, most, least = (_percent(shown[name] ** 2) for name in ("value", "ci_low", "ci_high"))
    region = f"{number(_percent(high))} % to {number(_percent(low))} %"
    falls = low * high < 1
    p_change = ratio.below(1.0) if falls else ratio.above(1.0)
    return Judgement(
        **{**shown, "value": value, "ci_low": least, "ci_high": most},
        unit=" %",
        p_for=float(np.max([ratio.above(sqrt(low)), ratio.below(sqrt(high)), p_change])),
        p_against=either(ratio.below(sqrt(low)), ratio.above(sqrt(high))),
        supported=f"within {region} and {'above' if falls else 'below'} 0",
        contradicted=f"outside of {region}",
        detectable=detectable_sd_ratio(n, n, alpha=2 * LEVEL, power=0.9) ** 2,
        detectable_words="equality of variances within a factor of {}",
    )


def _percent(variance_ratio: float) -> float:
    return 100 * (1 - variance_ratio)
