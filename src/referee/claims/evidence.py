"""From the files of a run to evidence on each claim: which cells, which test.

A claim's datasets are matched by the paper's names (ESC-50 is esc50); a synthetic dataset is none
of them, whatever it is called. `Absent` says what a claim needs and the run lacks.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import nan, sqrt

import numpy as np
import pandas as pd

from referee.claims import arithmetic, verdicts
from referee.claims.verdicts import Evidence
from referee.contract import scored
from referee.errors import InputError
from referee.paper import Paper
from referee.paper.claims import Claim
from referee.stats import compare
from referee.words import listed, number

CLASSES = {"esc50": 5, "quinn": 5, "urbansound8k": 10}  # as the paper trained them
DIMENSION = 1536
# What the paper's -C ran (an identity map), and what its authors corrected it to.
CURIOSITY = {"as_published": ("kl_global", "kl_divergence"), "corrected": ("kl_divergence",)}


class Absent(Exception):
    """What a claim needs and this run lacks; the message is a clause."""


@dataclass(frozen=True)
class Inputs:
    """The files of a run; measurements that were not made are None.

    routing: of `precision_routing`. machines: the processors on which `latency` and `energy` were
    measured, two where a cluster gave them different nodes.
    """

    cells: pd.DataFrame
    packed: pd.DataFrame | None = None
    latency: pd.DataFrame | None = None
    energy: pd.DataFrame | None = None
    routing: pd.DataFrame | None = None
    machines: Mapping[str, str] = field(default_factory=dict)


def paper_name(dataset: str) -> str:
    """`ESC-50` and `esc_50` are esc50."""
    return re.sub(r"[^a-z0-9]", "", dataset.lower())


@dataclass(frozen=True)
class View:
    """The files of a run under one protocol, asked by the paper's names."""

    protocol: str
    paper: Paper
    inputs: Inputs
    family: int = 1

    @cached_property
    def every(self) -> pd.DataFrame:
        """All cells, with `score`, `n_train` and the paper's name of the dataset."""
        cells = self.inputs.cells
        own = cells[cells["protocol"] == self.protocol]
        frame = scored(own, self.paper.score.column)
        return frame.assign(dataset=frame["dataset"].map(paper_name), named=own["dataset"])

    @cached_property
    def cells(self) -> pd.DataFrame:
        """Those of the paper's datasets: a synthetic one is none, whatever its name."""
        own = self.every[~self.every["synthetic"] & self.every["dataset"].isin(CLASSES)]
        names = own.groupby("dataset")["named"].unique()
        for dataset, called in names.items():
            if len(called) > 1:
                raise InputError(
                    f"{' and '.join(called)} are both the paper's {dataset}: keep one in "
                    "grid.datasets"
                )
        return own

    @cached_property
    def arms(self) -> pd.DataFrame:
        """Every arm of every dataset, and how many classes it tells apart."""
        columns = ["dataset", "synthetic", "named", "model", "strategy", "alpha", "arm"]
        return self.every[[*columns, "n_classes"]].drop_duplicates()

    @cached_property
    def scored(self) -> pd.DataFrame:
        """What `compare.pairs` needs of the cells."""
        return self.cells[[*compare.KEYS, "arm", "score", "n_train", "n_test"]]

    def need(self, datasets: tuple[str, ...]) -> None:
        """Raise `Absent` if one of the paper's datasets is missing, or is another task here."""
        if self.every.empty:
            raise Absent(f"this run has no cells of the protocol {self.protocol}")
        own = self.arms[~self.arms["synthetic"]].drop_duplicates("dataset").set_index("dataset")
        missing = [d for d in datasets if d not in own.index]
        if missing:
            here = self.arms[["named", "synthetic"]].drop_duplicates()
            has = [f"{n}{' (synthetic)' if s else ''}" for n, s in here.to_numpy()]
            be = "is" if len(missing) == 1 else "are"
            raise Absent(f"{listed(missing)} {be} not in this run, which has {listed(has)}")
        for dataset in datasets:
            classes = own.loc[dataset, "n_classes"]
            if classes != CLASSES[dataset]:
                raise Absent(
                    f"{dataset} has {classes} classes here, {CLASSES[dataset]} in the paper"
                )

    def arm(self, model: str, alpha: float | None, datasets: tuple[str, ...] = ()) -> str:
        """Name of the arm that stands for a model of the paper, on all of the datasets.

        Raises:
            Absent: there is none.

        """
        own = self.arms[self.arms["model"] == model]
        if datasets:
            own = own[~own["synthetic"] & own["dataset"].isin(datasets)]
        tried = CURIOSITY[self.protocol] if model.endswith("-C") else ("none",)
        for strategy in tried:
            found = own[own["strategy"] == strategy]
            if strategy != "none":
                found = found[np.isclose(found["alpha"], self.alpha(alpha))]
            if len(found) and (not datasets or set(found["dataset"]) == set(datasets)):
                return str(found["arm"].iloc[0])
        how = f" with {' or '.join(tried)} {self.alpha(alpha):g}" if tried[0] != "none" else ""
        where = f" on {listed(datasets)}" if datasets else ""
        raise Absent(f"this run has no cells of {model}{how}{where} ({self.protocol})")

    def alpha(self, asked: float | None) -> float:
        """That of the claim, else that of Table 1."""
        return self.paper.table1.alpha if asked is None else asked

    def parts(self, claim: Claim, model: str, baseline: str | None = None) -> pd.DataFrame:
        """Cells of a model joined with those of a baseline (None: 0), on the claim's datasets.

        Raises:
            Absent: a dataset or an arm is missing.
            InputError: the arms cover different cells.

        """
        self.need(claim.datasets)
        arm = self.arm(model, claim.alpha, claim.datasets)
        cells = self.scored[self.scored["dataset"].isin(claim.datasets)]
        if baseline is None:
            joined = compare.pairs(cells, arm, arm)
            return joined.assign(score_baseline=0.0)
        return compare.pairs(cells, arm, self.arm(baseline, claim.alpha, claim.datasets))

    def used(self, claim: Claim) -> pd.DataFrame:
        """The cells of the claim's models."""
        arms = []
        for model in claim.models:
            try:
                arms.append(self.arm(model, claim.alpha, claim.datasets))
            except Absent:
                continue
        cells = self.cells if claim.datasets else self.every
        own = cells["arm"].isin(arms)
        if claim.datasets:
            own &= cells["dataset"].isin(claim.datasets)
        return cells[own]

    def ratios(self, what: str, value: str, models: tuple[str, ...]) -> "pd.Series[float]":
        """Log ratio of a measured value of two models, a pair of packed cells each, batch of 1.

        Raises:
            Absent: nothing was measured, or it was below the resolution.

        """
        frame: pd.DataFrame | None = getattr(self.inputs, what)
        if frame is None:
            raise Absent(f"the {what} was not measured in this run")
        own = frame[(frame["protocol"] == self.protocol) & (frame["runtime"] == "packed")]
        own = own[own["batch_size"] == 1]
        if "per" in own:
            own = own[own["per"] == "inference"]
        keys = ["dataset", "seed", "fold"]
        sides = []
        for model in models:
            mine = own[own["model"] == model]
            if mine.empty:
                raise Absent(f"the {what} of {model} was not measured in this run")
            sides.append(mine.groupby(keys)[value].median())
        logs = (np.log(sides[0]) - np.log(sides[1])).rename("log_ratio")
        if logs.isna().all():
            raise Absent(f"the {what} is below the resolution of the meter in every fold")
        return logs.dropna()


Judge = Callable[[Claim, View], Evidence]


def tolerance(claim: Claim) -> tuple[float, str]:
    """Width of the tolerance, in F1, as a factor or as given, and its reason.

    Raises:
        ValueError: the claim has none.

    """
    given = claim.tolerance
    if given is None:
        raise ValueError(f"{claim.id} has no tolerance")
    if given.standard_deviations is None:
        return float(given.absolute or given.factor or nan), given.reason
    width = given.standard_deviations * claim.printed["f1_std"].value
    count = len(claim.datasets)
    if count == 1:
        return width, given.reason
    return width / sqrt(count), f"{given.reason}; the mean of {count} datasets varies 1/√{count}"


def _mean_of(claim: Claim) -> str:
    several = len(claim.datasets) > 1
    return "mean over datasets of the F1 of" if several else f"F1 on {claim.datasets[0]} of"


def _f1(claim: Claim, view: View) -> Evidence:
    quoted = claim.printed["f1_mean"].value
    width, _ = tolerance(claim)
    parts = view.parts(claim, claim.models[0])
    return verdicts.within(
        parts,
        quoted - width,
        quoted + width,
        quantity=f"{_mean_of(claim)} {claim.models[0]}",
    )


def _reduction(claim: Claim, view: View) -> Evidence:
    quoted = 1 - claim.printed["reduction_percent"].value / 100
    parts = view.parts(claim, *claim.models)
    quantity = f"reduction of the variance of F1 on {claim.datasets[0]}"
    factor, _ = tolerance(claim)
    return verdicts.variance_within(parts, quoted / factor, quoted * factor, quantity=quantity)


def _reductions(claim: Claim, view: View) -> Evidence:
    least, most = (1 - claim.printed[f"{x}_percent"].value / 100 for x in ("least", "most"))
    parts, (factor, _) = view.parts(claim, *claim.models), tolerance(claim)
    return verdicts.weakest(
        [
            verdicts.variance_within(
                own, most / factor, least * factor, quantity=f"reduction of the variance on {name}"
            )
            for name, own in parts.groupby("dataset", sort=False)
        ]
    )


def _kept(claim: Claim, view: View) -> Evidence:
    quoted = claim.printed["q4_f1"].value - claim.printed["fp32_f1"].value
    margin, _ = tolerance(claim)
    return verdicts.within(
        view.parts(claim, *claim.models),
        quoted - margin,
        quoted + margin,
        quantity=f"{_mean_of(claim)} {claim.models[0]} - {claim.models[1]}",
    )


def _parity(claim: Claim, view: View) -> Evidence:
    *arms, baseline = claim.models
    margin, _ = tolerance(claim)
    return verdicts.weakest(
        [
            verdicts.within(
                view.parts(claim, arm, baseline),
                -margin,
                margin,
                quantity=f"{_mean_of(claim)} {arm} - {baseline}",
                family=view.family,
            )
            for arm in arms
        ]
    )


def _rises(claim: Claim, view: View) -> Evidence:
    return verdicts.rise(
        view.parts(claim, *claim.models),
        tolerance(claim)[0],
        quantity=f"F1 with curiosity - without, on {claim.datasets[0]},",
        family=view.family,
    )


def _spread(judge: Callable[..., Evidence]) -> Judge:
    def judged(claim: Claim, view: View) -> Evidence:
        return judge(
            view.parts(claim, *claim.models),
            1 / tolerance(claim)[0],
            quantity="standard deviation over folds with curiosity / without, "
            f"on {claim.datasets[0]},",
            family=view.family,
        )

    return judged


def _routed(claim: Claim, view: View) -> Evidence:
    parts = view.parts(claim, claim.models[0])
    routing = view.inputs.routing
    if routing is None or routing.empty:
        raise Absent("the predictions of these cells hold no uncertainty, or are not on disk")
    arm = view.arm(claim.models[0], claim.alpha, claim.datasets)
    own = routing[(routing["protocol"] == view.protocol) & (routing["arm"] == arm)]
    own = own[~own["synthetic"].astype(bool)].assign(dataset=own["dataset"].map(paper_name))
    eight = own[own["expert"] == "q8"]
    joined = parts.drop(columns="score").merge(
        eight[[*compare.KEYS, "rank_correlation", "share", "top_decile_share"]], on=compare.KEYS
    )
    if len(joined) < len(parts):
        raise Absent(f"{len(parts) - len(joined)} cells of {arm} have no uncertainty")
    found = verdicts.rise(
        joined.rename(columns={"rank_correlation": "score"}),
        tolerance(claim)[0],
        quantity="rank correlation of u with the bits of the chosen expert",
        unit="",
        effect="correlation",
        family=view.family,
    )
    share, top = eight["share"].mean(), eight["top_decile_share"].mean()
    told = f"the 8-bit expert has {share:.0%} of all clips, {top:.0%} of the most uncertain tenth"
    return replace(found, note="; ".join(filter(None, [found.note, told])))


def _parameters(claim: Claim, view: View) -> Evidence:
    sizes, scheme = view.paper.sizes, {"FP32-Base": "fp32", "Q4-Base": "q4"}
    counts = []
    for model in claim.models:
        own = view.every[view.every["model"] == model]
        if own.empty:
            raise Absent(f"this run has no cells of {model} ({view.protocol})")
        for row in own.drop_duplicates(["dimension", "n_classes"]).itertuples():
            layout = arithmetic.parameters(
                scheme[model], row.dimension, row.n_classes, sizes.hidden
            )
            if layout != row.parameter_count:
                raise Absent(
                    f"{model} has {row.parameter_count} parameters here, the paper's layers "
                    f"{sizes.hidden} would have {layout}: the networks of this run are others"
                )
        counts.append(
            arithmetic.parameters(scheme[model], sizes.dimension, sizes.classes, sizes.hidden) / 1e6
        )
    quoted, (width, _) = claim.printed["parameters_m"].value, tolerance(claim)
    return verdicts.counted(
        pd.Series(counts),
        quoted - width,
        quoted + width,
        quantity=f"size of {' and '.join(claim.models)}",
        unit=" M",
        note=f"by the layout that the networks of this run have, at {sizes.dimension} values and "
        f"{sizes.classes} classes",
    )


def _compression(claim: Claim, view: View) -> Evidence:
    packed = view.inputs.packed
    if packed is None:
        raise Absent("no packed models were collected in this run")
    keys = ["dataset", "seed", "fold"]
    own = packed[packed["protocol"] == view.protocol]

    def over(model: str) -> "pd.Series[float]":
        bytes_of = [
            own[own["model"] == m].set_index(keys)["disk_bytes"] for m in (claim.models[1], model)
        ]
        return (bytes_of[0] / bytes_of[1]).dropna()

    ratios = over(claim.models[0])
    if ratios.empty:
        raise Absent(f"no packed models of {' and '.join(claim.models)} ({view.protocol})")
    about = view.every[["dimension", "n_classes"]].drop_duplicates()
    shapes = " and ".join(f"{d} values and {c} classes" for d, c in about.to_numpy())
    quoted, (width, _) = claim.printed["ratio"].value, tolerance(claim)
    eight = over("Q8-Base")
    note = f"{claim.note}; at {shapes} (paper: {DIMENSION} and {view.paper.sizes.classes})"
    if len(eight):
        be = "is" if eight.between(quoted - width, quoted + width).all() else "is not"
        note += f"; the ratio of 8 bit, {number(eight.mean())}, {be} within it"
    return verdicts.counted(
        ratios,
        quoted - width,
        quoted + width,
        quantity=f"bytes on disk of {claim.models[1]} / {claim.models[0]}",
        unit="",
        note=note,
    )


def _hardware(value: float, low: float, high: float, n: int, quantity: str, unit: str) -> Evidence:
    return Evidence(quantity, unit, value, low, high, n, nan, nan, "", "")


def _times(claim: Claim, view: View) -> Evidence:
    logs = view.ratios("latency", "latency_ms", claim.models)
    quantity = f"time of a call, {' / '.join(claim.models)}, batch of 1,"
    return _hardware(*verdicts.ratio_of_medians(logs), len(logs), quantity, "")


def _overhead(claim: Claim, view: View) -> Evidence:
    logs = view.ratios("latency", "latency_ms", claim.models)
    value, low, high = (100 * (x - 1) for x in verdicts.ratio_of_medians(logs))
    quantity = f"overhead in time of {claim.models[0]} over {claim.models[1]}, batch of 1,"
    return _hardware(value, low, high, len(logs), quantity, " %")


def _saving(claim: Claim, view: View) -> Evidence:
    logs = view.ratios("energy", "energy_j", claim.models)
    value, high, low = (100 * (1 - x) for x in verdicts.ratio_of_medians(logs))
    quantity = f"energy of an inference that {claim.models[0]} saves against {claim.models[1]}"
    return _hardware(value, low, high, len(logs), quantity, " %")


def _per_energy(claim: Claim, view: View) -> Evidence:
    energy, model = view.inputs.energy, claim.models[0]
    if energy is None:
        raise Absent("the energy was not measured in this run")
    used = energy[(energy["protocol"] == view.protocol) & (energy["model"] == model)]
    used = used[(used["runtime"] == "packed") & (used["per"] == "inference")]
    used = used[used["batch_size"] == 1].dropna(subset="energy_j")
    named = view.every.assign(dataset=view.every["named"])
    joined = used.merge(named[[*compare.KEYS, "arm", "score"]], on=[*compare.KEYS, "arm"])
    if joined.empty:
        raise Absent(f"the energy of {model} was not measured, or is below the resolution")
    logs = np.log(joined["score"] / (1000 * joined["energy_j"]))
    where = joined["dataset"].where(~joined["synthetic"], joined["dataset"] + " (synthetic)")
    quantity = f"F1 per mJ of {model} on {listed(list(where.unique()))}"
    return _hardware(*verdicts.ratio_of_medians(logs), len(logs), quantity, "")


JUDGES: dict[str, Judge] = {
    "q4_keeps_f1": _kept,
    "q4_q8_parity": _parity,
    "compression_4x": _compression,
    "q4_energy_31": _saving,
    "quinn_f1_up": _rises,
    "quinn_var_85": _spread(verdicts.spread_falls),
    "var_50_94": _reductions,
    "q8_gets_uncertain": _routed,
    "no_false_stability": _spread(verdicts.spread_stays),
    "params_1_2m": _parameters,
    "moe_overhead_11": _overhead,
    "f1_per_mj": _per_energy,
    "one_bit_fastest": _times,
}


def measured_in(claim: Claim) -> str:
    """The measurement that a claim about hardware rests on: `latency` or `energy`."""
    return "energy" if JUDGES[claim.id] in (_saving, _per_energy) else "latency"


def evidence(claim: Claim, view: View) -> Evidence:
    """What the cells of the view say of a claim.

    Raises:
        Absent: they lack what it needs.
        InputError: the arms it compares cover different cells.

    """
    if claim.id.startswith("table"):
        return (_reduction if claim.id.endswith("/reduction") else _f1)(claim, view)
    return JUDGES[claim.id](claim, view)
