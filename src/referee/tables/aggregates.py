"""What columns are made by: steps that values go through, and functions that sum them up.

Values are Series indexed by dataset, seed and fold. A step takes and returns the list of all
groups of a number. The operations are those of pandas on such groups, so that a number comes out
alike to the last digit wherever it is computed. The first paragraph of each docstring is shown to
people.
"""

from math import nan
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from referee.contract import NO_RULE
from referee.stats.compare import KEYS

Groups = list[Any]


def in_order(groups: Groups) -> Groups:
    """Values in the order of their cells."""
    return [values.sort_index(kind="stable") for values in groups]


def paired_by_cell(groups: Groups) -> Groups:
    """Values paired by cell, without cells that lack a value in any group."""
    groups = in_order(groups)
    there = np.logical_and.reduce([values.notna().to_numpy() for values in groups])
    return [values[there] for values in groups]


def without_empty(groups: Groups) -> Groups:
    """Without empty values."""
    return [values.dropna() for values in groups]


def mean_of_each_fold(groups: Groups) -> Groups:
    """Mean of each fold over the seeds."""
    return [values.groupby(level="fold").mean() for values in groups]


def mean_of_each_cell(groups: Groups) -> Groups:
    """Mean of each cell."""
    return [values.groupby(level=KEYS, sort=False).mean() for values in groups]


def median_of_each_cell(groups: Groups) -> Groups:
    """Median of each cell."""
    return [values.groupby(level=KEYS, sort=False).median() for values in groups]


def paired_by_repeat(groups: Groups) -> Groups:
    """Repeats of the cells that all groups have, paired by their turn."""
    turns = [values.groupby(level=KEYS, sort=False).cumcount() for values in groups]
    keyed = [
        values.set_axis([*zip(values.index, turn, strict=True)])
        for values, turn in zip(groups, turns, strict=True)
    ]
    if all(keyed[0].index.equals(values.index) for values in keyed[1:]):
        return groups
    shared = [at for at in keyed[0].index if all(at in values.index for values in keyed[1:])]
    index = pd.MultiIndex.from_tuples([cell for cell, _ in shared], names=KEYS)
    return [values.loc[shared].set_axis(index) for values in keyed]


def count(values: Any) -> int:
    """Number of values."""
    return len(values)


def total(values: Any) -> int:
    """Sum."""
    return int(values.sum())


def mean(values: Any) -> float:
    """Mean of the values that are there."""
    return float(values.mean()) if len(values) else nan


def mean_of_all(values: Any) -> float:
    """Mean, empty if a value is."""
    return float(values.mean(skipna=False))


def median(values: Any) -> float:
    """Median."""
    return float(values.median())


def largest(values: Any) -> Any:
    """Largest value."""
    return values.max()


def same(values: Any) -> Any:
    """The same in all rows."""
    return values.iloc[0]


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


def kind(experts: Any, strategy: Any, single: str, plain: str, varied: str) -> str:
    """What the arm is: a single network, or a mixture, whose model a rule varies or not."""
    if "+" not in experts.iloc[0]:
        return single
    return plain if strategy.iloc[0] == NO_RULE else varied


def names(values: Any) -> str:
    """The names, each once."""
    return " ".join(values.unique())


def quotient_of_means(first: Any, second: Any, datasets: str, measured: str) -> float:
    """Mean over datasets of the first group / mean over datasets of the second."""
    return _mean_over(_by_dataset(first).mean(), datasets) / mean_over_datasets(
        second, measured, "mean"
    )


def percent_of_second(first: Any, second: Any) -> float:
    """100 x mean / mean of the second group."""
    return float(100 * _by_dataset(first).mean().item() / _by_dataset(second).mean().item())


def second_over_first(first: Any, second: Any) -> float:
    """Median of the second group / median."""
    return float(second.median() / first.median())


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
