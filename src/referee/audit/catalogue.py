"""Every check of the audit: `checks.yaml` holds the severity and the consequence of each.

`where` is the dataset, the protocol, or both as `dataset/protocol`; `cells` are its rows in the
table of scores, `experiments` those of `run.json`, and `score` is that of the paper. Predictions
and histories are read from the folders of the cells.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from scipy.stats import f as f_distribution

from records.files import sha256
from referee.contract import NO_RULE, Finding, Run, read_history, read_predictions
from referee.contract.run import DatasetFacts, RunExperiment, SplitFacts
from referee.paper import Score

CHECKS: dict[str, dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("checks.yaml").read_text(encoding="utf-8")
)
SAME = 1e-12  # smaller changes are rounding, in float64 about 1e-16
Experiments = Sequence[RunExperiment]


def finding(check: str, where: str, /, **evidence: Any) -> Finding:
    """Return the finding of a check of `CHECKS`; `evidence` is what was counted or measured."""
    return Finding(check=check, where=where, evidence=evidence, **CHECKS[check])


def leak(where: str, siblings: int, test_clips: int, seen_in: str) -> Finding:
    """Return the finding that `siblings` of the test clips have their recording in training too."""
    clips = {"test_clips_with_their_recording_in_training": siblings, "test_clips": test_clips}
    told = {"share": siblings / test_clips, "seen_in": seen_in}
    return finding("recordings_on_both_sides", where, **clips, **told)


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
    """Yield a finding on the arm and seed with the most clips of recordings in several folds."""
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


def embeddings(name: str, facts: DatasetFacts) -> Iterable[Finding]:
    """Yield every finding on the table of embeddings of the dataset `name`."""
    clips, of = len(facts.clips), facts.dimension
    if facts.constant_columns:
        yield finding("constant_columns", name, columns=facts.constant_columns, of=of)
    if facts.duplicate_columns:
        yield finding("duplicate_columns", name, columns=facts.duplicate_columns, of=of)
    if copies := facts.vectors_in_several_recordings:
        yield finding("duplicate_clips", name, vectors_in_several_recordings=copies, clips=clips)
    if facts.random_layer:
        yield finding("random_head", name, backbone=facts.backbone, published=True)
    elif not facts.embedding_known:
        yield finding("unknown_embedding", name, source=facts.source)
    if not facts.recordings_known:
        yield finding("unknown_recordings", name, clips=clips)


def split_leak(split: SplitFacts) -> Iterable[Finding]:
    """Yield a finding if recordings lie on both sides of a split."""
    siblings = split.test_clips_with_their_recording_in_training
    if split.test_clips and siblings:
        yield leak(f"{split.dataset}/{split.protocol}", siblings, split.test_clips, "the split")


def checkpoints(where: str, experiments: Experiments) -> Iterable[Finding]:
    """Yield a finding if some arms are scored at their best epoch and others at their last."""
    models: dict[str, list[str]] = {}
    for epoch, model in dict.fromkeys((e.scored_epoch, e.model) for e in experiments):
        if epoch is not None:
            models.setdefault(epoch, []).append(model)
    if len(models) > 1:
        yield finding("unequal_checkpoints", where, **models)


def selection(
    where: str, experiments: Experiments, cells: pd.DataFrame, score: Score
) -> Iterable[Finding]:
    """Yield a finding if the test clips stop training, with what the choice of an epoch gains."""
    folders = {cell for e in experiments if e.stopped_by == "test" for cell in e.cells}
    if not folders:
        return
    stopping = f"stop_{score.column}"
    chosen = cells[cells["cell"].isin(folders)]
    curves = [read_history(Path(cell), score)[stopping] for cell in chosen["cell"]]
    gains = pd.Series([curve.max() - curve.iloc[-1] for curve in curves])
    evidence: dict[str, Any] = {"cells": len(chosen)}
    if stopping in chosen:
        equal = chosen[score.column] == chosen[stopping]
        evidence[f"cells_whose_score_is_the_stopping_{score.name}"] = int(equal.sum())
    evidence[f"best_minus_last_epoch_{score.name}_mean"] = float(gains.mean())
    yield finding("test_data_select", where, **evidence)


def batches(where: str, experiments: Experiments, run: Run) -> Iterable[Finding]:
    """Yield findings if predictions depend on which clips share a batch."""
    scaled = {e.arm: run.effect_of(e) for e in experiments if "uncertainty" in e.scaled_by_batch}
    routed = {
        arm: {
            "change_of_a_probability_by_neighbours_up_to": effect.change_by_neighbours,
            "curiosity_is_off_in_a_batch_of_one": effect.change_in_a_batch_of_one < SAME,
        }
        for arm, effect in scaled.items()
        if effect and effect.change_by_neighbours > SAME
    }
    if routed:
        yield finding("batch_dependent_routing", where, **routed)
    if arms := {e.arm for e in experiments if "activations" in e.scaled_by_batch}:
        yield finding("batch_dependent_activations", where, arms=sorted(arms))


def identities(
    where: str, experiments: Experiments, cells: pd.DataFrame, run: Run, score: Score
) -> Iterable[Finding]:
    """Yield findings on strategies that change no routing probability, or never the choice."""
    steady: dict[str, Any] = {}
    for arm, experiment in {e.arm: e for e in experiments}.items():
        if (effect := run.effect_of(experiment)) is None:
            continue
        draws = {"random_routings": effect.random_routings}
        change = {"largest_change_of_a_probability": effect.largest_change}
        if effect.largest_change < SAME:
            same = {"same_network_as_the_plain_router": experiment.same_network_as_plain}
            evidence = {"arm": arm} | draws | change | same | _gains(experiment, cells, score)
            yield finding("identity_map", where, **evidence)
        elif effect.choices_changed == 0 and experiment.top_k == 1:
            looks = {"looks_at_uncertainty": effect.change_by_neighbours > SAME}
            steady |= draws | {arm: change | looks}
    if steady:
        yield finding("order_preserving", where, **steady)


def _gains(experiment: RunExperiment, cells: pd.DataFrame, score: Score) -> dict[str, float]:
    """Compare with the plain router of the same networks, seed by seed and fold by fold."""
    alike = cells[cells["experts"] == "+".join(experiment.experts)].set_index(["seed", "fold"])
    varied = (alike["strategy"] == experiment.strategy) & (alike["alpha"] == experiment.alpha)
    scores = alike[score.column]
    difference = (scores[varied] - scores[alike["strategy"] == NO_RULE]).dropna()
    if difference.empty:
        return {}
    return {
        f"{score.name}_minus_plain_router_mean": float(difference.mean()),
        f"{score.name}_minus_plain_router_largest": float(difference.abs().max()),
    }
