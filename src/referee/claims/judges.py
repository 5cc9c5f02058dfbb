"""The judges that a claim can name: functions of a claim and a view that return a judgement.

A judge knows no claim and no paper; its further arguments are mostly names of printed numbers. Of
two models the second is the baseline. Every judge raises Absent where the run lacks what it needs,
and InputError where the arms cover different cells or the claim lacks a number.
"""

from collections.abc import Callable
from functools import partial
from math import exp, sqrt

import numpy as np
import pandas as pd

from referee.claims import effects
from referee.claims.judgement import Judgement, counted, weakest
from referee.claims.view import Absent, View
from referee.paper.claims import Claim
from referee.stats.compare import KEYS
from referee.words import listed, number

Judge = Callable[..., Judgement]


def _of_score(judgement: Judgement, claim: Claim, view: View, *models: str) -> Judgement:
    """The judgement, told as one of a model's score, or of its difference from a baseline's."""
    score, datasets = view.paper.score.short, listed(claim.datasets)
    words = f"{score} of {' minus that of '.join(models)}"
    one = len(claim.datasets) == 1
    words = f"{words} on {datasets}" if one else f"mean over {datasets} of the {words}"
    return judgement.of(words, f" {score}")


def mean_within(claim: Claim, view: View, printed: tuple[str, ...] = ("mean",)) -> Judgement:
    """The mean score of the model lies within the tolerance around the printed one.

    With two printed scores, it is the difference of two models that lies around theirs.
    """
    score, *baseline = (claim.number(name).value for name in printed)
    models = claim.take(len(printed))
    judgement = effects.within(view.pairs(claim, *models), claim.around(score - sum(baseline)))
    return _of_score(judgement, claim, view, *models)


def equivalent(claim: Claim, view: View) -> Judgement:
    """Every model but the last differs from the last by no more than the tolerance."""
    *arms, baseline = claim.take(max(len(claim.models), 2))
    ends = claim.around(0.0)
    parts = {arm: effects.within(view.pairs(claim, arm, baseline), ends) for arm in arms}
    return weakest([_of_score(part, claim, view, arm, baseline) for arm, part in parts.items()])


def rises(claim: Claim, view: View) -> Judgement:
    """The first model scores above the second; a rise below the tolerance contradicts it."""
    judgement = effects.rise(view.pairs(claim, *claim.take(2)), claim.width)
    return _of_score(judgement, claim, view, *claim.models)


def _spread(judge: Judge, claim: Claim, view: View) -> Judgement:
    """The spread of the first model over the folds of a dataset against that of the second."""
    arm, baseline = claim.take(2)
    spread = f"standard deviation of {arm} over the folds of {listed(claim.datasets)}"
    judgement = judge(view.pairs(claim, arm, baseline), 1 / claim.factor)
    return judgement.of(f"ratio of the {spread} to that of {baseline}")


def variance_within(
    claim: Claim, view: View, printed: tuple[str, ...] = ("reduction_percent",)
) -> Judgement:
    """The variance over folds falls on every dataset by the printed percentages, within a factor.

    `printed` names one percentage, or the least and the largest.
    """
    ratios = [1 - claim.number(name).value / 100 for name in printed]
    ends = ratios[-1] / claim.factor, ratios[0] * claim.factor
    words = f"reduction of the variance of {view.paper.score.short} on"
    of_datasets = view.pairs(claim, *claim.take(2)).groupby("dataset", sort=False)
    return weakest(
        [effects.variance_within(cells, ends).of(f"{words} {d}") for d, cells in of_datasets]
    )


def uncertain_to_precise(claim: Claim, view: View, expert: str) -> Judgement:
    """The model sends uncertain clips to experts of more bits, by a rank correlation a cell.

    A correlation below the tolerance contradicts it. The share of `expert` is told in a note.
    """
    (model,) = claim.take(1)
    pairs, arm = view.pairs(claim, model), view.arm(claim, model)
    routing = view.inputs.routing
    if routing is None or routing.empty:
        raise Absent("The predictions of these cells hold no uncertainty, or are not on disk")
    rows = view.under_protocol(routing)
    rows = rows[(rows["arm"] == arm) & ~rows["synthetic"] & (rows["expert"] == expert)]
    scores = rows.assign(score=rows["rank_correlation"])[[*KEYS, "score"]]
    joined = pairs.drop(columns="score").merge(scores, on=KEYS)
    if len(joined) < len(pairs):
        raise Absent(f"There is no uncertainty in {len(pairs) - len(joined)} cells of {arm}")
    share, top = rows["share"].mean(), rows["top_decile_share"].mean()
    judgement = effects.rise(joined, claim.width)
    return judgement.of("rank correlation of a clip's uncertainty with its expert's bits").noted(
        f"the expert {expert} receives {share:.0%} of all clips and {top:.0%} of the most "
        "uncertain tenth"
    )


def size_ratio(claim: Claim, view: View, beside: str = "", in_the_paper: str = "") -> Judgement:
    """The second model has the printed `ratio` times the bytes on disk of the first, in every cell.

    Notes tell the ratio of the second to a model `beside` them, and the shape of the paper's
    models as it is `in_the_paper`, in words.
    """
    packed = view.inputs.packed
    if packed is None:
        raise Absent("This run has no packed models")
    small, large = claim.take(2)
    rows = packed[packed["protocol"] == view.protocol].groupby("model")
    sizes = {str(model): cells.set_index(KEYS)["disk_bytes"] for model, cells in rows}
    ratios = {m: (sizes[large] / sizes[m]).dropna() for m in sizes if large in sizes}
    if small not in ratios or ratios[small].empty:
        raise Absent(f"This run has no packed models of {small} and {large} ({view.protocol})")
    ends = claim.around(claim.number("ratio").value)
    notes = [claim.note]
    there = f" (in the paper: {in_the_paper})" if in_the_paper else ""
    if {"dimension", "n_classes"} <= set(view.all_cells):
        shapes = view.all_cells[["dimension", "n_classes"]].drop_duplicates().to_numpy()
        here = " and ".join(f"{d} values and {c} classes" for d, c in shapes)
        notes.append(f"the models have {here}{there}")
    if beside in ratios and len(others := ratios[beside]):
        be, mean = "is" if others.between(*ends).all() else "is not", number(others.mean())
        notes.append(f"the ratio of {large} to {beside}, {mean}, {be} within this range")
    words = f"ratio of the bytes on disk of {large} and {small}"
    return counted(ratios[small], ends).of(words).noted(*notes)


def _ratio(of: str, words: str, percent: int, claim: Claim, view: View) -> Judgement:
    """What was measured of the first model over that of the second, one clip at a time."""
    return _shown(view.log_ratios(of, claim.take(2)), words.format(*claim.models), of, percent)


def score_per_energy(claim: Claim, view: View) -> Judgement:
    """Score of the model over the energy of an inference, in mJ."""
    (model,) = claim.take(1)
    energy = view.measured("energy")
    energy = energy[energy["model"] == model].dropna(subset="energy_j")
    cells = view.all_cells.assign(dataset=view.all_cells["named"])
    joined = energy.merge(cells[[*KEYS, "arm", "score"]], on=[*KEYS, "arm"])
    if joined.empty:
        raise Absent(f"The energy of {model} was not measured, or is below the resolution")
    logs = np.log(joined["score"] / (1000 * joined["energy_j"]))
    synthetic = joined["synthetic"].astype(bool)
    datasets = joined["dataset"].where(~synthetic, joined["dataset"] + " (synthetic)").unique()
    words = f"{view.paper.score.short} per mJ of {model} on {listed(datasets)}"
    return _shown(logs, words, "energy", 0)


def _shown(logs: "pd.Series[float]", quantity: str, measurement: str, percent: int) -> Judgement:
    """A geometric mean of measured ratios, or its change times `percent`; it is only shown.

    Models of different folds are timed independently, so Student's t needs no correction.
    """
    n = len(logs)
    mean = effects.Mean(float(logs.mean()), float(logs.std()) / sqrt(n), n - 1, n)
    value, *ends = (exp(log) for log in (mean.estimate, *mean.ends()))
    if percent:
        value, *ends = (percent * (ratio - 1) for ratio in (value, *ends))
    low, high = reversed(ends) if percent < 0 else ends
    unit = " %" if percent else ""
    return Judgement(value, low, high, n, quantity=quantity, unit=unit, measurement=measurement)


MEASURED_RATIOS = {  # the percentage is of an increase, or -100 of a saving
    "time_ratio": ("latency", "ratio of the time that {} takes for one clip to that of {}", 0),
    "time_overhead": ("latency", "overhead in time of {} over {} for one clip", 100),
    "energy_saving": ("energy", "energy of an inference that {} saves against {}", -100),
}
OF_SCORES = (mean_within, equivalent, rises, variance_within, uncertain_to_precise)
JUDGES: dict[str, Judge] = {
    **{judge.__name__: judge for judge in (*OF_SCORES, size_ratio, score_per_energy)},
    **{f.__name__: partial(_spread, f) for f in (effects.spread_falls, effects.spread_stays)},
    **{name: partial(_ratio, *how) for name, how in MEASURED_RATIOS.items()},
}
