"""What columns are made by: steps that values go through, and functions that sum them up.

Values are Series indexed by dataset, seed and fold. A step takes and returns the list of all
groups of a number. The operations are those of pandas on such groups, so that a number comes out
alike to the last digit wherever it is computed. The first paragraph of each docstring is shown to
people.
"""

from collections.abc import Callable
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from referee.stats.compare import KEYS

Groups = list[Any]


def _named(name: str, words: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function under its name in this module, with words for its docstring."""

    def named(*groups: Any, **arguments: Any) -> Any:
        return function(*groups, **arguments)

    named.__qualname__, named.__doc__ = name, words
    return named


def _step(name: str, words: str, function: Callable[[Any], Any]) -> Callable[[Groups], Groups]:
    """The step that makes the same of each group."""
    return _named(name, words, lambda groups: [function(values) for values in groups])


def _by_cell(values: Any) -> Any:
    return values.groupby(level=KEYS, sort=False)


in_order = _step(
    "in_order", "Values in the order of their cells.", lambda v: v.sort_index(kind="stable")
)
without_empty = _step("without_empty", "Without empty values.", lambda v: v.dropna())
mean_of_each_fold = _step(
    "mean_of_each_fold",
    "Mean of each fold over the seeds.",
    lambda v: v.groupby(level="fold").mean(),
)
mean_of_each_cell = _step("mean_of_each_cell", "Mean of each cell.", lambda v: _by_cell(v).mean())
median_of_each_cell = _step(
    "median_of_each_cell", "Median of each cell.", lambda v: _by_cell(v).median()
)


residuals = _step(
    "residuals",
    "Logarithms about the median of each cell.",
    lambda v: np.log(v) - _by_cell(np.log(v)).transform("median"),
)


def paired_by_cell(groups: Groups) -> Groups:
    """Values paired by cell, without cells that lack a value in any group."""
    groups = in_order(groups)
    there = np.logical_and.reduce([values.notna().to_numpy() for values in groups])
    return [values[there] for values in groups]


def paired_by_repeat(groups: Groups) -> Groups:
    """Repeats of the cells that all groups have, paired by their turn."""
    keyed = [
        values.set_axis([*zip(values.index, _by_cell(values).cumcount(), strict=True)])
        for values in groups
    ]
    if all(keyed[0].index.equals(values.index) for values in keyed[1:]):
        return groups
    shared = [at for at in keyed[0].index if all(at in values.index for values in keyed[1:])]
    index = pd.MultiIndex.from_tuples([cell for cell, _ in shared], names=KEYS)
    return [values.loc[shared].set_axis(index) for values in keyed]


count = _named("count", "Number of values.", len)
total = _named("total", "Sum.", lambda v: int(v.sum()))
mean = _named("mean", "Mean of the values that are there.", lambda v: float(v.mean()))
mean_of_all = _named(
    "mean_of_all", "Mean, empty if a value is.", lambda v: float(v.mean(skipna=False))
)
median = _named("median", "Median.", lambda v: float(v.median()))
largest = _named("largest", "Largest value.", lambda v: v.max())
deviation_ddof0 = _named(
    "deviation_ddof0", "Standard deviation, ddof 0.", lambda v: float(v.std(ddof=0))
)
logarithm = _named(
    "logarithm", "Logarithm of sd_ratio.", lambda value: float(np.log(value)) if value > 0 else nan
)
share_of_the_baseline = _named(
    "share_of_the_baseline",
    "Share of the mean of the baseline.",
    lambda baseline, share: share * mean(baseline),
)
same = _named("same", "The same in all rows.", lambda v: v.iloc[0])
second_over_first = _named(
    "second_over_first",
    "Median of the second group / median.",
    lambda first, second: float(second.median() / first.median()),
)


def mean_and_deviation(values: Any) -> dict[str, Any]:
    """Number, mean and standard deviation (ddof 1) of the values."""
    by_dataset = _by_dataset(values)
    return {name: getattr(by_dataset, name)().item() for name in ("count", "mean", "std")}


def means_and_deviations(arm: Any, baseline: Any) -> dict[str, float]:
    """Number of values; mean and standard deviation (ddof 1) of each group."""
    of_arm = {"n": len(arm), "mean": mean(arm), "std": arm.std()}
    return of_arm | {"baseline_mean": mean(baseline), "baseline_std": baseline.std()}


def average_over_datasets(values: Any, datasets: str) -> dict[str, Any]:
    """Mean over datasets of the means, and root mean square of the standard deviations (ddof 1).

    Both are empty where the values are not of all `datasets`.
    """
    by_dataset = _by_dataset(values)
    return {
        "count": int(by_dataset.count().sum()),
        "mean": _mean_over(by_dataset.mean(), datasets),
        "std": _mean_over(by_dataset.std().pow(2), datasets) ** 0.5,
    }


def mean_over_datasets(values: Any, datasets: str, each: str) -> float:
    """Mean over `datasets` of the number that `each` names; empty where one of them is missing."""
    numbers = _by_dataset(values).agg(lambda one: getattr(one, each)(skipna=False))
    return _mean_over(numbers, datasets)


def quotient_of_means(first: Any, second: Any, datasets: str, measured: str) -> float:
    """Mean over datasets of the first group / mean over datasets of the second."""
    of_first = _mean_over(_by_dataset(first).mean(), datasets)
    return of_first / mean_over_datasets(second, measured, "mean")


def percent_of_second(first: Any, second: Any) -> float:
    """100 x mean / mean of the second group."""
    return float(100 * _by_dataset(first).mean().item() / _by_dataset(second).mean().item())


def of_calls(values: Any) -> dict[str, float]:
    """Number, median, 95th percentile and standard deviation (ddof 1) of the calls.

    The 95 % interval of the median is that of order statistics (scipy.stats.quantile_test).
    """
    interval = stats.quantile_test(values, p=0.5).confidence_interval(0.95)
    about = {"calls": float(len(values)), "median": values.median(), "std": values.std()}
    about |= {"ci_low": interval.low, "ci_high": interval.high}
    return about | {"p95": values.quantile(0.95)}


def _by_dataset(values: Any) -> Any:
    return values.groupby(level="dataset", sort=False)


def _mean_over(by_dataset: Any, datasets: str) -> float:
    """Mean; NaN where a value or one of the datasets, separated by blanks, is missing."""
    complete = set(datasets.split()) <= set(" ".join(by_dataset.index).split())
    return float(by_dataset.mean(skipna=False)) if complete else nan
