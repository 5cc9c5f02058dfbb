"""Experiments: every combination that the grid asks for, with its specification and its path.

A path holds readable names and a key: the hash of everything else that can change its content,
which is parameters, data, code and versions of libraries. A file that exists is therefore valid,
whichever tool or clone put it there.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from qmoe.config import Params, SyntheticDataset
from qmoe.data.sources import DataSource
from qmoe.keys import key, source_key, versions
from qmoe.paths import CELLS, SUMMARIES

_TRAINING_LIBRARIES = ("array-api-compat", "numpy", "scikit-learn", "torch")


@dataclass(frozen=True)
class Experiment:
    """One dataset, protocol, expert set, curiosity and seed. Each of its folds is a cell."""

    dataset: str
    synthetic: bool
    protocol: str
    expert_set: str
    experts: tuple[str, ...]
    strategy: str
    alpha: float | None
    seed: int
    folds: tuple[int, ...]
    spec: dict[str, Any]

    @property
    def name(self) -> str:
        """`DATASET/PROTOCOL/EXPERTS/CURIOSITY/seedN`."""
        alpha = "" if self.alpha is None else f"-{self.alpha:g}"
        experts = "+".join(self.experts)
        return f"{self.dataset}/{self.protocol}/{experts}/{self.strategy}{alpha}/seed{self.seed}"

    @property
    def model(self) -> str:
        """The paper's name of the model: the expert set, with `-C` where curiosity is on."""
        return self.expert_set + ("" if self.strategy == "none" else "-C")

    @property
    def arm(self) -> str:
        """The name of what is compared: model, strategy and alpha. It is built only here."""
        curiosity = "" if self.alpha is None else f" {self.strategy} {self.alpha:g}"
        return self.model + curiosity

    @property
    def columns(self) -> dict[str, Any]:
        """The columns that identify the experiment in every table of the project."""
        names = ("dataset", "synthetic", "protocol", "arm", "model", "strategy", "alpha", "seed")
        return {n: getattr(self, n) for n in names} | {"experts": "+".join(self.experts)}

    @cached_property
    def key(self) -> str:
        """Hash of the specification."""
        return key(self.spec)

    @cached_property
    def path(self) -> Path:
        """Folder of the specification and the cells."""
        return CELLS / f"{self.name}-{self.key}"

    @property
    def spec_file(self) -> Path:
        """The file that tells the training process everything it needs."""
        return self.path / "spec.json"

    @property
    def spec_text(self) -> str:
        """Content of `spec_file`."""
        return json.dumps(self.spec, indent=1, sort_keys=True) + "\n"

    def cell(self, fold: int) -> Path:
        """Return the folder of one fold."""
        return self.path / f"fold{fold}"

    @property
    def summary(self) -> Path:
        """Path of `summary.json`, a file that the original research code writes as well."""
        return SUMMARIES / self.name / "summary.json"


def training_source() -> str:
    """Return the key of the code that a cell depends on, as it is in this installation."""
    return source_key("nn/*.py", "train.py", "data/splits.py", "data/table.py")


def expand(params: Params, sources: Mapping[str, DataSource]) -> list[Experiment]:
    """Return every experiment that the grid asks for; `sources` are those of its datasets."""
    code = {"source": training_source(), "versions": versions(*_TRAINING_LIBRARIES)}
    grid = params.grid
    experiments = []
    for dataset, protocol, expert_set in product(grid.datasets, grid.protocols, grid.expert_sets):
        n_folds = params.n_folds(dataset, protocol)
        data = {"embeddings": sources[dataset].table.as_posix(), "n_folds": n_folds}
        experts = tuple(params.expert_sets[expert_set])
        for (strategy, alpha), seed in product(_arms(params, expert_set), grid.seeds):
            arm = {"curiosity": {"strategy": strategy, "alpha": alpha}, "seed": seed}
            experiments.append(
                Experiment(
                    dataset=dataset,
                    synthetic=isinstance(params.datasets[dataset], SyntheticDataset),
                    protocol=protocol,
                    expert_set=expert_set,
                    experts=experts,
                    strategy=strategy,
                    alpha=alpha,
                    seed=seed,
                    folds=tuple(range(n_folds) if grid.folds == "all" else grid.folds),
                    spec=_spec(params, protocol, experts) | arm | data | code,
                )
            )
    return experiments


def _arms(params: Params, expert_set: str) -> Iterator[tuple[str, float | None]]:
    """Strategy and alpha of every curiosity that the grid asks of an expert set."""
    if len(params.expert_sets[expert_set]) == 1:
        yield "none", None
        return
    for curiosity in params.grid.curiosity:
        if curiosity.expert_sets is None or expert_set in curiosity.expert_sets:
            yield from curiosity.arms()


def _spec(params: Params, protocol: str, experts: tuple[str, ...]) -> dict[str, Any]:
    """What training is told of the model, without what only the other kind of model would read."""
    kind = "single" if len(experts) == 1 else "mixture"
    rules = params.protocols[protocol].model_dump(exclude={"n_folds"})
    checkpoints = {name: rules.pop(f"{name}_checkpoint") for name in ("single", "mixture")}
    spec = {
        "protocol": rules,
        "experts": list(experts),
        "split_seed": params.split_seed,
        "normalization": params.normalization,
        "device": params.device,
        "network": params.network.model_dump(),
        "training": getattr(params.training, kind).model_dump() | {"checkpoint": checkpoints[kind]},
    }
    return spec | ({"router": params.router.model_dump()} if kind == "mixture" else {})
