"""The files of a run under one protocol, asked by the paper's names.

A claim's datasets are matched by the paper's names, without punctuation and in lower case; a
synthetic dataset is none of them, whatever it is called.
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


class Absent(Exception):
    """What a claim needs and this run lacks; the message is a sentence without its full stop."""


@dataclass(frozen=True)
class Inputs:
    """The files of a run, as `referee.contract` reads them; None what the run lacks."""

    cells: pd.DataFrame
    packed: pd.DataFrame | None = None
    measured: Measured = field(default_factory=Measured)
    routing: pd.DataFrame | None = None  # of `precision_routing`


def plain_name(dataset: str) -> str:
    """Return the name without punctuation, in lower case: `My-Data 1` as `mydata1`."""
    return re.sub(r"[^a-z0-9]", "", dataset.lower())


@dataclass(frozen=True)
class View:
    """The files of a run under one protocol."""

    protocol: str
    paper: Paper
    inputs: Inputs

    @cached_property
    def _datasets(self) -> dict[str, str]:
        """The paper's datasets by their names without punctuation."""
        of_claims = (name for claim in self.paper.claims.values() for name in claim.datasets)
        return {plain_name(name): name for name in (*self.paper.datasets, *of_claims)}

    def under_protocol(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return its rows: `dataset` is the paper's name where it has one, `named` the table's."""
        rows = table[table["protocol"] == self.protocol]
        plain = map(plain_name, rows["dataset"])
        return rows.assign(
            dataset=[self._datasets.get(name, name) for name in plain],
            named=rows["dataset"],
            synthetic=rows["synthetic"].astype(bool),
        )

    @cached_property
    def all_cells(self) -> pd.DataFrame:
        """All cells, as `under_protocol`."""
        return self.under_protocol(self.inputs.cells)

    def cells(self, claim: Claim) -> pd.DataFrame:
        """Return the cells of the claim's datasets, or all cells of a claim that names none.

        Raises InputError if two datasets of the table go by one of these names.
        """
        cells = self.all_cells
        if claim.datasets:
            cells = cells[~cells["synthetic"] & cells["dataset"].isin(claim.datasets)]
            for dataset, names in cells.groupby("dataset")["named"].unique().items():
                if len(names) > 1:
                    both = " and ".join(names)
                    raise InputError(f"{both} are both the paper's {dataset}: keep one of them")
        return cells

    def _need(self, datasets: tuple[str, ...]) -> None:
        """Check that the paper's datasets are there, with the paper's classes."""
        cells = self.all_cells
        if cells.empty:
            raise Absent(f"This run has no cells of the protocol {self.protocol}")
        real = cells[~cells["synthetic"]].drop_duplicates("dataset").set_index("dataset")
        if missing := [dataset for dataset in datasets if dataset not in real.index]:
            here = cells[["named", "synthetic"]].drop_duplicates().to_numpy()
            names = [f"{name}{' (synthetic)' if synthetic else ''}" for name, synthetic in here]
            raise Absent(f"This run has no cells of {listed(missing)}; it has {listed(names)}")
        for dataset in datasets if "n_classes" in real else ():
            known, classes = self.paper.datasets.get(dataset), real.loc[dataset, "n_classes"]
            if known and known.classes not in (None, classes):
                raise Absent(f"{dataset} has {classes} classes here, {known.classes} in the paper")

    def arm(self, claim: Claim, model: str) -> str:
        """Return the arm of a model on all of the claim's datasets; raises Absent without one."""
        cells, datasets = self.cells(claim), claim.datasets
        cells = cells[cells["model"] == model]
        suffix, strategies = self.paper.varied_suffix, self.paper.strategies.get(self.protocol, ())
        varied = bool(suffix and strategies) and model.endswith(suffix)
        for strategy in strategies if varied else (NO_RULE,):
            matches = cells[cells["strategy"] == strategy]
            if varied and claim.alpha is not None:
                matches = matches[np.isclose(matches["alpha"], claim.alpha)]
            if len(matches) and (not datasets or set(matches["dataset"]) == set(datasets)):
                return str(matches["arm"].iloc[0])
        how = f" with {' or '.join(strategies)}{claim.strength}" if varied else ""
        where = f" on {listed(datasets)}" if datasets else ""
        raise Absent(f"This run has no cells of {model}{how}{where} ({self.protocol})")

    def pairs(self, claim: Claim, model: str, baseline: str | None = None) -> pd.DataFrame:
        """Return the cells of a model joined with a baseline's, as `compare.pairs`.

        They are those on the claim's datasets. Without a baseline, `score_baseline` is 0. Raises
        Absent where a dataset or an arm is missing, and InputError where the arms cover different
        cells or the claim names no dataset.
        """
        if not claim.datasets:
            raise InputError(f"claim {claim.id!r} names no datasets, and its judge needs them")
        self._need(claim.datasets)
        cells, arm = self.cells(claim), self.arm(claim, model)
        if baseline is None:
            return compare.pairs(cells, arm, arm).assign(score_baseline=0.0)
        return compare.pairs(cells, arm, self.arm(claim, baseline))

    def used(self, claim: Claim) -> pd.DataFrame:
        """Return the cells of the claim's models."""
        arms = []
        for model in claim.models:
            with suppress(Absent):
                arms.append(self.arm(claim, model))
        cells = self.cells(claim)
        return cells[cells["arm"].isin(arms)]

    def measured(self, what: str) -> pd.DataFrame:
        """Return the `latency` or `energy` of packed models and single clips; may raise Absent."""
        frame: pd.DataFrame | None = getattr(self.inputs.measured, what)
        if frame is None:
            raise Absent(f"The {what} was not measured in this run")
        return of_packed(frame[(frame["protocol"] == self.protocol) & (frame["batch_size"] == 1)])

    def log_ratios(self, what: str, models: tuple[str, ...]) -> "pd.Series[float]":
        """Return the log ratios of what was measured of two models, a pair of packed cells each.

        Raises Absent where nothing was measured, or all of it is below the meter's resolution.
        """
        frame, column = self.measured(what), {"latency": "latency_ms", "energy": "energy_j"}[what]
        for model in models:
            if model not in set(frame["model"]):
                raise Absent(f"The {what} of {model} was not measured in this run")
        medians = frame.groupby(["model", *compare.KEYS])[column].median()
        logs = (np.log(medians[models[0]]) - np.log(medians[models[1]])).dropna()
        if logs.empty:
            raise Absent(f"The {what} is below the resolution of the meter in every fold")
        return logs
