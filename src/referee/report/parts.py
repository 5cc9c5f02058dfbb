"""Tables, figures and experiments as the templates show them: plain data, every cell a text."""

import base64
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from referee.contract import IDENTITY, of_packed
from referee.errors import InputError
from referee.explain.origins import Origin
from referee.explain.remake import experiments as experiments_of
from referee.explain.remake import training_source_of
from referee.paper import Score
from referee.stats import compare
from referee.tables import measured, people

NAMES = ("model", "arm")  # the column that names a row


def environment() -> Environment:
    """Of the templates."""
    return Environment(
        loader=PackageLoader("referee.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def plain(text: str) -> str:
    """A protocol in words; everything else as it is."""
    return text.replace("as_published", "as published")


def heading(words: str) -> str:
    """`latency_batch1 ms` as `latency batch 1 (ms)`."""
    words = re.sub(r"batch(\d+)", r"batch \1", words.replace("_", " "))
    words = re.sub(r"\bf1\b", "F1", words).replace("peak rss", "peak RSS")
    words = re.sub(r"\b[jw]\b", lambda unit: unit[0].upper(), words)
    return re.sub(r" (ms|J|g|W|s|kB)$", r" (\1)", words)


def paper_columns(table: pd.DataFrame, score: Score) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The columns of a table of `results/tables` that people see: numbers, and words."""
    shown = [name for name in table if not name.endswith("_std")]
    return table[shown], people.for_people(table, score)


def test_columns(table: pd.DataFrame, score: Score) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Those of a table of `results/significance`."""
    shown = compare.for_people(table, people.test_columns(score))
    return table[shown.columns], shown


def linked_table(
    name: str,
    title: str,
    caption: str,
    numbers: pd.DataFrame,
    words: pd.DataFrame,
    linked: set[str],
) -> dict[str, Any]:
    """A table for people; a cell whose anchor is in `linked` leads there.

    Args:
        name: of the file, without suffix.
        title: short.
        caption: what it shows.
        numbers: the values, to tell what is a number.
        words: the same cells as people read them; headings are its columns.
        linked: anchors, `name-row-column`.

    """
    names_row = next((own for own in NAMES if own in numbers), None)
    columns = [
        {
            "heading": heading(str(text)),
            "numeric": pd.api.types.is_numeric_dtype(numbers[column]),
            "names_row": column == names_row,
        }
        for column, text in zip(numbers.columns, words.columns, strict=True)
    ]
    rows = []
    for number, texts in enumerate(words.to_numpy().tolist(), 1):
        anchors = [f"{name}-{number}-{column}" for column in numbers.columns]
        rows.append(
            [
                {
                    "text": plain(str(text)),
                    "href": anchor if anchor in linked and text != "" else None,
                }
                for text, anchor in zip(texts, anchors, strict=True)
            ]
        )
    about = {"name": name, "title": title, "caption": caption, "sortable": True}
    return about | {"columns": columns, "rows": rows}


def unlinked(table: dict[str, Any]) -> dict[str, Any]:
    """The table for a page on which there is nothing to lead to."""
    rows = [[cell | {"href": None} for cell in row] for row in table["rows"]]
    return table | {"rows": rows}


def plain_table(
    title: str,
    frame: pd.DataFrame,
    number: Callable[[float], str] = lambda value: f"{value:.4g}",
) -> dict[str, Any]:
    """A small table without links; its first column names the rows."""
    columns = [
        {
            "heading": heading(str(name)),
            "numeric": pd.api.types.is_numeric_dtype(frame[name]),
            "names_row": place == 0,
        }
        for place, name in enumerate(frame.columns)
    ]
    shown = frame.map(lambda v: v if isinstance(v, str) else "" if pd.isna(v) else number(v))
    rows = [[{"text": text, "href": None} for text in row] for row in shown.to_numpy().tolist()]
    return {"title": title, "columns": columns, "rows": rows, "sortable": False}


@dataclass(frozen=True)
class Experiments:
    """Where the experiments of a run stand on the page: anchors by folder."""

    anchors: dict[str, str]

    def of(self, cells: Iterable[str]) -> list[dict[str, Any]]:
        """The experiments of some cells: name, anchor (None where it is not on the page), folds."""
        paths = [Path(cell) for cell in cells]
        return [
            {
                "name": experiment_name(folder.as_posix()),
                "anchor": self.anchors.get(folder.as_posix()),
                "folds": [path.name.removeprefix("fold") for path in own],
            }
            for folder, own in groupby(paths, key=lambda path: path.parent)
        ]


def experiment_name(folder: str) -> str:
    """`results/cells/demo/corrected/fp32/none/seed0-KEY` without root and key."""
    return folder.removeprefix("results/cells/").rpartition("-")[0]


def experiments(results: Path, measurements: Path | None) -> list[dict[str, Any]]:
    """Every experiment: what made it, and a table of its cells.

    None at all where a specification is not on disk.
    """
    cells = pd.read_csv(results / "cells.csv")
    costs = _costs(cells, results, measurements)
    try:
        found = experiments_of(cells, training_source_of(results / "cells.csv"))
    except InputError:  # the tables were brought here without the cells
        return []
    folders = cells["cell"].map(lambda cell: Path(cell).parent.as_posix())
    scored = cells[["fold", "f1_weighted", "accuracy", "epochs", "scored_epoch", "n_test"]]
    shown = scored.join(costs).astype({"fold": str})
    for number, own in enumerate(found, 1):
        name = experiment_name(own["folder"])
        mine = shown[folders == own["folder"]].dropna(axis=1, how="all")
        own["name"], own["anchor"] = name, f"experiment-{number}"
        own["cells"] = plain_table(f"{name}, cells", mine)
    return found


def _costs(cells: pd.DataFrame, results: Path, measurements: Path | None) -> pd.DataFrame:
    """Bytes, latency and energy of each cell, in the order of the cells."""
    by_cell = pd.MultiIndex.from_frame(cells[list(IDENTITY)])
    parts = []
    if (results / "packed.csv").exists():
        packed = pd.read_csv(results / "packed.csv").set_index(list(IDENTITY))
        parts.append((packed[["disk_bytes"]] / 1000).set_axis(["disk kB"], axis=1))
    if measurements is not None:
        calls = of_packed(pd.read_csv(measurements / "latency.csv"))
        used = of_packed(pd.read_csv(measurements / "energy.csv"))
        parts += [
            measured.by_batch(calls, list(IDENTITY), "latency_ms", "latency batch{} ms", "median"),
            measured.by_batch(used, list(IDENTITY), "energy_j", "energy batch{} J", "mean"),
        ]
    frames = [part.reindex(by_cell).reset_index(drop=True) for part in parts]
    return pd.concat([pd.DataFrame(index=cells.index), *frames], axis=1)


def origins(
    name: str, title: str, keys: list[str], found: list[list[Origin]], experiments: Experiments
) -> dict[str, Any]:
    """What the numbers of a table were made of, row by row; sets of cells are named once."""
    rows = []
    for number, (key, row_origins) in enumerate(zip(keys, found, strict=True), 1):
        sets: dict[tuple[str, int, tuple[str, ...]], str] = {}
        numbers = []
        for origin in row_origins:
            sources = []
            for source, file, count, cells in origin.groups:
                if Path(file).stem == name:
                    sources.append(f"{source} of {count} rows here")
                else:
                    own = sets.setdefault((file, count, cells), chr(ord("A") + len(sets)))
                    sources.append(f"{source} of {own}")
            numbers.append(
                {
                    "anchor": f"{name}-{number}-{origin.column}",
                    "column": heading(origin.column),
                    "value": f"{origin.value:.10g}",
                    "made": origin.made,
                    "sources": "; ".join(sources) or "numbers of this row",
                }
            )
        listed = [
            {
                "name": letter,
                "rows": f"{count} rows of {file}",
                "cells": len(cells),
                "experiments": experiments.of(cells),
            }
            for (file, count, cells), letter in sets.items()
        ]
        rows.append({"number": number, "label": key, "numbers": numbers, "sets": listed})
    return {"name": name, "title": title, "rows": rows}


def figures(folder: Path) -> list[dict[str, str]]:
    """The figures of `figures.json` in a folder, each with its PNG as base64; none if absent."""
    try:
        listed = json.loads((folder / "figures.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return [
        own | {"png": base64.b64encode((folder / f"{own['name']}.png").read_bytes()).decode()}
        for own in listed
    ]
