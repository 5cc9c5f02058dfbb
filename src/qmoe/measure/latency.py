"""Latency: the wall time of a call on one pinned thread, measured for all models in turn."""

import gc
import random
import time
from collections.abc import Iterator

import pandas as pd

from qmoe.grid import Grid
from qmoe.measure.subjects import Subject, subjects
from qmoe.measure.units import milliseconds


def measure(grid: Grid) -> pd.DataFrame:
    """Return a row for each timed call: cell, runtime, batch_size, repeat, latency_ms."""
    settings = grid.params.measurement
    rows = []
    for dataset, fold in datasets_and_folds(grid):
        models = subjects(grid, dataset, fold)
        for batch_size in settings.batch_sizes:
            timed_calls = sorted(interleave(models, batch_size, settings.repeats))
            for index, repeat, latency_ms in timed_calls:
                timed = {"batch_size": batch_size, "repeat": repeat, "latency_ms": latency_ms}
                rows.append(models[index].about | timed)
    return pd.DataFrame(rows)


def datasets_and_folds(grid: Grid) -> list[tuple[str, int]]:
    """Return every pair of dataset and fold that has cells, in the order of the grid."""
    return list(dict.fromkeys((e.dataset, fold) for e in grid.measured for fold in e.folds))


def interleave(
    models: list[Subject], batch_size: int, repeats: int
) -> Iterator[tuple[int, int, float]]:
    """Yield the index of a model, the repeat, and the latency in ms, for each timed call. Each
    repeat times every model once, in a new order, so that a drift of the machine affects all alike,
    on new clips, equal for all. An untimed call first brings the weights back into the caches."""
    order = list(range(len(models)))
    shuffle = random.Random(0).shuffle
    gc.disable()
    try:
        for repeat in range(repeats):
            shuffle(order)
            for index in order:
                model = models[index]
                rows = [(repeat * batch_size + i) % len(model.x) for i in range(batch_size)]
                x = model.x[rows]
                model.run(x)
                start = time.perf_counter_ns()
                model.run(x)
                yield index, repeat, milliseconds(time.perf_counter_ns() - start)
    finally:
        gc.enable()
