"""The columns of a comparison of an arm with a baseline: every test, stated once.

Both `referee.stats.compare` and the significance tables are built from them.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import nan, sqrt
from typing import Any

import numpy as np

from referee.sheet import LABEL, TABLE, Call, Columns, Formula, Row, Step, Values, key
from referee.stats import paired, spread
from referee.stats.multiplicity import holm
from referee.stats.result import stars
from referee.values import (
    CELL,
    count,
    in_order,
    mean,
    mean_of_all,
    mean_of_each_fold,
    means_and_deviations,
    paired_by_cell,
    total,
)

FAMILY = {"family": "family"}
ALPHA = 0.05
OVER_DATASETS = "mean over datasets"


def sides(
    score: str, tidy: str, keys: Iterable[str], steps: tuple[Step, ...] = ()
) -> tuple[Values, Values, Values]:
    """Scores of the arm and of its baseline, and the ratio of test to training clips.

    Args:
        score: column of the scores.
        tidy: name of the tidy table.
        keys: what both sides have in common with the row.
        steps: from the rows of a cell to its score.

    """
    both = {name: name for name in keys}
    return (
        Values(score, tidy, both | {"arm": "arm"}, steps=steps),
        Values(score, tidy, both | {"arm": "baseline"}, steps=steps),
        Values("ratio", tidy, both | {"arm": "arm"}, steps=steps),
    )


def columns(
    arm: Values,
    baseline: Values,
    ratio: Values,
    *,
    margin: float = paired.MARGIN,
    relative: bool = False,
) -> dict[str, Any]:
    """The columns of a comparison on one dataset.

    Tests of the spread take one value a fold, its mean over the seeds: the cells of a fold share
    its clips, so that they are no independent draws.

    Args:
        arm: the scores of the arm.
        baseline: the scores of the same cells of the baseline.
        ratio: n_test / n_train of the cells.
        margin: of equivalence, in units of the score.
        relative: the margin is a share of the baseline's mean.

    Returns:
        Columns by name, in the order in which files show them.

    """
    both, by_cell = (arm, baseline), (paired_by_cell,)
    of_ratio = {"test_train_ratio": "test_train_ratio"}
    of_margin = of_ratio | {"margin": "margin"}
    t = Call(paired.corrected_t, both, by_cell, of_row=of_ratio | {"family": "family_size"})
    means = Call(means_and_deviations, both, by_cell)
    share = Call(share_of_the_baseline, (baseline,), (in_order,), {"share": margin})
    return {
        "n": t["n"],
        "pairing": "+".join(CELL),
        "alternative": t["alternative"],
        **{name: means[name] for name in ("mean", "std", "baseline_mean", "baseline_std")},
        **_parts(t, ddof="ddof", difference="estimate", ci_low="ci_low", ci_high="ci_high"),
        "naive_p": Call(paired.paired_t, both, by_cell)["p"],
        "test_train_ratio": Call(mean, (ratio,), (in_order,))[""],
        **_parts(t, se="se", df="df", corrected_t="statistic", corrected_p="p"),
        **_parts(t, smallest_p="smallest_p", smallest_detectable="detectable"),
        "margin": share[""] if relative else margin,
        "tost_p": Call(paired.tost, both, by_cell, of_row=of_margin)["p"],
        **_more_tests(both, of_margin),
        "_note": t["note"],
        "note": Call(note, both, (in_order,), of_row={"test": "_note"})[""],
        **_family_columns(),
    }


def _more_tests(both: tuple[Values, ...], of_margin: Mapping[str, str]) -> dict[str, Any]:
    """Tests beside the corrected t test, and those of the spread over the folds."""
    by_cell, by_fold = (paired_by_cell,), (paired_by_cell, mean_of_each_fold)
    posterior = Call(paired.posterior, both, by_cell, of_row=of_margin)
    flip = Call(paired.sign_flip, both, by_cell)
    effect = Call(paired.effect_size, both, by_cell)
    spreads = Call(spread.sd_ratio, both, by_fold)
    return {
        **{f"posterior_{side}": posterior[f"p_{side}"] for side in ("below", "within", "above")},
        **_parts(flip, sign_flip_p="p", sign_flip_smallest_p="smallest_p"),
        "wilcoxon_p": Call(paired.wilcoxon, both, by_cell)["p"],
        **_parts(effect, d_z="d_z", hedges_g="hedges_g"),
        **_parts(spreads, n_folds="n", sd_ratio="estimate"),
        **_parts(spreads, sd_ratio_low="ci_low", sd_ratio_high="ci_high"),
        "brown_forsythe_p": Call(spread.brown_forsythe, both, by_fold)["p"],
        "detectable_sd_ratio": spreads["detectable"],
    }


def columns_over_datasets(labels: Iterable[str]) -> dict[str, Any]:
    """The columns of the mean of a comparison over datasets, made of its rows on each dataset.

    Args:
        labels: what the rows of a comparison agree in, beside the dataset and the family.

    Returns:
        Columns by name.

    """
    keys = {name: name for name in labels} | {"family": "_family"}  # of the rows on each dataset

    def of_rows(*sources: str) -> tuple[Values, ...]:
        return tuple(Values(source, TABLE, keys) for source in sources)

    n = Call(total, of_rows("n"))[""]
    error = Call(error_over_datasets, of_rows("se", "df"))
    known = {"estimate": "_difference", "n": "n", "se": "se", "df": "df"}
    t = Call(paired.t_from, given={"test": "corrected t"}, of_row=known | {"family": "family_size"})
    tost = Call(paired.tost_from, of_row=known | {"margin": "margin"})
    return {
        "_family": Call(family_of_datasets, of_row={"family": "family"})[""],
        "n": n,
        "pairing": "dataset",
        "alternative": t["alternative"],
        "mean": Call(mean, of_rows("mean"))[""],
        "baseline_mean": Call(mean, of_rows("baseline_mean"))[""],
        "ddof": t["ddof"],
        "_difference": Call(mean_of_all, of_rows("difference"))[""],
        "difference": Call(mean_of_all, of_rows("difference"))[""],
        "ci_low": t["ci_low"],
        "ci_high": t["ci_high"],
        **_parts(error, se="se", df="df"),
        **_parts(t, corrected_t="statistic", corrected_p="p", smallest_p="smallest_p"),
        "smallest_detectable": t["detectable"],
        "margin": Call(mean, of_rows("margin"))[""],
        "tost_p": tost["p"],
        "_note": t["note"],
        "note": Call(note_over_datasets, of_rows("dataset"), of_row={"test": "_note"})[""],
        **_family_columns(),
    }


def _parts(call: Call, **parts: str) -> dict[str, Formula]:
    return {name: call[part] for name, part in parts.items()}


def corrected(p: str) -> Formula:
    """The column of Holm's correction of a column of p values, within the family of a row."""
    return Call(holm_within, (Values(p, TABLE, FAMILY),), of_row={"p": p})[""]


def _family_columns() -> dict[str, Any]:
    """Size of the family, Holm's p within it, stars and a verdict."""
    about = ("note", "difference", "holm_p", "tost_holm_p")
    return {
        "family": LABEL,
        "family_size": Call(count, (Values("family", TABLE, FAMILY),))[""],
        "holm_p": corrected("corrected_p"),
        "tost_holm_p": corrected("tost_p"),
        "stars": Call(stars, of_row={"p": "holm_p", "smallest_p": "smallest_p"})[""],
        "verdict": Call(verdict, of_row={name: name for name in about})[""],
    }


def comparisons(
    labels: Sequence[Mapping[str, Any]], family: str, single: Columns, over: Columns, end: str = ""
) -> list[Row]:
    """The rows of a family of comparisons, and the means of each over its datasets.

    Args:
        labels: of each comparison, the dataset among them.
        family: name of the family; Holm corrects within it. The means over datasets are a family
            of their own.
        single: the columns of a comparison on one dataset, see `columns`.
        over: the columns of a mean over datasets, see `columns_over_datasets`; none of them for
            no such rows.
        end: of the names of both families.

    Returns:
        A row a comparison; then, where labels but for the dataset agree on two datasets or more,
        a row for the unweighted mean of the differences. No scores are pooled.

    """
    rows = [Row({**row, "family": family + end}, single) for row in labels]
    datasets = Counter(_but_dataset(row) for row in labels if over)
    mean = {"dataset": OVER_DATASETS, "family": f"{family}, {OVER_DATASETS}{end}"}
    return rows + [Row({**dict(group), **mean}, over) for group, n in datasets.items() if n > 1]


def _but_dataset(labels: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, key(value)) for name, value in labels.items() if name != "dataset")


def share_of_the_baseline(baseline: Any, share: float) -> float:
    """Share of the mean of the baseline."""
    return share * mean(baseline)


def note(arm: Any, baseline: Any, test: str) -> str:
    """How many cells have no value, and what the test notes."""
    lacking = int((arm.isna() | baseline.isna()).sum())
    words = f"{lacking} of {len(arm)} cells without a value" if lacking else ""
    return "; ".join(filter(None, [words, test]))


def note_over_datasets(datasets: Any, test: str) -> str:
    """The datasets, and what the test notes."""
    return "; ".join(filter(None, [f"of {', '.join(map(str, datasets))}", test]))


def family_of_datasets(family: str) -> str:
    """The family of the comparisons that a mean over datasets is made of."""
    return family.replace(f", {OVER_DATASETS}", "")


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


def verdict(note: str, difference: float, holm_p: float, tost_holm_p: float) -> str:
    """What may be said: `inconclusive` is neither a difference nor equivalence."""
    if paired.IDENTICAL in note:
        return "identical"
    same = tost_holm_p < ALPHA
    if holm_p < ALPHA:
        direction = "higher" if difference > 0 else "lower"
        return direction + (", within the margin" if same else "")
    return "equivalent" if same else "inconclusive"
