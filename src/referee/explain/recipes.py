"""How each column of each table is made, for `referee.explain.explain`.

To make the columns of a table explainable, add a line to its entry in `TABLES`: which columns, by
name, from which column of which tidy table, put together how.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import log, nan
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from referee.stats import compare, paired, spread
from referee.stats.multiplicity import holm
from referee.tables.measured import ROW
from referee.tables.scores import ARM
from referee.tables.significance import LABELS, RELATIVE_MARGIN

# What the values of a group of cells are turned into before they are put together. Values are a
# Series whose index is (dataset, seed, fold); all groups of a number go through the same steps.
MEASURED, PAIRED, SHARED = "without empty values", "paired by cell", "datasets of every group"
FOLDS, MEDIANS = "mean of each fold", "median of each cell"
CELL_MEANS, RESIDUALS = "mean of each cell", "logarithms about the median of each cell"
CELL = ["dataset", "seed", "fold"]


def _each(step: Callable[[Any], Any]) -> Callable[[list[Any]], list[Any]]:
    return lambda groups: [step(values) for values in groups]


def _paired(groups: list[Any]) -> list[Any]:
    """Sorted by cell; cells without a value in one of the groups are left out."""
    groups = [values.sort_index(kind="stable") for values in groups]
    there = np.logical_and.reduce([values.notna().to_numpy() for values in groups])
    return [values[there] for values in groups]


def _shared(groups: list[Any]) -> list[Any]:
    names = set.intersection(*(set(values.index.unique("dataset")) for values in groups))
    kept = [values[values.index.isin(names, level="dataset")] for values in groups]
    return [values.sort_index(kind="stable") for values in kept]


STEPS: dict[str, Callable[[list[Any]], list[Any]]] = {
    MEASURED: _each(lambda values: values.dropna()),
    PAIRED: _paired,
    SHARED: _shared,
    FOLDS: _each(lambda values: values.groupby(level="fold").mean()),
    MEDIANS: _each(lambda values: values.groupby(level=CELL, sort=False).median()),
    CELL_MEANS: _each(lambda values: values.groupby(level=CELL, sort=False).mean()),
    RESIDUALS: _each(lambda values: _about_median(np.log(values))),
}


def _about_median(values: Any) -> Any:
    return values - values.groupby(level=CELL, sort=False).transform("median")


def _by_dataset(values: Any) -> Any:
    return values.groupby(level="dataset", sort=False)


def _across(by_dataset: Any) -> float:
    return by_dataset.to_frame().T.mean(axis=1, skipna=False).item()


def _mean(values: Any) -> float:
    return values.mean(skipna=False)


def _f1_mean(values: Any) -> float:
    return _across(_by_dataset(values).mean())


def _energy_mean(values: Any) -> float:
    return _mean(_by_dataset(values).agg(_mean))


def _interval(values: Any) -> Any:
    return stats.quantile_test(values, p=0.5).confidence_interval(0.95)


def _over_datasets(arm: Any, baseline: Any, ratio: Any, **about: Any) -> Any:
    """The row of the mean over datasets in `compare.judge`."""
    joined = pd.DataFrame({"score": arm, "score_baseline": baseline, "ratio": ratio}).reset_index()
    parts = [
        ({"arm": "", "dataset": name}, own) for name, own in joined.groupby("dataset", sort=False)
    ]
    return compare.judge(parts, "", **about).iloc[-1]


def _mixed_std_reduction(arm: Any, baseline: Any) -> float:
    std = baseline.std(ddof=1)
    return 100 * (1 - arm.std(ddof=0) / std) if std > 0 else nan


def _mixed_reduction(arm: Any, baseline: Any) -> float:
    variance = baseline.var(ddof=1)
    return 100 * (1 - arm.var(ddof=0) / variance) if variance > 0 else nan


# How the groups of values are put together: one of these, or any function by its path. The
# operations are those of the tables, so that sums round alike to the last digit.
AGGREGATIONS: dict[str, Callable[..., Any]] = {
    "mean": lambda own: _by_dataset(own).mean().item(),
    "standard deviation, ddof 1": lambda own: _by_dataset(own).std().item(),
    "mean over datasets of the means over cells": _f1_mean,
    "root mean square over datasets of the standard deviations over cells, ddof 1": (
        lambda own: _across(_by_dataset(own).std().pow(2)) ** 0.5
    ),
    "number of cells": len,
    "largest": lambda own: own.max(),
    "the same for every cell": lambda own: own.iloc[0],
    "95 % interval of the median, by order statistics": _interval,
    "mean over datasets of the medians": lambda own: _mean(_by_dataset(own).median()),
    "mean over datasets of the largest": lambda own: _mean(_by_dataset(own).max()),
    "mean over datasets of the means over cells, all measured": _energy_mean,
    "mean F1 over datasets / mean energy over datasets": lambda f1, energy: (
        _f1_mean(f1) / _energy_mean(energy)
    ),
    "mean of each group": lambda *groups: [values.mean() for values in groups],
    "standard deviation of each group, ddof 1": lambda *groups: [v.std() for v in groups],
    "100 mean / mean of the second group": lambda own, reference: (
        100 * _by_dataset(own).mean().item() / _by_dataset(reference).mean().item()
    ),
    "median of the second group / median": lambda own, base: base.median() / own.median(),
    "corrected t test of the mean over datasets, by referee.stats.compare.judge": _over_datasets,
    "100 (1 - variance, ddof 0 / variance of the second group, ddof 1)": _mixed_reduction,
    "100 (1 - standard deviation, ddof 0 / that of the second group, ddof 1)": (
        _mixed_std_reduction
    ),
    "fewest values of a cell": lambda own: own.groupby(level=CELL).size().min(),
    "logarithm of referee.stats.spread.sd_ratio": lambda arm, baseline: log(
        spread.sd_ratio(arm, baseline).estimate
    ),
    "Holm's correction (referee.stats.multiplicity.holm) in the first group of the second": (
        lambda family, own: holm(family)[np.flatnonzero(family == own.iloc[0])[0]]
    ),
}
(
    MEAN,
    STD,
    MEAN_OF_MEANS,
    RMS_OF_STDS,
    COUNT,
    LARGEST,
    SAME,
    INTERVAL,
    MEAN_OF_MEDIANS,
    MEAN_OF_LARGEST,
    MEAN_OF_MEASURED,
    F1_PER_J,
    EACH_MEAN,
    EACH_STD,
    PERCENT,
    SPEEDUP,
    OVER_DATASETS,
    MIXED_REDUCTION,
    MIXED_STD_REDUCTION,
    FEWEST,
    LOG_SD_RATIO,
    HOLM,
) = AGGREGATIONS


@dataclass(frozen=True)
class Group:
    """Values that belong together: rows of a tidy table.

    source: its column. tidy: the table, a name that `explain` reads. where: what its columns must
    be. keys: columns of it that must be as in the row, by the name they have there; None: those
    keys of the table that it has.
    """

    source: str
    tidy: str = "cells"
    where: Mapping[str, Any] = field(default_factory=dict)
    keys: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Columns:
    """Columns of a table that are made alike.

    names: regular expression over the whole column name; its named groups pick rows of the tidy
    tables, and every text below may refer to its groups as in `re.sub`. aggregation: key of
    `AGGREGATIONS`, or path of a function. part: attribute or key of what that returns. arguments:
    of the function. of_row: more of them, which stand in these columns of the row.
    """

    names: str
    groups: tuple[Group, ...]
    aggregation: str
    part: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    of_row: Mapping[str, str] = field(default_factory=dict)
    steps: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    """How a table of `folder` is made of the tidy ones in the folder above it.

    keys: columns that tell rows apart. columns: the first that matches counts. over_datasets:
    those of the rows that are a mean over datasets. record: names the measurements it is of.
    """

    columns: tuple[Columns, ...]
    keys: tuple[str, ...] = tuple(ARM)
    folder: str = "tables"
    over_datasets: tuple[Columns, ...] = ()
    record: str = "measured.json"


def _of(names: str, source: str, how: str, tidy: str = "cells", **where: Any) -> Columns:
    return Columns(names, (Group(source, tidy, where),), how)


def _f1(prefix: str = "") -> tuple[Columns, ...]:
    return (
        _of(f"{prefix}n", "f1_weighted", COUNT),
        _of(f"{prefix}f1_mean", "f1_weighted", MEAN),
        _of(f"{prefix}f1_std", "f1_weighted", STD),
    )


def _keys(tidy: str) -> Columns:
    return _of("alpha|batch_size", r"\g<0>", SAME, tidy)


_AVERAGE = (
    _of("avg_f1_mean", "f1_weighted", MEAN_OF_MEANS),
    _of("avg_f1_std", "f1_weighted", RMS_OF_STDS),
)
_USED = {"runtime": "packed", "per": "inference"}
_JOULES = Group("energy_j", "energy", _USED)
_BATCH = r"_batch(?P<batch_size>\d+)"
_SIXTEEN = Group(
    "f1_weighted", where={"experts": "q16"}, keys={"dataset": "dataset", "protocol": "protocol"}
)
_BYTES = (
    _of("(disk|resident|published)_bytes", r"\g<0>", LARGEST, "packed"),
    _of("peak_rss_bytes", "peak_rss_bytes", LARGEST, "memory"),
)


def _calls(name: str, how: str, part: str = "", **arguments: Any) -> Columns:
    return Columns(name, (Group("latency_ms", "latency"),), how, part, arguments)


TABLE2 = Table(
    (
        *_f1(),
        Columns("f1_percent_of_16_bit", (Group("f1_weighted"), _SIXTEEN), PERCENT),
        Columns(
            f"latency{_BATCH}_ms",
            (Group("latency_ms", "latency", {"runtime": "packed"}),),
            "pandas.Series.median",
        ),
        Columns(
            f"(energy|carbon){_BATCH}_(j|g)",
            (Group(r"\1_\3", "energy", _USED),),
            "pandas.Series.mean",
            arguments={"skipna": False},
        ),
        *_BYTES,
    ),
    keys=("dataset", "protocol", "model"),
)
TABLE3 = Table(
    (
        _keys("cells"),
        *_AVERAGE,
        _of("n", "f1_weighted", COUNT),
        _of("parameters", "parameter_count", LARGEST),
        _of(f"latency{_BATCH}_ms", "latency_ms", MEAN_OF_MEDIANS, "latency", runtime="packed"),
        _of(f"(energy|carbon){_BATCH}_(j|g)", r"\1_\3", MEAN_OF_MEASURED, "energy", **_USED),
        _of("disk_bytes", "disk_bytes", MEAN_OF_LARGEST, "packed"),
        Columns(f"f1_per_j{_BATCH}", (Group("f1_weighted"), _JOULES), F1_PER_J),
    )
)
TABLE4 = Table(
    (
        _keys("latency"),
        _calls("calls", "pandas.Series.count"),
        _calls("median_ms", "pandas.Series.median"),
        _calls("ci_(low|high)_ms", INTERVAL, r"\1"),
        _calls("p95_ms", "pandas.Series.quantile", q=0.95),
        _calls("std_ms", "pandas.Series.std"),
        Columns(
            "speedup_over_(.+)",
            (
                Group("latency_ms", "latency"),
                Group(
                    "latency_ms",
                    "latency",
                    {"runtime": r"\1"},
                    {"dataset": "dataset", "batch_size": "batch_size"},
                ),
            ),
            SPEEDUP,
        ),
        *_BYTES,
        _of("parameters", "parameter_count", SAME),
        *_f1()[1:],
    ),
    keys=(*ROW, "runtime", "batch_size"),
)
CARBON = Table(
    (
        _keys("energy"),
        _of("loops", "runs", COUNT, "energy"),
        Columns(
            "energy_j|carbon_g|resolution_j|idle_w|duration_s",
            (Group(r"\g<0>", "energy"),),
            "pandas.Series.mean",
            arguments={"skipna": False},
        ),
    ),
    keys=(*ROW, "runtime", "per", "batch_size"),
)


_ARM, _BASELINE = {"arm": "arm"}, {"arm": "baseline"}
_ALL = {"protocol": "protocol", "batch_size": "batch_size"}
_HERE = _ALL | {"dataset": "dataset"}
_SCORES = {
    "scores": "f1_weighted",
    "scores of energy": "energy_j",
    "scores of latency": "latency_ms",
}
_LABELS = {name: name for name in (*LABELS, "family", "batch_size")}


def _sides(tidy: str, keys: dict[str, str]) -> tuple[Group, Group]:
    """Scores of the arm and of its baseline."""
    score = _SCORES[tidy]
    return Group(score, tidy, keys=keys | _ARM), Group(score, tidy, keys=keys | _BASELINE)


def _ratio(tidy: str, keys: dict[str, str]) -> Group:
    return Group("n_test / n_train", tidy, keys=keys | _ARM)


def _family(**corrected: str) -> tuple[Columns, ...]:
    """Holm's correction, of the p values in the table itself."""
    family = {"family": "family"}
    size = Columns("family_size", (Group("family", "table", keys=family),), COUNT)
    return size, *(
        Columns(name, (Group(raw, "table", keys=family), Group(raw, "table", keys=_LABELS)), HOLM)
        for name, raw in corrected.items()
    )


def _published(groups: tuple[Group, Group], before: tuple[str, ...]) -> tuple[Columns, ...]:
    steps, own = (*before, MEASURED), groups[:1]
    alternative = {"alternative": "published_alternative"}
    test = "referee.tables.significance.published_t"
    return (
        Columns("published_n", own, "pandas.Series.count", steps=steps),
        Columns("published_std_ddof0", own, "pandas.Series.std", "", {"ddof": 0}, steps=steps),
        Columns("published_t", groups, test, "0", of_row=alternative, steps=steps),
        Columns("published_p", groups, test, "1", of_row=alternative, steps=steps),
    )


def _each_side(name: str, how: str, groups: tuple[Group, ...], *steps: str) -> tuple[Columns, ...]:
    return (
        Columns(name, groups, how, "0", steps=steps),
        Columns(f"baseline_{name}", groups, how, "1", steps=steps),
    )


def _results(
    test: str, groups: tuple[Group, ...], steps: tuple[str, ...], *of_row: str, **columns: str
) -> tuple[Columns, ...]:
    """Columns that are parts of what one function of `referee.stats` returns.

    of_row: its arguments, as the columns of the row are named. columns: part of each.
    """
    about = {name.removesuffix("_size"): name for name in of_row}
    path = f"referee.stats.{test}"
    return tuple(
        Columns(name, groups, path, part, of_row=about, steps=steps)
        for name, part in columns.items()
    )


def _compared(tidy: str, before: tuple[str, ...] = (), **margin: Any) -> Table:
    """A table of `significance.tested`. before: steps from the values of a cell to its score."""
    both, by_cell = _sides(tidy, _HERE), (*before, PAIRED)
    by_fold, t = (*by_cell, FOLDS), ("paired.corrected_t", both, by_cell, "test_train_ratio")
    over = (*_sides(tidy, _ALL), _ratio(tidy, _ALL))
    family = _family(holm_p="corrected_p", tost_holm_p="tost_p")
    keys = Columns("alpha|batch_size", (Group(r"\g<0>", tidy, keys=_ALL | _ARM),), SAME)
    return Table(
        (
            keys,
            *_results(*t, n="n", ddof="ddof", difference="estimate", ci_low="ci_low"),
            *_results(*t, ci_high="ci_high", se="se", df="df", corrected_t="statistic"),
            *_results(*t, corrected_p="p", smallest_p="smallest_p"),
            *_results(*t, "family_size", smallest_detectable="detectable"),
            *_each_side("mean", EACH_MEAN, both, *by_cell),
            *_each_side("std", EACH_STD, both, *by_cell),
            Columns(
                "test_train_ratio", (_ratio(tidy, _HERE),), "pandas.Series.mean", steps=by_cell
            ),
            *_results("paired.paired_t", both, by_cell, naive_p="p"),
            *_results("paired.tost", both, by_cell, "test_train_ratio", "margin", tost_p="p"),
            *_results(
                *("paired.posterior", both, by_cell, "test_train_ratio", "margin"),
                posterior_below="p_below",
                posterior_within="p_within",
                posterior_above="p_above",
            ),
            *_results("paired.sign_flip", both, by_cell, sign_flip_p="p"),
            *_results("paired.sign_flip", both, by_cell, sign_flip_smallest_p="smallest_p"),
            *_results("paired.wilcoxon", both, by_cell, wilcoxon_p="p"),
            *_results("paired.effect_size", both, by_cell, d_z="d_z", hedges_g="hedges_g"),
            *_results("spread.sd_ratio", both, by_fold, n_folds="n", sd_ratio="estimate"),
            *_results("spread.sd_ratio", both, by_fold, detectable_sd_ratio="detectable"),
            *_results("spread.sd_ratio", both, by_fold, sd_ratio_low="ci_low"),
            *_results("spread.sd_ratio", both, by_fold, sd_ratio_high="ci_high"),
            *_results("spread.brown_forsythe", both, by_fold, brown_forsythe_p="p"),
            *_published(both, before),
            *family,
        ),
        keys=(*LABELS, "batch_size") if "relative" in margin else tuple(LABELS),
        folder="significance",
        record="provenance.json",
        over_datasets=(
            keys,
            Columns(
                "n|(baseline_)?mean|ddof|difference|ci_(low|high)|se|df|corrected_[tp]|smallest_p"
                "|margin|tost_p",
                over,
                OVER_DATASETS,
                r"\g<0>",
                margin,
                steps=(*before, SHARED),
            ),
            Columns(  # of numbers beside it, each with an explanation of its own
                "smallest_detectable",
                (),
                "referee.stats.paired.t_from",
                "detectable",
                {"test": "corrected t"},
                {n: n for n in ("n", "se", "df")}
                | {"estimate": "difference", "family": "family_size"},
            ),
            *(_published(over[:2], before) if "relative" in margin else ()),  # pools times only
            *family,
        ),
    )


def _spread_tests(both: tuple[Group, ...], steps: tuple[str, ...]) -> tuple[Columns, ...]:
    """Those of `significance._spread_columns`, and Holm's correction of one."""
    ratio, robust = ("spread.sd_ratio", both, steps), ("spread.brown_forsythe", both, steps)
    permuted = ("spread.permutation", both, steps)
    return (
        *_results(*ratio, ddof="ddof", sd_ratio="estimate", f_p="p"),
        *_results(*ratio, "family_size", sd_ratio_low="ci_low", sd_ratio_high="ci_high"),
        *_results(*ratio, "family_size", detectable_sd_ratio="detectable"),
        Columns("log_sd_ratio", both, LOG_SD_RATIO, steps=steps),
        *_results(*robust, brown_forsythe_p="p", smallest_p="smallest_p"),
        *_results("spread.pitman_morgan", both, steps, pitman_morgan_p="p"),
        *_results(*permuted, permutation_p="p", permutation_smallest_p="smallest_p"),
        *_family(holm_p="brown_forsythe_p"),
    )


def _timings() -> Table:
    """The spread of the latency."""
    both, pooled = _sides("scores of latency", _HERE), _sides("scores of latency", _ALL)
    levene = ("spread.levene_mean", pooled, (CELL_MEANS,))
    robust = ("spread.brown_forsythe", pooled, (CELL_MEANS,))
    return Table(
        (
            Columns(
                "alpha|batch_size",
                (Group(r"\g<0>", "scores of latency", keys=_ALL | _ARM),),
                SAME,
            ),
            Columns("n", both[:1], "pandas.Series.count"),
            Columns("cells", both[:1], COUNT, steps=(MEDIANS,)),
            Columns("repeats", both[:1], FEWEST),
            Columns("published_n", pooled[:1], COUNT, steps=(CELL_MEANS,)),
            Columns(
                "published_std_reduction_percent",
                pooled,
                MIXED_STD_REDUCTION,
                steps=(CELL_MEANS,),
            ),
            *_results(*levene, published_levene_p="p"),
            *_results(*robust, published_brown_forsythe_p="p"),
            *_spread_tests(both, (RESIDUALS,)),
        ),
        keys=(*LABELS, "batch_size"),
        folder="significance",
        record="provenance.json",
    )


def _spread() -> Table:
    """Table 5."""
    both, by_fold = _sides("scores", _HERE), (PAIRED, FOLDS)
    reduced = ("spread.variance_reduction", both, by_fold)
    return Table(
        (
            _of("alpha", "alpha", SAME, "scores"),
            *_results("spread.sd_ratio", both, by_fold, n="n"),
            *_each_side("f1_mean", EACH_MEAN, both, *by_fold),
            *_each_side("f1_std", EACH_STD, both, *by_fold),
            *_results(*reduced, variance_reduction_percent="variance_reduction_percent"),
            *_results(*reduced, null_probability="null_probability"),
            Columns("published_variance_reduction_percent", both, MIXED_REDUCTION, steps=by_fold),
            *_results("spread.levene_mean", both, by_fold, published_levene_p="p"),
            *_spread_tests(both, by_fold),
        ),
        keys=tuple(LABELS),
        folder="significance",
        record="provenance.json",
    )


TABLES = {
    "table1": Table((_keys("cells"), *_AVERAGE, *_f1("(?P<dataset>.+)_"))),
    "table2": TABLE2,
    "table3": TABLE3,
    "table4": TABLE4,
    "carbon": CARBON,
    **{f"table{number}_f1": _compared("scores", margin=paired.MARGIN) for number in (1, 2, 3)},
    "table3_energy": _compared("scores of energy", margin=RELATIVE_MARGIN, relative=True),
    "table4_latency": _compared(
        "scores of latency", (MEDIANS,), margin=RELATIVE_MARGIN, relative=True
    ),
    "latency_variance": _timings(),
    "table5": _spread(),
}
