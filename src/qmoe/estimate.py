"""What a grid will cost, before anything of it is made: cells, core hours, gigabytes. Training is
taken to cost in proportion to clips x values x epochs x expert networks. Early stopping varies, so
that the hours give the order of magnitude only.

Snakemake reads this module at its start: pandas and pyarrow are imported where they are needed."""

import csv
import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from qmoe.config import CsvDataset, PublicDataset, SyntheticDataset
from qmoe.config.datasets import REGISTRY
from qmoe.grid import Experiment, Grid

if TYPE_CHECKING:
    import pandas as pd

DIMENSION = {"efficientnet_lite0": 1280, "efficientnet_b3": 1536}
# Measured on 2 cores of this project's machine: a default run trains 170 cells, 370 networks, in
# 322 core seconds, on 128 clips of 1280 values, for at most 100 epochs.
_DEFAULT_S = 322 / (370 * 128 * 1280 * 100)
_EMBED_S = {"efficientnet_lite0": 0.030, "efficientnet_b3": 0.130}  # a clip, on one core
_VALUE_BYTES = 4
_CELL_GB = 30e-6  # of the files of a cell other than its weights
_TRAIN_LOGS = Path("logs/train")
_TRAINED = re.compile(r"^(results/cells/\S+) (\d+\.\d+) s$", re.MULTILINE)


class _Size(NamedTuple):
    clips: int
    dimension: int  # values of an embedding
    archive_gb: float = 0.0  # of files that the pipeline puts on the disk
    audio_gb: float = 0.0
    embed_s: float = 0.0  # core seconds of a clip


def estimate(grid: Grid, measured: Iterable[Grid]) -> "tuple[pd.DataFrame, str]":
    """Return a row for each dataset of the grid, and a sentence on the cost of training. The cost
    is that of the finished jobs of the `measured` grids whose times are in `logs/train`."""
    import pandas as pd

    cost_s, basis = _cost(measured)
    rows = []
    for name in grid.sources:
        size = _size(grid, name)
        experiments = [e for e in grid.experiments if e.dataset == name]
        row = {
            "dataset": name,
            "clips": size.clips,
            "cells": sum(len(e.folds) for e in experiments),
            "train_core_h": sum(len(e.folds) * _cell_work(e, size) for e in experiments)
            * cost_s
            / 3600,
            "embed_core_h": size.clips * size.embed_s / 3600,
            "archive_gb": size.archive_gb,
            "audio_gb": size.audio_gb,
            "embeddings_gb": size.clips * size.dimension * _VALUE_BYTES / 1e9,
            "cells_gb": sum(len(e.folds) * _cell_gb(e, size) for e in experiments),
        }
        rows.append(row)
    return pd.DataFrame(rows), basis


def report(grid: Grid, other: Grid) -> str:
    """Return the estimate in Markdown, its cost of training from finished jobs of either grid."""
    import pandas as pd

    table, basis = estimate(grid, [grid, other])
    total = table.sum(numeric_only=True)
    rows = pd.concat([table, total.to_frame().T.assign(dataset="total")])
    whole = {"clips": int, "cells": int}
    text = rows.astype(whole).to_markdown(index=False, floatfmt=".2f", intfmt="d")
    core_h, gb = total.filter(like="_core_h").sum(), total.filter(like="_gb").sum()
    return f"{text}\n{int(total['cells'])} cells, {core_h:.1f} core hours, {gb:.1f} GB; {basis}"


def _cell_work(experiment: Experiment, size: _Size) -> float:
    """Clips x values x epochs x networks of a cell."""
    n_folds, epochs = experiment.spec["n_folds"], experiment.spec["training"]["epochs"]
    train = size.clips * (n_folds - 1) / n_folds
    return float(train * size.dimension * epochs * len(experiment.experts))


def _n_rows(table: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(table).num_rows)


def cost_s(grid: Grid, runs: Iterable[tuple[Experiment, int]]) -> list[float]:
    """Return the predicted core seconds of training each cell."""
    unit_s, _ = _cost([grid])
    sizes = {name: _size(grid, name) for name in grid.sources}
    return [unit_s * _cell_work(e, sizes[e.dataset]) for e, _ in runs]


def _cost(measured: Iterable[Grid]) -> tuple[float, str]:
    """Core seconds of a unit of work, from the logs of jobs that trained cells of the grids."""
    took_s: dict[str, float] = {}
    for log in sorted(_TRAIN_LOGS.glob("*.log")):
        for cell, seconds in _TRAINED.findall(log.read_text(errors="replace")):
            took_s[cell] = float(seconds)
    seconds = work = 0.0
    for grid in measured if took_s else ():
        sizes = {name: _size(grid, name) for name in grid.sources}
        for experiment in grid.experiments:
            made = [took_s.pop(experiment.cell_name(f), None) for f in experiment.folds]
            of_cells = [second for second in made if second is not None]
            seconds += sum(of_cells)
            work += _cell_work(experiment, sizes[experiment.dataset]) * len(of_cells)
    if seconds:
        return seconds / work, f"cost of training: cells in the logs of {_TRAIN_LOGS}"
    return _DEFAULT_S, "cost of training: this project's default run (no trained cell in logs)"


def _size(grid: Grid, name: str) -> _Size:
    """The size of a dataset: measured where its table is there, else as far as it is known."""
    dataset, embedding = grid.params.datasets[name], grid.params.embedding
    table = grid.sources[name].table
    made = _n_rows(table) if table.exists() else None
    if isinstance(dataset, CsvDataset):
        with Path(dataset.path).open(encoding="utf-8", newline="") as file:
            columns = next(csv.reader(file), [])
            rows = made or sum(1 for _ in file)
        return _Size(rows, sum(column.isdecimal() for column in columns))
    dimension, embed_s = DIMENSION[embedding.backbone], _EMBED_S[embedding.backbone]
    if isinstance(dataset, PublicDataset):
        entry = REGISTRY[dataset.name]
        archive_gb = 0.0 if dataset.archive else entry.archive_gb
        return _Size(made or entry.clips, dimension, archive_gb, entry.audio_gb, embed_s)
    if isinstance(dataset, SyntheticDataset):
        clips = made or 5 * dataset.recordings_per_class * dataset.takes_per_recording
        samples = embedding.duration_s * embedding.sample_rate_hz
        return _Size(clips, dimension, audio_gb=clips * samples * 2 / 1e9, embed_s=embed_s)
    from qmoe.data.clips import SUFFIXES

    files = Path(dataset.path).rglob("*")
    clips = made or sum(path.suffix.lower() in SUFFIXES for path in files)
    return _Size(clips, dimension, embed_s=embed_s)


def _cell_gb(experiment: Experiment, size: _Size) -> float:
    spec = experiment.spec
    networks = ["network"] * len(experiment.experts) + ["router"] * ("router" in spec)
    widths = [[size.dimension, *spec[network]["hidden"]] for network in networks]
    weights = sum(a * b for of_network in widths for a, b in pairwise(of_network))
    return weights * _VALUE_BYTES / 1e9 + _CELL_GB
