"""Comparisons of arms with a baseline: every test is a column that is stated once, here."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan, sqrt
from typing import Any

import numpy as np
import pandas as pd

from referee.errors import InputError
from referee.stats import compare, paired, spread
from referee.stats.multiplicity import holm
from referee.stats.result import stars
from referee.tables import aggregates as of
from referee.tables.sheet import LABEL, OVER_DATASETS, TABLE, Call, Columns, Sheet, Step, Values

ALPHA = 0.05
SCORES = "scores"
Sides = tuple[Values, Values]


def compare_all(
    scores: pd.DataFrame, baseline: str, *, margin: float = paired.MARGIN
) -> pd.DataFrame:
    """Every other arm of a tidy table against the baseline; all comparisons are one family.

    The table is that of `referee.stats.compare`; `margin`, of equivalence, is in units of the
    score. Returns a row a comparison, and the means over datasets, with the columns of `columns`.
    Raises InputError where the table is not as it must be, has no such arm, or nothing to compare
    with it.
    """
    arms = list(compare.checked(scores)["arm"].unique())
    if baseline not in arms:
        raise InputError(f"no arm {baseline!r} in the table; its arms: {', '.join(map(str, arms))}")
    labels = [
        {"dataset": dataset, "arm": arm, "baseline": baseline}
        for arm in arms
        if arm != baseline
        for dataset in compare.pairs(scores, arm, baseline)["dataset"].unique()
    ]
    if not labels:
        raise InputError(f"no other arm shares a dataset with {baseline!r}: nothing to compare")
    single = columns("score", SCORES, ["dataset"], margin=margin)
    over = columns_over_datasets(["arm", "baseline"])
    rows = comparisons(labels, f"all arms against {baseline}", single, over)
    tidy = {SCORES: compare.with_ratio(scores, ["arm", "dataset"])}
    return Sheet(rows, tidy.get).frame([*labels[0], *single])


def sides(source: str, tidy: str, keys: Sequence[str]) -> Sides:
    """Values of the arm and of its baseline, which have `keys` in common with the row."""
    arm = Values(source, tidy, (*keys, "arm"))
    return arm, Values(source, tidy, keys, of_row={"arm": "baseline"})


def columns(
    source: str,
    tidy: str,
    keys: Sequence[str],
    steps: tuple[Step, ...] = (),
    *,
    margin: float = paired.MARGIN,
    relative: bool = False,
) -> dict[str, Any]:
    """The columns of a comparison on one dataset, in the order in which files show them.

    Scores are in the column `source` of a tidy table that also holds `ratio`, n_test / n_train of
    a cell; both sides have `keys` in common with the row, and `steps` lead from the rows of a cell
    to its score. The margin of equivalence is in units of the score, or `relative`, a share of the
    baseline's mean. Tests of the spread take the mean of each fold over the seeds: its cells share
    clips, so that they are not independent.
    """
    both = sides(source, tidy, keys)
    ordered, by_cell = (*steps, of.in_order), (*steps, of.paired_by_cell)
    of_ratio = {"test_train_ratio": "test_train_ratio"}
    of_margin = of_ratio | {"margin": "margin"}
    t = Call(paired.corrected_t, both, by_cell, of_row=of_ratio | {"family": "family_size"})
    means = Call(of.means_and_deviations, both, by_cell)
    share = Call(of.share_of_the_baseline, both[1:], ordered, {"share": margin})
    posterior = Call(paired.posterior, both, by_cell, of_row=of_margin)
    flip = Call(paired.sign_flip, both, by_cell)
    sd_ratio = Call(spread.sd_ratio, both, (*by_cell, of.mean_of_each_fold))
    return {
        "n": t["n"],
        "pairing": "+".join(compare.KEYS),
        "alternative": t["alternative"],
        **{name: means[name] for name in ("mean", "std", "baseline_mean", "baseline_std")},
        **t.parts(ddof="ddof", difference="estimate", ci_low="ci_low", ci_high="ci_high"),
        "naive_p": Call(paired.paired_t, both, by_cell)["p"],
        "test_train_ratio": Call(of.mean, (replace(both[0], source="ratio"),), ordered)[""],
        **t.parts(se="se", df="df", corrected_t="statistic", corrected_p="p"),
        **t.parts(smallest_p="smallest_p", smallest_detectable="detectable", _note="note"),
        "margin": share[""] if relative else margin,
        "tost_p": Call(paired.tost, both, by_cell, of_row=of_margin)["p"],
        **{f"posterior_{side}": posterior[f"p_{side}"] for side in ("below", "within", "above")},
        **flip.parts(sign_flip_p="p", sign_flip_smallest_p="smallest_p"),
        "wilcoxon_p": Call(paired.wilcoxon, both, by_cell)["p"],
        **Call(paired.effect_size, both, by_cell).parts(d_z="d_z", hedges_g="hedges_g"),
        **sd_ratio.parts(n_folds="n", sd_ratio="estimate"),
        **sd_ratio.parts(sd_ratio_low="ci_low", sd_ratio_high="ci_high"),
        "brown_forsythe_p": Call(spread.brown_forsythe, both, sd_ratio.steps)["p"],
        "detectable_sd_ratio": sd_ratio["detectable"],
        "note": Call(_note, both, ordered, of_row={"test": "_note"})[""],
        **_verdict_columns(),
    }


def columns_over_datasets(keys: Sequence[str]) -> dict[str, Any]:
    """The columns of the mean of a comparison over datasets, made of its rows on each dataset.

    These rows agree in the labels `keys`.
    """

    def of_rows(*sources: str) -> list[Values]:
        return [Values(name, TABLE, keys, of_row={"family": "_family"}) for name in sources]

    difference = Call(of.mean_of_all, of_rows("difference"))[""]
    error = Call(error_over_datasets, of_rows("se", "df"))
    known = {"estimate": "_difference", "n": "n", "se": "se", "df": "df"}
    t = Call(paired.t_from, given={"test": "corrected t"}, of_row=known | {"family": "family_size"})
    tost = Call(paired.tost_from, of_row=known | {"margin": "margin"})
    return {
        "_family": Call(lambda f: f.replace(f", {OVER_DATASETS}", ""), of_row={"f": "family"})[""],
        "n": Call(of.total, of_rows("n"))[""],
        "pairing": "dataset",
        "alternative": t["alternative"],
        **{name: Call(of.mean, of_rows(name))[""] for name in ("mean", "baseline_mean", "margin")},
        "_difference": difference,
        "difference": difference,
        **t.parts(ddof="ddof", ci_low="ci_low", ci_high="ci_high"),
        **error.parts(se="se", df="df"),
        **t.parts(corrected_t="statistic", corrected_p="p", smallest_p="smallest_p"),
        "smallest_detectable": t["detectable"],
        "tost_p": tost["p"],
        "_note": t["note"],
        "note": Call(_note_over_datasets, of_rows("dataset"), of_row={"test": "_note"})[""],
        **_verdict_columns(),
    }


def _verdict_columns() -> dict[str, Any]:
    about = ("note", "difference", "holm_p", "tost_holm_p")
    return {
        **family_columns("corrected_p", tost_holm_p=_corrected("tost_p")),
        "verdict": Call(_verdict, of_row={name: name for name in about})[""],
    }


def family_columns(p: str, **more: Any) -> dict[str, Any]:
    """The family, its size, Holm's correction of the column `p` within it, and stars for that.

    `more` are columns that stand before the stars.
    """
    return {
        "family": LABEL,
        "family_size": Call(of.count, (Values("family", TABLE, ("family",)),))[""],
        "holm_p": _corrected(p),
        **more,
        "stars": Call(stars, of_row={"p": "holm_p", "smallest_p": "smallest_p"})[""],
    }


def _corrected(p: str) -> Any:
    return Call(holm_within, (Values(p, TABLE, ("family",)),), of_row={"p": p})[""]


def comparisons(
    labels: Sequence[Mapping[str, Any]], family: str, single: Columns, over: Columns, end: str = ""
) -> list[Columns]:
    """The rows of a family of comparisons, and the unweighted means of each over its datasets.

    `labels` are those of each comparison, the dataset among them; None, not NaN, where one is
    missing. Where all but the dataset agree on two datasets or more, and `over` has columns, there
    is a row for their mean; no scores are pooled. Holm corrects within a family; the means are one
    of their own. `end` closes the names of both.
    """
    rows: list[Columns] = [{**single, **row, "family": family + end} for row in labels]
    alike = Counter(tuple(item for item in row.items() if item[0] != "dataset") for row in labels)
    means = {"dataset": OVER_DATASETS, "family": f"{family}, {OVER_DATASETS}{end}"}
    rows += [{**over, **dict(row), **means} for row, n in alike.items() if over and n > 1]
    return rows


def _note_over_datasets(datasets: Any, test: str) -> str:
    return f"of {', '.join(map(str, datasets))}" + (f"; {test}" if test else "")


def _note(arm: Any, baseline: Any, test: str) -> str:
    lacking = int((arm.isna() | baseline.isna()).sum())
    words = f"{lacking} of {len(arm)} cells without a value" if lacking else ""
    return "; ".join(filter(None, [words, test]))


def error_over_datasets(se: Any, df: Any) -> dict[str, float]:
    """Standard error of the mean over datasets, and its degrees of freedom (Satterthwaite).

    The errors of datasets are independent.
    """
    squares = se**2
    error = sqrt(squares.sum(skipna=False)) / len(se)
    return {"se": error, "df": squares.sum() ** 2 / (squares**2 / df).sum() if error > 0 else nan}


def holm_within(family: Any, p: float) -> float:
    """Holm's correction (referee.stats.multiplicity.holm) of p within its family."""
    return float(holm(family)[np.flatnonzero(family == p)[0]]) if p == p else nan


def _verdict(note: str, difference: float, holm_p: float, tost_holm_p: float) -> str:
    """What may be said: `inconclusive` is neither a difference nor equivalence."""
    if paired.IDENTICAL in note:
        return "identical"
    same = tost_holm_p < ALPHA
    if holm_p < ALPHA:
        return ("higher" if difference > 0 else "lower") + (", within the margin" if same else "")
    return "equivalent" if same else "inconclusive"
