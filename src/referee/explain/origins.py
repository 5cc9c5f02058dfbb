"""What every number of a table was made of, in words; nothing is computed anew."""

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from referee.explain.written_table import WrittenTable
from referee.paper import Paper
from referee.tables.sheet import Selection, key, path, told


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
