"""Checks on what was run, and on what came out of it."""

from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from qmoe.grid import Experiment
from referee.audit.data import leak_finding
from referee.audit.finding import CURIOSITY, F1, Finding
from referee.audit.routing import DRAWS, SAME, effect
from referee.errors import InputError
from referee.files import sha256


def check(experiments: list[Experiment], cells: pd.DataFrame) -> Iterable[Finding]:
    """Every finding on experiments and their cells, for each dataset and protocol."""
    missing = [cell for cell in cells["cell"] if not (Path(cell) / "predictions.parquet").is_file()]
    if missing:
        raise InputError(f"{missing[0]} is not here: `snakemake -j8 cells` trains it")

    def group(e: Experiment) -> tuple[str, str]:
        return e.protocol, e.dataset

    for (protocol, dataset), some in groupby(sorted(experiments, key=group), group):
        own = cells[(cells["protocol"] == protocol) & (cells["dataset"] == dataset)]
        where, members = f"{dataset}/{protocol}", list(some)
        yield from checkpoints(where, members)
        yield from selection(where, members, own)
        yield from batches(where, members)
        yield from identities(where, members, own)
        yield from leaks(where, own)
        yield from equal_predictions(where, own)
    for name, protocol_cells in cells.groupby("protocol", sort=False):
        yield from coverage(str(name), protocol_cells)


def checkpoints(where: str, experiments: list[Experiment]) -> Iterable[Finding]:
    """D5: arms that are scored at their last epoch beside arms that are scored at their best."""
    models: dict[str, list[str]] = {}
    for experiment in experiments:
        arms = models.setdefault(experiment.spec["training"]["checkpoint"], [])
        if experiment.model not in arms:
            arms.append(experiment.model)
    if len(models) > 1:
        yield Finding(
            check="unequal_checkpoints",
            severity="error",
            where=where,
            evidence=models,
            consequence="Arms that are scored at their best epoch are favoured over those that "
            "are scored at their last; a difference between them says nothing of the models.",
            claims=("table1", "moe_overhead_11"),
        )


def selection(where: str, experiments: list[Experiment], cells: pd.DataFrame) -> Iterable[Finding]:
    """D5: the scored clips also stop training, and lower its learning rate."""
    chosen = [e for e in experiments if e.spec["protocol"]["stop_on"] == "test"]
    if not chosen:
        return
    folders = {e.cell(fold).as_posix() for e in chosen for fold in e.folds}
    own = cells[cells["cell"].isin(folders)]
    gains = []
    for cell in own["cell"]:
        f1 = pd.read_csv(Path(cell) / "history.csv")["stop_f1_weighted"]
        gains.append(f1.max() - f1.iloc[-1])
    yield Finding(
        check="test_data_select",
        severity="error",
        where=where,
        evidence={
            "cells": len(own),
            "cells_whose_score_is_the_stopping_f1": int(
                (own["f1_weighted"] == own["stop_f1_weighted"]).sum()
            ),
            "best_minus_last_epoch_f1_mean": float(pd.Series(gains).mean()),
        },
        consequence="The clips that are scored also choose when to stop, and at which epoch: the "
        "scores are those of the luckiest epoch, too high, and unlike across arms.",
        claims=F1,
    )


def batches(where: str, experiments: list[Experiment]) -> Iterable[Finding]:
    """D4: predictions that depend on which clips share a batch."""
    routed: dict[str, dict[str, Any]] = {}
    for e in experiments:
        if e.strategy == "none" or e.spec["protocol"]["uncertainty_scale"] != "per_batch":
            continue
        rule = effect(e.strategy, e.alpha or 0.0, e.experts)
        if rule.change_by_neighbours > SAME:
            routed[e.arm] = {
                "change_of_a_probability_by_neighbours_up_to": rule.change_by_neighbours,
                "curiosity_is_off_in_a_batch_of_one": rule.change_in_a_batch_of_one < SAME,
            }
    if routed:
        yield Finding(
            check="batch_dependent_routing",
            severity="warning",
            where=where,
            evidence=routed,
            consequence="Uncertainty is scaled over the batch: the route of a clip depends on its "
            "neighbours, so scores depend on the batch size and do not hold one clip at a time.",
            claims=CURIOSITY,
        )
    ptq8 = {
        e.arm
        for e in experiments
        if "ptq8" in e.experts and e.spec["protocol"]["ptq8_activations"] == "per_batch"
    }
    if ptq8:
        yield Finding(
            check="batch_dependent_activations",
            severity="warning",
            where=where,
            evidence={"arms": sorted(ptq8)},
            consequence="The range of the 8-bit activations is that of the batch: the prediction "
            "for a clip depends on its neighbours.",
            claims=("table1", "q8_gets_uncertain"),
        )


def identities(where: str, experiments: list[Experiment], cells: pd.DataFrame) -> Iterable[Finding]:
    """Curiosity that changes no routing probability, or never which expert is chosen."""
    steady: dict[str, dict[str, Any]] = {}
    for arm, e in {e.arm: e for e in experiments if e.strategy != "none"}.items():
        rule = effect(e.strategy, e.alpha or 0.0, e.experts)
        if rule.is_identity:
            always = e.spec["protocol"]["bayesian_router"] == "always"
            yield Finding(
                check="identity_map",
                severity="error",
                where=where,
                evidence={
                    "arm": arm,
                    "random_routings": DRAWS,
                    "largest_change_of_a_probability": rule.largest_change,
                    "same_network_as_the_plain_router": always,
                    **_difference(e, cells),
                },
                consequence="This curiosity changes no routing probability: the arm is the plain "
                "router under another name; a difference in F1 is "
                + ("rounding that training amplified." if always else "its extra dropout layer."),
                claims=CURIOSITY,
            )
        elif rule.choices_changed == 0 and e.spec["router"]["top_k"] == 1:
            steady[arm] = {
                "largest_change_of_a_probability": rule.largest_change,
                "looks_at_uncertainty": rule.change_by_neighbours > SAME,
            }
    if steady:
        yield Finding(
            check="order_preserving",
            severity="note",
            where=where,
            evidence={"random_routings": DRAWS, **steady},
            consequence="These rules sharpen or flatten the routing, but in no random routing "
            "chose another expert: they act through training alone and send no sample elsewhere.",
            claims=("q8_gets_uncertain",),
        )


def _difference(curious: Experiment, cells: pd.DataFrame) -> dict[str, float]:
    """F1 against the plain router of the same experts, seed by seed and fold by fold."""
    same = cells[cells["experts"] == "+".join(curious.experts)]
    plain = same[same["strategy"] == "none"].set_index(["seed", "fold"])["f1_weighted"]
    own = same[(same["strategy"] == curious.strategy) & (same["alpha"] == curious.alpha)]
    difference = (own.set_index(["seed", "fold"])["f1_weighted"] - plain).dropna()
    if difference.empty:
        return {}
    return {
        "f1_minus_plain_router_mean": float(difference.mean()),
        "f1_minus_plain_router_largest": float(difference.abs().max()),
    }


def leaks(where: str, cells: pd.DataFrame) -> Iterable[Finding]:
    """D3, from the predictions: what is scored in one fold is trained on in the others."""
    worst = (0, 0)
    for _, folds in cells.groupby(["arm", "seed"]):
        tests = [
            pd.read_parquet(Path(cell) / "predictions.parquet", columns=["recording"])["recording"]
            for cell in folds["cell"]
        ]
        known = pd.concat(tests, keys=range(len(tests)), names=["fold"]).reset_index("fold")
        spread = known.groupby("recording")["fold"].transform("nunique") > 1
        worst = max(worst, (int(spread.sum()), len(spread)))
    if worst[0]:
        yield leak_finding(where, *worst, "the predictions")


def equal_predictions(where: str, cells: pd.DataFrame) -> Iterable[Finding]:
    """Arms whose predictions are the same file, byte for byte, in every fold and seed."""
    arms: dict[tuple[Any, ...], list[str]] = {}
    for arm, own in cells.groupby("arm", sort=False):
        files = own.sort_values(["seed", "fold"])
        content = [sha256(Path(cell) / "predictions.parquet") for cell in files["cell"]]
        arms.setdefault((*files["seed"], *files["fold"], *content), []).append(str(arm))
    for same in arms.values():
        if len(same) > 1:
            yield Finding(
                check="equal_predictions",
                severity="warning",
                where=where,
                evidence={"arms": same},
                consequence="These arms are one: their predictions are equal byte for byte.",
                claims=F1,
            )


def coverage(protocol: str, cells: pd.DataFrame) -> Iterable[Finding]:
    """Arms that lack datasets, seeds or folds which others have."""
    keys = ["dataset", "seed", "fold"]
    covered = {
        str(arm): set(own[keys].itertuples(index=False, name=None))
        for arm, own in cells.groupby("arm", sort=False)
    }
    everything = set().union(*covered.values())
    lacking = {arm: sorted(everything - own) for arm, own in covered.items() if own != everything}
    if lacking:
        yield Finding(
            check="unequal_coverage",
            severity="warning",
            where=protocol,
            evidence={
                arm: {
                    "cells_missing": len(missing),
                    "of": len(everything),
                    "first": "{} seed {} fold {}".format(*missing[0]),
                }
                for arm, missing in lacking.items()
            },
            consequence="Averages over what an arm happens to cover are compared with averages "
            "over more: compare on the cells that both have.",
            claims=("table1", "table5"),
        )
