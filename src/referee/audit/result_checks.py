"""Checks of the results: the table of scores, and the predictions of its cells."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from scipy.stats import f as f_distribution

from referee.audit.catalogue import finding, leak
from referee.contract import Finding, read_predictions
from referee.provenance import sha256


def few_folds(where: str, folds: int, seeds: int) -> Iterable[Finding]:
    """Yield a finding if no rank or sign test over so few folds can reach p < 0.05."""
    lowest, df = 2.0 ** (1 - folds), folds - 1
    if lowest <= 0.05:
        return
    of_spread = {
        "variance_ratio_that_an_f_test_needs": float(f_distribution.ppf(0.975, df, df)),
        "chance_of_half_the_variance_without_effect": float(f_distribution.cdf(0.5, df, df)),
    }
    evidence = {"lowest_two_sided_p_of_signs_and_ranks": lowest} | (of_spread if df else {})
    yield finding("few_folds", where, folds=folds, seeds=seeds, **evidence)


def leaks(where: str, cells: pd.DataFrame) -> Iterable[Finding]:
    """Yield a finding if a recording is scored in several folds, so that each trains on it.

    Reads the predictions. The arm and seed with the most such clips counts.
    """
    worst = (0, 0)
    for _, folds in cells.groupby(["arm", "seed"]):
        named = zip(folds["cell"], folds["fold"], strict=True)
        clips = pd.concat(read_predictions(Path(cell)).assign(fold=fold) for cell, fold in named)
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
            yield finding("equal_predictions", where, arms=same)


def coverage(protocol: str, cells: pd.DataFrame) -> Iterable[Finding]:
    """Yield a finding if arms lack datasets, seeds or folds that other arms have."""
    covered = {
        str(arm): set(rows[["dataset", "seed", "fold"]].itertuples(index=False, name=None))
        for arm, rows in cells.groupby("arm", sort=False)
    }
    everything = set().union(*covered.values())
    evidence = {
        arm: {
            "cells_missing": len(missing),
            "of": len(everything),
            "first": "{} seed {} fold {}".format(*min(missing)),
        }
        for arm, present in covered.items()
        if (missing := everything - present)
    }
    if evidence:
        yield finding("unequal_coverage", protocol, **evidence)
