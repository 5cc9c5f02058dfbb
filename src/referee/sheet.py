"""Columns of tables: which values each number is made of, and by which function.

A table is stated once, as columns. `Sheet` builds the table from them; `referee.explain` reads the
same columns to tell what a number was made of, and computes it again.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from referee.errors import InputError
from referee.values import CELL

TABLE = "table"  # in the place of a tidy table: the table that is being built

Step = Callable[[list[Any]], list[Any]]


@dataclass(frozen=True, eq=False)
class Values:
    """One column of those rows of a tidy table that belong to a row of the table that is built.

    Attributes:
        source: the column.
        tidy: name of the tidy table.
        keys: columns of the tidy table, each with the label of the row that it must equal; a
            column that the tidy table lacks does not select.
        where: columns of the tidy table, each with the value that it must have.
        steps: functions that the group goes through by itself, in a list of one.

    """

    source: str
    tidy: str
    keys: Mapping[str, str]
    where: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[Step, ...] = ()


@dataclass(frozen=True, eq=False)
class Call:
    """A function of groups of values; it is called once for each row of a table.

    Attributes:
        function: takes a Series for each group, indexed by dataset, seed and fold, in the order
            of the tidy table; its docstring tells people how the number is made.
        values: the groups.
        steps: functions that the list of groups goes through first, in this order.
        given: further arguments of the function.
        of_row: further arguments, each with the column of the same row that holds it.

    """

    function: Callable[..., Any]
    values: tuple[Values, ...] = ()
    steps: tuple[Step, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)
    of_row: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, part: str) -> "Formula":
        """A column that holds one part of what the function returns."""
        return Formula(self, part)


@dataclass(frozen=True)
class Formula:
    """A column: a call, and the attribute or key of its result, empty for the result itself."""

    call: Call
    part: str = ""


Columns = Mapping[str, Any]  # Formula, or a constant, by name
LABEL = nan  # in the place of a column: the label of this name is shown here


def stepped(groups: list[Any], steps: Iterable[Step]) -> list[Any]:
    """The groups after the steps."""
    for step in steps:
        groups = step(groups)
    return groups


def part_of(result: Any, part: str) -> Any:
    """One part of the result of a call."""
    if not part:
        return result
    return result[part] if isinstance(result, Mapping | pd.Series) else getattr(result, part)


def path(function: Callable[..., Any]) -> str:
    """The path by which a function can be imported."""
    return f"{function.__module__}.{function.__qualname__}"


def told(function: Callable[..., Any]) -> str:
    """What a function does: the first paragraph of its docstring, without the last full stop."""
    text = inspect.getdoc(function) or function.__name__
    return " ".join(text.split("\n\n")[0].split()).rstrip(".")


def key(value: Any) -> Any:
    """A value as a key: everything that is missing is None."""
    value = value.item() if hasattr(value, "item") else value
    return None if pd.isna(value) else value


class Tidy:
    """Tidy tables by name, read when they are first needed; rows are found through an index."""

    def __init__(self, read: Callable[[str], pd.DataFrame | None]) -> None:
        """Take the function that reads a tidy table by its name, None where there is none."""
        self._read = read
        self._frames: dict[str, pd.DataFrame | None] = {}
        self._indices: dict[tuple[str, ...], dict[Any, NDArray[np.int64]]] = {}
        self._series: dict[tuple[str, str], pd.Series[Any]] = {}

    def frame(self, name: str) -> pd.DataFrame | None:
        """A tidy table, None where there is none."""
        if name not in self._frames:
            self._frames[name] = self._read(name)
        return self._frames[name]

    def need(self, name: str) -> pd.DataFrame:
        """A tidy table that must be there.

        Raises:
            InputError: it is not.

        """
        frame = self.frame(name)
        if frame is None:
            raise InputError(f"there is no table of {name}")
        return frame

    def possible(self, columns: Columns) -> dict[str, Any]:
        """The columns without those whose values are in no tidy table."""

        def there(values: Values) -> bool:
            frame = None if values.tidy == TABLE else self.frame(values.tidy)
            return values.tidy == TABLE or (frame is not None and values.source in frame)

        return {
            name: column
            for name, column in columns.items()
            if not isinstance(column, Formula) or all(map(there, column.call.values))
        }

    def positions(self, name: str, wanted: Mapping[str, Any]) -> NDArray[np.int64]:
        """The rows of a tidy table in which columns have the wanted values, in their order."""
        frame = self.need(name)
        names = [column for column in wanted if column in frame]
        if (name, *names) not in self._indices:
            self._indices[name, *names] = _index(frame, names)
        at = tuple(key(wanted[column]) for column in names)
        return self._indices[name, *names].get(at, np.empty(0, dtype=np.int64))

    def series(self, name: str, source: str) -> "pd.Series[Any]":
        """A column of a tidy table, indexed by dataset, seed and fold."""
        if (name, source) not in self._series:
            frame = self.need(name)
            index = pd.MultiIndex.from_frame(frame.reindex(columns=CELL))
            self._series[name, source] = frame[source].set_axis(index)
        return self._series[name, source]


def _index(frame: pd.DataFrame, names: list[str]) -> dict[Any, NDArray[np.int64]]:
    if not names:
        return {(): np.arange(len(frame))}
    groups = frame.groupby(names, sort=False, dropna=False)
    number = groups.ngroup().to_numpy()
    order = np.argsort(number, kind="stable")
    ends = np.cumsum(np.bincount(number))
    rows = np.split(order, ends[:-1]) if len(frame) else []
    firsts = frame[names].iloc[[positions[0] for positions in rows]]
    columns = [[key(value) for value in firsts[name]] for name in names]
    return dict(zip(zip(*columns, strict=True), rows, strict=True))


@dataclass(frozen=True, eq=False)
class Row:
    """A row of a table: what is known of it beforehand, and its columns."""

    labels: Mapping[str, Any]
    columns: Columns


class Sheet:
    """A table whose numbers are computed when they are asked for, each call once a row.

    A column whose name begins with `_` is used by others and is not shown.
    """

    def __init__(self, rows: Sequence[Row], tidy: Tidy) -> None:
        """Take the rows and the tidy tables that their values are in."""
        self.rows = rows
        self.tidy = tidy
        self._known = [dict(row.labels) for row in rows]
        self._results: dict[tuple[int, Call], Any] = {}
        self._stepped: dict[Any, list[Any] | None] = {}
        self._shared: dict[tuple[Any, ...], pd.Series[Any]] = {}
        self._indices: dict[tuple[str, ...], dict[Any, list[int]]] = {}

    def number(self, at: int, name: str) -> Any:
        """The number in a row and a column; NaN where the row has no such column."""
        known = self._known[at]
        if name not in known:
            column = self.rows[at].columns.get(name, nan)
            known[name] = self._made(at, column) if isinstance(column, Formula) else column
        return known[name]

    def _made(self, at: int, column: Formula) -> Any:
        call = column.call
        if (at, call) not in self._results:
            groups = self._groups(at, call.values, call.steps)
            result = None
            if groups is not None:
                result = call.function(*groups, **self.arguments(at, call))
            self._results[at, call] = result
        result = self._results[at, call]
        return nan if result is None else part_of(result, column.part)

    def _groups(
        self, at: int, values: tuple[Values, ...], steps: tuple[Step, ...]
    ) -> list[Any] | None:
        """The values of a call after its steps; None where a group has no rows at all.

        Calls that share their values share the groups, and those after the same first steps.
        """
        shared = at, values, steps
        if shared not in self._stepped:
            if steps:
                groups = self._groups(at, values, steps[:-1])
                self._stepped[shared] = None if groups is None else steps[-1](groups)
            else:
                groups = [self._alone(at, group) for group in values]
                self._stepped[shared] = groups if all(map(len, groups)) else None
        return self._stepped[shared]

    def _alone(self, at: int, values: Values) -> "pd.Series[Any]":
        """The values of one group after its own steps; rows of one baseline share them."""
        if values.tidy == TABLE:
            return self.group(at, values)
        wanted = tuple((name, key(value)) for name, value in self.wanted(at, values).items())
        shared = values.tidy, values.source, values.steps, wanted
        if shared not in self._shared:
            group = self.group(at, values)
            self._shared[shared] = stepped([group], values.steps)[0] if len(group) else group
        return self._shared[shared]

    def arguments(self, at: int, call: Call) -> dict[str, Any]:
        """The arguments of a call beside its groups of values."""
        of_row = {name: self.number(at, other) for name, other in call.of_row.items()}
        return {**call.given, **of_row}

    def wanted(self, at: int, values: Values) -> dict[str, Any]:
        """What the columns of a tidy table must be for a row of this one."""
        keys = {name: self.number(at, label) for name, label in values.keys.items()}
        return keys | dict(values.where)

    def positions(self, at: int, values: Values) -> Any:
        """Rows of the tidy table, or of this one, that hold the values."""
        wanted = self.wanted(at, values)
        if values.tidy != TABLE:
            return self.tidy.positions(values.tidy, wanted)
        names = tuple(wanted)
        if names not in self._indices:
            index = self._indices.setdefault(names, {})
            for row in range(len(self.rows)):
                index.setdefault(tuple(key(self.number(row, n)) for n in names), []).append(row)
        return self._indices[names].get(tuple(map(key, wanted.values())), [])

    def group(self, at: int, values: Values) -> "pd.Series[Any]":
        """The values for a row, indexed by dataset, seed and fold."""
        positions = self.positions(at, values)
        if values.tidy != TABLE:
            return self.tidy.series(values.tidy, values.source).iloc[positions]
        index = pd.MultiIndex.from_tuples(
            [(self.number(row, "dataset"), nan, nan) for row in positions], names=CELL
        )
        return pd.Series([self.number(row, values.source) for row in positions], index=index)

    def frame(self, names: Sequence[str]) -> pd.DataFrame:
        """The table, with these columns."""
        rows = range(len(self.rows))
        return pd.DataFrame({name: [self.number(at, name) for at in rows] for name in names})
