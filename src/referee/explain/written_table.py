"""A table as it was written, beside the columns that say how its numbers are made."""

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from referee.errors import InputError
from referee.paper import Paper
from referee.paper.tables import TableLayout
from referee.sheet import TABLE, Columns, Formula, Row, Sheet, Tidy, Values
from referee.tables.definition import Definition
from referee.tables.make import definition
from referee.tables.tidy import CELLS, FILES, IDENTITY, Files, tidy_tables

RECORDS = {"tables": "measured.json", "significance": "provenance.json"}


def measurements(record: Path) -> Path:
    """The folder of measurements that a record of `provenance.write` names.

    Raises:
        InputError: the record is missing or names none.

    """
    try:
        folder = json.loads(record.read_text(encoding="utf-8"))["measurements"]
    except (FileNotFoundError, KeyError):
        raise InputError(
            f"{record} does not name the measurements of the tables beside it: remove the tables, "
            "`snakemake` makes them anew"
        ) from None
    return Path(os.path.normpath(record.parent / folder))


def read_csv(path: Path) -> pd.DataFrame:
    """Read a table that was written.

    Raises:
        InputError: it is not there.

    """
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise InputError(f"{path} is not here: `snakemake -j1 {path}` makes it") from None


@dataclass(frozen=True)
class WrittenTable:
    """A table of the paper in its file.

    The tidy tables that it was made of are read from the folder above its own, and from the
    measurements that the record beside it names, when a number needs them.
    """

    path: Path
    paper: Paper

    @property
    def layout(self) -> TableLayout:
        """Its entry in the paper.

        Raises:
            InputError: the paper has no such table.

        """
        layout = self.paper.tables.get(self.path.stem)
        if layout is None:
            raise InputError(
                f"no table {self.path.stem!r} is explained; these are: "
                f"{', '.join(self.paper.tables)}"
            )
        return layout

    @cached_property
    def frame(self) -> pd.DataFrame:
        """What the file holds."""
        return read_csv(self.path)

    @cached_property
    def tidy(self) -> Tidy:
        """The tidy tables that it was made of."""
        return tidy_tables(self._files.read)

    @cached_property
    def definition(self) -> Definition:
        """Its keys and columns."""
        return definition(self.layout, self.paper, self.tidy)

    @cached_property
    def sheet(self) -> Sheet:
        """Its numbers as the file holds them; those that it does not hold are computed."""
        records = self.frame.to_dict("records")
        return Sheet([Row(row, self.definition.columns_of(row)) for row in records], self.tidy)

    @cached_property
    def keys(self) -> list[str]:
        """The columns that tell its rows apart."""
        return [name for name in self.definition.keys if name in self.frame]

    def column(self, at: int, name: str) -> Formula | None:
        """How a number is made; None where it is none, or is no more than a constant."""
        if not pd.api.types.is_numeric_dtype(self.frame[name]):
            return None
        columns: Columns = self.sheet.rows[at].columns
        column = columns.get(name)
        if name in self.keys:
            column = self.definition.label(name)
        return column if isinstance(column, Formula) else None

    @cached_property
    def _files(self) -> Files:
        results = self.path.parents[1]
        try:
            folder = measurements(self._record)
        except InputError:  # a number that needs measurements says so, see `file`
            folder = None
        return Files(self.paper, results / "cells.csv", results / "packed.csv", folder)

    @property
    def _record(self) -> Path:
        return self.path.parent / RECORDS[self.layout.folder]

    def file(self, values: Values) -> str:
        """The file that holds some values.

        Raises:
            InputError: it is one of measurements, and no record names their folder.

        """
        if values.tidy == TABLE:
            return self.path.as_posix()
        name = FILES.get(values.tidy, values.tidy)
        above = self.path.parents[1] if name in (CELLS, "packed") else measurements(self._record)
        return (above / f"{name}.csv").as_posix()

    def rows(self, at: int, values: Values) -> pd.DataFrame:
        """The rows of a tidy table that hold some values, with the folder of each cell."""
        rows = self.source(values).iloc[self.sheet.positions(at, values)]
        return rows if values.tidy == TABLE else with_cells(rows, self.tidy.need(CELLS))

    def source(self, values: Values) -> pd.DataFrame:
        """The table that holds some values."""
        return self.frame if values.tidy == TABLE else self.tidy.need(values.tidy)


def with_cells(rows: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """Rows of a tidy table with the folder of each cell and the hash of its embeddings."""
    about = [name for name in ("cell", "embeddings_sha256") if name in cells]
    rows = rows.drop(columns=about, errors="ignore").astype({"seed": "Int64"})
    return rows.merge(cells[[*IDENTITY, *about]], on=IDENTITY, how="left")
