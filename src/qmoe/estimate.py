"""What a grid will cost, before anything of it is made: cells, core hours, gigabytes.

Training is taken as proportional to clips x values x epochs x expert networks. Early stopping ends
most cells sooner or later than those the cost was measured on, so the hours say the order only.
"""

from itertools import pairwise
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from qmoe.config import Csv, Params, Public, Synthetic
from qmoe.data.clips import SUFFIXES
from qmoe.data.registry import REGISTRY
from qmoe.grid import Experiment, Grid, Source, is_complete

DIMENSION = {"efficientnet_lite0": 1280, "efficientnet_b3": 1536}
# Measured on 2 cores of this project's machine: a default run trains 170 cells, 370 networks, in
# 322 core seconds, on 128 clips of 1280 values, for at most 100 epochs.
_DEFAULT_S = 322 / (370 * 128 * 1280 * 100)
_EMBED_S = {"efficientnet_lite0": 0.030, "efficientnet_b3": 0.130}  # a clip, on one core
_BYTES = 4  # of a value
_CELL_GB = 30e-6  # of a cell beside its weights
_TRAIN_LOGS = Path("logs/train")


def estimate(grid: Grid, measured: list[Grid]) -> tuple[pd.DataFrame, str]:
    """What every dataset of the grid needs, and on what the figure for training rests.

    Args:
        grid: what is asked.
        measured: grids whose finished jobs, where `logs/train` has them, tell the cost.

    Returns:
        One row a dataset: dataset, clips, cells, train_core_h, embed_core_h, archive_gb, audio_gb,
        embeddings_gb, cells_gb; and a sentence.

    """
    cost_s, basis = _cost(measured)
    rows = []
    for name, source in grid.sources.items():
        own = [e for e in grid.experiments if e.dataset == name]
        n_clips, dim = _clips(grid.params, name, source), _dimension(grid.params, name, source)
        archive_gb, audio_gb = _audio_gb(grid.params, name, source, n_clips)
        work = sum(_work(grid.params, e, n_clips, dim) for e in own)
        embedded = isinstance(grid.params.datasets[name], Csv)
        embed_s = 0.0 if embedded else n_clips * _EMBED_S[grid.params.embedding.backbone]
        rows.append(
            {
                "dataset": name,
                "clips": n_clips,
                "cells": sum(len(e.folds) for e in own),
                "train_core_h": work * cost_s / 3600,
                "embed_core_h": embed_s / 3600,
                "archive_gb": archive_gb,
                "audio_gb": audio_gb,
                "embeddings_gb": n_clips * dim * _BYTES / 1e9,
                "cells_gb": sum(len(e.folds) * _cell_gb(grid.params, e, dim) for e in own),
            }
        )
    return pd.DataFrame(rows), basis


def _work(params: Params, experiment: Experiment, n_clips: int, dim: int) -> float:
    """Clips x values x epochs x networks of all its cells."""
    n_folds = experiment.spec["n_folds"]
    train = n_clips * (n_folds - 1) / n_folds
    epochs = experiment.spec["training"]["epochs"]
    return len(experiment.folds) * train * dim * epochs * len(experiment.experts)


def _cost(measured: list[Grid]) -> tuple[float, str]:
    """Core seconds of a unit of work, from benchmark files of jobs whose cells are all there."""
    seconds = work = 0.0
    jobs = 0
    for grid in measured:
        for name, batch in grid.batches.items():
            log = _TRAIN_LOGS / f"{name}.tsv"
            cells = [e.cell(fold) for e in batch for fold in e.folds]
            if not log.exists() or not all(map(is_complete, cells)):
                continue
            dataset = batch[0].dataset
            source = grid.sources[dataset]
            n_clips = _clips(grid.params, dataset, source)
            dim = _dimension(grid.params, dataset, source)
            work += sum(_work(grid.params, e, n_clips, dim) for e in batch)
            seconds += pd.read_csv(log, sep="\t")["cpu_time"].sum()
            jobs += 1
    if seconds and work:
        return seconds / work, f"cost of training: {jobs} finished jobs in {_TRAIN_LOGS}"
    return _DEFAULT_S, "cost of training: this project's default run (no finished job in logs)"


def _clips(params: Params, name: str, source: Source) -> int:
    dataset = params.datasets[name]
    if source.table.exists():
        return int(pq.read_metadata(source.table).num_rows)
    if isinstance(dataset, Synthetic):
        return 5 * dataset.recordings_per_class * dataset.takes_per_recording
    if isinstance(dataset, Public):
        return REGISTRY[dataset.name].clips
    if isinstance(dataset, Csv):
        with Path(dataset.path).open(encoding="utf-8") as file:
            return sum(1 for _ in file) - 1
    return sum(path.suffix.lower() in SUFFIXES for path in Path(dataset.path).rglob("*"))


def _dimension(params: Params, name: str, source: Source) -> int:
    dataset = params.datasets[name]
    if isinstance(dataset, Csv):
        return sum(column.isdecimal() for column in pd.read_csv(dataset.path, nrows=0))
    return DIMENSION[params.embedding.backbone]


def _audio_gb(params: Params, name: str, source: Source, n_clips: int) -> tuple[float, float]:
    """(archive, clips) that the pipeline puts on the disk."""
    dataset = params.datasets[name]
    if isinstance(dataset, Public):
        known = REGISTRY[dataset.name]
        return (0.0 if dataset.archive else known.archive_gb), known.audio_gb
    if isinstance(dataset, Synthetic):
        samples = params.embedding.duration_s * params.embedding.sample_rate_hz
        return 0.0, n_clips * samples * 2 / 1e9
    return 0.0, 0.0


def _cell_gb(params: Params, experiment: Experiment, dim: int) -> float:
    def weights(widths: list[int]) -> int:
        return sum(a * b for a, b in pairwise(widths))

    count = len(experiment.experts) * weights([dim, *params.network.hidden])
    if len(experiment.experts) > 1:
        count += weights([dim, *params.router.hidden])
    return count * _BYTES / 1e9 + _CELL_GB
