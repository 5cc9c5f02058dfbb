"""The tidy tables that columns take their values from, by name.

Synthetic datasets are marked in all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pandas as pd

from referee.contract import (
    IDENTITY,
    PACKED,
    PACKED_MODELS,
    Measured,
    of_packed,
    read_measurements,
    read_scores,
    read_table,
)
from referee.errors import InputError
from referee.paper import Paper
from referee.stats.compare import with_ratio
from referee.tables.sheet import Tidy

CELLS, SIZES = "cells", "packed"
LATENCY, ENERGY, MEMORY = "latency", "energy", "memory"
# Of these files, the rows of packed models and of an inference, and what is known of their cells.
PACKED_LATENCY, PACKED_ENERGY = "latency of packed models", "energy of packed models"
CELL_LATENCY, CELL_ENERGY = "latency by cell", "energy by cell"
FILES = {PACKED_LATENCY: LATENCY, CELL_LATENCY: LATENCY, PACKED_ENERGY: ENERGY, CELL_ENERGY: ENERGY}

FOLDS = ["dataset", "protocol", "arm"]  # these tell sets of folds apart


def marked(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows with `_synthetic` behind the name of every dataset that is."""
    mark = frame["synthetic"].map({True: "_synthetic", False: ""})
    return frame.assign(dataset=frame["dataset"] + mark)


@dataclass(frozen=True)
class TableFiles:
    """The files that tables are made of, None for those that are not there.

    They are the table of scores (cells), that of packed models, and the folder of latency, energy
    and memory; the paper names the score.
    """

    paper: Paper
    cells: Path
    packed: Path | None = None
    measurements: Path | None = None

    @cached_property
    def measured(self) -> Measured:
        """What the folder of measurements holds."""
        return read_measurements(self.measurements, self.paper)

    def read(self, name: str) -> pd.DataFrame | None:
        """The table of a file; raises InputError where it is not as the contract says."""
        if name == CELLS:
            return read_scores(self.cells, self.paper)
        if name == SIZES:
            return self.packed and read_table(self.packed, PACKED_MODELS, self.paper.decides)
        table: pd.DataFrame | None = getattr(self.measured, name)
        return table


def tidy_tables(read: Callable[[str], pd.DataFrame | None]) -> Tidy:
    """The tidy tables of a run.

    `read` takes the name of a file of the contract (cells, packed, latency, energy, memory) and
    returns its table, None where there is none; cells have `score`.
    """
    read = cache(read)

    def made(name: str) -> pd.DataFrame | None:
        frame, cells = read(FILES.get(name, name)), read(CELLS)
        if frame is None or cells is None:
            return None
        if name == CELLS:
            return with_ratio(marked(frame), FOLDS).assign(runtime=PACKED)
        if name in (CELL_LATENCY, CELL_ENERGY):
            packed = _with_cells(of_packed(frame), cells)
            return packed if name == CELL_ENERGY else _with_other_runtimes(packed, frame)
        if name in (SIZES, MEMORY):
            return marked(frame).assign(runtime=PACKED)
        return marked(of_packed(frame) if name in (PACKED_LATENCY, PACKED_ENERGY) else frame)

    return cache(made)


def _with_cells(measured: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    known = ("model", "strategy", "alpha", "experts", "n_train", "n_test")
    columns = [name for name in known if name in cells]
    about = cells[[*IDENTITY, *columns]].assign(marked=marked(cells)["dataset"])
    rows = measured.drop(columns=columns, errors="ignore")
    joined = rows.merge(about, on=list(IDENTITY), how="left", validate="m:1")
    if joined["marked"].isna().any():
        strange = joined.loc[joined["marked"].isna(), "arm"].iloc[0]
        raise InputError(
            f"a measurement of {strange} has no cell in the tidy table: measure this grid anew"
        )
    return with_ratio(joined.assign(dataset=joined["marked"]).drop(columns="marked"), FOLDS)


def _with_other_runtimes(packed: pd.DataFrame, latency: pd.DataFrame) -> pd.DataFrame:
    """Times of packed models with those of other runtimes, which are arms of their own.

    Other runtimes are of no protocol: they stand in each in which the packed model was measured.
    """
    timed = ["runtime", "batch_size", "repeat", "latency_ms"]
    models = packed.drop(columns=timed).drop_duplicates()
    others = marked(latency[latency["runtime"] != PACKED])[["dataset", "fold", "arm", *timed]]
    others = others.merge(models, on=["dataset", "fold", "arm"])
    others = others.assign(arm=others["arm"] + " " + others["runtime"])
    return pd.concat([packed, others], ignore_index=True)
