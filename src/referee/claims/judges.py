"""The judges that a claim can name: functions of a claim and a view that return a judgement.

A judge knows no claim and no paper: the claim gives the models, datasets, printed numbers and the
tolerance, and its YAML the further arguments, which are mostly names of printed numbers. Of two
models the second is the baseline. Every judge raises `Absent` where the run lacks what it needs,
and `InputError` where the arms cover different cells or the claim lacks a number.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd

from referee.claims import effects, variability
from referee.claims.judgement import Judgement, counted, weakest
from referee.claims.view import Absent, View
from referee.paper.claims import Claim
from referee.stats import compare
from referee.words import listed, number

Judge = Callable[..., Judgement]


def _of_score(judgement: Judgement, claim: Claim, view: View, *models: str) -> Judgement:
    """The judgement, told as one of a model's score, or of its difference from a baseline's."""
    score = view.paper.score.short
    words = f"{score} of {' minus that of '.join(models)}"
    if len(claim.datasets) == 1:
        return judgement.of(f"{words} on {claim.datasets[0]}", f" {score}")
    return judgement.of(f"mean over {listed(claim.datasets)} of the {words}", f" {score}")


def mean_within(claim: Claim, view: View, printed: str = "mean") -> Judgement:
    """The mean score of the model lies within the tolerance around the printed one."""
    (model,) = claim.take(1)
    ends = claim.around(claim.number(printed).value)
    return _of_score(effects.within(view.pairs(claim, model), ends), claim, view, model)


def difference_within(claim: Claim, view: View, printed: tuple[str, str]) -> Judgement:
    """The difference of two models lies within the tolerance around that of the printed scores."""
    first, second = (claim.number(name).value for name in printed)
    judgement = effects.within(view.pairs(claim, *claim.take(2)), claim.around(first - second))
    return _of_score(judgement, claim, view, *claim.models)


def equivalent(claim: Claim, view: View) -> Judgement:
    """Every model but the last differs from the last by no more than the tolerance."""
    *arms, baseline = claim.models
    ends = claim.around(0.0)
    parts = {
        arm: effects.within(view.pairs(claim, arm, baseline), ends, view.family) for arm in arms
    }
    return weakest([_of_score(part, claim, view, arm, baseline) for arm, part in parts.items()])


def rises(claim: Claim, view: View) -> Judgement:
    """The first model scores above the second; a rise below the tolerance contradicts it."""
    judgement = effects.rise(view.pairs(claim, *claim.take(2)), claim.width, view.family)
    return _of_score(judgement, claim, view, *claim.models)


def spread_falls(claim: Claim, view: View) -> Judgement:
    """The first model varies less over the folds of a dataset than the second."""
    pairs = view.pairs(claim, *claim.take(2))
    return variability.spread_falls(pairs, 1 / claim.width, view.family).of(_spread(claim))


def spread_stays(claim: Claim, view: View) -> Judgement:
    """The first model does not vary less over the folds of a dataset than the second."""
    pairs = view.pairs(claim, *claim.take(2))
    return variability.spread_stays(pairs, 1 / claim.width, view.family).of(_spread(claim))


def _spread(claim: Claim) -> str:
    arm, baseline = claim.models
    folds = f"the folds of {listed(claim.datasets)}"
    return f"ratio of the standard deviation of {arm} over {folds} to that of {baseline}"


def variance_within(
    claim: Claim, view: View, printed: tuple[str, ...] = ("reduction_percent",)
) -> Judgement:
    """The variance over folds falls on every dataset by the printed percentages, within a factor.

    `printed` names one percentage, or the least and the largest.
    """
    ratios = [1 - claim.number(name).value / 100 for name in printed]
    ends = ratios[-1] / claim.width, ratios[0] * claim.width
    words = f"reduction of the variance of {view.paper.score.short} on"
    return weakest(
        [
            variability.variance_within(cells, ends).of(f"{words} {dataset}")
            for dataset, cells in view.pairs(claim, *claim.take(2)).groupby("dataset", sort=False)
        ]
    )


def uncertain_to_precise(claim: Claim, view: View, expert: str) -> Judgement:
    """The model sends uncertain clips to experts of more bits, by a rank correlation a cell.

    A correlation below the tolerance contradicts it. The share of `expert` is told in a note.
    """
    (model,) = claim.take(1)
    pairs = view.pairs(claim, model)
    routing = view.inputs.routing
    if routing is None or routing.empty:
        raise Absent("The predictions of these cells hold no uncertainty, or are not on disk")
    arm = view.arm(claim, model)
    rows = routing[(routing["protocol"] == view.protocol) & (routing["arm"] == arm)]
    rows = rows[~rows["synthetic"].astype(bool) & (rows["expert"] == expert)]
    rows = rows.assign(dataset=rows["dataset"].map(view.paper_name), score=rows["rank_correlation"])
    joined = pairs.drop(columns="score").merge(rows[[*compare.KEYS, "score"]], on=compare.KEYS)
    if len(joined) < len(pairs):
        raise Absent(f"There is no uncertainty in {len(pairs) - len(joined)} cells of {arm}")
    share, top = rows["share"].mean(), rows["top_decile_share"].mean()
    judgement = effects.rise(joined, claim.width, view.family)
    return judgement.of("rank correlation of a clip's uncertainty with its expert's bits").noted(
        f"the expert {expert} receives {share:.0%} of all clips and {top:.0%} of the most "
        "uncertain tenth"
    )


def size_ratio(claim: Claim, view: View, beside: str = "", in_the_paper: str = "") -> Judgement:
    """The second model has the printed `ratio` times the bytes on disk of the first, in every cell.

    Args:
        claim: with two models and a printed `ratio`.
        view: the packed models.
        beside: another model, whose ratio is told in a note.
        in_the_paper: the shape of the paper's models, in words, for a note.

    """
    packed = view.inputs.packed
    if packed is None:
        raise Absent("This run has no packed models")
    small, large = claim.take(2)
    packed = packed[packed["protocol"] == view.protocol]
    sizes = {
        name: rows.set_index(compare.KEYS)["disk_bytes"] for name, rows in packed.groupby("model")
    }
    if not {small, large} <= set(sizes) or (ratios := (sizes[large] / sizes[small]).dropna()).empty:
        raise Absent(f"This run has no packed models of {small} and {large} ({view.protocol})")
    ends = claim.around(claim.number("ratio").value)
    notes = [claim.note]
    if {"dimension", "n_classes"} <= set(view.all_cells):
        shapes = view.all_cells[["dimension", "n_classes"]].drop_duplicates().to_numpy()
        here = " and ".join(f"{d} values and {c} classes" for d, c in shapes)
        there = f" (in the paper: {in_the_paper})" if in_the_paper else ""
        notes.append(f"the models have {here}{there}")
    if beside in sizes and len(others := (sizes[large] / sizes[beside]).dropna()):
        be = "is" if others.between(*ends).all() else "is not"
        notes.append(
            f"the ratio of {large} to {beside}, {number(others.mean())}, {be} within this range"
        )
    words = f"ratio of the bytes on disk of {large} and {small}"
    return counted(ratios, ends).of(words).noted(*notes)


def time_ratio(claim: Claim, view: View) -> Judgement:
    """Time of a call of the first model over that of the second, one clip at a time."""
    words = "ratio of the time that {} takes for one clip to that of {}".format(*claim.take(2))
    return _shown(view.log_ratios("latency", claim.models), words, "latency")


def time_overhead(claim: Claim, view: View) -> Judgement:
    """How many percent longer a call of the first model takes than one of the second."""
    words = "overhead in time of {} over {} for one clip".format(*claim.take(2))
    return _shown(view.log_ratios("latency", claim.models), words, "latency", 100)


def energy_saving(claim: Claim, view: View) -> Judgement:
    """How many percent of the energy of the second model the first one saves."""
    words = "energy of an inference that {} saves against {}".format(*claim.take(2))
    return _shown(view.log_ratios("energy", claim.models), words, "energy", -100)


def score_per_energy(claim: Claim, view: View) -> Judgement:
    """Score of the model over the energy of an inference, in mJ."""
    (model,) = claim.take(1)
    energy = view.measured("energy")
    energy = energy[energy["model"] == model].dropna(subset="energy_j")
    cells = view.all_cells.assign(dataset=view.all_cells["named"])
    joined = energy.merge(cells[[*compare.KEYS, "arm", "score"]], on=[*compare.KEYS, "arm"])
    if joined.empty:
        raise Absent(f"The energy of {model} was not measured, or is below the resolution")
    logs = np.log(joined["score"] / (1000 * joined["energy_j"]))
    synthetic = joined["synthetic"].astype(bool)
    datasets = joined["dataset"].where(~synthetic, joined["dataset"] + " (synthetic)").unique()
    words = f"{view.paper.score.short} per mJ of {model} on {listed(datasets)}"
    return _shown(logs, words, "energy")


def _shown(
    logs: "pd.Series[float]", quantity: str, measurement: str, percent: int = 0
) -> Judgement:
    """A ratio of measured values, which is only shown; or its change, times `percent`."""
    value, low, high = effects.ratio_of_medians(logs)
    if percent:
        value, low, high = (percent * (x - 1) for x in (value, low, high))
    if percent < 0:
        low, high = high, low
    shown = Judgement(value, low, high, len(logs), measurement=measurement)
    return shown.of(quantity, " %" if percent else "")


JUDGES: dict[str, Judge] = {
    judge.__name__: judge
    for judge in (
        *(mean_within, difference_within, equivalent, rises),
        *(spread_falls, spread_stays, variance_within),
        *(uncertain_to_precise, size_ratio),
        *(time_ratio, time_overhead, energy_saving, score_per_energy),
    )
}
