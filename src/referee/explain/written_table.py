"""A table as it was written, beside the columns that say how its numbers are made."""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import pandas as pd

from referee.contract import IDENTITY
from referee.contract.readers import read_csv
from referee.errors import InputError
from referee.paper import Paper
from referee.paper.tables import TableLayout
from referee.tables.sheet import TABLE, Definition, Formula, Sheet, Tidy, Values, need
from referee.tables.tidy import CELLS, FILES, TableFiles, tidy_tables
from referee.tables.write import definition

RECORDS = {"tables": "measured.json", "significance": "provenance.json"}


def measurements(record: Path) -> Path:
    """The folder of measurements that a record of `provenance.write` names.

    Raises InputError where the record is missing or names none.
    """
    try:
        folder = json.loads(record.read_text(encoding="utf-8"))["measurements"]
    except (FileNotFoundError, KeyError):
        raise InputError(
            f"{record} does not name the measurements of the tables beside it: remove the tables, "
            "`snakemake` makes them anew"
        ) from None
    return Path(os.path.normpath(record.parent / folder))


@dataclass(frozen=True)
class WrittenTable:
    """A table of the paper in its file.

    What it was made of is read, when a number needs it, from the folder above its own and from the
    measurements that the record beside it names.
    """

    path: Path
    paper: Paper

    @property
    def layout(self) -> TableLayout:
        """Its entry in the paper; raises InputError where the paper has no such table."""
        tables = self.paper.tables
        if self.path.stem not in tables:
            raise InputError(
                f"no table {self.path.stem!r} is explained; these are: {', '.join(tables)}"
            )
        return tables[self.path.stem]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """What the file holds."""
        return read_csv(self.path)

    @cached_property
    def tidy(self) -> Tidy:
        """The tidy tables that it was made of."""
        results = self.path.parents[1]
        try:
            folder = self._measurements
        except InputError:  # a number that needs measurements says so, see `file`
            folder = None
        files = TableFiles(self.paper, results / "cells.csv", results / "packed.csv", folder)
        return tidy_tables(files.read)

    @property
    def _measurements(self) -> Path:
        return measurements(self.path.parent / RECORDS[self.layout.folder])

    @cached_property
    def definition(self) -> Definition:
        """Its keys and columns."""
        return definition(self.layout, self.paper, self.tidy)

    @cached_property
    def sheet(self) -> Sheet:
        """Its numbers as the file holds them; those that it does not hold are computed."""
        records = self.frame.to_dict("records")
        return Sheet([{**self.definition.columns_of(row), **row} for row in records], self.tidy)

    @cached_property
    def keys(self) -> list[str]:
        """The columns that tell its rows apart."""
        return [name for name in self.definition.keys if name in self.frame]

    def column(self, at: int, name: str) -> Formula | None:
        """How a number is made; None where it is none, or is no more than a constant."""
        if not pd.api.types.is_numeric_dtype(self.frame[name]):
            return None
        if name in self.keys:
            return self.definition.label(name)
        column = self.definition.columns_of(self.frame.iloc[at]).get(name)
        return column if isinstance(column, Formula) else None

    def file(self, values: Values) -> str:
        """The file that holds some values.

        Raises InputError where it is one of measurements and no record names their folder.
        """
        if values.tidy == TABLE:
            return self.path.as_posix()
        name = FILES.get(values.tidy, values.tidy)
        folder = self.path.parents[1] if name in (CELLS, "packed") else self._measurements
        return (folder / f"{name}.csv").as_posix()

    @cached_property
    def rows(self) -> Callable[[str], pd.DataFrame]:
        """Reads the table that holds some values by its name, tidy ones with folders of cells."""
        return cache(self._rows)

    def _rows(self, tidy: str) -> pd.DataFrame:
        if tidy == TABLE:
            return self.frame
        cells, rows = need(self.tidy, CELLS), need(self.tidy, tidy)
        about = [name for name in ("cell", "embeddings_sha256") if name in cells]
        rows = rows.drop(columns=about, errors="ignore").astype({"seed": "Int64"})
        return rows.merge(cells[[*IDENTITY, *about]], on=list(IDENTITY), how="left")
