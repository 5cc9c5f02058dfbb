"""`run.json`: what only the method can tell of a run; the schema is `referee.contract.Run`.
Facts of the grid, of the tables of embeddings and of their splits, and what each curiosity rule
does to random routings. Nothing is judged here."""

from pathlib import Path
from typing import Any

import numpy as np

from qmoe.data import table as tables
from qmoe.data.splits import test_folds
from qmoe.data.table import EmbeddingTable
from qmoe.errors import UserError
from qmoe.grid import Experiment, Grid, training_source
from qmoe.nn.curiosity import STRATEGIES, uncertainty, weigh

DRAWS = 500
_PASSES = 10


def describe(grid: Grid) -> dict[str, Any]:
    """Return the content of `run.json`; the same grid and data give the same content. Facts
    of datasets and splits whose table of embeddings is not on disk are left out. Raises UserError
    if a table cannot be read or split."""
    paths = {name: source.table for name, source in grid.sources.items()}
    read = {name: tables.read(path) for name, path in paths.items() if path.exists()}
    routed = [(e.strategy, e.alpha, e.experts) for e in grid.experiments if e.strategy != "none"]
    one_a_split = {(e.dataset, e.protocol): e for e in reversed(grid.experiments)}
    return {
        "grid": grid.key,
        "params": grid.params.model_dump(mode="json", exclude_unset=True),
        "training_source": training_source(),
        "experiments": [_experiment(experiment) for experiment in grid.experiments],
        "effects": [effect(*rule) for rule in dict.fromkeys(routed)],
        "datasets": {name: dataset_facts(table) for name, table in read.items()},
        "splits": [_split(e, read.get(e.dataset)) for e in reversed(one_a_split.values())],
    }


def _experiment(experiment: Experiment) -> dict[str, Any]:
    """State the identity of an experiment and how it was trained, in the terms of the contract."""
    names = ("dataset", "protocol", "arm", "model", "strategy", "alpha", "experts", "seed", "folds")
    rules = experiment.spec["protocol"]
    scaled = {
        "uncertainty": experiment.strategy != "none" and rules["uncertainty_scale"] == "per_batch",
        "activations": "ptq8" in experiment.experts and rules["ptq8_activations"] == "per_batch",
    }
    return {name: getattr(experiment, name) for name in names} | {
        "cells": [experiment.cell(fold).as_posix() for fold in experiment.folds],
        "scored_epoch": experiment.spec["training"]["checkpoint"],
        "stopped_by": rules["stop_on"],
        "scaled_by_batch": [what for what, is_scaled in scaled.items() if is_scaled],
        "same_network_as_plain": rules["bayesian_router"] == "always",
        "top_k": experiment.spec.get("router", {}).get("top_k"),
    }


def effect(strategy: str, alpha: float | None, experts: tuple[str, ...]) -> dict[str, Any]:
    """Return a `referee.contract.run.RuleEffect`: what a curiosity rule does to `DRAWS` random
    routings between the E `experts`. No probability is drawn below 0.01 / E, so that no clamp of a
    rule acts. Uncertainty comes from 10 random passes and is scaled over batches of three sizes:
    all draws, two and one."""
    from qmoe.nn.experts import BITS  # imports torch

    rng = np.random.default_rng(0)
    count, strength = len(experts), alpha or 0.0
    bits = np.array([BITS[expert] for expert in experts])
    drawn = 0.99 * rng.dirichlet(np.ones(count), (1 + _PASSES, DRAWS)) + 0.01 / count
    p, passes = drawn[0], drawn[1:]

    def routed(rows: np.ndarray) -> np.ndarray:
        """Apply the rule to one batch, over which uncertainty is scaled."""
        samples = passes[:, rows]
        u = uncertainty(samples)
        evidence = weigh(u, samples, bits, strength, u_range=None, u_escalate=None)
        return STRATEGIES[strategy](p[rows], strength, evidence)

    together, in_pairs, alone = (
        np.concatenate([routed(rows) for rows in np.array_split(np.arange(DRAWS), batches)])
        for batches in (1, DRAWS // 2, DRAWS)
    )
    return {"strategy": strategy, "alpha": alpha, "experts": experts, "random_routings": DRAWS} | {
        "largest_change": float(np.abs(together - p).max()),
        "choices_changed": float((together.argmax(axis=1) != p.argmax(axis=1)).mean()),
        "change_by_neighbours": float(np.abs(together - in_pairs).max()),
        "change_in_a_batch_of_one": float(np.abs(alone - p).max()),
    }


def facts_of_file(path: Path) -> dict[str, Any]:
    """State the facts of a table of embeddings: .parquet, or .csv as the authors write it. Raises
    UserError if the file cannot be read, or is neither."""
    read = {".csv": tables.read_authors_csv, ".parquet": tables.read}.get(path.suffix)
    if read is None:
        raise UserError(f"{path}: give a table of embeddings (.parquet, .csv) or a results folder")
    return dataset_facts(read(path))


def dataset_facts(table: EmbeddingTable) -> dict[str, Any]:
    """State the facts of a table of embeddings, a record of `referee.contract.run.DatasetFacts`."""
    clips, vectors, metadata = table.clips, table.vectors, table.metadata
    constant = np.ptp(vectors, axis=0) == 0
    varying = [column.tobytes() for column in vectors.T[~constant]]
    recordings = clips["recording"].groupby([vector.tobytes() for vector in vectors]).nunique()
    unknown = clips["recording"].is_unique and clips["fold"].isna().any()
    return {
        "dimension": vectors.shape[1],
        "constant_columns": int(constant.sum()),
        "duplicate_columns": len(varying) - len(set(varying)),
        "vectors_in_several_recordings": int((recordings > 1).sum()),
        "recordings_known": not unknown,
        "embedding_known": "backbone" in metadata,
        "backbone": metadata.get("backbone"),
        "random_layer": bool(metadata.get("published")),
        "source": metadata.get("source"),
        "classes": [
            {"name": name, "clips": members["clip"].tolist()}
            for (_, name), members in clips.groupby(["label", "class_name"])
        ],
    }


def _split(experiment: Experiment, table: EmbeddingTable | None) -> dict[str, Any]:
    """Count the test clips whose recording is in training; folds train on all other clips."""
    spec = experiment.spec
    count = spec["n_folds"]
    facts = {"dataset": experiment.dataset, "protocol": experiment.protocol, "n_folds": count}
    if table is None:
        return facts
    folds = test_folds(table.clips, spec["protocol"]["folds"], count, spec["split_seed"])
    tests = [folds[number] for number in experiment.folds]
    recordings = table.clips["recording"].to_numpy()
    siblings = [np.isin(recordings[test], np.delete(recordings, test)).sum() for test in tests]
    return facts | {
        "test_clips": sum(map(len, tests)),
        "test_clips_with_their_recording_in_training": int(sum(siblings)),
    }
