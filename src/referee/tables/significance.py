"""The significance tables: each test as the paper made it beside the corrected one.

Columns that begin with `published_` hold the tests that the paper made, as it would have made
them of the same cells. It paired folds by their order in the table (the order of directories
cannot be known), took folds for independent and mostly looked at one side, pooled times and
energies over datasets, compared a variance of ddof 0 with one of ddof 1 (defect D3,
docs/defects.md), and corrected nothing for the number of tests.
"""

import warnings
from collections.abc import Iterable, Iterator
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from referee.contract import IDENTITY, NO_RULE, PACKED, is_mixture
from referee.paper import Paper
from referee.paper.tables import Family, TableLayout
from referee.stats import compare, paired, spread
from referee.stats.result import stars
from referee.tables import aggregates as of
from referee.tables import comparison
from referee.tables.sheet import LABEL, Call, Columns, Definition, Sheet, Step, Tidy, key, possible
from referee.tables.tidy import CELL_ENERGY, CELL_LATENCY, CELLS

LABELS = ("protocol", "dataset", "arm", "model", "strategy", "alpha", "baseline")
BY_BATCH = (*LABELS[:-1], "batch_size", "baseline")
TABLE5 = ("protocol", "arm", "model", "strategy", "alpha", "dataset", "baseline")
HERE = ("protocol", "dataset", "batch_size")
POOLED = ("protocol", "batch_size")
RELATIVE_MARGIN = 0.05  # of a time or an energy; that of a score is paired.MARGIN
REPEATS = 50  # with fewer timings of a cell, their spread is not tested
NOT_POOLED = {"published_n": 0, "published_pairing": "row order"}  # by the tests of the paper


def tested(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Every comparison of scores, times or energies, as published and corrected.

    The value of a cell is its score, the median of its times in ms, or its energy in J. The
    margin of equivalence of times and energies is a share of the baseline's mean. The published
    test pooled their datasets: it stands in the row of the mean over datasets.
    """
    source, name, steps = {
        "scores": (paper.score.column, CELLS, ()),
        "latency": ("latency_ms", CELL_LATENCY, (of.median_of_each_cell,)),
        "energy": ("energy_j", CELL_ENERGY, ()),
    }[layout.kind]
    relative = layout.kind != "scores"
    margin = RELATIVE_MARGIN if relative else paired.MARGIN
    single = comparison.columns(source, name, HERE, steps, margin=margin, relative=relative)
    over = comparison.columns_over_datasets([*POOLED, "arm", "baseline"])
    here, pooled = (comparison.sides(source, name, keys) for keys in (HERE, POOLED))
    whole = _published(pooled, steps, "datasets pooled")
    return Definition(
        BY_BATCH if relative else LABELS,
        name,
        single | _published(here, steps, "per dataset"),
        over | (whole if relative else NOT_POOLED),
    )


def _published(both: comparison.Sides, steps: tuple[Step, ...], which: str) -> dict[str, Any]:
    """The columns of the published t test; `which` says whose values one test takes."""
    steps = (*steps, of.without_empty)
    t = Call(published_t, both, steps, of_row={"alternative": "published_alternative"})
    what = f"paired t, {which}, uncorrected"
    return {
        "published_n": Call(of.count, both[:1], steps)[""],
        "published_pairing": "row order",
        "published_alternative": LABEL,
        "published_std_ddof0": Call(of.deviation_ddof0, both[:1], steps)[""],
        **t.parts(published_t="t", published_p="p"),
        "published_stars": Call(stars, of_row={"p": "published_p"})[""],
        "published_reproduces": Call(lambda n: what if n else "", of_row={"n": "published_n"})[""],
    }


def score_spread(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Score of varied arms, its spread over the folds against the same experts, and every test.

    The spread is that of one value a fold, its mean over the seeds.
    """
    both, name = comparison.sides(paper.score.column, CELLS, HERE), paper.score.name
    steps = (of.paired_by_cell, of.mean_of_each_fold)
    means = Call(of.means_and_deviations, both, steps)
    reduced = Call(spread.variance_reduction, both, steps)
    mixed = Call(mixed_reduction, both, steps, {"moment": "var"})
    columns = {
        "n": means["n"],
        "pairing": "dataset+fold, mean over seeds",
        f"{name}_mean": means["mean"],
        f"{name}_std": means["std"],
        f"baseline_{name}_mean": means["baseline_mean"],
        f"baseline_{name}_std": means["baseline_std"],
        "variance_reduction_percent": reduced["variance_reduction_percent"],
        "null_probability": reduced["null_probability"],
        "published_variance_reduction_percent": mixed[""],
        "published_levene_p": Call(spread.levene_mean, both, steps)["p"],
        "published_reproduces": "ddof 0 against ddof 1; mean-centred Levene",
        "family": LABEL,
    }
    return Definition(TABLE5, CELLS, columns | _spread_columns(both, steps))


def latency_spread(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Spread of the latency of packed arms against a baseline.

    Published: means of cells, datasets pooled. Corrected: logarithms of the repeats of a cell
    about their median, of all cells of a dataset; cells of fewer than `REPEATS` repeats are not
    tested.
    """
    here, pooled = (comparison.sides("latency_ms", CELL_LATENCY, k) for k in (HERE, POOLED))
    means = (of.mean_of_each_cell,)
    mixed = Call(mixed_reduction, pooled, means, {"moment": "std"})
    counted = Call(repeats, here, (of.paired_by_repeat,))
    columns = {
        "published_n": Call(of.count, pooled[:1], means)[""],
        "published_std_reduction_percent": mixed[""],
        "published_levene_p": Call(spread.levene_mean, pooled, means)["p"],
        "published_brown_forsythe_p": Call(spread.brown_forsythe, pooled, means)["p"],
        "published_reproduces": "means of folds, datasets pooled, ddof 0 over ddof 1",
        "family": LABEL,
        **counted.parts(n="n", cells="cells", repeats="repeats"),
        "pairing": "seed+fold+repeat",
        **_spread_columns(here, (of.paired_by_repeat, enough_repeats, of.residuals)),
    }
    columns["_note"] = columns["note"]
    columns["note"] = Call(_note_of_repeats, of_row={"repeats": "repeats", "note": "_note"})[""]
    return Definition(BY_BATCH, CELL_LATENCY, columns)


def _spread_columns(both: comparison.Sides, steps: tuple[Step, ...]) -> dict[str, Any]:
    """All tests of the spread of two samples that are paired by position."""
    ratio = Call(spread.sd_ratio, both, steps, of_row={"family": "family_size"})
    robust = Call(spread.brown_forsythe, both, steps)
    permuted = Call(spread.permutation, both, steps)
    notes = {"of_ratio": "_ratio_note", "of_robust": "_robust_note"}
    return {
        "sd_ratio": ratio["estimate"],
        "log_sd_ratio": Call(of.logarithm, of_row={"value": "sd_ratio"})[""],
        **ratio.parts(sd_ratio_low="ci_low", sd_ratio_high="ci_high"),
        **ratio.parts(ddof="ddof", alternative="alternative", f_p="p", _ratio_note="note"),
        **robust.parts(brown_forsythe_p="p", _robust_note="note"),
        "pitman_morgan_p": Call(spread.pitman_morgan, both, steps)["p"],
        **permuted.parts(permutation_p="p", permutation_smallest_p="smallest_p"),
        "smallest_p": robust["smallest_p"],
        "detectable_sd_ratio": ratio["detectable"],
        "note": Call(lambda of_ratio, of_robust: of_ratio or of_robust, of_row=notes)[""],
        **comparison.family_columns("brown_forsythe_p"),
    }


def published_t(arm: Any, baseline: Any, alternative: str) -> dict[str, float]:
    """Paired t test of values paired by their order; empty where their numbers differ."""
    if len(arm) != len(baseline) or len(arm) < 2:
        return {"t": nan, "p": nan}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # of arms that are equal, whose t is NaN
        test = stats.ttest_rel(arm.to_numpy(), baseline.to_numpy(), alternative=alternative)
    return {"t": float(test.statistic), "p": float(test.pvalue)}


def mixed_reduction(arm: Any, baseline: Any, moment: str) -> float:
    """100 x (1 - moment with ddof 0 / that of the second group with ddof 1)."""
    of_arm, of_baseline = (getattr(values.to_numpy(), moment) for values in (arm, baseline))
    reference = of_baseline(ddof=1) if len(baseline) > 1 else 0.0
    return float(100 * (1 - of_arm() / reference)) if reference > 0 else nan


def repeats(arm: Any, baseline: Any) -> dict[str, int]:
    """Number of times, of cells, and the fewest times of a cell."""
    cells = arm.groupby(level=compare.KEYS).size()
    return {"n": len(arm), "cells": len(cells), "repeats": int(cells.min()) if len(cells) else 0}


def _note_of_repeats(repeats: int, note: str) -> str:
    few = f"{repeats} repeats of a cell: a spread of timings needs {REPEATS}"
    return few if repeats < REPEATS else note


def enough_repeats(groups: list[Any]) -> list[Any]:
    """No values where a cell has too few repeats for a spread."""
    few = repeats(*groups)["repeats"] < REPEATS
    return [values.iloc[:0] for values in groups] if few else groups


def built(
    definition: Definition, layout: TableLayout, tidy: Tidy, frame: pd.DataFrame
) -> pd.DataFrame:
    """The table: comparisons of arms in a tidy table, by the families of the layout.

    Raises InputError where an arm and its baseline cover different seeds or folds of a dataset.
    """
    columns, rows = possible(definition.columns, tidy), list[Columns]()
    sized = frame.groupby("batch_size", sort=False) if "batch_size" in frame else [("", frame)]
    for size, batch in sized:
        one_a_cell = batch.drop_duplicates(list(IDENTITY))
        end = f", batch of {size}" if size else ""
        families = [(f, name) for f in layout.families for name in _baselines(f, one_a_cell)]
        for family, baseline in families:
            about = {"batch_size": size, "published_alternative": family.published}
            names = [*definition.keys, "published_alternative"]
            for protocol, cells in one_a_cell.groupby("protocol", sort=False):
                compared = [one | about for one in _comparisons(family.of, baseline, cells)]
                labels = [{name: one.get(name) for name in names} for one in compared]
                name = f"{family.name.format(baseline=baseline)}, {protocol}"
                rows += comparison.comparisons(labels, name, columns, definition.over, end)
    return Sheet(rows, tidy).frame([*definition.keys, *columns])


def _baselines(family: Family, frame: pd.DataFrame) -> Iterable[str]:
    """The baselines that each make a family of comparisons; empty: one for each arm."""
    if not family.other_runtimes:
        return [family.baseline]
    others = frame[(frame["model"] == family.baseline) & (frame["runtime"] != PACKED)]
    return list(others["arm"].unique())


def _comparisons(arms_of: str, baseline: str, cells: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The labels of each comparison within a protocol: an arm, its baseline and a dataset."""
    arms = cells[cells["runtime"] == PACKED].drop_duplicates("arm")
    scores = cells[[*compare.KEYS, "arm"]].assign(score=0.0)
    compared = {
        "all": pd.Series(True, index=arms.index),
        "single": ~is_mixture(arms),
        "mixture": is_mixture(arms),
        "varied": arms["strategy"] != NO_RULE,
    }[arms_of]
    for _, arm in arms[compared].iterrows():
        plain = arms[(arms["experts"] == arm["experts"]) & (arms["strategy"] == NO_RULE)]
        for other in [baseline] if baseline else plain["arm"]:
            if other == arm["arm"]:
                continue
            labels = {name: key(arm[name]) for name in LABELS if name in arm and name != "dataset"}
            for dataset in compare.pairs(scores, arm["arm"], other)["dataset"].unique():
                yield labels | {"dataset": dataset, "baseline": other}
