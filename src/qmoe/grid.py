"""The grid: everything that a configuration asks for, expanded from params.yaml.

Nothing here imports torch or matplotlib, because Snakemake expands the grid at every start.
"""

from functools import cached_property
from itertools import groupby
from pathlib import Path

from qmoe import judge
from qmoe.config import Params
from qmoe.data.sources import DataSource, locate
from qmoe.errors import UserError
from qmoe.experiment import Experiment, expand, training_source
from qmoe.keys import key, source_key, versions, write_atomically
from qmoe.paths import CELLS, MEASUREMENTS, PACKED

__all__ = ["Experiment", "Grid", "training_source"]

_PACKING_LIBRARIES = ("numba", "numpy", "onnx", "onnxruntime")


class Grid:
    """Everything that a configuration asks for.

    Attributes:
        params: the configuration.
        sources: where the data of each dataset lie, by name.
        experiments: every experiment, in the order of the lists in params.yaml.
    """

    def __init__(self, params: Params) -> None:
        self.params = params
        self.sources = {name: locate(params, name) for name in params.grid.datasets}
        self.experiments = expand(params, self.sources)

    def source(self, dataset: str) -> DataSource:
        """Return where the data of a dataset lie.

        Raises:
            UserError: the grid has no such dataset.
        """
        if dataset not in self.sources:
            known = ", ".join(self.sources)
            raise UserError(f"dataset {dataset!r} is not in grid.datasets; these are: {known}")
        return self.sources[dataset]

    @property
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
        packing = {"source": source_key("deploy/*.py"), "versions": versions(*_PACKING_LIBRARIES)}
        return PACKED / key(packing)

    def packed(self, experiment: Experiment, fold: int) -> Path:
        """Return the folder of the packed model of a cell."""
        return self.packed_root / experiment.cell(fold).relative_to(CELLS)

    @property
    def measured(self) -> list[Experiment]:
        """Experiments whose time and energy are measured: every arm, with the first seed."""
        return [e for e in self.experiments if e.seed == self.params.grid.seeds[0]]

    @cached_property
    def measurements(self) -> Path:
        """Folder of the measurements; its key covers models, settings and the measuring code."""
        models = [[str(e.path), list(e.folds)] for e in self.measured]
        settings = self.params.measurement.model_dump()
        code = source_key("measure/*.py")
        return MEASUREMENTS / key(
            [models, self.packed_root.name, settings, code, versions("codecarbon")]
        )

    @property
    def batches(self) -> dict[str, list[Experiment]]:
        """Experiments that one job trains, by the name of the job: `DATASET_NUMBER`.

        All experiments of a job have the same dataset and the same folds.
        """
        size = self.params.experiments_per_job
        batches: dict[str, list[Experiment]] = {}
        for dataset, of_dataset in groupby(self.experiments, lambda e: e.dataset):
            alike = [list(group) for _, group in groupby(of_dataset, lambda e: e.folds)]
            jobs = [some[at : at + size] for some in alike for at in range(0, len(some), size)]
            batches |= {f"{dataset}_{number}": job for number, job in enumerate(jobs)}
        return batches

    @cached_property
    def key(self) -> str:
        """Hash of what the tables are made from, and of the code that makes them."""
        experiments = [[e.expert_set, str(e.path), list(e.folds)] for e in self.experiments]
        return judge.tables_key([experiments, self.measurements.name], self.params.paper)

    @cached_property
    def figures_key(self) -> str:
        """Hash of what the figures are made from: the tables' key, and the code that draws."""
        return judge.figures_key(self.key)

    @cached_property
    def report_key(self) -> str:
        """Hash of what the results page and the notebook are made from, figures included."""
        return judge.report_key(self.figures_key)

    def write_specs(self) -> None:
        """Write the specification of every experiment that has none yet, and print the counts."""
        for experiment in self.experiments:
            if not experiment.spec_file.exists():
                write_atomically(experiment.spec_file, experiment.spec_text)
        print(f"{len(self.experiments)} experiments, {len(self.cells)} cells")
