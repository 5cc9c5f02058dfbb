"""The paper's significance files: each test as published beside the corrected one.

Columns that begin with `published_` hold what the published analysis would have said of these
cells: folds paired by their order in the table (its directory order cannot be known), a paired t
test that takes folds for independent, mostly one-sided, timing and energy pooled over datasets,
standard deviations of ddof 0 against ddof 1, nothing corrected for multiplicity. The other
columns are those of `referee.stats.compare`.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from referee.errors import InputError
from referee.files import write_whole
from referee.stats import compare, paired, spread
from referee.stats.multiplicity import holm
from referee.stats.result import stars
from referee.tables.scores import marked

FULL, INT8, SIXTEEN = "FP32-Base", "Q8-Base", "Q16-Base"
LABELS = ["protocol", "dataset", "arm", "model", "strategy", "alpha", "baseline"]
RELATIVE_MARGIN = 0.05  # of a time or an energy; that of F1 is paired.MARGIN
REPEATS = 50  # fewer timings tell nothing about a spread

Chooser = Callable[["pd.Series[Any]"], bool]


@dataclass(frozen=True)
class Question:
    """Arms that are compared with one kind of baseline: one family of a protocol."""

    name: str
    of: Chooser
    baseline: str | None  # None: the same experts without curiosity
    published: str  # alternative of the published test


def _single(arm: "pd.Series[Any]") -> bool:
    return "+" not in arm["experts"]


def _mixture(arm: "pd.Series[Any]") -> bool:
    return not _single(arm)


def _curious(arm: "pd.Series[Any]") -> bool:
    return arm["strategy"] != "none"


CURIOSITY = "curiosity against the same experts without"
F1 = {
    "table1_f1": [
        Question(f"all against {FULL}", lambda arm: True, FULL, "greater"),
        Question(CURIOSITY, _curious, None, "greater"),
    ],
    "table2_f1": [Question(f"bit widths against {SIXTEEN}", _single, SIXTEEN, "two-sided")],
    "table3_f1": [
        Question(f"mixtures against {FULL}", _mixture, FULL, "greater"),
        Question(CURIOSITY, _curious, None, "greater"),
    ],
}
LATENCY = [
    Question(f"single networks against {FULL}", _single, FULL, "less"),
    Question(f"mixtures against {FULL}", _mixture, FULL, "less"),
    Question(f"mixtures against {INT8}", _mixture, INT8, "greater"),
]
ENERGY = [
    Question(f"mixtures against {FULL}", _mixture, FULL, "less"),
    Question(f"single networks against {FULL}", _single, FULL, "less"),
    Question(CURIOSITY, _curious, None, "two-sided"),
]


def scores(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells in the form of `referee.stats.compare`: score is the F1, synthetic datasets are marked.

    n_train are all clips that training could see: those that stop it too, unless they are the
    test clips: then their F1 is that of the test in most cells (not after post-training
    quantisation).
    """
    frame = marked(cells).rename(columns={"f1_weighted": "score"})
    same = (frame["n_stop"] == frame["n_test"]) & (frame["stop_f1_weighted"] == frame["score"])
    on_test = same.groupby([frame["dataset"], frame["protocol"]]).transform("mean") > 0.5
    return frame.assign(n_train=frame["n_fit"] + frame["n_stop"].where(~on_test, 0))


def published_t(arm: Any, baseline: Any, alternative: str) -> tuple[float, float]:
    """t and p of values paired by their order; NaN where their numbers differ, as published."""
    if len(arm) != len(baseline) or len(arm) < 2:
        return nan, nan
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # arms that are equal: published as NaN
        found = stats.ttest_rel(arm, baseline, alternative=alternative)
    return float(found.statistic), float(found.pvalue)


def _families(
    frame: pd.DataFrame, arms: pd.DataFrame, question: Question
) -> list[tuple[str, list[tuple[dict[str, Any], pd.DataFrame]]]]:
    """(family, its comparisons) of each protocol; a comparison has labels and joined cells."""
    found = []
    for protocol, own in frame.groupby("protocol", sort=False):
        present = arms[arms["arm"].isin(own["arm"])]
        parts = []
        for _, arm in present[present.apply(question.of, axis=1).astype(bool)].iterrows():
            plain = (present["experts"] == arm["experts"]) & (present["strategy"] == "none")
            baselines = present["arm"][plain] if question.baseline is None else [question.baseline]
            for baseline in baselines:
                if baseline == arm["arm"]:
                    continue
                labels = {"protocol": protocol, **arm[["arm", "model", "strategy", "alpha"]]}
                joined = compare.pairs(own, arm["arm"], baseline)
                for dataset, part in joined.groupby("dataset", sort=False):
                    parts.append((labels | {"dataset": dataset, "baseline": baseline}, part))
        found.append((f"{question.name}, {protocol}", parts))
    return found


def _arms(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[["arm", "model", "strategy", "alpha", "experts"]].drop_duplicates("arm")


def tested(
    frame: pd.DataFrame,
    arms: pd.DataFrame,
    questions: list[Question],
    *,
    pooled: bool = False,
    margin: float = paired.MARGIN,
    relative: bool = False,
) -> pd.DataFrame:
    """Every comparison of the questions, as published and corrected.

    Args:
        frame: cells with `score`, `experts` and what `compare.pairs` needs.
        arms: those that are compared: arm, model, strategy, alpha, experts.
        questions: one family a protocol each.
        pooled: the published test pooled the datasets: it stands in the row of their mean, or in
            the dataset's own row where there is one only.
        margin: of equivalence.
        relative: the margin is a share of the baseline's mean.

    """
    tables = []
    for question in questions:
        for family, parts in _families(frame, arms, question):
            table = compare.judge(parts, family, margin=margin, relative=relative)
            if len(table):
                tables.append(_published(table, frame, question.published, pooled))
    if not tables:
        return pd.DataFrame(columns=[*LABELS, "n", "published_p", "corrected_p", "verdict"])
    joined = pd.concat(tables, ignore_index=True)
    return joined[LABELS + [name for name in joined if name not in LABELS]]


def _published(
    table: pd.DataFrame, frame: pd.DataFrame, alternative: str, pooled: bool
) -> pd.DataFrame:
    """The table with the published test of the same cells in front of the corrected columns."""
    rows = []
    for row in table.itertuples():
        over = row.dataset == compare.OVER_DATASETS
        own = frame[frame["protocol"] == row.protocol]
        if not over:
            own = own[own["dataset"] == row.dataset]
        arm, baseline = (own["score"][own["arm"] == a].dropna() for a in (row.arm, row.baseline))
        if over and not pooled:
            arm = baseline = arm[:0]
        t, p = published_t(arm.to_numpy(), baseline.to_numpy(), alternative)
        what = "datasets pooled" if over else "per dataset"
        rows.append(
            {
                "published_n": len(arm),
                "published_pairing": "row order",
                "published_alternative": alternative,
                "published_std_ddof0": arm.std(ddof=0),
                "published_t": t,
                "published_p": p,
                "published_stars": stars(p),
                "published_reproduces": f"paired t, {what}, uncorrected" if len(arm) else "",
            }
        )
    return table.join(pd.DataFrame(rows, index=table.index))


def _spread_columns(arm: Any, baseline: Any, family: int) -> dict[str, Any]:
    """All tests of the spread of two samples that are paired by position."""
    ratio = spread.sd_ratio(arm, baseline, family=family)
    permuted = spread.permutation(arm, baseline)
    robust = spread.brown_forsythe(arm, baseline)
    return {
        "sd_ratio": ratio.estimate,
        "log_sd_ratio": np.log(ratio.estimate) if ratio.estimate > 0 else nan,
        "sd_ratio_low": ratio.ci_low,
        "sd_ratio_high": ratio.ci_high,
        "ddof": ratio.ddof,
        "alternative": ratio.alternative,
        "f_p": ratio.p,
        "brown_forsythe_p": robust.p,
        "pitman_morgan_p": spread.pitman_morgan(arm, baseline).p,
        "permutation_p": permuted.p,
        "permutation_smallest_p": permuted.smallest_p,
        "smallest_p": robust.smallest_p,
        "detectable_sd_ratio": ratio.detectable,
        "note": ratio.note or robust.note,
    }


def _spread_judged(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    """Rows with Holm's correction of the Brown-Forsythe test within `family`."""
    if not rows:
        return pd.DataFrame(columns=[*columns, "n", "brown_forsythe_p", "holm_p", "stars"])
    table = pd.DataFrame(rows)
    table["family_size"] = table.groupby("family")["family"].transform("size")
    table["holm_p"] = table.groupby("family")["brown_forsythe_p"].transform(holm)
    table["stars"] = [stars(r.holm_p, r.smallest_p) for r in table.itertuples()]
    return table


def table5(frame: pd.DataFrame) -> pd.DataFrame:
    """Curiosity by alpha and dataset: F1, its spread over the folds, and every test of it.

    The spread is that of one value a fold, its mean over the seeds.
    """
    question = Question(CURIOSITY, _curious, None, "two-sided")
    rows = []
    for family, parts in _families(frame, _arms(frame), question):
        for labels, own in parts:
            folds = own.groupby("fold")[["score", "score_baseline"]].mean()
            arm, baseline = folds["score"].to_numpy(), folds["score_baseline"].to_numpy()
            reduced = spread.variance_reduction(arm, baseline)
            variance = baseline.var(ddof=1) if len(baseline) > 1 else 0.0
            mixed = 100 * (1 - arm.var() / variance) if variance > 0 else nan
            rows.append(
                labels
                | {
                    "n": len(arm),
                    "pairing": "dataset+fold, mean over seeds",
                    "f1_mean": arm.mean(),
                    "f1_std": folds["score"].std(),
                    "baseline_f1_mean": baseline.mean(),
                    "baseline_f1_std": folds["score_baseline"].std(),
                    "variance_reduction_percent": reduced["variance_reduction_percent"],
                    "null_probability": reduced["null_probability"],
                    "published_variance_reduction_percent": mixed,
                    "published_levene_p": spread.levene_mean(arm, baseline).p,
                    "published_reproduces": "ddof 0 against ddof 1; mean-centred Levene",
                    "family": family,
                }
                | _spread_columns(arm, baseline, len(parts))
            )
    return _spread_judged(rows, LABELS)


def with_cells(measured: pd.DataFrame, cells: pd.DataFrame, value: str) -> pd.DataFrame:
    """Measurements with the score `value` and what is known of their cells.

    Raises:
        InputError: a column is missing, or a cell is not in the tidy table.

    """
    keys = ["protocol", "dataset", "arm", "seed", "fold"]
    lacking = [name for name in [*keys, "batch_size", value] if name not in measured]
    if lacking:
        raise InputError(f"the measurements have no column {', '.join(lacking)}: measure anew")
    about = scores(cells).assign(dataset=cells["dataset"], marked=marked(cells)["dataset"])
    columns = ["marked", "model", "strategy", "alpha", "experts", "n_train", "n_test"]
    own = measured.drop(columns=["model", "strategy", "alpha", "experts"], errors="ignore")
    joined = own.merge(about[keys + columns], on=keys, how="left", validate="m:1")
    if joined["experts"].isna().any():
        strange = joined.loc[joined["experts"].isna(), "arm"].iloc[0]
        raise InputError(
            f"a measurement of {strange} has no cell in the tidy table: measure this grid anew"
        )
    return joined.assign(dataset=joined["marked"], score=joined[value]).drop(columns="marked")


def _by_batch(frame: pd.DataFrame, made: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """`made` of each batch size, under each other; families are those of one batch size."""
    tables = []
    for size, own in frame.groupby("batch_size", sort=False):
        table = made(own)
        table.insert(LABELS.index("baseline"), "batch_size", size)
        tables.append(table.assign(family=table.get("family", "") + f", batch of {size}"))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=LABELS)


def cell_latencies(latency: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Wall times of the packed models with their cells; other runtimes are arms of their own.

    Those are of the full-precision network and of no protocol: they stand in each of them.
    """
    if "runtime" not in latency:
        raise InputError("the measurements have no column runtime: measure anew")
    is_packed = latency["runtime"] == "packed"
    packed = with_cells(latency[is_packed], cells, "latency_ms")
    own = ["runtime", "batch_size", "repeat", "latency_ms"]
    keys = ["dataset", "fold"]
    full = packed[packed["arm"] == FULL].drop(columns=[*own, "score"]).drop_duplicates()
    others = marked(latency[~is_packed])[[*keys, *own]].merge(full, on=keys)
    others = others.assign(arm=others["arm"] + " " + others["runtime"], score=others["latency_ms"])
    return pd.concat([packed, others], ignore_index=True)


def table4_latency(latency: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Latency of a batch in ms: the median of its repeats is the value of a cell.

    Packed arms are compared with the packed baselines, and with every other runtime of the
    full-precision network.
    """
    frame = cell_latencies(latency, cells)
    keys = ["protocol", "dataset", "arm", "seed", "fold", "batch_size"]
    first = frame.groupby(keys, sort=False).first()
    first["score"] = frame.groupby(keys, sort=False)["score"].median()
    frame = first.reset_index()
    others = frame["arm"][(frame["model"] == FULL) & (frame["runtime"] != "packed")].unique()
    arms = _arms(frame[frame["runtime"] == "packed"])
    questions = LATENCY + [
        Question(f"all against {o}", lambda arm: True, o, "less") for o in others
    ]
    return _by_batch(frame, lambda own: _measured_tests(own, arms, questions))


def table3_energy(energy: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Energy of an inference in J; cells below the resolution of the meter are not tested."""
    frame = with_cells(energy, cells, "energy_j")
    return _by_batch(frame, lambda own: _measured_tests(own, _arms(frame), ENERGY))


def _measured_tests(
    frame: pd.DataFrame, arms: pd.DataFrame, questions: list[Question]
) -> pd.DataFrame:
    return tested(frame, arms, questions, pooled=True, margin=RELATIVE_MARGIN, relative=True)


def latency_variance(latency: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Spread of the latency of packed arms against full precision.

    Corrected: logarithms of the repeats of a cell about their median, of all cells of a dataset;
    cells of fewer than 50 repeats tell nothing. As published: the means of the folds, pooled over
    the datasets, mean-centred Levene, "reduction" of the standard deviation with ddof 0 over 1.
    """
    frame = cell_latencies(latency, cells)
    frame = frame[frame["runtime"] == "packed"]
    if "repeat" not in frame:
        raise InputError("the latencies have no column repeat: measure anew")

    def made(own: pd.DataFrame) -> pd.DataFrame:
        rows = []
        for protocol, part in own.groupby("protocol", sort=False):
            arms = _arms(part)
            others = arms[arms["arm"] != FULL]
            shared = part[part["dataset"].isin(part["dataset"][part["arm"] == FULL])]
            datasets = list(shared["dataset"].unique())
            for _, arm in others.iterrows():
                labels = {"protocol": protocol, **arm[["arm", "model", "strategy", "alpha"]]}
                published = _published_spread(part, arm["arm"])
                for dataset in datasets:
                    here = shared[shared["dataset"] == dataset]
                    if not (here["arm"] == arm["arm"]).any():
                        continue
                    rows.append(
                        labels
                        | {"dataset": dataset, "baseline": FULL}
                        | published
                        | {"family": f"all against {FULL}, {protocol}"}
                        | _timing_spread(here, arm["arm"], len(others) * len(datasets))
                    )
        table = _spread_judged(rows, LABELS)
        return table[LABELS + [name for name in table if name not in LABELS]]

    return _by_batch(frame, made)


def _published_spread(frame: pd.DataFrame, arm: str) -> dict[str, Any]:
    means = frame.groupby(["arm", "dataset", "seed", "fold"], sort=False)["score"].mean()
    own, baseline = means.loc[arm].to_numpy(), means.loc[FULL].to_numpy() if FULL in means else []
    std = np.std(baseline, ddof=1) if len(baseline) > 1 else 0.0
    levene = spread.levene_mean(own, baseline) if len(baseline) else None
    return {
        "published_n": len(own),
        "published_std_reduction_percent": 100 * (1 - own.std() / std) if std > 0 else nan,
        "published_levene_p": levene.p if levene else nan,
        "published_brown_forsythe_p": spread.brown_forsythe(own, baseline).p if levene else nan,
        "published_reproduces": "means of folds, datasets pooled, ddof 0 over ddof 1",
    }


def _timing_spread(frame: pd.DataFrame, arm: str, family: int) -> dict[str, Any]:
    keys = ["seed", "fold", "repeat"]
    sides = [frame.loc[frame["arm"] == a, [*keys, "score"]] for a in (arm, FULL)]
    joined = sides[0].merge(sides[1], on=keys, suffixes=("", "_baseline"), validate="1:1")
    cells = joined.groupby(["seed", "fold"])
    repeats = int(cells.size().min()) if len(joined) else 0
    counted = {"n": len(joined), "cells": cells.ngroups, "repeats": repeats}
    if repeats < REPEATS:
        columns = _spread_columns(np.empty(0), np.empty(0), family)
        note = f"{repeats} repeats of a cell: a spread of timings needs {REPEATS}"
        return counted | {"pairing": "+".join(keys)} | columns | {"note": note}
    logs = np.log(joined[["score", "score_baseline"]])
    residuals = logs - logs.groupby([joined["seed"], joined["fold"]]).transform("median")
    arm_logs, baseline_logs = residuals.to_numpy().T
    columns = _spread_columns(arm_logs, baseline_logs, family)
    return counted | {"pairing": "+".join(keys)} | columns


def tables(
    cells: pd.DataFrame, latency: pd.DataFrame | None, energy: pd.DataFrame | None
) -> dict[str, pd.DataFrame]:
    """Every significance file by its name; those of absent measurements are left out."""
    frame = scores(cells)
    made = {name: tested(frame, _arms(frame), questions) for name, questions in F1.items()}
    made["table5"] = table5(frame)
    if latency is not None:
        made["table4_latency"] = table4_latency(latency, cells)
        made["latency_variance"] = latency_variance(latency, cells)
    if energy is not None:
        inferences = energy[(energy["runtime"] == "packed") & (energy["per"] == "inference")]
        made["table3_energy"] = table3_energy(inferences, cells)
    return made


BASIS = (
    "published: paired by row order, uncorrected. corrected: two-sided corrected resampled t "
    "(Nadeau and Bengio 2003), Holm within the family; stars are of Holm's p. More columns in the "
    "CSV."
)
SPREAD_BASIS = (
    "published: mean-centred Levene, ddof 0 against ddof 1. Stars are of the Brown-Forsythe test "
    "after Holm; sd ratio with its 95 % interval (F). More columns in the CSV."
)
CAPTIONS = {
    "table1_f1": f"Table 1, F1 against the baselines. {BASIS}",
    "table2_f1": f"Table 2, F1 of the bit widths against 16 bit. {BASIS}",
    "table3_f1": f"Table 3, F1 of the mixtures against the baselines. {BASIS}",
    "table4_latency": f"Table 4, latency of a batch in ms. {BASIS}",
    "table3_energy": f"Table 3, energy of an inference in J. {BASIS}",
    "latency_variance": f"Spread of the latency against {FULL}. {SPREAD_BASIS}",
    "table5": f"Table 5, curiosity by alpha and dataset against the same experts. {SPREAD_BASIS}",
}
PEOPLE = [
    *LABELS[:3],
    "batch_size",
    "baseline",
    "n",
    "f1_mean",
    "f1_std",
    "baseline_f1_std",
    "variance_reduction_percent",
    "null_probability",
    "difference",
    "ci_low",
    "ci_high",
    "sd_ratio",
    "sd_ratio_low",
    "sd_ratio_high",
    "published_alternative",
    "published_p",
    "published_levene_p",
    "corrected_p",
    "brown_forsythe_p",
    "pitman_morgan_p",
    "permutation_p",
    "holm_p",
    "stars",
    "tost_p",
    "smallest_p",
    "permutation_smallest_p",
    "smallest_detectable",
    "detectable_sd_ratio",
    "verdict",
    "note",
]


def write(made: dict[str, pd.DataFrame], folder: Path) -> list[Path]:
    """A CSV and a Markdown file of every table; returns their paths."""
    texts = {}
    for name, table in made.items():
        texts[folder / f"{name}.csv"] = table.to_csv(index=False)
        markdown = compare.markdown(table, PEOPLE)
        texts[folder / f"{name}.md"] = f"{CAPTIONS[name]}\n\n{markdown}\n"
    return write_whole(texts)
