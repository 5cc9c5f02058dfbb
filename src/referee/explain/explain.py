"""From a number in a table back to the cells, files, code and commands that it came from.

How each column is made stands in `referee.explain.recipes`.
"""

import json
import os
import pydoc
import re
import subprocess
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from referee.contract import read_run
from referee.errors import InputError
from referee.explain.recipes import AGGREGATIONS, SAME, STEPS, TABLES, Columns, Group, Table
from referee.stats.compare import OVER_DATASETS
from referee.tables import significance
from referee.tables.scores import marked

IDENTITY = ["dataset", "protocol", "arm", "seed", "fold"]  # of a cell, in every tidy table
# All that a row of a tidy table is chosen by.
KEYS = [*IDENTITY, "model", "strategy", "alpha", "experts", "runtime", "per", "batch_size"]
KEYS += ["baseline", "family", "cell"]


@dataclass(frozen=True)
class Explanation:
    """All that stands behind one number, as JSON can hold it.

    groups: of values that belong together, each with its `source` (a column), `file`, and `cells`:
    for each its folder (`cell`), dataset, arm, seed, fold and `value`, which is a list where a
    cell was measured repeatedly (with its `position` in the group where cells took turns).
    steps: what the groups go through, keys of `recipes.STEPS`. aggregation: what puts them
    together, a key of `recipes.AGGREGATIONS` or the path of a function. arguments: more arguments
    of it. part: attribute, key or place of the number in what it returns.
    experiments: for each its folder, specification, hash of the embeddings, whether the training
    code here is still that of the cells, and the commands that make its cells.
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


@dataclass(frozen=True)
class Origin:
    """What one number of a row was made of, in words; `groups` are (source, file, rows, cells).

    rows: how many of the tidy table. cells: their folders, each once; none where the rows are of
    the table itself, or of a runtime that is no cell.
    """

    column: str
    value: float
    made: str
    groups: tuple[tuple[str, str, int, tuple[str, ...]], ...]


def origins(path: Path, columns: Collection[str] | None = None) -> list[list[Origin]]:
    """The origins of the numbers of a table, in some or all columns, row by row.

    What `explain` says without the values, for every row at once; nothing is computed anew.

    Raises:
        InputError: a table that is needed is not there; the table is none that is explained.

    """
    recipe = _recipe(path)
    frame = _read(path)
    known: dict[str, tuple[pd.DataFrame, Path]] = {}
    chosen: dict[str, tuple[int, tuple[str, ...]]] = {}

    def rows(name: str) -> tuple[pd.DataFrame, Path]:
        if name not in known:
            tidy, file = (frame, path) if name == "table" else _tidy(name, recipe, path)
            keys = [key for key in KEYS if key in tidy]
            counted = tidy.groupby(keys, sort=False, dropna=False).size()
            known[name] = counted.rename("rows").reset_index(), file
        return known[name]

    def group(own: Group, row: "pd.Series[Any]", match: re.Match[str]) -> Any:
        tidy, file = rows(own.tidy)
        wanted = _wanted(tidy, own, row, recipe, match)
        label = f"{own.tidy} {wanted}"
        if label not in chosen:
            found = _where(tidy, wanted)
            cells = found["cell"].dropna().drop_duplicates() if "cell" in found else []
            chosen[label] = int(found["rows"].sum()), tuple(cells)
        return match.expand(own.source), file.as_posix(), *chosen[label]

    found: list[list[Origin]] = []
    for _, row in frame.iterrows():
        found.append([])
        for column in frame if columns is None else columns:
            made, match = _made(recipe, row, column)
            if made is None or match is None or pd.isna(row[column]):
                continue
            groups = tuple(group(own, row, match) for own in made.groups)
            words = made_by(
                made.steps, made.aggregation, _arguments(made, row), match.expand(made.part)
            )
            found[-1].append(Origin(column, _plain(row[column]), words, groups))
    return found


def recompute(explanation: Explanation) -> float:
    """The number, from the values that the explanation lists."""
    groups = [_values(group["cells"]) for group in explanation.groups]
    for step in explanation.steps:
        groups = STEPS[step](groups)
    how = explanation.aggregation
    function: Any = AGGREGATIONS.get(how) or pydoc.locate(how)
    if how.startswith("qmoe."):
        groups = [values.to_numpy() for values in groups]
    found = function(*groups, **explanation.arguments)
    part = explanation.part
    if isinstance(found, list | tuple) and part.isdigit():
        found = found[int(part)]
    elif part:
        found = found[part] if isinstance(found, Mapping | pd.Series) else getattr(found, part)
    return _plain(found)


def _values(cells: list[dict[str, Any]]) -> Any:
    """Series of a group, in the order of the tidy table; index: dataset, seed, fold."""
    rows = pd.DataFrame(cells).reindex(
        columns=[
            "dataset",
            "seed",
            "fold",
            "value",
            *(["position"] if "position" in cells[0] else []),
        ]
    )
    listed = [name for name in ("value", "position") if isinstance(cells[0].get(name), list)]
    if listed:
        rows = rows.explode(listed)
    if "position" in rows:
        rows = rows.sort_values("position")
    return rows.set_index(["dataset", "seed", "fold"])["value"].infer_objects()


def explain(table: str | Path, row: str, column: str) -> Explanation:
    """What made a number.

    Args:
        table: a CSV file, or its name in results/tables or results/significance.
        row: its number, from 1, or words that only this row's protocol, model, strategy and alpha
            (or what else tells rows of the table apart) contain.
        column: its name.

    Raises:
        InputError: table, row or column do not exist (those that do are named), the number is
            not there, or it is not what its cells make: the table is older than they are.

    """
    path = Path(table)
    recipe = _recipe(path)
    if path.suffix != ".csv":
        path = Path("results") / recipe.folder / f"{table}.csv"
    frame = _read(path)
    if column not in frame:
        raise InputError(f"{path} has no column {column!r}; it has: {', '.join(frame.columns)}")
    number = _row_number(frame[list(recipe.keys)], row, path)
    chosen = frame.iloc[number]
    columns, match = _columns(recipe, chosen, column)
    if pd.isna(chosen[column]):
        raise InputError(
            f"{path}, row {number + 1}: {column} is empty; an arm without cells, or without two to "
            "differ, has no number there"
        )
    groups, owns = [], []
    for group in columns.groups:
        tidy, file = (frame, path) if group.tidy == "table" else _tidy(group.tidy, recipe, path)
        own, source = _own(tidy, group, chosen, recipe, match), match.expand(group.source)
        groups.append({"source": source, "file": file.as_posix(), "cells": _cells(own, source)})
        owns.append(own)
    explanation = Explanation(
        table=path.as_posix(),
        row=number + 1,
        keys={key: _plain(chosen[key]) for key in recipe.keys},
        column=column,
        value=_plain(chosen[column]),
        groups=groups,
        steps=list(columns.steps),
        aggregation=columns.aggregation,
        arguments=_arguments(columns, chosen),
        part=match.expand(columns.part),
        experiments=_experiments(owns),
        code=code(),
    )
    found = recompute(explanation) if all(group["cells"] for group in groups) else None
    if found != explanation.value:
        raise InputError(
            f"{path} says {explanation.value!r}, the cells {found!r}: the table is not of these "
            f"cells; `snakemake -j1 {path}` makes it anew"
        )
    return explanation


def explain_cell(folder: Path) -> Explanation:
    """What made a cell: the explanation of its F1.

    Raises:
        InputError: the folder is not a finished cell.

    """
    try:
        scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder} is not a cell: it has no scores.json") from None
    spec = _spec(folder.parent)
    fold = int(folder.name.removeprefix("fold"))
    cell = {"cell": folder.as_posix(), "seed": spec["seed"], "fold": fold}
    cell["dataset"] = Path(spec["embeddings"]).stem.rpartition("-")[0]
    value = {
        "value": scores["f1_weighted"],
        "predictions": f"{folder.as_posix()}/predictions.parquet",
    }
    return Explanation(
        table="",
        row=1,
        keys={"experts": "+".join(spec["experts"]), **spec["curiosity"]},
        column="f1_weighted",
        value=scores["f1_weighted"],
        groups=[
            {
                "source": "f1_weighted",
                "file": f"{folder.as_posix()}/scores.json",
                "cells": [cell | value],
            }
        ],
        steps=[],
        aggregation=SAME,
        arguments={},
        part="",
        experiments=_experiments([pd.DataFrame([{**scores, **cell}])]),
        code=code(),
    )


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except FileNotFoundError:
        raise InputError(f"{path} is not here: `snakemake -j1 {path}` makes it") from None


def _recipe(path: Path) -> Table:
    recipe = TABLES.get(path.stem)
    if recipe is None:
        raise InputError(f"no table {path.stem!r} is explained; these are: {', '.join(TABLES)}")
    return recipe


def _made(
    recipe: Table, row: "pd.Series[Any]", column: str
) -> tuple[Columns, re.Match[str]] | tuple[None, None]:
    over = recipe.over_datasets and row["dataset"] == OVER_DATASETS
    for columns in recipe.over_datasets if over else recipe.columns:
        match = re.fullmatch(columns.names, column)
        if match:
            return columns, match
    return None, None


def _columns(recipe: Table, row: "pd.Series[Any]", column: str) -> tuple[Columns, re.Match[str]]:
    columns, match = _made(recipe, row, column)
    if columns is None or match is None:
        known = [str(name) for name in row.index if _made(recipe, row, str(name))[0]]
        raise InputError(
            f"column {column!r} holds no number to explain; these do: {', '.join(known)}"
        )
    return columns, match


def _arguments(columns: Columns, row: "pd.Series[Any]") -> dict[str, Any]:
    of_row = {name: _plain(row[other]) for name, other in columns.of_row.items()}
    return {**columns.arguments, **of_row}


def _row_number(keys: pd.DataFrame, row: str, path: Path) -> int:
    labels = [" ".join(str(key) for key in line if pd.notna(key)) for line in keys.to_numpy()]
    listed = "; ".join(f"{number} {label}" for number, label in enumerate(labels, 1))
    if row.isdigit():
        if not 1 <= int(row) <= len(labels):
            raise InputError(f"{path} has rows 1 to {len(labels)}, not {row}: {listed}")
        return int(row) - 1
    words = row.replace(",", " ").split()
    found = [number for number, label in enumerate(labels) if set(words) <= set(label.split())]
    if len(found) != 1:
        raise InputError(f"{path}: {len(found)} rows have the words {row!r}, give one of: {listed}")
    return found[0]


def _tidy(name: str, recipe: Table, path: Path) -> tuple[pd.DataFrame, Path]:
    """A tidy table that a table at `path` was made of, with the folder of each cell; its file."""
    results = path.parents[1]
    cells = _read(results / "cells.csv")
    file = results / "cells.csv"
    if name == "cells":
        return marked(cells), file
    if name == "scores":
        return _with_ratio(significance.scores(cells)).rename(
            columns={"score": "f1_weighted"}
        ), file
    what = name.removeprefix("scores of ")
    if name == "packed":
        file = results / "packed.csv"
    else:
        file = measurements(path.parent / recipe.record) / f"{what}.csv"
    measured = _read(file)
    if what == name:
        frame = marked(measured).drop(columns="cell", errors="ignore")
    elif what == "latency":
        frame = _with_ratio(significance.cell_latencies(measured, cells))
    else:
        used = (measured["runtime"] == "packed") & (measured["per"] == "inference")
        frame = _with_ratio(significance.with_cells(measured[used], cells, "energy_j"))
    about = marked(cells)[[*IDENTITY, "cell", "embeddings_sha256"]]
    frame = frame.astype({"seed": "Int64"})  # runtimes that are of no cell have none
    return frame.merge(about, on=IDENTITY, how="left"), file


def _with_ratio(scores: pd.DataFrame) -> pd.DataFrame:
    return scores.assign(**{"n_test / n_train": scores["n_test"] / scores["n_train"]})


def measurements(record: Path) -> Path:
    """The folder that a record of `provenance.write` names."""
    try:
        folder = json.loads(record.read_text(encoding="utf-8"))["measurements"]
    except (FileNotFoundError, KeyError):
        raise InputError(
            f"{record} does not name the measurements of the tables beside it: remove the tables, "
            "`snakemake` makes them anew"
        ) from None
    return Path(os.path.normpath(record.parent / folder))


def _own(
    tidy: pd.DataFrame, group: Group, row: "pd.Series[Any]", recipe: Table, match: re.Match[str]
) -> pd.DataFrame:
    return _where(tidy, _wanted(tidy, group, row, recipe, match))


def _wanted(
    tidy: pd.DataFrame, group: Group, row: "pd.Series[Any]", recipe: Table, match: re.Match[str]
) -> dict[str, Any]:
    """What the columns of a tidy table must be in the rows of a group."""
    keys = {key: key for key in recipe.keys} if group.keys is None else group.keys
    wanted = {key: row[name] for key, name in keys.items() if key in tidy and name in row}
    wanted |= {key: value for key, value in match.groupdict().items() if key in tidy}
    return wanted | {key: match.expand(value) for key, value in group.where.items()}


def _where(tidy: pd.DataFrame, wanted: dict[str, Any]) -> pd.DataFrame:
    own = tidy
    for key, value in wanted.items():
        if pd.api.types.is_numeric_dtype(own[key]):
            value = float(value)  # of a heading it is text
        own = own[own[key].isna() if pd.isna(value) else own[key] == value]
    return own


def _cells(own: pd.DataFrame, source: str) -> list[dict[str, Any]]:
    """The values by cell, in the order in which the cells first come."""
    known = [name for name in ("cell", *IDENTITY, "baseline") if name in own]
    own = own.assign(position=range(len(own)))
    found, lists = [], own.duplicated(known).any()
    for _, rows in own.groupby(known, sort=False, dropna=False):
        entry = {name: _plain(rows[name].iloc[0]) for name in known}
        values = [_plain(value) for value in rows[source]]
        entry |= {"value": values if lists else values[0]}
        found.append(entry | ({"position": rows["position"].tolist()} if lists else {}))
    ordered = [place for entry in found for place in entry.get("position", [])]
    for entry in found:
        if ordered == sorted(ordered):
            entry.pop("position", None)
        if entry.get("cell"):
            entry["predictions"] = f"{entry['cell']}/predictions.parquet"
    return found


def _plain(value: Any) -> Any:
    """As JSON holds it: whole numbers without a fraction, None where there is nothing."""
    value = value.item() if hasattr(value, "item") else value
    return None if pd.isna(value) else value


def _spec(experiment: Path) -> dict[str, Any]:
    path = experiment / "spec.json"
    try:
        spec: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is not here: `qmoe plan` writes it") from None
    return spec


def _experiments(owns: list[pd.DataFrame]) -> list[dict[str, Any]]:
    with_cell = [own.dropna(subset="cell") for own in owns if "cell" in own]
    return experiments(pd.concat(with_cell).drop_duplicates("cell")) if with_cell else []


def experiments(cells: pd.DataFrame) -> list[dict[str, Any]]:
    """Folder, specification, data, commands of each experiment of the cells, see `Explanation`.

    Raises:
        InputError: a specification is not on disk.

    """
    found: list[dict[str, Any]] = []
    here = read_run(Path("results/run.json")).training_source
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


def made_by(steps: Sequence[str], aggregation: str, arguments: Mapping[str, Any], part: str) -> str:
    """How a number was made, in words."""
    given = "".join(f"; {name} = {value!r}" for name, value in arguments.items())
    return ", ".join([*steps, aggregation]) + given + (f"; its {part}" if part else "")


def explanation_markdown(explanation: Explanation) -> str:
    """The explanation for people."""
    arm = " ".join(str(value) for value in explanation.keys.values() if value is not None)
    where = f"{explanation.table}, row {explanation.row}" if explanation.table else "cell"
    code = explanation.code
    commit = f"commit {code['commit']}" if code["commit"] else "no git commit"
    made = made_by(
        explanation.steps, explanation.aggregation, explanation.arguments, explanation.part
    )
    lines = [
        f"# {explanation.column} = {explanation.value!r}",
        "",
        f"{where}: {arm}",
        "",
        f"Made by: {made}.",
    ]
    for number, group in enumerate(explanation.groups, 1):
        cells = pd.DataFrame(group["cells"]).drop(columns="predictions", errors="ignore")
        shown = cells[[name for name in cells if name != "cell"] + ["cell"] * ("cell" in cells)]
        lines += [
            "",
            f"Group {number}: `{group['source']}` of {group['file']}",
            "",
            str(shown.astype({"value": object}).to_markdown(index=False, disable_numparse=True)),
        ]
    lines += [
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
