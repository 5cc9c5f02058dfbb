"""The contract as Markdown, for the documentation."""

from collections.abc import Sequence
from types import NoneType
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from referee.contract import columns, records, run
from referee.contract.columns import Column, Lacking, SameAs, TableFile

TABLES = (
    columns.scores_of("score", "score"),
    columns.PACKED_MODELS,
    *columns.MEASUREMENTS.values(),
    columns.PREDICTIONS,
    columns.history_of("score", "score"),
    columns.SIGNIFICANCE,
)
RUN = (run.RunExperiment, run.RuleEffect, run.DatasetFacts, run.ClassClips, run.SplitFacts)

WORDS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "boolean",
    NoneType: "null",
    Any: "anything",
}


def markdown() -> str:
    """Return a section for each file of the contract, with a table of its columns or keys."""
    parts = [
        *(part for table in TABLES for part in _of_table(table)),
        *_of_record("`run.json`", run.Run, "## "),
        *(part for model in RUN for part in _of_record(f"`{model.__name__}`", model, "### ")),
        *_of_record("`audit.json`, a list of these", records.Finding, "## "),
        *_of_record("`claims.json`, a list of these", records.ClaimRecord, "## "),
        *_of_record("`ClaimEvidence`", records.ClaimEvidence, "### "),
    ]
    return "\n\n".join(parts) + "\n"


def _of_table(table: TableFile) -> list[str]:
    key = ", ".join(f"`{name}`" for name in table.key)
    rows = [
        (f"`{c.name}`", c.kind, c.meaning, _if_lacking(c), "yes" if c.may_be_empty else "")
        for c in table.columns
    ]
    headings = ("column", "kind", "meaning", "if the column is missing", "may be empty")
    unique = [f"Key, which no two rows share: {key}."] if key else []
    return [f"## `{table.file}`", table.holds, *unique, _grid(headings, rows)]


def _if_lacking(column: Column) -> str:
    if isinstance(column.default, Lacking):
        return column.default.value
    if isinstance(column.default, SameAs):
        return f"the same as `{column.default.column}`"
    return "empty" if column.default != column.default else f"`{column.default}`"


def _of_record(title: str, model: type[BaseModel], level: str) -> list[str]:
    rows = [
        (f"`{name}`", _type(f.annotation), f.description, "yes" if f.is_required() else "")
        for name, f in model.model_fields.items()
    ]
    about = " ".join((model.__doc__ or "").split())
    return [level + title, about, _grid(("key", "type", "meaning", "required"), rows)]


def _type(annotation: Any) -> str:
    """Say in words what type a value has in JSON."""
    if annotation in WORDS:
        return WORDS[annotation]
    inner = [_type(part) for part in get_args(annotation) if part is not ...]
    origin = get_origin(annotation)
    if origin is tuple:
        return f"list of {inner[0]}" + ("" if inner[0].endswith("`") else "s")
    if origin is dict:
        return "object" if inner[-1] == "anything" else f"object of {inner[-1]}"
    if origin is not None:  # one of several values or types
        return " or ".join(inner)
    return f"`{annotation if isinstance(annotation, str) else annotation.__name__}`"


def _grid(headings: Sequence[str], rows: Sequence[Sequence[str | None]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(map(str, cells))} |" for cells in lines)
