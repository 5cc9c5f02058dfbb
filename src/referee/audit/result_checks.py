"""Checks of the results: the table of scores, and the predictions of its cells."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from referee.audit.catalogue import found
from referee.audit.data_checks import leak
from referee.contract import Finding, read_predictions
from referee.files import sha256


def leaks(where: str, cells: pd.DataFrame) -> Iterable[Finding]:
    """Yield a finding if a recording is scored in several folds, so that each trains on it.

    Reads the predictions. The arm and seed with the most such clips counts.
    """
    worst = (0, 0)
    for _, folds in cells.groupby(["arm", "seed"]):
        tests = [
            read_predictions(Path(cell)).assign(fold=fold)
            for cell, fold in zip(folds["cell"], folds["fold"], strict=True)
        ]
        clips = pd.concat(tests)
        if "recording" in clips:
            shared = clips.groupby("recording")["fold"].transform("nunique") > 1
            worst = max(worst, (int(shared.sum()), len(shared)))
    if worst[0]:
        yield leak(where, *worst, "the predictions")


def equal_predictions(where: str, cells: pd.DataFrame) -> Iterable[Finding]:
    """Yield a finding for arms whose predictions are equal byte for byte in every seed and fold."""
    arms: dict[tuple[Any, ...], list[str]] = {}
    for arm, rows in cells.groupby("arm", sort=False):
        ordered = rows.sort_values(["seed", "fold"])
        hashes = [sha256(Path(cell) / "predictions.parquet") for cell in ordered["cell"]]
        arms.setdefault((*ordered["seed"], *ordered["fold"], *hashes), []).append(str(arm))
    for same in arms.values():
        if len(same) > 1:
            yield found("equal_predictions", where, {"arms": same})


def coverage(protocol: str, cells: pd.DataFrame) -> Iterable[Finding]:
    """Yield a finding if arms lack datasets, seeds or folds that other arms have."""
    keys = ["dataset", "seed", "fold"]
    covered = {
        str(arm): set(rows[keys].itertuples(index=False, name=None))
        for arm, rows in cells.groupby("arm", sort=False)
    }
    everything = set().union(*covered.values())
    missing = {arm: sorted(everything - there) for arm, there in covered.items()}
    evidence = {
        arm: {
            "cells_missing": len(absent),
            "of": len(everything),
            "first": "{} seed {} fold {}".format(*absent[0]),
        }
        for arm, absent in missing.items()
        if absent
    }
    if evidence:
        yield found("unequal_coverage", protocol, evidence)
