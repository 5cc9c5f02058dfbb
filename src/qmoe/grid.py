"""The grid: every combination that params.yaml asks for, with its specification and its path, which
ends in a key: the hash of the parameters, data, code and library versions that can change its
content, so that a file that exists is valid. Snakemake expands the grid at every start: nothing
here may import torch."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

from qmoe import judge
from qmoe.config import Params, SyntheticDataset
from qmoe.data.sources import DataSource, locate
from qmoe.errors import UserError
from qmoe.keys import key, source_key, versions
from qmoe.paths import CELLS, MEASUREMENTS, PACKED, SUMMARIES

_TRAINING_LIBRARIES = ("array-api-compat", "numpy", "scikit-learn", "torch")
_PACKING_LIBRARIES = ("numba", "numpy", "onnx", "onnxruntime")
_CELLS = CELLS.as_posix()


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
        return self.model + ("" if self.alpha is None else f" {self.strategy} {self.alpha:g}")

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
    def keyed_name(self) -> str:
        """`DATASET/PROTOCOL/EXPERTS/CURIOSITY/seedN-KEY`."""
        return f"{self.name}-{self.key}"

    @property
    def path(self) -> Path:
        """Folder of the specification and the cells."""
        return Path(_CELLS, self.keyed_name)

    def cell(self, fold: int) -> Path:
        """Return the folder of one fold."""
        return Path(self.cell_name(fold))

    def cell_name(self, fold: int) -> str:
        """Return the folder of one fold as text, for lists of very many."""
        return f"{_CELLS}/{self.keyed_name}/fold{fold}"

    @property
    def summary(self) -> Path:
        """Path of `summary.json`, a file that the original research code writes as well."""
        return SUMMARIES / self.name / "summary.json"


def training_source() -> str:
    """Return the key of the code that a cell depends on, as it is in this installation."""
    return source_key("nn/*.py", "train.py", "data/splits.py", "data/table.py")


def training_code() -> dict[str, Any]:
    """Return what a specification says of the code and the libraries that train."""
    return {"source": training_source(), "versions": versions(*_TRAINING_LIBRARIES)}


def packing_key() -> str:
    """Return the key of the code and the libraries that pack."""
    return key({"source": source_key("deploy/*.py"), "versions": versions(*_PACKING_LIBRARIES)})


def _expand(params: Params, sources: dict[str, DataSource]) -> Iterator[Experiment]:
    """Every experiment that the grid asks for, in the order of its lists."""
    code = training_code()
    grid = params.grid
    for dataset, protocol, expert_set in product(grid.datasets, grid.protocols, grid.expert_sets):
        n_folds = params.n_folds(dataset, protocol)
        data = {"embeddings": sources[dataset].table.as_posix(), "n_folds": n_folds}
        folds = tuple(range(n_folds) if grid.folds == "all" else grid.folds)
        experts = tuple(params.expert_sets[expert_set])
        shared = _spec(params, protocol, experts) | data | code
        rules = [c for c in grid.curiosity if c.expert_sets is None or expert_set in c.expert_sets]
        arms = [arm for rule in rules for arm in rule.arms()]
        if len(experts) == 1:
            arms = [("none", None)]
        for (strategy, alpha), seed in product(arms, grid.seeds):
            curiosity = {"strategy": strategy, "alpha": alpha}
            yield Experiment(
                dataset=dataset,
                synthetic=isinstance(params.datasets[dataset], SyntheticDataset),
                protocol=protocol,
                expert_set=expert_set,
                experts=experts,
                strategy=strategy,
                alpha=alpha,
                seed=seed,
                folds=folds,
                spec=shared | {"curiosity": curiosity, "seed": seed},
            )


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


class Grid:
    """The `params`, the `sources` of each dataset's data by name, and all `experiments`."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.sources = {name: locate(params, name) for name in params.grid.datasets}

    @cached_property
    def experiments(self) -> list[Experiment]:
        """All experiments, in the order of the grid's lists."""
        return list(_expand(self.params, self.sources))

    def source(self, dataset: str) -> DataSource:
        """Return where a dataset's data lie, or raise UserError where it is not in the grid."""
        if dataset not in self.sources:
            known = ", ".join(self.sources)
            raise UserError(f"dataset {dataset!r} is not in grid.datasets; these are: {known}")
        return self.sources[dataset]

    @cached_property
    def runs(self) -> list[tuple[Experiment, int]]:
        """Every experiment with each of its folds: the pairs that are trained and packed."""
        return [(experiment, fold) for experiment in self.experiments for fold in experiment.folds]

    @property
    def cells(self) -> list[Path]:
        """Folders of all cells."""
        return [experiment.cell(fold) for experiment, fold in self.runs]

    @cached_property
    def packed_root(self) -> Path:
        """Folder of the packed models; its key is that of the code that packs."""
        return PACKED / packing_key()

    def packed(self, experiment: Experiment, fold: int) -> Path:
        """Return the folder of the packed model of a cell."""
        return Path(self.packed_name(experiment, fold))

    def packed_name(self, experiment: Experiment, fold: int) -> str:
        """Return the folder of the packed model of a cell as text, for lists of very many."""
        return f"{self._packed_root}/{experiment.keyed_name}/fold{fold}"

    @cached_property
    def _packed_root(self) -> str:
        return self.packed_root.as_posix()

    @property
    def measured(self) -> list[Experiment]:
        """Experiments whose time and energy are measured: every arm, with the first seed."""
        return [e for e in self.experiments if e.seed == self.params.grid.seeds[0]]

    @cached_property
    def measurements(self) -> Path:
        """Folder of the measurements; its key covers models, settings and the measuring code."""
        models = [[str(e.path), list(e.folds)] for e in self.measured]
        code = [source_key("measure/*.py"), versions("codecarbon")]
        settings = self.params.measurement.model_dump()
        return MEASUREMENTS / key([models, self.packed_root.name, settings, *code])

    @cached_property
    def content(self) -> list[list[Any]]:
        """Name of the experts, path and folds of each experiment: the path ends in the key of all
        that training depends on, so that equal grids have equal content."""
        return [[e.expert_set, str(e.path), list(e.folds)] for e in self.experiments]

    @cached_property
    def key(self) -> str:
        """Hash of what the tables are made from, and of the code that makes them."""
        return judge.tables_key([self.content, self.measurements.name], self.params.paper)

    @cached_property
    def figures_key(self) -> str:
        """Hash of what the figures are made from: the tables' key, and the code that draws."""
        return judge.figures_key(self.key)

    @cached_property
    def report_key(self) -> str:
        """Hash of what the results page and the notebook are made from, figures included."""
        return judge.report_key(self.figures_key)
