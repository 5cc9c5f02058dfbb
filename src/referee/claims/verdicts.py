"""What scores say of a claim: plain frames in, evidence and a verdict out.

A claim is supported by effects of one region and contradicted by those of another. Evidence holds
the p of each: `p_for` of the hypothesis that the effect is outside of the region that supports the
claim, `p_against` that it is outside of the one that contradicts it. `reproduced` needs the
first below 0.05, `not reproduced` the second; if neither is, the sample could not tell.

Frames are those of `referee.stats.compare.pairs`: dataset, seed, fold, score, score_baseline,
ratio.
Means are tested with the corrected resampled t (Nadeau and Bengio 2003), and over datasets with
the unweighted mean of the datasets' differences; spreads with Pitman-Morgan on a value a fold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import exp, isnan, nan, sqrt
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from referee.stats import paired, spread
from referee.stats.multiplicity import holm
from referee.stats.power import detectable_sd_ratio, detectable_shift
from referee.words import number, p_value

Verdict = Literal[
    "reproduced", "not reproduced", "inconclusive", "not testable here", "inconsistent"
]
LEVEL = 0.05


@dataclass(frozen=True)
class Evidence:
    """What one protocol's cells say of a claim; p and detectable sizes are those of one test.

    `interval` names what [ci_low, ci_high] is. `supported` and `contradicted` put the regions
    in words, `detectable_words` says what size `detectable` is, with `{}` for the number.
    """

    quantity: str
    unit: str
    value: float
    ci_low: float
    ci_high: float
    n: int
    p_for: float
    p_against: float
    supported: str
    contradicted: str
    detectable: float = nan
    detectable_words: str = ""
    family: int = 1
    note: str = ""
    exact: bool = False  # counted, not sampled: there is no p
    numbers: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def verdict(self) -> Verdict:
        """From the two p-values; support counts first."""
        if self.p_for < LEVEL:
            return "reproduced"
        return "not reproduced" if self.p_against < LEVEL else "inconclusive"

    @property
    def power(self) -> str:
        """What a sample of this size finds with 80 % power."""
        if isnan(self.detectable):
            return "counted: no sampling error" if self.exact else ""
        words = self.detectable_words.format(number(self.detectable))
        return f"n = {self.n} would show {words} with 80 % power"

    @property
    def sentence(self) -> str:
        """Why the verdict is what it is, from the numbers."""
        shown = f"{self.quantity} is {self.measured}"
        holm_words = f" after Holm over {self.family}" if self.family > 1 else ""
        supported = f"{self.supported} (p {p_value(self.p_for)}{holm_words})"
        contradicted = f"{self.contradicted} (p {p_value(self.p_against)}{holm_words})"
        if self.exact:
            supported, contradicted = self.supported, self.contradicted
        if self.verdict == "reproduced":
            told = supported
        elif self.verdict == "not reproduced":
            told = contradicted
        elif isnan(self.p_for):
            told = "no test"
        else:
            told = f"shown is neither {supported} nor {contradicted}; {self.power}".rstrip("; ")
        return "; ".join(filter(None, [f"{shown}: {told}", self.note])) + "."

    @property
    def measured(self) -> str:
        """The value and its interval, for people."""
        shown = f"{number(self.value)}{self.unit}"
        if isnan(self.ci_low) or number(self.ci_low) == number(self.ci_high):
            return f"{shown} (n = {self.n})"
        what = "range" if self.exact else "95 %"
        return f"{shown} ({what} {number(self.ci_low)} to {number(self.ci_high)}, n = {self.n})"


@dataclass(frozen=True)
class Mean:
    """An effect known with a standard error: one-sided tests and an interval from Student's t.

    Differences that are all equal give no standard error: none at all is exactly no effect,
    any other shift cannot be tested (NaN).
    """

    estimate: float
    se: float
    df: float
    n: int

    @cached_property
    def _exactly_zero(self) -> bool:
        return self.se == 0 and self.estimate == 0

    def above(self, x: float) -> float:
        """p of the hypothesis that the effect is x or less."""
        if self._exactly_zero:
            return float(not self.estimate > x)
        return float(stats.t.sf((self.estimate - x) / self.se, self.df)) if self.se > 0 else nan

    def below(self, x: float) -> float:
        """p of the hypothesis that the effect is x or more."""
        return replace(self, estimate=-self.estimate).above(-x)

    def ends(self, level: float = 1 - LEVEL) -> tuple[float, float]:
        """Interval of the effect."""
        half = float(stats.t.isf((1 - level) / 2, self.df)) * self.se if self.df > 0 else nan
        return self.estimate - half, self.estimate + half

    def detectable(self, alpha: float, alternative: str, power: float = 0.8) -> float:
        """Smallest effect that is found at the level `alpha`."""
        if not self.se > 0:
            return nan
        return self.se * detectable_shift(
            self.df, alpha=alpha, alternative=alternative, power=power
        )


def mean_over_datasets(parts: pd.DataFrame) -> tuple[Mean, pd.DataFrame]:
    """Mean difference over datasets, and the numbers of each; df by Satterthwaite.

    Args:
        parts: one or more datasets; the effect is score - score_baseline.

    """
    rows = []
    for dataset, own in parts.groupby("dataset", sort=False):
        a, b = own["score"].to_numpy(), own["score_baseline"].to_numpy()
        found = paired.corrected_t(a, b, float(own["ratio"].mean()))
        rows.append(
            {
                "dataset": dataset,
                "n": len(own),
                "mean": a.mean(),
                "baseline": b.mean(),
                "difference": found.estimate,
                "se": found.se if len(own) > 1 else nan,
                "df": found.df,
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


def within(
    parts: pd.DataFrame,
    low: float,
    high: float,
    *,
    quantity: str,
    unit: str = " F1",
    family: int = 1,
) -> Evidence:
    """Equivalence: the mean difference lies between low and high, by two one-sided tests.

    Args:
        parts: see the module; for a single mean, `score_baseline` is 0.
        low: end of the tolerance.
        high: its other end.
        quantity: what the difference is, for people.
        unit: of the difference.
        family: tests that are corrected together, for the detectable size.

    """
    mean, numbers = mean_over_datasets(parts)
    ci_low, ci_high = mean.ends()
    region = f"{number(low)} to {number(high)}{unit}"
    return Evidence(
        quantity=quantity,
        unit=unit,
        value=mean.estimate,
        ci_low=ci_low,
        ci_high=ci_high,
        n=mean.n,
        p_for=float(np.maximum(mean.above(low), mean.below(high))),
        p_against=_either(mean.below(low), mean.above(high)),
        supported=f"within {region}",
        contradicted="outside of it",
        # both one-sided tests must succeed, so each may fail in half of 20 %
        detectable=mean.detectable(LEVEL / family, "greater", 0.9),
        detectable_words=f"equality within ± {{}}{unit}",
        family=family,
        note=_all_equal(mean),
        numbers=numbers,
    )


def rise(
    parts: pd.DataFrame,
    least: float,
    *,
    quantity: str,
    unit: str = " F1",
    effect: str = "difference",
    family: int = 1,
) -> Evidence:
    """Order: the mean difference is above 0 (two-sided test); less than `least` contradicts it."""
    mean, numbers = mean_over_datasets(parts)
    ci_low, ci_high = mean.ends()
    return Evidence(
        quantity=quantity,
        unit=unit,
        value=mean.estimate,
        ci_low=ci_low,
        ci_high=ci_high,
        n=mean.n,
        p_for=_either(mean.above(0.0)),
        p_against=mean.below(least),
        supported="above 0",
        contradicted=f"below {number(least)}{unit}, the least that would count",
        detectable=mean.detectable(LEVEL / family, "two-sided"),
        detectable_words=f"a {effect} of {{}}{unit}",
        family=family,
        note=_all_equal(mean),
        numbers=numbers,
    )


def _either(*p: float) -> float:
    """p of a two-sided test from its one-sided ones."""
    return float(np.minimum(1.0, 2 * np.min(p)))  # both keep NaN, unlike min


def _all_equal(mean: Mean) -> str:
    if mean.n < 2 or isnan(mean.se):
        return paired.too_few(mean.n)
    if mean.se == 0:
        return "the arms are identical" if mean.estimate == 0 else "no spread to test against"
    return ""


@dataclass(frozen=True)
class SpreadRatio:
    """sd(arm) / sd(baseline) of paired values, with the tests of Pitman and Morgan (1939)."""

    arm: np.ndarray
    baseline: np.ndarray

    @cached_property
    def estimate(self) -> float:
        """The ratio, ddof 1."""
        return spread.pitman_morgan(self.arm, self.baseline).estimate

    def above(self, x: float) -> float:
        """p of the hypothesis that the ratio is x or less; NaN where a side has no spread."""
        equal = spread.pitman_morgan(self.arm, self.baseline)
        if equal.note:  # the arms are the same but for a constant, or nothing can be told
            return nan if isnan(equal.p) else float(not x < 1)
        found = spread.pitman_morgan(self.arm, x * self.baseline)
        return float(stats.t.sf(found.statistic, found.df))

    def below(self, x: float) -> float:
        """p of the hypothesis that the ratio is x or more."""
        return SpreadRatio(self.baseline, self.arm).above(1 / x)

    def ends(self) -> tuple[float, float]:
        """95 % interval of the ratio."""
        found = spread.pitman_morgan(self.arm, self.baseline)
        return (1.0, 1.0) if found.note and found.p == 1 else (found.ci_low, found.ci_high)


def _ratio(parts: pd.DataFrame, square: bool) -> tuple[SpreadRatio, pd.DataFrame]:
    """Of one dataset, on a value a fold: its mean over the seeds."""
    folds = parts.groupby("fold")[["score", "score_baseline"]].mean()
    ratio = SpreadRatio(folds["score"].to_numpy(), folds["score_baseline"].to_numpy())
    low, high = ratio.ends()
    power = 2 if square else 1
    numbers = pd.DataFrame(
        {
            "dataset": [parts["dataset"].iloc[0]],
            "folds": [len(folds)],
            "std": [folds["score"].std()],
            "baseline_std": [folds["score_baseline"].std()],
            "variance_ratio" if square else "sd_ratio": [ratio.estimate**power],
            "ci_low": [low**power],
            "ci_high": [high**power],
        }
    )
    return ratio, numbers


def _spread_note(ratio: SpreadRatio) -> str:
    found = spread.pitman_morgan(ratio.arm, ratio.baseline)
    return f"{found.note}: their spread is the same" if found.note and found.p == 1 else found.note


def _spread_ratio(
    parts: pd.DataFrame, quantity: str, family: int
) -> tuple[SpreadRatio, dict[str, Any]]:
    """The ratio of standard deviations, and what every claim about it shows."""
    ratio, numbers = _ratio(parts, square=False)
    ci_low, ci_high = ratio.ends()
    return ratio, {
        "quantity": quantity,
        "unit": "",
        "value": ratio.estimate,
        "ci_low": ci_low,
        "ci_high": ci_high,
        "n": len(ratio.arm),
        "family": family,
        "note": _spread_note(ratio),
        "numbers": numbers,
    }


def spread_falls(parts: pd.DataFrame, least: float, *, quantity: str, family: int = 1) -> Evidence:
    """The spread over the folds of one dataset is smaller (two-sided test).

    A ratio of standard deviations above `least` contradicts it. The detectable size is that of
    the F test, a bound.
    """
    ratio, about = _spread_ratio(parts, quantity, family)
    return Evidence(
        **about,
        p_for=_either(ratio.below(1.0)),
        p_against=ratio.above(least),
        supported="below 1",
        contradicted=f"above {number(least)}, the least fall that would count",
        detectable=1 / detectable_sd_ratio(about["n"], about["n"], alpha=LEVEL / family),
        detectable_words="a ratio of {}",
    )


def spread_stays(parts: pd.DataFrame, bound: float, *, quantity: str, family: int = 1) -> Evidence:
    """The spread does not fall: the ratio of standard deviations is above `bound`, or below it."""
    ratio, about = _spread_ratio(parts, quantity, family)
    return Evidence(
        **about,
        p_for=ratio.above(bound),
        p_against=ratio.below(bound),
        supported=f"above {number(bound)}, the least fall that counts as one",
        contradicted="below it",
        detectable=bound * detectable_sd_ratio(about["n"], about["n"], alpha=2 * LEVEL / family),
        detectable_words=f"a true ratio of {{}} to be above {number(bound)}",
    )


def variance_within(parts: pd.DataFrame, low: float, high: float, *, quantity: str) -> Evidence:
    """The ratio of variances over the folds of one dataset lies between low and high.

    And on their side of 1: data without any change must not pass where the tolerance holds 1.
    Value and interval are given as the reduction in percent, 100 (1 - ratio).
    """
    ratio, numbers = _ratio(parts, square=True)
    n = len(ratio.arm)
    ci_low, ci_high = ratio.ends()
    region = f"{number(_reduction(high))} to {number(_reduction(low))} %"
    falls = low * high < 1
    p_change = ratio.below(1.0) if falls else ratio.above(1.0)
    return Evidence(
        quantity=quantity,
        unit=" %",
        value=_reduction(ratio.estimate**2),
        ci_low=_reduction(ci_high**2),
        ci_high=_reduction(ci_low**2),
        n=n,
        p_for=float(np.max([ratio.above(sqrt(low)), ratio.below(sqrt(high)), p_change])),
        p_against=_either(ratio.below(sqrt(low)), ratio.above(sqrt(high))),
        supported=f"within {region} and {'above' if falls else 'below'} 0",
        contradicted=f"outside of {region}",
        detectable=detectable_sd_ratio(n, n, alpha=2 * LEVEL, power=0.9) ** 2,
        detectable_words="equality of variances within a factor of {}",
        note=_spread_note(ratio),
        numbers=numbers,
    )


def _reduction(variance_ratio: float) -> float:
    return 100 * (1 - variance_ratio)


def weakest(found: Sequence[Evidence]) -> Evidence:
    """Evidence for a claim of several parts, all of which must hold: that of the weakest one.

    Every part must be shown (no correction is needed); one that fails is enough against it, by
    Bonferroni.
    """
    p_for = [e.p_for for e in found]
    one = found[int(np.nanargmax(p_for)) if not np.isnan(p_for).all() else 0]
    against = float(np.minimum(1.0, len(found) * np.min([e.p_against for e in found])))
    if against < LEVEL:
        one = min(found, key=lambda e: e.p_against)
    return replace(
        one,
        quantity=f"{one.quantity}, the weakest of {len(found)},",
        p_for=float(np.max(p_for)),
        p_against=against,
        numbers=pd.concat([e.numbers for e in found], ignore_index=True),
    )


def settle(found: dict[str, Evidence]) -> dict[str, Evidence]:
    """The same evidence with Holm's p within the family: of support, and of contradiction."""
    p_for = holm([e.p_for for e in found.values()])
    p_against = holm([e.p_against for e in found.values()])
    return {
        name: replace(e, p_for=float(a), p_against=float(b), family=len(found))
        for (name, e), a, b in zip(found.items(), p_for, p_against, strict=True)
    }


def counted(
    values: "pd.Series[float]", low: float, high: float, *, quantity: str, unit: str, note: str
) -> Evidence:
    """A number without sampling error: inside of the tolerance in every cell, or not."""
    inside = bool(values.between(low, high).all())
    outside = bool((~values.between(low, high)).all())
    region = f"{number(low)} to {number(high)}{unit}"
    return Evidence(
        quantity=quantity,
        unit=unit,
        value=float(values.mean()),
        ci_low=float(values.min()),
        ci_high=float(values.max()),
        n=len(values),
        p_for=float(not inside),
        p_against=float(not outside),
        supported=f"within {region}",
        contradicted=f"outside of {region}",
        note=note,
        exact=True,
    )


def ratio_of_medians(log_ratios: "pd.Series[float]") -> tuple[float, float, float]:
    """Geometric mean of ratios and its 95 % interval, from one log ratio a pair of timed models.

    Fits of different folds are timed independently, so Student's t needs no correction.
    """
    n = len(log_ratios)
    mean = Mean(float(log_ratios.mean()), float(log_ratios.std()) / sqrt(n), n - 1, n)
    low, high = mean.ends()
    return exp(mean.estimate), exp(low), exp(high)
