"""One number of a table, with every value that it was made of, and the same number from them."""

import json
import pydoc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from referee.contract import IDENTITY
from referee.errors import InputError
from referee.explain.origins import steps_of
from referee.explain.remake import code, experiments, spec_of, training_source_of
from referee.explain.written_table import WrittenTable
from referee.paper import Paper
from referee.sheet import Call, Formula, key, part_of, path, stepped
from referee.values import CELL, same


@dataclass(frozen=True)
class Explanation:
    """All that stands behind one number, as JSON can hold it.

    Attributes:
        table: its file.
        row: its number, from 1.
        keys: what tells the row apart from others.
        column: its name.
        value: the number.
        groups: of values that belong together, each with its `source` (a column), `file` and
            `cells`: for each its folder (`cell`), dataset, arm, seed, fold and `value`, which is
            a list where a cell was measured repeatedly (with its `position` in the group where
            cells took turns).
        steps: paths of the functions that the groups go through.
        aggregation: path of the function that takes them.
        arguments: further arguments of it.
        part: attribute or key of the number in what it returns; empty for all of it.
        experiments: see `referee.explain.remake.experiments`.
        code: the commit that is checked out, and whether files differ from it.

    """

    table: str
    row: int
    keys: dict[str, Any]
    column: str
    value: float
    groups: list[dict[str, Any]]
    steps: list[str]
    aggregation: str
    arguments: dict[str, Any]
    part: str
    experiments: list[dict[str, Any]]
    code: dict[str, Any]


def function_at(where: str) -> Callable[..., Any]:
    """The function of a path."""
    function: Any = pydoc.locate(where)
    return function


def recompute(explanation: Explanation) -> float:
    """The number, from the values that the explanation lists."""
    groups = [_values(group["cells"]) for group in explanation.groups]
    groups = stepped(groups, map(function_at, explanation.steps))
    result = function_at(explanation.aggregation)(*groups, **explanation.arguments)
    number: float = key(part_of(result, explanation.part))
    return number


def _values(cells: list[dict[str, Any]]) -> Any:
    """The values of a group, in the order of the tidy table."""
    known = [*CELL, "value", *(["position"] if "position" in cells[0] else [])]
    rows = pd.DataFrame(cells).reindex(columns=known)
    lists = [name for name in ("value", "position") if isinstance(cells[0].get(name), list)]
    if lists:
        rows = rows.explode(lists)
    if "position" in rows:
        rows = rows.sort_values("position")
    return rows.set_index(CELL)["value"].infer_objects()


def explain(
    table: str | Path, row: str, column: str, paper: Paper, training_source: str | None = None
) -> Explanation:
    """What made a number.

    Args:
        table: a CSV file, or its name in results/tables or results/significance.
        row: its number, from 1, or words that only this row's protocol, model, strategy and alpha
            (or what else tells rows of the table apart) contain.
        column: its name.
        paper: the table is of.
        training_source: key of the training code that is here; None reads it from the run.

    Raises:
        InputError: table, row or column do not exist (those that do are named), the number is
            not there, or it is not what its cells make: the table is older than they are.

    """
    written = WrittenTable(Path(table), paper)
    if written.path.suffix != ".csv":
        folder = Path("results") / written.layout.folder
        written = WrittenTable(folder / f"{table}.csv", paper)
    at, made = _place(written, row, column)
    value, call = written.frame[column].iloc[at], made.call
    if pd.isna(value):
        raise InputError(
            f"{written.path}, row {at + 1}: {column} is empty; an arm without cells, or without "
            "two to differ, has no number there"
        )
    groups, rows = _groups(written, at, call)
    arguments = {name: key(v) for name, v in written.sheet.arguments(at, call).items()}
    explanation = Explanation(
        table=written.path.as_posix(),
        row=at + 1,
        keys={name: key(written.frame[name].iloc[at]) for name in written.keys},
        column=column,
        value=key(value),
        groups=groups,
        steps=[path(step) for step in steps_of(made)],
        aggregation=path(call.function),
        arguments=arguments,
        part=made.part,
        experiments=_experiments(rows, training_source or training_source_of(written.path)),
        code=code(),
    )
    _check(explanation)
    return explanation


def _groups(
    written: WrittenTable, at: int, call: Call
) -> tuple[list[dict[str, Any]], list[pd.DataFrame]]:
    """The groups of an explanation, and the rows of the tidy tables that they are in."""
    files = [written.file(values) for values in call.values]
    rows = [written.rows(at, values) for values in call.values]
    groups = [
        {"source": values.source, "file": file, "cells": _cells(cells, values.source)}
        for values, file, cells in zip(call.values, files, rows, strict=True)
    ]
    return groups, rows


def _check(explanation: Explanation) -> None:
    complete = all(group["cells"] for group in explanation.groups)
    number = recompute(explanation) if complete else None
    if number != explanation.value:
        where = explanation.table
        raise InputError(
            f"{where} says {explanation.value!r}, the cells {number!r}: the table is not of these "
            f"cells; `snakemake -j1 {where}` makes it anew"
        )


def _place(written: WrittenTable, row: str, column: str) -> tuple[int, Formula]:
    """The row from 0, and how its number in the column is made."""
    names = ", ".join(written.frame.columns)
    if column not in written.frame:
        raise InputError(f"{written.path} has no column {column!r}; it has: {names}")
    at = _row(written.frame[written.keys], row, written.path)
    made = written.column(at, column)
    if made is None:
        known = [name for name in written.frame if written.column(at, name)]
        raise InputError(
            f"column {column!r} holds no number to explain; these do: {', '.join(known)}"
        )
    return at, made


def _row(keys: pd.DataFrame, row: str, where: Path) -> int:
    labels = [" ".join(str(key) for key in line if pd.notna(key)) for line in keys.to_numpy()]
    listed = "; ".join(f"{number} {label}" for number, label in enumerate(labels, 1))
    if row.isdigit():
        if not 1 <= int(row) <= len(labels):
            raise InputError(f"{where} has rows 1 to {len(labels)}, not {row}: {listed}")
        return int(row) - 1
    words = set(row.replace(",", " ").split())
    matches = [number for number, label in enumerate(labels) if words <= set(label.split())]
    if len(matches) != 1:
        raise InputError(
            f"{where}: {len(matches)} rows have the words {row!r}, give one of: {listed}"
        )
    return matches[0]


def _cells(rows: pd.DataFrame, source: str) -> list[dict[str, Any]]:
    """The values by cell, in the order in which the cells first come."""
    known = [name for name in ("cell", *IDENTITY, "baseline") if name in rows]
    rows = rows.assign(position=range(len(rows)))
    entries, lists = [], bool(rows.duplicated(known).any())
    for _, one in rows.groupby(known, sort=False, dropna=False):
        entry = {name: key(one[name].iloc[0]) for name in known}
        values = [key(value) for value in one[source]]
        entry |= {"value": values if lists else values[0]}
        entries.append(entry | ({"position": one["position"].tolist()} if lists else {}))
    ordered = [place for entry in entries for place in entry.get("position", [])]
    for entry in entries:
        if ordered == sorted(ordered):
            entry.pop("position", None)
        if entry.get("cell"):
            entry["predictions"] = f"{entry['cell']}/predictions.parquet"
    return entries


def _experiments(groups: list[pd.DataFrame], source: str | None) -> list[dict[str, Any]]:
    cells = [rows.dropna(subset="cell") for rows in groups if "cell" in rows]
    return experiments(pd.concat(cells).drop_duplicates("cell"), source) if cells else []


def explain_cell(folder: Path, paper: Paper, training_source: str | None = None) -> Explanation:
    """What made a cell: the explanation of its score.

    Args:
        folder: of the cell.
        paper: names the score.
        training_source: key of the training code that is here; None reads it from the run.

    Raises:
        InputError: the folder is not a finished cell.

    """
    try:
        scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder} is not a cell: it has no scores.json") from None
    spec, name, where = spec_of(folder.parent), paper.score.column, folder.as_posix()
    dataset = Path(spec["embeddings"]).stem.rpartition("-")[0]
    fold = int(folder.name.removeprefix("fold"))
    cell = {"cell": where, "seed": spec["seed"], "fold": fold, "dataset": dataset}
    value = {"value": scores[name], "predictions": f"{where}/predictions.parquet"}
    return Explanation(
        table="",
        row=1,
        keys=cell,
        column=name,
        value=scores[name],
        groups=[{"source": name, "file": f"{where}/scores.json", "cells": [cell | value]}],
        steps=[],
        aggregation=path(same),
        arguments={},
        part="",
        experiments=_experiments(
            [pd.DataFrame([scores | cell])], training_source or training_source_of(folder)
        ),
        code=code(),
    )
