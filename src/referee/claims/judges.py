"""The judges that a claim can name: functions of a claim and a view that return a judgement.

A judge knows no claim and no paper: the claim gives the models, datasets, printed numbers and the
tolerance, and its YAML the arguments. `models` of two stand for an arm and its baseline. Every
judge raises `Absent` where the run lacks what it needs, and `InputError` where the arms that it
compares cover different cells.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from referee.claims import effects, variability
from referee.claims.judgement import Judgement, counted, weakest
from referee.claims.view import Absent, View, plain_name
from referee.paper.claims import Claim
from referee.stats import compare
from referee.words import listed, number

Judge = Callable[..., Judgement]


def _on(claim: Claim, words: str) -> str:
    """Words for a quantity on the claim's datasets."""
    if len(claim.datasets) == 1:
        return f"{words} on {claim.datasets[0]}"
    return f"mean over {listed(claim.datasets)} of the {words}"


def _difference(claim: Claim, view: View, arm: str, baseline: str) -> str:
    """Words for the difference between two models."""
    return _on(claim, f"{view.paper.score.short} of {arm} minus that of {baseline}")


def mean_within(claim: Claim, view: View, printed: str = "mean") -> Judgement:
    """The score of the model lies within the tolerance around the printed one.

    Args:
        claim: with one model and its datasets, over which the mean is taken.
        view: the cells.
        printed: name of the printed number.

    """
    (model,) = claim.models
    score = view.paper.score.short
    return effects.within(
        view.pairs(claim, model),
        *claim.around(claim.number(printed).value),
        quantity=_on(claim, f"{score} of {model}"),
        unit=f" {score}",
    )


def difference_within(claim: Claim, view: View, arm: str, baseline: str) -> Judgement:
    """The difference between two models lies within the tolerance around the printed one.

    Args:
        claim: with two models.
        view: the cells.
        arm: name of the printed score of the first model.
        baseline: name of that of the second.

    """
    models = claim.models[0], claim.models[1]
    return effects.within(
        view.pairs(claim, *models),
        *claim.around(claim.number(arm).value - claim.number(baseline).value),
        quantity=_difference(claim, view, *models),
        unit=f" {view.paper.score.short}",
    )


def equivalent(claim: Claim, view: View) -> Judgement:
    """Every model but the last differs from the last by no more than the tolerance."""
    *arms, baseline = claim.models
    return weakest(
        [
            effects.within(
                view.pairs(claim, arm, baseline),
                *claim.around(0.0),
                quantity=_difference(claim, view, arm, baseline),
                unit=f" {view.paper.score.short}",
                family=view.family,
            )
            for arm in arms
        ]
    )


def rises(claim: Claim, view: View) -> Judgement:
    """The first model scores above the second; less than the tolerance contradicts it."""
    arm, baseline = claim.models
    return effects.rise(
        view.pairs(claim, arm, baseline),
        claim.width,
        quantity=_difference(claim, view, arm, baseline),
        unit=f" {view.paper.score.short}",
        family=view.family,
    )


def _spread_of(claim: Claim) -> str:
    arm, baseline = claim.models
    return (
        f"ratio of the standard deviation of {arm} over the folds of {listed(claim.datasets)} to "
        f"that of {baseline}"
    )


def spread_falls(claim: Claim, view: View) -> Judgement:
    """The first model varies less over the folds of a dataset than the second."""
    pairs = view.pairs(claim, *claim.models)
    words = _spread_of(claim)
    return variability.spread_falls(pairs, 1 / claim.width, quantity=words, family=view.family)


def spread_stays(claim: Claim, view: View) -> Judgement:
    """The first model does not vary less over the folds of a dataset than the second."""
    pairs = view.pairs(claim, *claim.models)
    words = _spread_of(claim)
    return variability.spread_stays(pairs, 1 / claim.width, quantity=words, family=view.family)


def variance_within(
    claim: Claim, view: View, least: str = "reduction_percent", most: str = "reduction_percent"
) -> Judgement:
    """The variance over folds falls on every dataset by what is printed, within a factor.

    Args:
        claim: with two models, the second the baseline.
        view: the cells.
        least: name of the smallest printed reduction, in percent.
        most: name of the largest.

    """
    low, high = (1 - claim.number(name).value / 100 for name in (most, least))
    return weakest(
        [
            variability.variance_within(
                cells,
                low / claim.width,
                high * claim.width,
                quantity=f"reduction of the variance of {view.paper.score.short} on {dataset}",
            )
            for dataset, cells in view.pairs(claim, *claim.models).groupby("dataset", sort=False)
        ]
    )


def uncertain_to_precise(claim: Claim, view: View, expert: str) -> Judgement:
    """A mixture sends uncertain clips to experts of more bits, by a rank correlation in each cell.

    Args:
        claim: with one model; less than the tolerance contradicts it.
        view: the cells.
        expert: the expert whose share of the most uncertain clips is told.

    """
    (model,) = claim.models
    pairs = view.pairs(claim, model)
    routing = view.inputs.routing
    if routing is None or routing.empty:
        raise Absent("The predictions of these cells hold no uncertainty, or are not on disk")
    arm = view.arm(claim, model)
    rows = routing[(routing["protocol"] == view.protocol) & (routing["arm"] == arm)]
    rows = rows[~rows["synthetic"].astype(bool) & (rows["expert"] == expert)]
    rows = rows.assign(dataset=rows["dataset"].map(plain_name))
    joined = pairs.drop(columns="score").merge(
        rows[[*compare.KEYS, "rank_correlation"]], on=compare.KEYS
    )
    if len(joined) < len(pairs):
        raise Absent(f"There is no uncertainty in {len(pairs) - len(joined)} cells of {arm}")
    judgement = effects.rise(
        joined.rename(columns={"rank_correlation": "score"}),
        claim.width,
        quantity="rank correlation of a clip's uncertainty with the bits of its expert",
        effect="correlation",
        family=view.family,
    )
    share, top = rows["share"].mean(), rows["top_decile_share"].mean()
    return judgement.noted(
        f"the expert {expert} receives {share:.0%} of all clips and {top:.0%} of the most "
        "uncertain tenth"
    )


def size_ratio(
    claim: Claim, view: View, printed: str = "ratio", beside: str = "", in_the_paper: str = ""
) -> Judgement:
    """The second model is so many times larger on disk than the first, in every cell.

    Args:
        claim: with two models.
        view: the packed models.
        printed: name of the printed ratio.
        beside: another model whose ratio is told in a note.
        in_the_paper: the shape of the paper's models, in words, for a note.

    """
    packed = view.inputs.packed
    if packed is None:
        raise Absent("This run has no packed models")
    small, large = claim.models
    packed = packed[packed["protocol"] == view.protocol]
    low, high = claim.around(claim.number(printed).value)

    def size_of(model: str) -> "pd.Series[float]":
        return packed[packed["model"] == model].set_index(compare.KEYS)["disk_bytes"]

    ratios = (size_of(large) / size_of(small)).dropna()
    if ratios.empty:
        raise Absent(f"This run has no packed models of {small} and {large} ({view.protocol})")
    judgement = counted(
        ratios,
        low,
        high,
        quantity=f"ratio of the bytes on disk of {large} and {small}",
        unit="",
    )
    notes = [claim.note]
    if {"dimension", "n_classes"} <= set(view.all_cells):
        shapes = view.all_cells[["dimension", "n_classes"]].drop_duplicates().to_numpy()
        here = " and ".join(f"{d} values and {c} classes" for d, c in shapes)
        there = f" (in the paper: {in_the_paper})" if in_the_paper else ""
        notes.append(f"the models have {here}{there}")
    others = (size_of(large) / size_of(beside)).dropna()
    if len(others):
        be = "is" if others.between(low, high).all() else "is not"
        notes.append(f"the ratio of {large} to {beside}, {number(others.mean())}, {be} within it")
    return judgement.noted(*notes)


def _of_ratios(logs: "pd.Series[float]", quantity: str, measurement: str) -> Judgement:
    value, low, high = effects.ratio_of_medians(logs)
    return Judgement(quantity, "", value, low, high, len(logs), measurement=measurement)


def time_ratio(claim: Claim, view: View) -> Judgement:
    """Time of a call of the first model over that of the second, one clip at a time."""
    arm, baseline = claim.models
    logs = view.log_ratios("latency", "latency_ms", claim.models)
    words = f"ratio of the time that {arm} takes for one clip to that of {baseline}"
    return _of_ratios(logs, words, "latency")


def time_overhead(claim: Claim, view: View) -> Judgement:
    """How many percent longer a call of the first model takes than one of the second."""
    ratio, (arm, baseline) = time_ratio(claim, view), claim.models
    value, low, high = (100 * (x - 1) for x in (ratio.value, ratio.ci_low, ratio.ci_high))
    words = f"overhead in time of {arm} over {baseline} for one clip"
    return replace(ratio, quantity=words, unit=" %", value=value, ci_low=low, ci_high=high)


def energy_saving(claim: Claim, view: View) -> Judgement:
    """How many percent of the energy of the second model the first one saves."""
    arm, baseline = claim.models
    logs = view.log_ratios("energy", "energy_j", claim.models)
    words = f"energy of an inference that {arm} saves against {baseline}"
    ratio = _of_ratios(logs, words, "energy")
    value, high, low = (100 * (1 - x) for x in (ratio.value, ratio.ci_low, ratio.ci_high))
    return replace(ratio, unit=" %", value=value, ci_low=low, ci_high=high)


def score_per_energy(claim: Claim, view: View) -> Judgement:
    """Score of the model over the energy of an inference, in mJ."""
    (model,) = claim.models
    energy = view.measured("energy")
    energy = energy[energy["model"] == model].dropna(subset="energy_j")
    cells = view.all_cells.assign(dataset=view.all_cells["named"])
    joined = energy.merge(cells[[*compare.KEYS, "arm", "score"]], on=[*compare.KEYS, "arm"])
    if joined.empty:
        raise Absent(f"The energy of {model} was not measured, or is below the resolution")
    logs = np.log(joined["score"] / (1000 * joined["energy_j"]))
    synthetic = joined["synthetic"].astype(bool)
    where = joined["dataset"].where(~synthetic, joined["dataset"] + " (synthetic)")
    words = f"{view.paper.score.short} per mJ of {model} on {listed(where.unique())}"
    return _of_ratios(logs, words, "energy")


JUDGES: dict[str, Judge] = {
    judge.__name__: judge
    for judge in (
        mean_within,
        difference_within,
        equivalent,
        rises,
        spread_falls,
        spread_stays,
        variance_within,
        uncertain_to_precise,
        size_ratio,
        time_ratio,
        time_overhead,
        energy_saving,
        score_per_energy,
    )
}
