"""Tables, figures and experiments as the templates show them: plain data, every cell a text."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from referee.contract import IDENTITY, Measured, of_packed
from referee.errors import InputError
from referee.explain import remake
from referee.explain.origins import Origin
from referee.paper import Paper
from referee.tables import people
from referee.words import heading, spaced_names

Shown = dict[str, Any]  # what a template shows, by the name that it has there


def environment() -> Environment:
    """The templates of the pages."""
    return Environment(
        loader=PackageLoader("referee.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def read_text(path: Path) -> str:
    """The text of a file of a run.

    Raises:
        InputError: the file is missing.

    """
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path} is not here: `snakemake -j1 {path}` makes it") from None


def unlinked(shown: Any) -> Any:
    """The same for a page on which there is nothing to lead to: every `href` is None."""
    if isinstance(shown, dict):
        return {name: None if name == "href" else unlinked(part) for name, part in shown.items()}
    return [unlinked(part) for part in shown] if isinstance(shown, list) else shown


def paper_table(results: Path, name: str, paper: Paper) -> tuple[pd.DataFrame, Shown]:
    """A table of the paper: all its values, and the columns that people see, without links.

    Raises:
        InputError: the caption of the table is missing.

    """
    layout = paper.tables[name]
    path = results / layout.folder / f"{name}.csv"
    frame = pd.read_csv(path)
    if layout.folder == "tables":
        words = people.for_people(frame, paper.score)
        values = frame[[column for column in frame if not column.endswith("_std")]]
    else:
        words = people.comparisons_for_people(frame, people.test_columns(paper.score))
        values = frame[words.columns]
    words = words.map(lambda text: spaced_names(str(text), paper.protocols))
    names_row = next((column for column in ("model", "arm") if column in values), "")
    caption = read_text(path.with_suffix(".md")).split("\n", 1)[0]
    about = {"name": name, "caption": caption, "sortable": True}
    return frame, _table(layout.title, values, words, names_row) | about


def plain_table(
    title: str, frame: pd.DataFrame, number: Callable[[float], str] = lambda value: f"{value:.4g}"
) -> Shown:
    """A small table; its first column names the rows."""
    words = frame.map(lambda v: v if isinstance(v, str) else "" if pd.isna(v) else number(v))
    return _table(title, frame, words, next(iter(frame), "")) | {"sortable": False}


def _table(title: str, values: pd.DataFrame, words: pd.DataFrame, names_row: str) -> Shown:
    columns = [
        {
            "column": column,
            "heading": heading(str(text)),
            "numeric": pd.api.types.is_numeric_dtype(values[column]),
            "names_row": column == names_row,
        }
        for column, text in zip(values, words, strict=True)
    ]
    rows = [[{"text": text, "href": None} for text in row] for row in words.to_numpy().tolist()]
    return {"title": title, "columns": columns, "rows": rows}


def used_experiments(cells: Iterable[str], anchors: Mapping[str, str]) -> list[Shown]:
    """The experiments of some cells (folders): name, folds, and link, None if not in `anchors`."""
    return [
        {
            "name": experiment_name(folder.as_posix()),
            "href": anchors.get(folder.as_posix()),
            "folds": [path.name.removeprefix("fold") for path in folds],
        }
        for folder, folds in groupby(map(Path, cells), key=lambda path: path.parent)
    ]


def experiment_name(folder: str) -> str:
    """`results/cells/DATASET/PROTOCOL/EXPERTS/RULE/seed0-KEY` without its root and its key."""
    return folder.removeprefix("results/cells/").rpartition("-")[0]


def experiments(
    cells: pd.DataFrame, score: str, costs: pd.DataFrame, source: str | None
) -> list[Shown]:
    """Every experiment: what made it, and a table of its cells with their scores and costs.

    There are none where `cells` does not name its cells, or their specifications are missing.

    Args:
        cells: the tidy table of scores.
        score: its column that holds the score.
        costs: what `costs_of` returns.
        source: key of the training code that is here; None where it cannot be told.

    """
    if not {"cell", "embeddings_sha256"} <= set(cells):
        return []
    try:
        made = remake.experiments(cells, source)
    except InputError:  # the tables were brought here without the cells
        return []
    folders = cells["cell"].map(lambda cell: Path(cell).parent.as_posix())
    columns = ["fold", score, "accuracy", "epochs", "scored_epoch", "n_test"]
    shown = cells[[name for name in columns if name in cells]]
    shown = shown.join(costs).astype({"fold": str})
    for number, experiment in enumerate(made, 1):
        name = experiment_name(experiment["folder"])
        rows = shown[folders == experiment["folder"]].dropna(axis=1, how="all")
        experiment["name"], experiment["anchor"] = name, f"experiment-{number}"
        experiment["cells"] = plain_table(f"{name}, cells", rows)
    return made


def costs_of(cells: pd.DataFrame, packed: pd.DataFrame | None, measured: Measured) -> pd.DataFrame:
    """Bytes (kB), latency (ms) and energy (J) of each cell, in the order of the cells."""
    keys = list(IDENTITY)
    costs = []
    if packed is not None:
        costs.append(packed.set_index(keys)["disk_bytes"].div(1000).to_frame("disk kB"))
    for frame, column, name, how in (
        (measured.latency, "latency_ms", "latency batch{} ms", "median"),
        (measured.energy, "energy_j", "energy batch{} J", "mean"),
    ):
        if frame is not None:
            grouped = of_packed(frame).groupby([*keys, "batch_size"], sort=False, dropna=False)
            by_size = grouped[column].agg(how).unstack("batch_size", sort=False)
            costs.append(by_size.rename(columns=name.format))
    by_cell = pd.MultiIndex.from_frame(cells[keys])
    aligned = [frame.reindex(by_cell).reset_index(drop=True) for frame in costs]
    return pd.concat([pd.DataFrame(index=cells.index), *aligned], axis=1)


def row_origins(
    table: str, number: int, origins: Iterable[Origin], anchors: Mapping[str, str]
) -> Shown:
    """What the numbers of a row were made of; a set of cells gets a letter and is listed once.

    Args:
        table: its name.
        number: of the row, from 1.
        origins: those of its numbers.
        anchors: where the experiments are shown, by folder.

    """
    letters: dict[tuple[str, int, tuple[str, ...]], str] = {}
    numbers = []
    for origin in origins:
        sources = []
        for source, file, count, cells in origin.groups:
            if Path(file).stem == table:
                sources.append(f"{source} of {count} rows here")
            else:
                letter = letters.setdefault((file, count, cells), chr(ord("A") + len(letters)))
                sources.append(f"{source} of {letter}")
        numbers.append(
            {
                "anchor": f"{table}-{number}-{origin.column}",
                "column": heading(origin.column),
                "value": f"{origin.value:.10g}",
                "made": origin.made,
                "sources": "; ".join(sources) or "numbers of this row",
            }
        )
    sets = [
        {
            "name": letter,
            "rows": f"{count} rows of {file}",
            "cells": len(cells),
            "experiments": used_experiments(cells, anchors),
        }
        for (file, count, cells), letter in letters.items()
    ]
    return {"number": number, "numbers": numbers, "sets": sets}


def figures(folder: Path) -> list[Shown]:
    """The figures of `figures.json` in a folder, each with its PNG as base64; none if absent."""
    index = folder / "figures.json"
    listed = json.loads(index.read_text(encoding="utf-8")) if index.exists() else []
    return [
        figure | {"png": base64.b64encode((folder / f"{figure['name']}.png").read_bytes()).decode()}
        for figure in listed
    ]
