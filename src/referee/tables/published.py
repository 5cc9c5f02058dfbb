"""The tests that the paper made, as it would have made them of the same cells.

Folds are paired by their order in the table (the order of directories cannot be known), a paired
t test takes folds for independent and mostly looks at one side, times and energies are pooled
over datasets, a variance of ddof 0 is compared with one of ddof 1 (defect D3, docs/defects.md),
and nothing is corrected for the number of tests.
"""

import warnings
from math import nan
from typing import Any

import numpy as np
from scipy import stats

from referee.sheet import LABEL, Call, Values
from referee.stats import spread
from referee.stats.result import stars
from referee.values import count, mean_of_each_cell, without_empty


def published_t(arm: Any, baseline: Any, alternative: str) -> dict[str, float]:
    """Paired t test of values paired by their order; empty where their numbers differ."""
    if len(arm) != len(baseline) or len(arm) < 2:
        return {"t": nan, "p": nan}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of arms that are equal, whose t is NaN
        test = stats.ttest_rel(arm.to_numpy(), baseline.to_numpy(), alternative=alternative)
    return {"t": float(test.statistic), "p": float(test.pvalue)}


def deviation_ddof0(values: Any) -> float:
    """Standard deviation, ddof 0."""
    return float(values.std(ddof=0))


def reproduces(n: int, what: str) -> str:
    """What the published columns of a row reproduce; empty where nothing was tested."""
    return what if n else ""


def mixed_variance_reduction(arm: Any, baseline: Any) -> float:
    """100 x (1 - variance with ddof 0 / variance of the second group with ddof 1)."""
    a, b = arm.to_numpy(), baseline.to_numpy()
    variance = b.var(ddof=1) if len(b) > 1 else 0.0
    return float(100 * (1 - a.var() / variance)) if variance > 0 else nan


def mixed_deviation_reduction(arm: Any, baseline: Any) -> float:
    """100 x (1 - standard deviation with ddof 0 / that of the second group with ddof 1)."""
    std = np.std(baseline.to_numpy(), ddof=1) if len(baseline) > 1 else 0.0
    return float(100 * (1 - arm.to_numpy().std() / std)) if std > 0 else nan


def t_columns(arm: Values, baseline: Values, what: str) -> dict[str, Any]:
    """The columns of the published t test of scores; `what` says which values one test takes."""
    steps = (without_empty,)
    alternative = {"alternative": "published_alternative"}
    t = Call(published_t, (arm, baseline), steps, of_row=alternative)
    given = {"what": f"paired t, {what}, uncorrected"}
    return {
        "published_n": Call(count, (arm,), steps)[""],
        "published_pairing": "row order",
        "published_alternative": LABEL,
        "published_std_ddof0": Call(deviation_ddof0, (arm,), steps)[""],
        "published_t": t["t"],
        "published_p": t["p"],
        "published_stars": Call(stars, of_row={"p": "published_p"})[""],
        "published_reproduces": Call(reproduces, given=given, of_row={"n": "published_n"})[""],
    }


NOT_POOLED = {  # of a mean over datasets that the paper did not test
    "published_n": 0,
    "published_pairing": "row order",
    "published_alternative": LABEL,
    "published_stars": "",
    "published_reproduces": "",
}


def latency_spread_columns(arm: Values, baseline: Values) -> dict[str, Any]:
    """The columns of the published test of the spread of latencies: means of cells, pooled."""
    pooled, steps = (arm, baseline), (mean_of_each_cell,)
    return {
        "published_n": Call(count, (arm,), steps)[""],
        "published_std_reduction_percent": Call(mixed_deviation_reduction, pooled, steps)[""],
        "published_levene_p": Call(spread.levene_mean, pooled, steps)["p"],
        "published_brown_forsythe_p": Call(spread.brown_forsythe, pooled, steps)["p"],
        "published_reproduces": "means of folds, datasets pooled, ddof 0 over ddof 1",
    }
