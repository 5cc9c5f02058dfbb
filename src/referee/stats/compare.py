"""Every arm of a tidy table of scores against a baseline, on each dataset and over them.

The table has a row a cell: dataset, arm, seed, fold, score, and n_train and n_test if known.
Rows are joined on dataset, seed and fold, never by their order.
"""

from collections.abc import Iterable

import pandas as pd

from referee.errors import InputError
from referee.sheet import Sheet, Tidy
from referee.stats import paired
from referee.stats.comparison import (
    ALPHA,
    OVER_DATASETS,
    columns,
    columns_over_datasets,
    comparisons,
    sides,
)
from referee.values import CELL

__all__ = ["ALPHA", "KEYS", "OVER_DATASETS", "checked", "compare", "markdown", "pairs"]
__all__ += ["for_people", "frame", "with_ratio"]

KEYS = CELL
COLUMNS = ["dataset", "arm", "seed", "fold", "score"]
SCORES = "scores"


def checked(scores: pd.DataFrame) -> pd.DataFrame:
    """The table itself.

    Raises:
        InputError: a column or a score is missing, a score is no number, or two rows are one cell.

    """
    lacking = [column for column in COLUMNS if column not in scores]
    if lacking:
        raise InputError(f"the table has no column {', '.join(lacking)}: it needs {COLUMNS}")
    if not pd.api.types.is_numeric_dtype(scores["score"]) or scores["score"].isna().any():
        rows = pd.to_numeric(scores["score"], errors="coerce").isna()
        raise InputError(
            f"score is missing or no number for {_cells(scores[rows])}: fill or drop it"
        )
    twice = scores[scores.duplicated([*KEYS, "arm"])]
    if len(twice):
        raise InputError(f"more than one row for {_cells(twice)}: keep one row a cell and arm")
    return scores


def _cells(rows: pd.DataFrame, most: int = 3) -> str:
    named = [", ".join(f"{k} {row[k]}" for k in ["arm", *KEYS]) for _, row in rows.iterrows()]
    more = f" and {len(named) - most} more" if len(named) > most else ""
    return "; ".join(named[:most]) + more


def pairs(scores: pd.DataFrame, arm: str, baseline: str) -> pd.DataFrame:
    """Cells of both arms, joined: dataset, seed, fold, score, score_baseline, ratio.

    `ratio` is n_test / n_train of the cell where the table has both, else 1 / (k - 1) for the k
    folds of the dataset. Datasets that only one arm covers are left out.

    A score may be NaN, where a measurement was below resolution: its pair is not tested.

    Raises:
        InputError: the arms cover different seeds or folds of a dataset.

    """
    a, b = scores[scores["arm"] == arm], scores[scores["arm"] == baseline]
    shared = a["dataset"][a["dataset"].isin(b["dataset"])].unique()
    a, b = a[a["dataset"].isin(shared)], b[b["dataset"].isin(shared)]
    joined = a.merge(
        b[[*KEYS, "score"]], on=KEYS, how="outer", suffixes=("", "_baseline"), indicator=True
    )
    alone = joined[joined["_merge"] != "both"]
    if len(alone):
        lacks = (alone["_merge"] == "right_only").map({True: arm, False: baseline})
        raise InputError(
            f"{arm} and {baseline} cover different cells, missing: "
            f"{_cells(alone.assign(arm=lacks))}; add these rows, or drop their partners"
        )
    joined = with_ratio(joined, ["dataset"])[[*KEYS, "score", "score_baseline", "ratio"]]
    return joined.sort_values(KEYS, ignore_index=True)


def with_ratio(scores: pd.DataFrame, of: list[str]) -> pd.DataFrame:
    """The scores with `ratio`, see `pairs`; `of` are columns that tell sets of folds apart."""
    if {"n_train", "n_test"} <= set(scores):
        return scores.assign(ratio=scores["n_test"] / scores["n_train"])
    folds = scores.groupby(of)["fold"].transform("nunique")
    return scores.assign(ratio=1 / (folds - 1).where(folds > 1))


def compare(scores: pd.DataFrame, baseline: str, *, margin: float = paired.MARGIN) -> pd.DataFrame:
    """Every other arm against the baseline; all comparisons are one family.

    Args:
        scores: the tidy table, see the module.
        baseline: an arm.
        margin: of equivalence, in units of the score.

    Returns:
        A row a comparison, and the means over datasets, with the columns of `columns`.

    Raises:
        InputError: the table is not as it must be, has no such arm, or nothing to compare with it.

    """
    arms = list(checked(scores)["arm"].unique())
    if baseline not in arms:
        raise InputError(f"no arm {baseline!r} in the table; its arms: {', '.join(map(str, arms))}")
    labels = [
        {"dataset": dataset, "arm": arm, "baseline": baseline}
        for arm in arms
        if arm != baseline
        for dataset in pairs(scores, arm, baseline)["dataset"].unique()
    ]
    if not labels:
        raise InputError(f"no other arm shares a dataset with {baseline!r}: nothing to compare")
    single = columns(*sides("score", SCORES, ["dataset"]), margin=margin)
    over = columns_over_datasets(["arm", "baseline"])
    rows = comparisons(labels, f"all arms against {baseline}", single, over)
    tidy = {SCORES: with_ratio(scores, ["arm", "dataset"])}
    return frame(Sheet(rows, Tidy(tidy.get)), [*labels[0], *single])


def frame(sheet: Sheet, names: Iterable[str]) -> pd.DataFrame:
    """The comparisons as a table, with these columns but for those that are not shown."""
    made = sheet.frame([name for name in names if not name.startswith("_")])
    return made.astype({"n_folds": "Int64"})


def for_people(table: pd.DataFrame, columns: list[str] | None = None) -> pd.DataFrame:
    """Four significant digits as text; empty where nothing can be told."""
    shown = table if columns is None else table[[name for name in columns if name in table]]
    return shown.map(lambda v: "" if pd.isna(v) else f"{v:.4g}" if isinstance(v, float) else str(v))


def markdown(table: pd.DataFrame, columns: list[str] | None = None) -> str:
    """A Markdown table of four significant digits; empty where nothing can be told."""
    cells = for_people(table, columns)
    headings = [name.replace("_", " ") for name in cells.columns]
    return str(cells.set_axis(headings, axis=1).to_markdown(index=False, disable_numparse=True))
