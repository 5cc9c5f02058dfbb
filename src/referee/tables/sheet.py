"""Columns of tables: which values each number is made of, and by which function.

A table is stated once, as columns. `Sheet` builds the table from them; `referee.explain` reads the
same columns to say what a number was made of, and computes it again.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from math import nan
from typing import Any, NamedTuple

import pandas as pd

from referee.errors import InputError
from referee.stats.compare import KEYS
from referee.tables.aggregates import same

TABLE = "table"  # in the place of a tidy table: the table that is being built
OVER_DATASETS = "mean over datasets"  # in the place of the dataset of a row
ARM = ("protocol", "model", "strategy", "alpha")
ROW = ("dataset", *ARM)
LABEL = nan  # in the place of a column: the label of this name is shown here

Step = Callable[[list[Any]], list[Any]]
Tidy = Callable[[str], pd.DataFrame | None]  # a tidy table by its name, None where there is none
Columns = Mapping[str, Any]  # a Formula or a constant, by name
Selection = tuple[str, tuple[tuple[str, Any], ...]]  # a tidy table, and columns with their values


@dataclass(frozen=True, eq=False)
class Values:
    """One column of those rows of a tidy table that belong to a row of the table that is built."""

    source: str  # the column
    tidy: str
    keys: Sequence[str] = ()  # equal the labels of the same name, where the tidy table has them
    of_row: Mapping[str, str] = field(default_factory=dict)  # equal the labels that are named
    where: Mapping[str, Any] = field(default_factory=dict)  # equal these values


@dataclass(frozen=True, eq=False)
class Call:
    """A function of groups of values; it is called once for each row of a table.

    It takes a Series for each group, in the order of the tidy table and indexed by dataset, seed
    and fold, after the list of groups went through the steps. Its docstring tells people how the
    number is made.
    """

    function: Callable[..., Any]
    values: Sequence[Values] = ()
    steps: tuple[Step, ...] = ()
    given: Mapping[str, Any] = field(default_factory=dict)  # further arguments
    of_row: Mapping[str, str] = field(default_factory=dict)  # arguments in columns of the same row

    def __getitem__(self, part: str) -> "Formula":
        """A column that holds one part of what the function returns."""
        return Formula(self, part)

    def parts(self, **parts: str) -> dict[str, Any]:
        """Columns by name that each hold one part of what the function returns."""
        return {name: self[part] for name, part in parts.items()}


class Formula(NamedTuple):
    """A column: a call, and the attribute or key of its result, empty for the result itself."""

    call: Call
    part: str


def part_of(result: Any, part: str) -> Any:
    """One part of the result of a call."""
    if not part:
        return result
    return result[part] if isinstance(result, dict) else getattr(result, part)


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


def need(tidy: Tidy, name: str) -> pd.DataFrame:
    """A tidy table; raises InputError where there is none."""
    frame = tidy(name)
    if frame is None:
        raise InputError(f"there is no table of {name}")
    return frame


def possible(columns: Columns, tidy: Tidy) -> dict[str, Any]:
    """The columns without those whose values are in no tidy table."""

    def there(values: Values) -> bool:
        frame = None if values.tidy == TABLE else tidy(values.tidy)
        return values.tidy == TABLE or (frame is not None and values.source in frame)

    return {
        name: column
        for name, column in columns.items()
        if not isinstance(column, Formula) or all(map(there, column.call.values))
    }


class Sheet:
    """A table whose numbers are computed when they are asked for, each call once a row.

    Each row holds its labels, and a Formula or a constant for every other column. A column whose
    name begins with `_` is used by others and is not shown.
    """

    def __init__(self, rows: Iterable[Columns], tidy: Tidy) -> None:
        """Take the rows and the tidy tables that their values are in."""
        self._rows = [dict(row) for row in rows]
        self._tidy = tidy
        self._result, self._groups = cache(self._call), cache(self._stepped)
        self._index, self._by_cell = cache(self._indexed), cache(self._keyed)

    def number(self, at: int, name: str) -> Any:
        """The number in a row and a column; NaN where the row has no such column."""
        number = self._rows[at].get(name, nan)
        if isinstance(number, Formula):
            result = self._result(at, number.call)
            number = self._rows[at][name] = nan if result is None else part_of(result, number.part)
        return number

    def _call(self, at: int, call: Call) -> Any:
        chosen = tuple((self.selection(at, values), values.source) for values in call.values)
        groups = self._groups(chosen, call.steps)
        return None if groups is None else call.function(*groups, **self.arguments(at, call))

    def _stepped(
        self, chosen: tuple[tuple[Selection, str], ...], steps: tuple[Step, ...]
    ) -> list[Any] | None:
        """Groups of values after some steps; None where a group has no rows at all."""
        if steps:
            before = self._groups(chosen, steps[:-1])
            return None if before is None else steps[-1](before)
        groups = [self._group(*group) for group in chosen]
        return groups if all(map(len, groups)) else None

    def _group(self, selection: Selection, source: str) -> "pd.Series[Any]":
        positions, tidy = self.positions(selection), selection[0]
        if tidy == TABLE:
            return pd.Series([self.number(at, source) for at in positions])
        return self._by_cell(tidy)[source].iloc[positions]

    def _keyed(self, tidy: str) -> pd.DataFrame:
        frame = need(self._tidy, tidy)
        return frame.set_axis(pd.MultiIndex.from_frame(frame.reindex(columns=KEYS)))

    def arguments(self, at: int, call: Call) -> dict[str, Any]:
        """The arguments of a call beside its groups of values."""
        of_row = {name: self.number(at, other) for name, other in call.of_row.items()}
        return {**call.given, **of_row}

    def selection(self, at: int, values: Values) -> Selection:
        """Which rows of a tidy table, or of this one, belong to a row of this one."""
        labels = {name: name for name in values.keys} | dict(values.of_row)
        wanted = {name: self.number(at, label) for name, label in labels.items()}
        wanted |= values.where
        return values.tidy, tuple((name, key(value)) for name, value in wanted.items())

    def positions(self, selection: Selection) -> list[int]:
        """The positions of the selected rows, from 0."""
        tidy, wanted = selection
        frame = None if tidy == TABLE else need(self._tidy, tidy)
        known = {name: value for name, value in wanted if frame is None or name in frame}
        return self._index(tidy, tuple(known)).get(tuple(known.values()), [])

    def _indexed(self, tidy: str, names: tuple[str, ...]) -> dict[Any, list[int]]:
        if tidy == TABLE:
            rows = range(len(self._rows))
            labels = [tuple(key(self.number(at, name)) for name in names) for at in rows]
        else:
            columns = [need(self._tidy, tidy)[name].astype(object) for name in names]
            labels = [*zip(*(c.where(c.notna(), None) for c in columns), strict=True)]
        index: dict[Any, list[int]] = {}
        for position, label in enumerate(labels):
            index.setdefault(label, []).append(position)
        return index

    def frame(self, names: Iterable[str]) -> pd.DataFrame:
        """The table, with those of these columns that are shown."""
        rows, shown = range(len(self._rows)), [name for name in names if not name.startswith("_")]
        made = pd.DataFrame({name: [self.number(at, name) for at in rows] for name in shown})
        return made.astype({"n_folds": "Int64"}) if "n_folds" in made else made


@dataclass(frozen=True)
class Definition:
    """A table."""

    keys: tuple[str, ...]  # labels that tell rows apart; they are the first columns
    tidy: str  # the tidy table whose rows have these labels
    columns: Columns  # the other columns, in their order
    over: Columns = field(default_factory=dict)  # of rows that are means over datasets, if any

    def columns_of(self, labels: Mapping[str, Any]) -> Columns:
        """The columns of a row."""
        return self.over if self.over and labels["dataset"] == OVER_DATASETS else self.columns

    def label(self, name: str) -> Formula:
        """The column of a label, which the rows of the tidy table share."""
        names = ("protocol", "arm", "batch_size") if "arm" in self.keys else self.keys
        return Call(same, (Values(name, self.tidy, names),))[""]


def built(definition: Definition, tidy: Tidy, chosen: pd.DataFrame) -> pd.DataFrame:
    """The table, with a row for each combination of the keys in the chosen rows."""
    columns = possible(definition.columns, tidy)
    labels = chosen[list(definition.keys)].drop_duplicates().to_dict("records")
    rows = [{**columns, **row} for row in labels]
    return Sheet(rows, tidy).frame([*definition.keys, *columns])
