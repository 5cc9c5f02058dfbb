"""From a number in a table back to the cells, files, code and commands that it came from.

To make the columns of a table explainable, add its entry to `TABLES`: which columns, by name, from
which column of the tidy table, put together how.
"""

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from qmoe.analysis.tables import ARM, marked
from qmoe.errors import UserError
from qmoe.grid import training_source

CELLS = "cells.csv"

# Each takes the values of the cells and the dataset of each, in the order of the tidy table. The
# operations are those of the tables, so that sums round alike to the last digit.
AGGREGATIONS: dict[str, Callable[[pd.Series, pd.Series], float]] = {
    "mean": lambda values, datasets: _grouped(values, datasets).mean().item(),
    "standard deviation, ddof 1": lambda values, datasets: _grouped(values, datasets).std().item(),
    "mean over datasets of the means over cells": lambda values, datasets: _across(
        _grouped(values, datasets).mean()
    ),
    "root mean square over datasets of the standard deviations over cells, ddof 1": (
        lambda values, datasets: _across(_grouped(values, datasets).std().pow(2)) ** 0.5
    ),
    "number of cells": lambda values, datasets: len(values),
    "largest": lambda values, datasets: values.max().item(),
    "the same for every cell": lambda values, datasets: values.iloc[0].item(),
}
MEAN, STD, MEAN_OF_MEANS, RMS_OF_STDS, COUNT, LARGEST, SAME = AGGREGATIONS


def _grouped(values: pd.Series, datasets: pd.Series) -> Any:
    return values.groupby(datasets, sort=False)


def _across(by_dataset: pd.Series) -> float:
    return by_dataset.to_frame().T.mean(axis=1, skipna=False).item()


@dataclass(frozen=True)
class Columns:
    """Columns of a table that are made alike.

    names: regular expression over the whole column name; its group `dataset`, if any, picks the
    cells of one dataset. source: column of the tidy table. aggregation: key of `AGGREGATIONS`.
    """

    names: str
    source: str
    aggregation: str


@dataclass(frozen=True)
class Table:
    """How a table is made of a tidy one that lies in the folder above it.

    keys: columns that tell rows apart, in both. columns: the first that matches counts.
    """

    columns: tuple[Columns, ...]
    keys: tuple[str, ...] = tuple(ARM)
    tidy: str = CELLS


_ALPHA = Columns("alpha", "alpha", SAME)
_AVERAGE = (
    Columns("avg_f1_mean", "f1_weighted", MEAN_OF_MEANS),
    Columns("avg_f1_std", "f1_weighted", RMS_OF_STDS),
)


def _f1(prefix: str = "") -> tuple[Columns, ...]:
    return (
        Columns(f"{prefix}n", "f1_weighted", COUNT),
        Columns(f"{prefix}f1_mean", "f1_weighted", MEAN),
        Columns(f"{prefix}f1_std", "f1_weighted", STD),
    )


TABLES = {
    "table1": Table((_ALPHA, *_AVERAGE, *_f1("(?P<dataset>.+)_"))),
    "table2": Table(_f1(), keys=("dataset", "protocol", "model")),
    "table3": Table(
        (
            _ALPHA,
            *_AVERAGE,
            Columns("n", "f1_weighted", COUNT),
            Columns("parameters", "parameter_count", LARGEST),
        )
    ),
}


@dataclass(frozen=True)
class Explanation:
    """All that stands behind one number, as JSON can hold it.

    cells: for each its folder (`cell`), dataset, seed, fold, `value` and predictions file.
    experiments: for each its folder, specification, hash of the embeddings, whether the training
    code here is still that of the cells, and the commands that make its cells.
    """

    table: str
    row: int
    keys: dict[str, Any]
    column: str
    value: float
    source: str
    aggregation: str
    cells: list[dict[str, Any]]
    experiments: list[dict[str, Any]]
    code: dict[str, Any]


def recompute(explanation: Explanation) -> float:
    """The number, from the values of the cells that the explanation lists."""
    values = pd.Series([cell["value"] for cell in explanation.cells])
    datasets = pd.Series([cell["dataset"] for cell in explanation.cells])
    return AGGREGATIONS[explanation.aggregation](values, datasets)


def explain(table: str | Path, row: str, column: str) -> Explanation:
    """What made a number.

    Args:
        table: a CSV file, or its name in results/tables.
        row: its number, from 1, or words that only this row's protocol, model, strategy and alpha
            contain.
        column: its name.

    Raises:
        UserError: table, row or column do not exist (those that do are named), the number is
            not there, or it is not what its cells make: the table is older than they are.

    """
    path = Path(table)
    if path.suffix != ".csv":
        path = Path("results/tables") / f"{table}.csv"
    recipe = TABLES.get(path.stem)
    if recipe is None:
        raise UserError(f"no table {path.stem!r} is explained; these are: {', '.join(TABLES)}")
    frame = _read(path)
    if column not in frame:
        raise UserError(f"{path} has no column {column!r}; it has: {', '.join(frame.columns)}")
    columns, dataset = _columns(recipe, column, list(frame.columns))
    number = _row_number(frame[list(recipe.keys)], row, path)
    chosen = frame.iloc[number]
    if pd.isna(chosen[column]):
        raise UserError(
            f"{path}, row {number + 1}: {column} is empty; an arm without cells, or without two to "
            "differ, has no number there"
        )
    own = _own(marked(_read(path.parents[1] / recipe.tidy)), chosen, recipe.keys, dataset)
    explanation = Explanation(
        table=path.as_posix(),
        row=number + 1,
        keys={key: None if pd.isna(chosen[key]) else _plain(chosen[key]) for key in recipe.keys},
        column=column,
        value=_plain(chosen[column]),
        source=columns.source,
        aggregation=columns.aggregation,
        cells=[
            {key: _plain(cell[key]) for key in ("cell", "dataset", "seed", "fold")}
            | {"value": _plain(cell[columns.source])}
            | {"predictions": f"{cell['cell']}/predictions.parquet"}
            for _, cell in own.iterrows()
        ],
        experiments=experiments(own),
        code=code(),
    )
    found = recompute(explanation) if explanation.cells else None
    if found != explanation.value:
        raise UserError(
            f"{path} says {explanation.value!r}, the cells {found!r}: the table is not of these "
            f"cells; `snakemake -j1 {path}` makes it anew"
        )
    return explanation


def explain_cell(folder: Path) -> Explanation:
    """What made a cell: the explanation of its F1.

    Raises:
        UserError: the folder is not a finished cell.

    """
    try:
        scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{folder} is not a cell: it has no scores.json") from None
    spec = _spec(folder.parent)
    fold = int(folder.name.removeprefix("fold"))
    cell = {"cell": folder.as_posix(), "seed": spec["seed"], "fold": fold}
    cell["dataset"] = Path(spec["embeddings"]).stem.rpartition("-")[0]
    own = pd.DataFrame([{**scores, **cell}])
    return Explanation(
        table="",
        row=1,
        keys={"experts": "+".join(spec["experts"]), **spec["curiosity"]},
        column="f1_weighted",
        value=scores["f1_weighted"],
        source="f1_weighted",
        aggregation=SAME,
        cells=[
            {**cell, "value": scores["f1_weighted"]}
            | {"predictions": f"{cell['cell']}/predictions.parquet"}
        ],
        experiments=experiments(own),
        code=code(),
    )


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise UserError(f"{path} is not here: `snakemake -j1 {path}` makes it") from None


def _columns(recipe: Table, column: str, existing: list[str]) -> tuple[Columns, str | None]:
    for columns in recipe.columns:
        match = re.fullmatch(columns.names, column)
        if match:
            return columns, match.groupdict().get("dataset")
    known = [name for name in existing if any(re.fullmatch(c.names, name) for c in recipe.columns)]
    raise UserError(f"column {column!r} holds no number to explain; these do: {', '.join(known)}")


def _row_number(keys: pd.DataFrame, row: str, path: Path) -> int:
    labels = [" ".join(str(key) for key in line if pd.notna(key)) for line in keys.to_numpy()]
    listed = "; ".join(f"{number} {label}" for number, label in enumerate(labels, 1))
    if row.isdigit():
        if not 1 <= int(row) <= len(labels):
            raise UserError(f"{path} has rows 1 to {len(labels)}, not {row}: {listed}")
        return int(row) - 1
    words = row.replace(",", " ").split()
    found = [number for number, label in enumerate(labels) if set(words) <= set(label.split())]
    if len(found) != 1:
        raise UserError(f"{path}: {len(found)} rows have the words {row!r}, give one of: {listed}")
    return found[0]


def _own(
    cells: pd.DataFrame, chosen: pd.Series, keys: tuple[str, ...], dataset: str | None
) -> pd.DataFrame:
    own = cells
    for key in keys:
        own = own[own[key].isna() if pd.isna(chosen[key]) else own[key] == chosen[key]]
    return own if dataset is None else own[own["dataset"] == dataset]


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _spec(experiment: Path) -> dict[str, Any]:
    path = experiment / "spec.json"
    try:
        spec: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is not here: `qmoe plan` writes it") from None
    return spec


def experiments(cells: pd.DataFrame) -> list[dict[str, Any]]:
    """Folder, specification, data, commands of each experiment of the cells, see `Explanation`.

    Raises:
        UserError: a specification is not on disk.

    """
    found = []
    here = training_source()
    folders = cells["cell"].map(lambda cell: Path(cell).parent.as_posix())
    for folder, own in cells.groupby(folders, sort=False):
        spec = _spec(Path(folder))
        folds = ",".join(map(str, sorted(own["fold"])))
        targets = " ".join(f"{cell}/scores.json" for cell in own["cell"])
        found.append(
            {
                "folder": folder,
                "spec": spec,
                "embeddings_sha256": own["embeddings_sha256"].iloc[0],
                "same_training_code": spec["source"] == here,
                "commands": [
                    f"snakemake -j1 {targets}",
                    f"qmoe train {folder}/spec.json --folds {folds}",
                ],
            }
        )
    return found


def code() -> dict[str, Any]:
    """The commit that is checked out, and whether files differ from it; None outside of git."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", *arguments], capture_output=True, text=True)
        except FileNotFoundError:
            return None
        return None if done.returncode else done.stdout.strip()

    status = git("status", "--porcelain")
    return {"commit": git("rev-parse", "HEAD"), "dirty": None if status is None else bool(status)}


def explanation_markdown(explanation: Explanation) -> str:
    """The explanation for people."""
    arm = " ".join(str(value) for value in explanation.keys.values() if value is not None)
    where = f"{explanation.table}, row {explanation.row}" if explanation.table else "cell"
    code = explanation.code
    commit = f"commit {code['commit']}" if code["commit"] else "no git commit"
    lines = [
        f"# {explanation.column} = {explanation.value!r}",
        "",
        f"{where}: {arm}",
        "",
        f"Made of `{explanation.source}`: {explanation.aggregation}.",
        "",
        pd.DataFrame(explanation.cells)[["dataset", "seed", "fold", "value", "cell"]]
        .astype({"value": object})
        .to_markdown(index=False, disable_numparse=True),
        "",
        f"Code here: {commit}{', with files changed since' if code['dirty'] else ''}.",
    ]
    for experiment in explanation.experiments:
        spec = experiment["spec"]
        here = "the code" if experiment["same_training_code"] else "OTHER code than"
        versions = ", ".join(f"{name} {version}" for name, version in spec["versions"].items())
        lines += [
            "",
            f"## {experiment['folder']}",
            "",
            f"- data: {spec['embeddings']}, SHA-256 {experiment['embeddings_sha256']}",
            f"- trained by {here} that is here (source key {spec['source']}), {versions}",
            "- remove the folders of its cells, then either of these trains them anew:",
            "",
            "```",
            *experiment["commands"],
            "```",
            "",
            "```json",
            json.dumps(spec, indent=1, sort_keys=True),
            "```",
        ]
    return "\n".join(lines) + "\n"
