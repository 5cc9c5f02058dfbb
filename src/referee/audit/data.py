"""Checks on tables of embeddings and on how they are split."""

import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.stats import f as f_distribution

from qmoe.data.clips import ESC
from qmoe.data.splits import Indices, test_folds
from qmoe.data.table import EmbeddingTable
from qmoe.grid import Experiment
from referee.audit.finding import CURIOSITY, F1, SPREAD, Finding

# ESC-50's categories in the order of target // 10, by words of their official names.
_CATEGORIES = ("animal", "natur", "human", "interior|domestic", "exterior|urban")


def check(name: str, table: EmbeddingTable) -> Iterable[Finding]:
    """Every finding on a dataset's table, whatever is trained on it."""
    yield from categories(name, table.clips)
    yield from columns(name, table)
    yield from duplicate_clips(name, table)
    yield from recipe(name, table.metadata)
    yield from unknown_recordings(name, table.clips)


def categories(name: str, clips: pd.DataFrame) -> Iterable[Finding]:
    """D1: ESC-50 clips in five classes that are not the dataset's own, `target // 10`."""
    stems = clips["clip"].map(lambda clip: PurePosixPath(clip).name.partition(".")[0])
    target = pd.to_numeric(stems.str.extract(f"^(?:{ESC})$")["target"])
    if target.isna().any() or clips["label"].nunique() != 5 or target.max() > 49:
        return
    pairs = pd.DataFrame({"target": target, "name": clips["class_name"], "label": clips["label"]})
    pairs = pairs.drop_duplicates()
    official = (pairs["target"] // 10).to_numpy(np.int64)
    # Classes that the two divisions share if the five are named alike, and if named at best.
    shared = np.zeros((5, 5), dtype=np.int64)
    np.add.at(shared, (official, pairs["label"]), 1)
    at_best = int(shared[linear_sum_assignment(shared, maximize=True)].sum())
    both = zip(official, pairs["name"], strict=True)
    known = [re.search(_CATEGORIES[code], text, re.I) for code, text in both]
    named = all(re.search("|".join(_CATEGORIES), text, re.I) for text in pairs["name"])
    agree = sum(map(bool, known)) if named else at_best
    total = int(target.nunique())
    if agree == total == len(pairs):
        return
    yield Finding(
        check="category_table",
        severity="error",
        where=name,
        evidence={
            "classes": total,
            "classes_in_their_own_category": agree,
            "at_best_under_other_names": at_best,
            "is_target_div_5_mod_5": bool(
                pairs.groupby("label")["target"].agg(lambda t: (t // 5 % 5).nunique()).max() == 1
            ),
        },
        consequence="The five categories are not those of ESC-50 (target // 10), so its scores "
        "are of another task.",
        claims=F1,
    )


def columns(name: str, table: EmbeddingTable) -> Iterable[Finding]:
    """Embedding values that are the same in all clips, or the same as another value."""
    constant = np.ptp(table.vectors, axis=0) == 0
    if constant.any():
        yield Finding(
            check="constant_columns",
            severity="note",
            where=name,
            evidence={"columns": int(constant.sum()), "of": len(constant)},
            consequence="These values tell no clips apart; the dimension is smaller than stated.",
        )
    varying = [column.tobytes() for column in table.vectors.T[~constant]]
    double = len(varying) - len(set(varying))
    if double:
        yield Finding(
            check="duplicate_columns",
            severity="warning",
            where=name,
            evidence={"columns": double, "of": len(constant)},
            consequence="The same value enters several times: the export is probably wrong.",
            claims=F1,
        )


def duplicate_clips(name: str, table: EmbeddingTable) -> Iterable[Finding]:
    """Clips with one and the same vector that count as different recordings."""
    vectors = pd.Series([row.tobytes() for row in table.vectors], index=table.clips.index)
    recordings = table.clips["recording"].groupby(vectors).nunique()
    double = int((recordings > 1).sum())
    if double:
        yield Finding(
            check="duplicate_clips",
            severity="warning",
            where=name,
            evidence={"vectors_in_several_recordings": double, "clips": len(vectors)},
            consequence="Copies of a clip under other names can lie on both sides of a split that "
            "keeps recordings together.",
            claims=F1,
        )


def recipe(name: str, metadata: dict[str, object]) -> Iterable[Finding]:
    """D2: vectors behind a random layer, of pictures that were not normalised."""
    if metadata.get("published"):
        yield Finding(
            check="random_head",
            severity="error",
            where=name,
            evidence={"backbone": metadata.get("backbone"), "published": True},
            consequence="The vectors come out of a layer with random weights, from pictures "
            "without ImageNet's normalisation: they are not features of the named backbone.",
            claims=F1,
        )
    elif "backbone" not in metadata:
        yield Finding(
            check="unknown_embedding",
            severity="note",
            where=name,
            evidence={"source": metadata.get("source")},
            consequence="The table does not say how its vectors were made.",
        )


def unknown_recordings(name: str, clips: pd.DataFrame) -> Iterable[Finding]:
    """Data in which a leak could not be seen."""
    if clips["recording"].is_unique and clips["fold"].isna().any():
        yield Finding(
            check="unknown_recordings",
            severity="note",
            where=name,
            evidence={"clips": len(clips)},
            consequence="Every clip is a recording of its own, without official folds: clips of "
            "one recording on both sides of a split would not be seen.",
        )


def check_splits(
    experiments: list[Experiment], tables: dict[str, EmbeddingTable]
) -> Iterable[Finding]:
    """D3 and small samples, once for every dataset and protocol."""

    def group(e: Experiment) -> tuple[str, str]:
        return e.dataset, e.protocol

    for (dataset, protocol), some in groupby(sorted(experiments, key=group), group):
        members = list(some)
        spec, where = members[0].spec, f"{dataset}/{protocol}"
        yield from small_sample(where, spec["n_folds"], len({e.seed for e in members}))
        if dataset in tables:
            clips = tables[dataset].clips
            folds = test_folds(
                clips, spec["protocol"]["folds"], spec["n_folds"], spec["split_seed"]
            )
            yield from leak(where, clips["recording"], [folds[k] for k in members[0].folds])


def leak(where: str, recordings: pd.Series, tests: list[Indices]) -> Iterable[Finding]:
    """Test clips whose recording is in training as well; each fold trains on all other clips."""
    siblings, scored = 0, 0
    for test in tests:
        train = np.setdiff1d(np.arange(len(recordings)), test)
        siblings += int(recordings.iloc[test].isin(recordings.iloc[train]).sum())
        scored += len(test)
    if siblings:
        yield leak_finding(where, siblings, scored, "the split")


def leak_finding(where: str, siblings: int, scored: int, seen_in: str) -> Finding:
    """The finding of a leak."""
    return Finding(
        check="recordings_on_both_sides",
        severity="error",
        where=where,
        evidence={
            "test_clips_with_their_recording_in_training": siblings,
            "test_clips": scored,
            "share": siblings / scored,
            "seen_in": seen_in,
        },
        consequence="The test clips are takes of recordings that were trained on: F1 measures "
        "memory of a recording, not of a class.",
        claims=(*F1, "quinn_f1_up"),
    )


def small_sample(where: str, folds: int, seeds: int) -> Iterable[Finding]:
    """What so few folds cannot show."""
    lowest = 2.0 ** (1 - folds)
    if lowest <= 0.05:
        return
    ddof = folds - 1
    yield Finding(
        check="few_folds",
        severity="note",
        where=where,
        evidence={
            "folds": folds,
            "seeds": seeds,
            "lowest_two_sided_p_of_signs_and_ranks": lowest,
            "variance_ratio_that_an_f_test_needs": float(f_distribution.ppf(0.975, ddof, ddof)),
            "chance_of_half_the_variance_without_effect": float(
                f_distribution.cdf(0.5, ddof, ddof)
            ),
        },
        consequence="No rank or sign test over the folds can reach p < 0.05, and spreads differ "
        "this much by chance; seeds do not replace folds, which share their clips.",
        claims=tuple(dict.fromkeys((*SPREAD, *CURIOSITY, "q4_q8_parity", "moe_overhead_11"))),
    )
