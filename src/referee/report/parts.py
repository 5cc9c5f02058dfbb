"""Tables, figures and experiments as the templates show them: plain data, every cell a text."""

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby, starmap
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from pandas.api.types import is_numeric_dtype

from records.record import require_whole
from referee import contract
from referee.contract import IDENTITY, Measured, of_packed
from referee.errors import InputError
from referee.explain import explain
from referee.explain.written_table import Origin
from referee.paper import Paper
from referee.tables import people
from referee.words import capitalised, heading, spaced_names

Shown = dict[str, Any]  # what a template shows, by the name that it has there
TEMPLATES = Environment(
    loader=PackageLoader("referee.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.globals["linked"] = False  # True on the one page that has what links lead to
TEMPLATES.filters |= {"heading": heading, "capitalised": capitalised}


def read_bytes(path: Path) -> bytes:
    """The content of a file of a run; raises InputError where it is missing, and Damaged where it
    is not as it was written."""
    try:
        require_whole(path)
        return path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path} is not here: `snakemake -j1 {path}` makes it") from None


def read_text(path: Path) -> str:
    """The text of a file of a run; raises what `read_bytes` raises."""
    return read_bytes(path).decode()


def paper_table(results: Path, name: str, paper: Paper) -> tuple[pd.DataFrame, Shown]:
    """A table of the paper: all its values, and the columns that people see, without links.

    Raises InputError where the caption of the table is missing.
    """
    layout = paper.tables[name]
    path = results / layout.folder / f"{name}.csv"
    frame = contract.read_csv(path)
    if layout.folder == "tables":
        words = people.for_people(frame, paper.score)
        values = frame[[column for column in frame if not column.endswith("_std")]]
    else:
        words = people.comparisons_for_people(frame, people.test_columns(paper.score))
        values = frame[words.columns]
    words = words.map(lambda text: spaced_names(str(text), paper.protocols))
    names_row = next((column for column in ("model", "arm") if column in values), "")
    caption = read_text(path.with_suffix(".md")).split("\n", 1)[0]
    about = {"title": layout.title, "name": name, "caption": caption, "sortable": True}
    return frame, _table(values, words, names_row, **about)


def plain_table(
    title: str, frame: pd.DataFrame, number: Callable[[float], str] = "{:.4g}".format
) -> Shown:
    """A small table; its first column names the rows."""
    words = frame.map(lambda v: v if isinstance(v, str) else "" if pd.isna(v) else number(v))
    return _table(frame, words, next(iter(frame), ""), title=title, sortable=False)


def _table(values: pd.DataFrame, words: pd.DataFrame, names_row: str, **about: Any) -> Shown:
    columns = [
        {
            "column": column,
            "heading": heading(str(text)),
            "numeric": is_numeric_dtype(values[column]),
            "names_row": column == names_row,
        }
        for column, text in zip(values, words, strict=True)
    ]
    rows = [[{"text": text, "href": None} for text in row] for row in words.to_numpy().tolist()]
    return {"columns": columns, "rows": rows, **about}


def used_experiments(cells: Iterable[str], anchors: Mapping[str, str]) -> list[Shown]:
    """The experiments of some cells (folders): name, folds, and link, None if not in `anchors`."""
    return [
        {
            "name": _experiment_name(folder.as_posix()),
            "href": anchors.get(folder.as_posix()),
            "folds": [path.name.removeprefix("fold") for path in folds],
        }
        for folder, folds in groupby(map(Path, cells), key=lambda path: path.parent)
    ]


def _experiment_name(folder: str) -> str:
    return folder.removeprefix("results/cells/").rpartition("-")[0]


def experiments(
    cells: pd.DataFrame, score: str, costs: pd.DataFrame, source: str | None
) -> list[Shown]:
    """What made each experiment, and a table of its cells with their scores and `costs_of` them.

    `score` is the column of the score, and `source` the key of the training code that is here.
    There are none where `cells` does not name its cells, or their specifications are missing.
    """
    if not {"cell", "embeddings_sha256"} <= set(cells):
        return []
    try:
        made = explain.experiments(cells, source)
    except InputError:  # the tables were brought here without the cells
        return []
    folders = cells["cell"].map(lambda cell: Path(cell).parent.as_posix())
    columns = ["fold", score, "accuracy", "epochs", "scored_epoch", "n_test"]
    shown = cells.filter(columns).join(costs).astype({"fold": str})
    for number, experiment in enumerate(made, 1):
        name = _experiment_name(experiment["folder"])
        rows = shown[folders == experiment["folder"]].dropna(axis=1, how="all")
        experiment |= {"name": name, "title": name, "anchor": f"experiment-{number}"}
        experiment["cells"] = plain_table(f"{name}, cells", rows)
    return made


def costs_of(cells: pd.DataFrame, packed: pd.DataFrame | None, measured: Measured) -> pd.DataFrame:
    """Bytes (kB), latency (ms) and energy (J) of each cell, in the order of the cells."""
    keys = list(IDENTITY)
    costs = cells[keys]
    if packed is not None:
        kilobytes = packed.set_index(keys)["disk_bytes"] / 1000
        costs = costs.join(kilobytes.rename("disk kB"), on=keys)
    for frame, column, name, how in (
        (measured.latency, "latency_ms", "latency batch{} ms", "median"),
        (measured.energy, "energy_j", "energy batch{} J", "mean"),
    ):
        if frame is not None:
            grouped = of_packed(frame).groupby([*keys, "batch_size"], sort=False, dropna=False)
            by_size = grouped[column].agg(how).unstack("batch_size", sort=False)
            costs = costs.join(by_size.rename(columns=name.format), on=keys)
    return costs.drop(columns=keys)


def row_origins(table: str, origins: Iterable[Origin], anchors: Mapping[str, str]) -> Shown:
    """What the numbers of a row were made of; a set of cells gets a letter and is listed once.

    `numbers` are pairs of an origin and its sources in words; `sets` are (letter, file, rows,
    cells, experiments), where `anchors` says where the experiments are shown, by folder.
    """
    letters: dict[tuple[str, int, tuple[str, ...]], str] = {}

    def source_of(source: str, file: str, count: int, cells: tuple[str, ...]) -> str:
        if Path(file).stem == table:
            return f"{source} of {count} rows here"
        return f"{source} of " + letters.setdefault((file, count, cells), chr(65 + len(letters)))

    numbers = [(origin, "; ".join(starmap(source_of, origin.groups))) for origin in origins]
    sets = [
        (letter, file, count, cells, used_experiments(cells, anchors))
        for (file, count, cells), letter in letters.items()
    ]
    return {"numbers": numbers, "sets": sets}


def figures(folder: Path) -> list[Shown]:
    """The figures of `figures.json` in a folder, each with its PNG as base64; none if absent."""
    index = folder / "figures.json"
    listed = json.loads(read_text(index)) if index.exists() else []
    return [
        figure | {"png": base64.b64encode(read_bytes(folder / f"{figure['name']}.png")).decode()}
        for figure in listed
    ]
