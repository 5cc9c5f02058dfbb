"""Checks of `run.json`: tables of embeddings, splits, and how arms were trained and routed.

`where` is the dataset and protocol of the experiments, `cells` are their rows in the table of
scores, and `score` is that of the paper. Histories are read from the folders of the cells.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from referee.audit.catalogue import finding, leak
from referee.contract import NO_RULE, Finding, Run, read_history
from referee.contract.run import DatasetFacts, RunExperiment, SplitFacts
from referee.paper import Score

SAME = 1e-12  # smaller changes are rounding, in float64 about 1e-16
Experiments = Sequence[RunExperiment]


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
    models: dict[str, dict[str, None]] = {}
    for experiment in experiments:
        if experiment.scored_epoch is not None:
            models.setdefault(experiment.scored_epoch, {})[experiment.model] = None
    if len(models) > 1:
        evidence = {epoch: list(names) for epoch, names in models.items()}
        yield finding("unequal_checkpoints", where, **evidence)


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
    routed: dict[str, dict[str, Any]] = {}
    for experiment in experiments:
        effect = run.effect_of(experiment)
        if effect is None or "uncertainty" not in experiment.scaled_by_batch:
            continue
        if effect.change_by_neighbours > SAME:
            routed[experiment.arm] = {
                "change_of_a_probability_by_neighbours_up_to": effect.change_by_neighbours,
                "curiosity_is_off_in_a_batch_of_one": effect.change_in_a_batch_of_one < SAME,
            }
    if routed:
        yield finding("batch_dependent_routing", where, **routed)
    if scaled := {e.arm for e in experiments if "activations" in e.scaled_by_batch}:
        yield finding("batch_dependent_activations", where, arms=sorted(scaled))


def identities(
    where: str, experiments: Experiments, cells: pd.DataFrame, run: Run, score: Score
) -> Iterable[Finding]:
    """Yield findings on strategies that change no routing probability, or never the choice."""
    steady: dict[str, Any] = {}
    for arm, experiment in {e.arm: e for e in experiments}.items():
        effect = run.effect_of(experiment)
        if effect is None:
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
