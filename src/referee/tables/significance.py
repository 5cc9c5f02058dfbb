"""The significance tables: each test as the paper made it beside the corrected one.

Columns that begin with `published_` are those of `referee.tables.published`; the others are those
of `referee.stats.comparison`, and of the spread.
"""

from collections.abc import Iterator
from math import nan
from typing import Any

import numpy as np
import pandas as pd

from referee.contract import NO_RULE, PACKED, is_mixture
from referee.paper import Paper
from referee.paper.tables import Family, TableLayout
from referee.sheet import LABEL, TABLE, Call, Columns, Row, Step, Tidy, Values
from referee.stats import compare, comparison, paired, spread
from referee.stats.result import stars
from referee.tables import published
from referee.tables.definition import Definition
from referee.tables.tidy import CELL_ENERGY, CELL_LATENCY, CELLS, IDENTITY
from referee.values import (
    CELL,
    count,
    mean_of_each_fold,
    median_of_each_cell,
    paired_by_cell,
    paired_by_repeat,
)

LABELS = ("protocol", "dataset", "arm", "model", "strategy", "alpha", "baseline")
BY_BATCH = (*LABELS[:-1], "batch_size", "baseline")
TABLE5 = ("protocol", "arm", "model", "strategy", "alpha", "dataset", "baseline")
HERE = ("protocol", "dataset", "batch_size")
POOLED = ("protocol", "batch_size")
RELATIVE_MARGIN = 0.05  # of a time or an energy; that of a score is paired.MARGIN
REPEATS = 50  # with fewer timings of a cell, their spread is not tested


def tested(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Every comparison of scores, times or energies, as published and corrected.

    The value of a cell is its score, the median of its times in ms, or its energy in J. The
    margin of equivalence of times and energies is a share of the baseline's mean. The published
    test pooled their datasets: it stands in the row of the mean over datasets.
    """
    source, name, steps, relative = {
        "scores": (paper.score.column, CELLS, (), False),
        "latency": ("latency_ms", CELL_LATENCY, (median_of_each_cell,), True),
        "energy": ("energy_j", CELL_ENERGY, (), True),
    }[layout.kind]
    here = comparison.sides(source, name, HERE, steps)
    pooled = comparison.sides(source, name, POOLED, steps)[:2]
    margin = RELATIVE_MARGIN if relative else paired.MARGIN
    single = comparison.columns(*here, margin=margin, relative=relative)
    over = comparison.columns_over_datasets(["protocol", "batch_size", "arm", "baseline"])
    whole = published.t_columns(*pooled, "datasets pooled")
    return Definition(
        BY_BATCH if relative else LABELS,
        name,
        single | published.t_columns(*here[:2], "per dataset"),
        over | (whole if relative else published.NOT_POOLED),
    )


def score_spread(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Score of varied arms, its spread over the folds against the same experts, and every test.

    The spread is that of one value a fold, its mean over the seeds.
    """
    both = comparison.sides(paper.score.column, CELLS, HERE)[:2]
    steps, name = (paired_by_cell, mean_of_each_fold), paper.score.name
    sides = Call(side_by_side, both, steps)
    reduced = Call(spread.variance_reduction, both, steps)
    mixed = Call(published.mixed_variance_reduction, both, steps)[""]
    return Definition(
        TABLE5,
        CELLS,
        {
            "n": sides["n"],
            "pairing": "dataset+fold, mean over seeds",
            f"{name}_mean": sides["mean"],
            f"{name}_std": sides["std"],
            f"baseline_{name}_mean": sides["baseline_mean"],
            f"baseline_{name}_std": sides["baseline_std"],
            "variance_reduction_percent": reduced["variance_reduction_percent"],
            "null_probability": reduced["null_probability"],
            "published_variance_reduction_percent": mixed,
            "published_levene_p": Call(spread.levene_mean, both, steps)["p"],
            "published_reproduces": "ddof 0 against ddof 1; mean-centred Levene",
            "family": LABEL,
            **_spread_columns(both, steps),
        },
    )


def latency_spread(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Spread of the latency of packed arms against a baseline.

    Corrected: logarithms of the repeats of a cell about their median, of all cells of a dataset;
    cells of fewer than `REPEATS` repeats are not tested.
    """
    both = comparison.sides("latency_ms", CELL_LATENCY, HERE)[:2]
    pooled = comparison.sides("latency_ms", CELL_LATENCY, POOLED)[:2]
    counted = Call(repeats, both, (paired_by_repeat,))
    columns = published.latency_spread_columns(*pooled) | {
        "family": LABEL,
        "n": counted["n"],
        "cells": counted["cells"],
        "repeats": counted["repeats"],
        "pairing": "seed+fold+repeat",
        **_spread_columns(both, (paired_by_repeat, enough_repeats, residuals)),
    }
    columns["_note"] = columns["note"]
    columns["note"] = Call(note_of_repeats, of_row={"repeats": "repeats", "note": "_note"})[""]
    return Definition(BY_BATCH, CELL_LATENCY, columns)


def _spread_columns(both: tuple[Values, ...], steps: tuple[Step, ...]) -> dict[str, Any]:
    """All tests of the spread of two samples that are paired by position."""
    ratio = Call(spread.sd_ratio, both, steps, of_row={"family": "family_size"})
    robust = Call(spread.brown_forsythe, both, steps)
    permuted = Call(spread.permutation, both, steps)
    notes = {"ratio": "_ratio_note", "robust": "_robust_note"}
    return {
        "sd_ratio": ratio["estimate"],
        "log_sd_ratio": Call(logarithm, of_row={"value": "sd_ratio"})[""],
        "sd_ratio_low": ratio["ci_low"],
        "sd_ratio_high": ratio["ci_high"],
        "ddof": ratio["ddof"],
        "alternative": ratio["alternative"],
        "f_p": ratio["p"],
        "brown_forsythe_p": robust["p"],
        "pitman_morgan_p": Call(spread.pitman_morgan, both, steps)["p"],
        "permutation_p": permuted["p"],
        "permutation_smallest_p": permuted["smallest_p"],
        "smallest_p": robust["smallest_p"],
        "detectable_sd_ratio": ratio["detectable"],
        "_ratio_note": ratio["note"],
        "_robust_note": robust["note"],
        "note": Call(first_note, of_row=notes)[""],
        "family_size": Call(count, (Values("family", TABLE, comparison.FAMILY),))[""],
        "holm_p": comparison.corrected("brown_forsythe_p"),
        "stars": Call(stars, of_row={"p": "holm_p", "smallest_p": "smallest_p"})[""],
    }


def side_by_side(arm: Any, baseline: Any) -> dict[str, Any]:
    """Number of values; mean and standard deviation (ddof 1) of each group."""
    return {
        "n": len(arm),
        "mean": arm.to_numpy().mean(),
        "std": arm.std(),
        "baseline_mean": baseline.to_numpy().mean(),
        "baseline_std": baseline.std(),
    }


def repeats(arm: Any, baseline: Any) -> dict[str, int]:
    """Number of times, of cells, and the fewest times of a cell."""
    cells = arm.groupby(level=CELL).size()
    return {"n": len(arm), "cells": len(cells), "repeats": int(cells.min()) if len(cells) else 0}


def enough_repeats(groups: list[Any]) -> list[Any]:
    """No values where a cell has too few repeats for a spread."""
    few = repeats(*groups)["repeats"] < REPEATS
    return [values.iloc[:0] for values in groups] if few else groups


def residuals(groups: list[Any]) -> list[Any]:
    """Logarithms about the median of each cell."""
    logs = [np.log(values) for values in groups]
    return [log - log.groupby(level=CELL, sort=False).transform("median") for log in logs]


def logarithm(value: float) -> float:
    """Logarithm of sd_ratio."""
    return float(np.log(value)) if value > 0 else nan


def first_note(ratio: str, robust: str) -> str:
    """The note of the F test, else that of the Brown-Forsythe test."""
    return ratio or robust


def note_of_repeats(repeats: int, note: str) -> str:
    """The note of a row of latencies."""
    if repeats >= REPEATS:
        return note
    return f"{repeats} repeats of a cell: a spread of timings needs {REPEATS}"


# Which comparisons there are: the rows.


def rows(definition: Definition, layout: TableLayout, columns: Columns, tidy: Tidy) -> list[Row]:
    """The comparisons of a table, family by family.

    Args:
        definition: the table.
        layout: its families.
        columns: those of a comparison on one dataset, without those that stand for many.
        tidy: the tidy tables.

    Raises:
        InputError: an arm and its baseline cover different seeds or folds of a dataset.

    """
    made = []
    for frame, batch in _batches(tidy.need(definition.tidy)):
        end = f", batch of {batch['batch_size']}" if batch else ""
        for family in _families(layout, frame):
            for protocol, cells in frame.groupby("protocol", sort=False):
                labels = [
                    {name: (comparison_labels | batch).get(name) for name in definition.keys}
                    | {"published_alternative": family.published}
                    for comparison_labels in _comparisons(family, cells)
                ]
                name = f"{family.name}, {protocol}"
                over = definition.over
                made += comparison.comparisons(labels, name, columns, over, end)
    return made


def _batches(frame: pd.DataFrame) -> Iterator[tuple[pd.DataFrame, dict[str, Any]]]:
    """One row a cell, by batch size where there is one."""
    if "batch_size" not in frame:
        yield frame, {}
        return
    for size, batch in frame.groupby("batch_size", sort=False):
        yield batch.drop_duplicates(IDENTITY), {"batch_size": size}


def _families(layout: TableLayout, frame: pd.DataFrame) -> list[Family]:
    """The families, one for each baseline where they are other runtimes of an arm."""
    families = []
    for family in layout.families:
        if not family.other_runtimes:
            families.append(family)
            continue
        others = frame[(frame["model"] == family.baseline) & (frame["runtime"] != PACKED)]
        for arm in others["arm"].unique():
            name = family.name.format(baseline=arm)
            families.append(family.model_copy(update={"name": name, "baseline": arm}))
    return families


def _comparisons(family: Family, cells: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The labels of each comparison within a protocol: an arm, its baseline and a dataset."""
    arms = cells[cells["runtime"] == PACKED].drop_duplicates("arm")
    scores = cells[[*CELL, "arm"]].assign(score=0.0)
    for _, arm in arms[_asked(family, arms)].iterrows():
        plain = arms[(arms["experts"] == arm["experts"]) & (arms["strategy"] == NO_RULE)]
        for baseline in [family.baseline] if family.baseline else plain["arm"]:
            if baseline == arm["arm"]:
                continue
            labels = {name: arm[name] for name in ("protocol", "arm", "model", "strategy", "alpha")}
            for dataset in compare.pairs(scores, arm["arm"], baseline)["dataset"].unique():
                yield labels | {"dataset": dataset, "baseline": baseline}


def _asked(family: Family, arms: pd.DataFrame) -> Any:
    """Which arms the family compares."""
    return {
        "all": pd.Series(True, index=arms.index),
        "single": ~is_mixture(arms),
        "mixture": is_mixture(arms),
        "varied": arms["strategy"] != NO_RULE,
    }[family.of]
