"""Which clips train, which decide when training stops, and which are scored."""

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from qmoe.errors import UserError

Indices = NDArray[np.intp]


def test_folds(clips: pd.DataFrame, rule: str, n_folds: int, seed: int) -> list[Indices]:
    """Return the row indices of each test fold; together they cover every clip once. `clips` has
    the columns recording, fold (official, or NA) and label. The rule "random" stratifies over
    clips, whichever recording they come from (as published: defect D3, docs/defects.md); "grouped"
    takes the official folds, or where there are none keeps every recording within one fold. Raises
    UserError where a class has too few members, or `n_folds` is not the official number."""
    official = clips["fold"].notna().all()
    if rule == "grouped" and official:
        names = sorted(clips["fold"].unique())
        if len(names) != n_folds:
            raise UserError(
                f"the dataset has {len(names)} official folds, params.yaml says {n_folds}: "
                f"set folds: {len(names)} in the dataset's entry"
            )
        return [np.flatnonzero(clips["fold"] == name) for name in names]
    _require_members(clips, "clip" if rule == "random" else "recording", n_folds)
    shuffle: dict[str, Any] = {"n_splits": n_folds, "shuffle": True, "random_state": seed}
    if rule == "random":
        split = StratifiedKFold(**shuffle).split(clips, clips["label"])
    else:
        split = StratifiedGroupKFold(**shuffle).split(clips, clips["label"], clips["recording"])
    return [np.sort(test) for _, test in split]


def _require_members(clips: pd.DataFrame, unit: str, n_folds: int) -> None:
    counts = clips.groupby("class_name")[unit].nunique()
    if counts.min() < n_folds:
        raise UserError(
            f"class {counts.idxmin()!r} has {counts.min()} {unit}s, fewer than the {n_folds} folds:"
            f" add {unit}s, or lower folds in the dataset's entry of params.yaml (5 by default)"
        )


def stopping_split(
    clips: pd.DataFrame, train: Indices, fraction: float, seed: int
) -> tuple[Indices, Indices]:
    """Divide the rows `train` into those that fit and a `fraction` that stops training, stratified,
    with no recording in both. Raises UserError where a class would have no clip left to fit."""
    part = clips.iloc[train]
    n_splits = min(round(1 / fraction), part.groupby("label")["recording"].nunique().max())
    if n_splits < 2:
        raise UserError("no class has two recordings, one to fit and one to stop: add recordings")
    splitter = StratifiedGroupKFold(n_splits=n_splits, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        # A class with fewer recordings than splits is absent from some of the stopping parts.
        warnings.simplefilter("ignore", UserWarning)
        fit, stop = next(iter(splitter.split(part, part["label"], part["recording"])))
    absent = set(part["class_name"]) - set(part["class_name"].iloc[fit])
    if absent:
        raise UserError(f"class {min(absent)!r} has too few recordings to hold any out: add some")
    return train[np.sort(fit)], train[np.sort(stop)]
