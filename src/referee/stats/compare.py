"""The cells of two arms of a tidy table of scores, joined for a comparison.

The table has a row a cell: dataset, arm, seed, fold, score, and n_train and n_test if known.
Rows are joined on dataset, seed and fold, never by their order.
"""

import pandas as pd

from referee.errors import InputError

KEYS = ["dataset", "seed", "fold"]
COLUMNS = ["dataset", "arm", "seed", "fold", "score"]


def checked(scores: pd.DataFrame) -> pd.DataFrame:
    """The table itself.

    Raises InputError where a column or a score is missing, a score is no number, or two rows are
    of one cell and arm.
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

    `ratio` is that of `with_ratio`. Datasets that only one arm covers are left out. A score may be
    NaN, where a measurement was below resolution: its pair is not tested. Raises InputError where
    the arms cover different seeds or folds of a dataset.
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
    """The scores with `ratio`: n_test / n_train of a cell, or 1 / (k - 1) for k folds.

    The latter where the table lacks either; `of` are the columns that tell sets of folds apart.
    """
    if {"n_train", "n_test"} <= set(scores):
        return scores.assign(ratio=scores["n_test"] / scores["n_train"])
    folds = scores.groupby(of)["fold"].transform("nunique")
    return scores.assign(ratio=1 / (folds - 1).where(folds > 1))
