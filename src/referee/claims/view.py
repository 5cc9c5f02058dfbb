"""The files of a run under one protocol, asked by the paper's names.

A claim's datasets are matched by the paper's names, without punctuation and in lower case; a
synthetic dataset is none of them, whatever it is called. `Absent` says what a claim needs and the
run lacks.
"""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from referee.contract import NO_RULE, Measured, of_packed
from referee.errors import InputError
from referee.paper import Paper
from referee.paper.claims import Claim
from referee.stats import compare
from referee.words import listed

MEASURED = {"latency": "latency_ms", "energy": "energy_j"}  # its column


class Absent(Exception):
    """What a claim needs and this run lacks; the message is a sentence without its full stop."""


@dataclass(frozen=True)
class Inputs:
    """The files of a run, as `referee.contract` reads them; None what the run lacks.

    Attributes:
        cells: the tidy table of scores.
        packed: the table of packed models.
        measured: latency, energy and memory.
        routing: of `precision_routing`.

    """

    cells: pd.DataFrame
    packed: pd.DataFrame | None = None
    measured: Measured = field(default_factory=Measured)
    routing: pd.DataFrame | None = None


def plain_name(dataset: str) -> str:
    """Return the name without punctuation, in lower case: `My-Data 1` as `mydata1`."""
    return re.sub(r"[^a-z0-9]", "", dataset.lower())


@dataclass(frozen=True)
class View:
    """The files of a run under one protocol; `family` tests are corrected together."""

    protocol: str
    paper: Paper
    inputs: Inputs
    family: int = 1

    @cached_property
    def _datasets(self) -> dict[str, str]:
        """The paper's datasets by their names without punctuation."""
        of_claims = (name for claim in self.paper.claims.values() for name in claim.datasets)
        return {plain_name(name): name for name in (*self.paper.datasets, *of_claims)}

    def paper_name(self, dataset: str) -> str:
        """Return the paper's name of a dataset, or that without punctuation if it is not there."""
        plain = plain_name(dataset)
        return self._datasets.get(plain, plain)

    @cached_property
    def all_cells(self) -> pd.DataFrame:
        """All cells; `dataset` holds the paper's name, `named` the name in the table."""
        cells = self.inputs.cells
        cells = cells[cells["protocol"] == self.protocol]
        return cells.assign(
            dataset=cells["dataset"].map(self.paper_name),
            named=cells["dataset"],
            synthetic=cells["synthetic"].astype(bool),
        )

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The cells of the paper's datasets.

        Raises:
            InputError: two datasets of the table go by one name of the paper.

        """
        cells = self.all_cells
        cells = cells[~cells["synthetic"] & cells["dataset"].isin(self._datasets.values())]
        for dataset, names in cells.groupby("dataset")["named"].unique().items():
            if len(names) > 1:
                raise InputError(
                    f"{' and '.join(names)} are both the paper's {dataset}: keep one of them"
                )
        return cells

    @cached_property
    def arms(self) -> pd.DataFrame:
        """Every arm of every dataset, and the number of classes where the table tells it."""
        columns = ["dataset", "synthetic", "named", "model", "strategy", "alpha", "arm"]
        known = [column for column in (*columns, "n_classes") if column in self.all_cells]
        return self.all_cells[known].drop_duplicates()

    def need(self, datasets: tuple[str, ...]) -> None:
        """Check that the paper's datasets are there, with the paper's classes.

        Raises:
            Absent: one of them is missing, or has another number of classes.

        """
        if self.all_cells.empty:
            raise Absent(f"This run has no cells of the protocol {self.protocol}")
        real = self.arms[~self.arms["synthetic"]]
        real = real.drop_duplicates("dataset").set_index("dataset")
        missing = [dataset for dataset in datasets if dataset not in real.index]
        if missing:
            here = self.arms[["named", "synthetic"]].drop_duplicates().to_numpy()
            names = [f"{name}{' (synthetic)' if synthetic else ''}" for name, synthetic in here]
            raise Absent(f"This run has no cells of {listed(missing)}; it has {listed(names)}")
        for dataset in datasets:
            known = self.paper.datasets.get(dataset)
            if known is None or known.classes is None or "n_classes" not in real:
                continue
            classes = real.loc[dataset, "n_classes"]
            if classes != known.classes:
                raise Absent(f"{dataset} has {classes} classes here, {known.classes} in the paper")

    def arm(self, claim: Claim, model: str) -> str:
        """Return the name of the arm that stands for a model, on all of the claim's datasets.

        Raises:
            Absent: there is none.

        """
        rows, datasets = self.arms[self.arms["model"] == model], claim.datasets
        if datasets:
            rows = rows[~rows["synthetic"] & rows["dataset"].isin(datasets)]
        suffix, strategies = self.paper.varied_suffix, self.paper.strategies.get(self.protocol, ())
        varied = bool(suffix and strategies) and model.endswith(suffix)
        for strategy in strategies if varied else (NO_RULE,):
            matches = rows[rows["strategy"] == strategy]
            if varied and claim.alpha is not None:
                matches = matches[np.isclose(matches["alpha"], claim.alpha)]
            if len(matches) and (not datasets or set(matches["dataset"]) == set(datasets)):
                return str(matches["arm"].iloc[0])
        strength = "" if claim.alpha is None else f" {claim.alpha:g}"
        how = f" with {' or '.join(strategies)}{strength}" if varied else ""
        where = f" on {listed(datasets)}" if datasets else ""
        raise Absent(f"This run has no cells of {model}{how}{where} ({self.protocol})")

    def pairs(self, claim: Claim, model: str, baseline: str | None = None) -> pd.DataFrame:
        """Return the cells of a model joined with a baseline's, on the claim's datasets.

        Without a baseline, `score_baseline` is 0. Columns are those of `compare.pairs`.

        Raises:
            Absent: a dataset or an arm is missing.
            InputError: the arms cover different cells, or the claim names no dataset.

        """
        if not claim.datasets:
            raise InputError(f"claim {claim.id!r} names no datasets, and its judge needs them")
        self.need(claim.datasets)
        arm = self.arm(claim, model)
        columns = [*compare.KEYS, "arm", "score", "n_train", "n_test"]
        cells = self.cells[[column for column in columns if column in self.cells]]
        cells = cells[cells["dataset"].isin(claim.datasets)]
        if baseline is None:
            return compare.pairs(cells, arm, arm).assign(score_baseline=0.0)
        return compare.pairs(cells, arm, self.arm(claim, baseline))

    def used(self, claim: Claim) -> pd.DataFrame:
        """Return the cells of the claim's models."""
        arms = []
        for model in claim.models:
            with suppress(Absent):
                arms.append(self.arm(claim, model))
        cells = self.all_cells
        if claim.datasets:
            cells = self.cells[self.cells["dataset"].isin(claim.datasets)]
        return cells[cells["arm"].isin(arms)]

    def measured(self, what: str) -> pd.DataFrame:
        """Return the measurements, of `latency` or `energy`, of packed models and single clips.

        Raises:
            Absent: nothing was measured.

        """
        frame: pd.DataFrame | None = getattr(self.inputs.measured, what)
        if frame is None:
            raise Absent(f"The {what} was not measured in this run")
        rows = (frame["protocol"] == self.protocol) & (frame["batch_size"] == 1)
        return of_packed(frame[rows])

    def log_ratios(self, what: str, models: tuple[str, ...]) -> "pd.Series[float]":
        """Return the log ratios of what was measured of two models, a pair of packed cells each.

        Raises:
            Absent: nothing was measured, or all of it was below the resolution of the meter.

        """
        frame, value = self.measured(what), MEASURED[what]
        medians = []
        for model in models:
            rows = frame[frame["model"] == model]
            if rows.empty:
                raise Absent(f"The {what} of {model} was not measured in this run")
            medians.append(rows.groupby(compare.KEYS)[value].median())
        logs = (np.log(medians[0]) - np.log(medians[1])).rename("log_ratio")
        if logs.isna().all():
            raise Absent(f"The {what} is below the resolution of the meter in every fold")
        return logs.dropna()
