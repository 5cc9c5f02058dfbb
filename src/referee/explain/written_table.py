"""A table as it was written, and what every number of it was made of; nothing is computed anew."""

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from records.record import Damaged, read
from referee.contract import IDENTITY
from referee.contract.readers import read_csv
from referee.errors import InputError
from referee.paper import Paper
from referee.paper.tables import TableLayout
from referee.tables.sheet import TABLE, Formula, Selection, Sheet, Values, key, need, path, told
from referee.tables.tidy import CELLS, FILES, SIZES, TableFiles, tidy_tables
from referee.tables.write import DEFINITIONS

RECORDS = {"tables": "measured.provenance.json", "significance": "provenance.json"}


def measurements(record: Path) -> Path:
    """The folder of measurements that a record names.

    Raises InputError where the record is missing, damaged or names none.
    """
    try:
        folder = read(record)["measurements"]
    except (Damaged, KeyError):
        raise InputError(
            f"{record} does not name the measurements of the tables beside it: remove the tables, "
            "`snakemake` makes them anew"
        ) from None
    return Path(os.path.normpath(record.parent / folder))


def layout_of(table: Path, paper: Paper) -> TableLayout:
    """The entry of a table in the paper, by its name or its file; InputError where it has none."""
    if table.stem not in paper.tables:
        raise InputError(
            f"no table {table.stem!r} is explained; these are: {', '.join(paper.tables)}"
        )
    return paper.tables[table.stem]


class WrittenTable:
    """A table of the paper in its file.

    What it was made of is read, when a number needs it, from the folder above its own and from the
    measurements that the record beside it names. Its `keys` are the columns that tell rows apart,
    and its `sheet` holds the numbers of the file and computes those that the file does not hold.
    """

    def __init__(self, path: Path, paper: Paper) -> None:
        """Take the CSV file; raises InputError where the paper has no such table."""
        self.path, layout = path, layout_of(path, paper)
        self.frame = read_csv(path)
        self._record = path.parent / RECORDS[layout.folder]
        results = path.parents[1]
        try:
            folder = measurements(self._record)
        except InputError:  # a number that needs measurements says so, see `file`
            folder = None
        inputs = TableFiles(paper, results / "cells.csv", results / "packed.csv", folder)
        self.tidy = tidy_tables(inputs.read)
        self.definition = DEFINITIONS[layout.folder, layout.kind](layout, paper, self.tidy)
        self.keys = [name for name in self.definition.keys if name in self.frame]
        records = self.frame.to_dict("records")
        rows = [{**self.definition.columns_of(row), **row} for row in records]
        self.sheet = Sheet(rows, self.tidy)
        self.rows = cache(self._rows)

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
        of_cells = name in (CELLS, SIZES)
        folder = self.path.parents[1] if of_cells else measurements(self._record)
        return (folder / f"{name}.csv").as_posix()

    def _rows(self, tidy: str) -> pd.DataFrame:
        """The table that holds some values by its name, a tidy one with the folders of cells."""
        if tidy == TABLE:
            return self.frame
        cells, rows = need(self.tidy, CELLS), need(self.tidy, tidy)
        about = [name for name in ("cell", "embeddings_sha256") if name in cells]
        rows = rows.drop(columns=about, errors="ignore").astype({"seed": "Int64"})
        return rows.merge(cells[[*IDENTITY, *about]], on=list(IDENTITY), how="left")


class Origin(NamedTuple):
    """What one number of a row was made of; `groups` are (source, file, rows, cells).

    The source is a column of the file; rows counts those that hold the values; cells are their
    folders, each once. There are none where the rows are of the table itself, or of a runtime
    that is of no cell.
    """

    column: str
    value: float
    made: str
    groups: tuple[tuple[str, str, int, tuple[str, ...]], ...]


def origins(file: Path, paper: Paper, columns: Collection[str] | None = None) -> list[list[Origin]]:
    """The origins of the numbers of a table, a CSV file, row by row; of all columns or of some.

    Raises InputError where a table that is needed is not there, or the paper has no such table.
    """
    table = WrittenTable(file, paper)

    @cache
    def behind(selection: Selection) -> tuple[int, tuple[str, ...]]:
        positions, rows = table.sheet.positions(selection), table.rows(selection[0])
        cells = rows["cell"].iloc[positions].dropna().unique() if "cell" in rows else ()
        return len(positions), tuple(cells)

    def origin(at: int, name: str) -> Origin | None:
        value, column = key(table.frame[name].iloc[at]), table.column(at, name)
        if value is None or column is None:
            return None
        call = column.call
        words = in_words(call.steps, call.function, table.sheet.arguments(at, call), column.part)
        groups = tuple(
            (group.source, table.file(group), *behind(table.sheet.selection(at, group)))
            for group in call.values
        )
        return Origin(name, value, words, groups)

    names = table.frame if columns is None else columns
    rows = ([origin(at, name) for name in names] for at in range(len(table.frame)))
    return [[made for made in row if made is not None] for row in rows]


def in_words(
    steps: Iterable[Callable[..., Any]],
    function: Callable[..., Any],
    arguments: Mapping[str, Any],
    part: str,
) -> str:
    """How a number is made: steps, function with its arguments, and part of what it returns."""
    given = "".join(f"; {name} = {key(value)!r}" for name, value in arguments.items())
    words = ". ".join([*map(told, steps), told(function)])
    return f"{words} ({path(function)}){given}" + (f"; its {part}" if part else "")
