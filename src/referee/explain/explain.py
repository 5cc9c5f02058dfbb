"""One number of a table, every value that it was made of, and the same number from them."""

import json
import pydoc
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from records.record import require_whole
from referee.contract import IDENTITY, read_run
from referee.errors import InputError
from referee.explain.written_table import WrittenTable, in_words, layout_of
from referee.paper import Paper
from referee.stats.compare import KEYS
from referee.tables.aggregates import same
from referee.tables.sheet import Formula, key, part_of, path

TRAINED_BY = {
    True: "the code that is here",
    False: "OTHER code than that which is here",
    None: "code of which it cannot be told whether it is that which is here (there is no run.json)",
}


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """All that stands behind one number, as JSON can hold it.

    A group of values that belong together has a `source` (a column), a `file` and `cells`: for
    each its folder (`cell`), dataset, arm, seed, fold and `value`, which is a list where a cell
    was measured repeatedly (with its `position` in the group where cells took turns).
    """

    table: str = ""  # its file
    row: int = 1  # from 1
    keys: dict[str, Any]  # what tells the row apart from others
    column: str
    value: float
    groups: list[dict[str, Any]]
    steps: list[str] = field(default_factory=list)  # paths of functions that the groups go through
    aggregation: str  # path of the function that takes them
    arguments: dict[str, Any] = field(default_factory=dict)  # further ones of that function
    part: str = ""  # attribute or key of the number in what it returns; empty for all of it
    experiments: list[dict[str, Any]]  # see `experiments`
    code: dict[str, Any]  # see `code`


def function_at(where: str) -> Callable[..., Any]:
    """The function of a path."""
    function: Any = pydoc.locate(where)
    return function


def recompute(explanation: Explanation) -> float:
    """The number, from the values that the explanation lists."""
    groups = [_values(group["cells"]) for group in explanation.groups]
    for step in explanation.steps:
        groups = function_at(step)(groups)
    result = function_at(explanation.aggregation)(*groups, **explanation.arguments)
    number: float = key(part_of(result, explanation.part))
    return number


def _values(cells: list[dict[str, Any]]) -> Any:
    rows = pd.DataFrame(cells).reindex(columns=[*KEYS, "value", "position"])
    lists = [name for name in ("value", "position") if isinstance(cells[0].get(name), list)]
    rows = rows.explode(lists) if lists else rows
    rows = rows.sort_values("position", kind="stable")
    return rows.set_index(KEYS)["value"].infer_objects()


def explain(
    table: str | Path, row: str, column: str, paper: Paper, training_source: str | None = None
) -> Explanation:
    """What made a number.

    The table is a CSV file, or its name in results/tables or results/significance; the row is its
    number, from 1, or words that only the keys of this row contain. `training_source` is the key
    of the training code that is here; None reads it from the run. Raises InputError where table,
    row or column do not exist (those that do are named), the number is not there, or it is not
    what its cells make: the table is older than they are.
    """
    file = Path(table)
    if file.suffix != ".csv":
        file = Path("results") / layout_of(file, paper).folder / f"{table}.csv"
    written = WrittenTable(file, paper)
    at, (call, part) = _place(written, row, column)
    value, sheet = written.frame[column].iloc[at], written.sheet
    if pd.isna(value):
        raise InputError(
            f"{written.path}, row {at + 1}: {column} is empty; an arm without cells, or without "
            "two to differ, has no number there"
        )
    files = [written.file(group) for group in call.values]
    chosen = [sheet.selection(at, group) for group in call.values]
    rows = [written.rows(s[0]).iloc[sheet.positions(s)] for s in chosen]
    explanation = Explanation(
        table=written.path.as_posix(),
        row=at + 1,
        keys={name: key(written.frame[name].iloc[at]) for name in written.keys},
        column=column,
        value=key(value),
        groups=[
            {"source": group.source, "file": file, "cells": _cells(cells, group.source)}
            for group, file, cells in zip(call.values, files, rows, strict=True)
        ],
        steps=[path(step) for step in call.steps],
        aggregation=path(call.function),
        arguments={name: key(v) for name, v in sheet.arguments(at, call).items()},
        part=part,
        experiments=_experiments(rows, training_source or training_source_of(written.path)),
        code=code(),
    )
    number = recompute(explanation) if all(map(len, rows)) else None
    if number != explanation.value:
        raise InputError(
            f"{explanation.table} says {explanation.value!r}, the cells {number!r}: the table is "
            f"not of these cells; `snakemake -j1 {explanation.table}` makes it anew"
        )
    return explanation


def _place(written: WrittenTable, row: str, column: str) -> tuple[int, Formula]:
    """The row from 0, and how its number in the column is made."""
    frame = written.frame
    if column not in frame:
        names = ", ".join(frame.columns)
        raise InputError(f"{written.path} has no column {column!r}; it has: {names}")
    at = _row(frame[written.keys], row, written.path)
    made = written.column(at, column)
    if made is None:
        known = [name for name in frame if written.column(at, name)]
        raise InputError(
            f"column {column!r} holds no number to explain; these do: {', '.join(known)}"
        )
    return at, made


def _row(keys: pd.DataFrame, row: str, where: Path) -> int:
    labels = [
        " ".join(str(key) for key in row_keys if pd.notna(key)) for row_keys in keys.to_numpy()
    ]
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
    grouped = rows.assign(position=range(len(rows))).groupby(known, sort=False, dropna=False)
    repeated = bool(rows.duplicated(known).any())
    in_turns = repeated and not grouped.ngroup().is_monotonic_increasing
    entries = []
    for _, one in grouped:
        values = [key(value) for value in one[source]]
        entry = {name: key(one[name].iloc[0]) for name in known}
        entry["value"] = values if repeated else values[0]
        if in_turns:
            entry["position"] = one["position"].tolist()
        if entry.get("cell"):
            entry["predictions"] = f"{entry['cell']}/predictions.parquet"
        entries.append(entry)
    return entries


def _experiments(groups: list[pd.DataFrame], source: str | None) -> list[dict[str, Any]]:
    cells = [rows.dropna(subset="cell") for rows in groups if "cell" in rows]
    return experiments(pd.concat(cells).drop_duplicates("cell"), source) if cells else []


def explain_cell(folder: Path, paper: Paper, training_source: str | None = None) -> Explanation:
    """What made a cell: the explanation of its score.

    The paper names the score; without `training_source`, the key of the training code that is
    here, the run tells it. Raises InputError where the folder is not a finished cell.
    """
    try:
        require_whole(folder / "scores.json")
        scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{folder} is not a cell: it has no scores.json") from None
    spec, name, where = spec_of(folder.parent), paper.score.column, folder.as_posix()
    dataset = Path(spec["embeddings"]).stem.rpartition("-")[0]
    fold = int(folder.name.removeprefix("fold"))
    cell = {"cell": where, "seed": spec["seed"], "fold": fold, "dataset": dataset}
    value = {"value": scores[name], "predictions": f"{where}/predictions.parquet"}
    source = training_source or training_source_of(folder)
    return Explanation(
        keys=cell,
        column=name,
        value=scores[name],
        groups=[{"source": name, "file": f"{where}/scores.json", "cells": [cell | value]}],
        aggregation=path(same),
        experiments=_experiments([pd.DataFrame([scores | cell])], source),
        code=code(),
    )


def markdown(explanation: Explanation) -> str:
    """The explanation as Markdown."""
    arm = " ".join(str(value) for value in explanation.keys.values() if value is not None)
    where = f"{explanation.table}, row {explanation.row}" if explanation.table else "cell"
    steps = map(function_at, explanation.steps)
    function = function_at(explanation.aggregation)
    made = in_words(steps, function, explanation.arguments, explanation.part)
    heading = f"# {explanation.column} = {explanation.value!r}"
    lines = [heading, "", f"{where}: {arm}", "", f"Made by: {made}."]
    for number, group in enumerate(explanation.groups, 1):
        cells = pd.DataFrame(group["cells"]).drop(columns="predictions", errors="ignore")
        shown = cells[[name for name in cells if name != "cell"] + ["cell"] * ("cell" in cells)]
        table = shown.astype({"value": object}).to_markdown(index=False, disable_numparse=True)
        lines += ["", f"Group {number}: `{group['source']}` of {group['file']}", "", str(table)]
    commit = explanation.code["commit"]
    changed = ", with files changed since" if explanation.code["dirty"] else ""
    lines += ["", f"Code here: {f'commit {commit}' if commit else 'no git commit'}{changed}."]
    return "\n".join(lines) + "\n" + "".join(map(_experiment, explanation.experiments))


def _experiment(experiment: dict[str, Any]) -> str:
    spec = experiment["spec"]
    trained_by = TRAINED_BY[experiment["same_training_code"]]
    versions = ", ".join(f"{name} {version}" for name, version in spec["versions"].items())
    commands = "\n".join(experiment["commands"])
    return f"""
## {experiment["folder"]}

- data: {spec["embeddings"]}, SHA-256 {experiment["embeddings_sha256"]}
- trained by {trained_by} (source key {spec["source"]}), {versions}
- this trains its cells again, into a folder of their own, to compare them with these:

```
{commands}
```

```json
{json.dumps(spec, indent=1, sort_keys=True)}
```
"""


def spec_of(experiment: Path) -> dict[str, Any]:
    """The specification of an experiment; raises InputError where it is not on disk."""
    path = experiment / "spec.json"
    try:
        require_whole(path)
        spec: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is not here: `snakemake -j8 cells` writes it") from None
    return spec


def training_source_of(inside: Path) -> str | None:
    """The key of the training code in the `run.json` above a file or folder; None without one."""
    runs = (folder / "run.json" for folder in inside.parents)
    run = next((path for path in runs if path.exists()), None)
    return None if run is None else read_run(run).training_source


def experiments(cells: pd.DataFrame, source: str | None) -> list[dict[str, Any]]:
    """The experiments of some cells, which have `cell`, `fold` and `embeddings_sha256`.

    `source` is the key of the training code that is here, None where it cannot be told. Returns
    for each experiment its folder, specification (`spec`), the hash of its embeddings, whether the
    training code here is that of the cells (`same_training_code`, None where it cannot be told),
    and the commands that make its cells. Raises InputError where a specification is not on disk.
    """
    made = list[dict[str, Any]]()
    folders = cells["cell"].map(lambda cell: Path(cell).parent.as_posix())
    for folder, rows in cells.groupby(folders, sort=False):
        spec = spec_of(Path(folder))
        folds = ",".join(map(str, sorted(rows["fold"])))
        train = f"qmoe train {folder}/spec.json --folds {folds} --into trained_again"
        made.append(
            {
                "folder": folder,
                "spec": spec,
                "embeddings_sha256": rows["embeddings_sha256"].iloc[0],
                "same_training_code": None if source is None else spec["source"] == source,
                "commands": [train],
            }
        )
    return made


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
