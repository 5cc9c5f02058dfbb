"""Readers of the tables of the contract; each raises InputError where a file breaks it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from records.record import require_whole
from referee.contract.columns import INFERENCE, PACKED, TABLES, WHAT, Column, TableFile
from referee.errors import InputError
from referee.paper import Paper, Score


@dataclass(frozen=True)
class Measured:
    """The measurements of a run; a table is None where its quantity was not measured.

    `machines` describes the machine behind each table: the content of `latency.json` and so on.
    """

    latency: pd.DataFrame | None = None
    energy: pd.DataFrame | None = None
    memory: pd.DataFrame | None = None
    machines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def processors(self) -> dict[str, str]:
        """The processor behind each table; on a cluster they may differ."""
        return {what: str(machine["processor"]) for what, machine in self.machines.items()}


def read_table(path: Path, table: TableFile, decides: str = "") -> pd.DataFrame:
    """Read a CSV file of the contract, its rows in their order; unknown columns are kept.

    Columns that it may lack are filled in; `decides` is the protocol of a table that names none.
    """
    texts = {name: "str" for name, column in table.columns.items() if column.kind == "text"}
    return _checked(read_csv(path, texts), table, path, decides)


def read_csv(path: Path, texts: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Read any CSV file of a run; `texts` gives the pandas type of columns, by name."""
    advice = f"`snakemake -j1 {path}` makes it"
    return _read(partial(pd.read_csv, dtype=texts), path, "CSV", advice)


def read_scores(path: Path, paper: Paper) -> pd.DataFrame:
    """Read the tidy table of scores: a row per cell, with `score` beside the paper's own column.

    `n_train`, the clips that training could see, is filled in where the table tells it: the
    fitted clips and those that stopped training, or only the fitted ones where the test clips
    stop training. The test clips are recognised by their number and by a stopping score that
    equals the score in most cells of a dataset and protocol (quantisation after training can make
    single cells differ).
    """
    column = paper.score.column
    frame = read_table(path, TABLES["cells.csv"].scored_by(column), paper.decides)
    frame = frame.assign(score=frame[column])
    if {"n_fit", "n_stop", "n_test", f"stop_{column}"} <= set(frame):
        same = (frame["n_stop"] == frame["n_test"]) & (frame[f"stop_{column}"] == frame["score"])
        on_test = same.groupby([frame["dataset"], frame["protocol"]]).transform("mean") > 0.5
        frame = frame.assign(n_train=frame["n_fit"] + frame["n_stop"].where(~on_test, 0))
    return frame


def read_measurements(folder: Path | None, paper: Paper) -> Measured:
    """Read the measurements in a folder; what is not there is left out."""
    tables, machines = {}, {}
    for what in WHAT if folder else ():
        table, machine = (Path(f"{folder}/{what}.{suffix}") for suffix in ("csv", "json"))
        if table.exists():
            tables[what] = read_table(table, TABLES[table.name], paper.decides)
        if machine.exists():
            machines[what] = _machine(machine)
    return Measured(**tables, machines=machines)


def of_packed(measured: pd.DataFrame) -> pd.DataFrame:
    """Select the rows of a measurement that are of packed models, and of an inference."""
    rows = measured["runtime"] == PACKED
    return measured[rows & (measured["per"] == INFERENCE) if "per" in measured else rows]


def is_mixture(arms: pd.DataFrame) -> "pd.Series[bool]":
    """Say which rows are of a mixture of several networks."""
    return arms["experts"].str.contains("+", regex=False)


def read_predictions(cell: Path) -> pd.DataFrame:
    """Read `predictions.parquet` in the folder of a cell: a row per test clip."""
    path, table = cell / "predictions.parquet", TABLES["predictions.parquet"]
    advice = "`snakemake -j8 cells` makes it, `dvc pull` brings it"
    frame = _read(pd.read_parquet, path, "Parquet", advice)
    others = frame.filter(regex=r"^p_[1-9]\d*$").columns
    probabilities = dict.fromkeys(others, Column("number", "probability of a class"))
    return _checked(frame, replace(table, columns=probabilities | table.columns), path)


def read_history(cell: Path, score: Score) -> pd.DataFrame:
    """Read `history.csv` in the folder of a cell: a row per epoch."""
    return read_table(cell / "history.csv", TABLES["history.csv"].scored_by(score.column))


def _machine(path: Path) -> dict[str, Any]:
    machine = _read(lambda file: json.loads(file.read_bytes()), path, "JSON")
    if not isinstance(machine, dict) or "processor" not in machine:
        raise InputError(f"{path} names no processor")
    return machine


def _read(reader: Callable[[Path], Any], path: Path, kind: str, advice: str = "") -> Any:
    try:
        require_whole(path)
        return reader(path)
    except FileNotFoundError:
        raise InputError(f"{path} is not here: {advice}") from None
    except (OSError, ValueError) as error:
        problem = str(error).partition("\n")[0]
        raise InputError(f"{path} cannot be read as {kind}: {problem}") from None


def _checked(frame: pd.DataFrame, table: TableFile, path: Path, decides: str = "") -> pd.DataFrame:
    missing = [name for name, c in table.columns.items() if c.required and name not in frame]
    if missing:
        raise InputError(f"{path} has no column {', '.join(missing)}")
    if frame.empty:
        raise InputError(f"{path} has no rows")
    for name, column in table.columns.items():
        if name in frame:
            _check_values(frame[name], column, f"{path}, column {name}")
        elif column.same_as:  # another column, or the protocol that decides
            frame[name] = frame.get(column.same_as, decides)
        elif not column.optional:
            frame[name] = column.default
    key = list(table.key)
    repeated = np.flatnonzero(frame.duplicated(key))
    if repeated.size:
        same = ", ".join(f"{name} {frame[name].iloc[repeated[0]]}" for name in key)
        raise InputError(f"{path}, row {repeated[0] + 1}: an earlier row has the same {same}")
    return frame


def _check_values(values: pd.Series, column: Column, where: str) -> None:
    """Refuse the first value that is empty where it may not be, or not of the column's kind."""
    empty = values.isna()
    wrong = empty & False
    if column.kind == "number":
        numbers = pd.to_numeric(values, errors="coerce")
        wrong = numbers.isna() & ~empty | np.isinf(numbers)
    elif column.kind == "boolean":
        wrong = ~values.astype(str).isin(("True", "False", "1", "0")) & ~empty
    bad = np.flatnonzero(wrong if column.optional or column.may_be_empty else wrong | empty)
    if bad.size:
        value, is_wrong = values.iloc[bad[0]], wrong.iloc[bad[0]]
        shown = repr(value) if isinstance(value, str) else value
        problem = f"{shown} is not a {column.kind}" if is_wrong else "the value is missing"
        raise InputError(f"{where}, row {bad[0] + 1}: {problem}")
