"""What every number of a table was made of, in words; nothing is computed anew."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from referee.explain.written_table import WrittenTable, with_cells
from referee.paper import Paper
from referee.sheet import TABLE, Formula, Step, Values, key, path, told
from referee.tables.tidy import CELLS


@dataclass(frozen=True)
class Origin:
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
    """The origins of the numbers of a table, row by row.

    Args:
        file: the table, a CSV file.
        paper: it is of.
        columns: those to explain; None takes all.

    Raises:
        InputError: a table that is needed is not there, or the paper has no such table.

    """
    table = WrittenTable(file, paper)
    folders = _Folders(table)
    made = []
    for at in range(len(table.frame)):
        row = []
        for name in table.frame if columns is None else columns:
            value, column = key(table.frame[name].iloc[at]), table.column(at, name)
            if value is not None and column is not None:
                words = made_by(column, table.sheet.arguments(at, column.call))
                groups = tuple(folders.of(at, values) for values in column.call.values)
                row.append(Origin(name, value, words, groups))
        made.append(row)
    return made


class _Folders:
    """The rows and cells of groups of values, each group looked up once."""

    def __init__(self, table: WrittenTable) -> None:
        self.table = table
        self.cells: dict[str, Any] = {}
        self.known: dict[Any, tuple[int, tuple[str, ...]]] = {}

    def of(self, at: int, values: Values) -> tuple[str, str, int, tuple[str, ...]]:
        wanted = self.table.sheet.wanted(at, values)
        label = values.tidy, *((name, key(value)) for name, value in wanted.items())
        if label not in self.known:
            positions = np.asarray(self.table.sheet.positions(at, values), dtype=int)
            folders = () if values.tidy == TABLE else self._cells(values.tidy)[positions]
            cells = tuple(dict.fromkeys(cell for cell in folders if isinstance(cell, str)))
            self.known[label] = len(positions), cells
        return values.source, self.table.file(values), *self.known[label]

    def _cells(self, tidy: str) -> Any:
        if tidy not in self.cells:
            need = self.table.tidy.need
            rows = with_cells(need(tidy), need(CELLS))
            empty = pd.Series(None, index=rows.index, dtype=object)
            self.cells[tidy] = rows.get("cell", empty).to_numpy(dtype=object)
        return self.cells[tidy]


def steps_of(column: Formula) -> list[Step]:
    """The steps of a column, from the rows of a tidy table on."""
    call = column.call
    return [*(call.values[0].steps if call.values else ()), *call.steps]


def made_by(column: Formula, arguments: Mapping[str, Any]) -> str:
    """How a number is made, in words: steps, function, arguments and part."""
    return in_words(steps_of(column), column.call.function, arguments, column.part)


def in_words(
    steps: Sequence[Step], function: Callable[..., Any], arguments: Mapping[str, Any], part: str
) -> str:
    """How a number is made, in words.

    Args:
        steps: functions that the values go through.
        function: what takes them.
        arguments: its further arguments.
        part: of what it returns, empty for all.

    """
    given = "".join(f"; {name} = {key(value)!r}" for name, value in arguments.items())
    words = ". ".join([*map(told, steps), told(function)])
    return f"{words} ({path(function)}){given}" + (f"; its {part}" if part else "")
