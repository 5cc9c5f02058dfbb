"""The contract as Markdown, for the documentation."""

from collections.abc import Iterable
from typing import Any

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


def markdown() -> str:
    """Return a section for each file of the contract, with a table of its columns or keys."""
    parts = [
        *(part for table in TABLES for part in _of_table(table)),
        *_of_record(f"`run.json`: {run.Run.__name__}", run.Run, "## "),
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
    unique = [f"Different in every row, taken together: {key}."] if key else []
    return [f"## `{table.file}`", table.holds, *unique, _grid(headings, rows)]


def _if_lacking(column: Column) -> str:
    if isinstance(column.default, Lacking):
        return column.default.value
    if isinstance(column.default, SameAs):
        return f"the same as `{column.default.column}`"
    return "empty" if column.default != column.default else f"`{column.default}`"


def _of_record(title: str, model: type[BaseModel], level: str) -> list[str]:
    rows = [
        (f"`{name}`", _type(f.annotation), f.description or "", "yes" if f.is_required() else "")
        for name, f in model.model_fields.items()
    ]
    about = " ".join((model.__doc__ or "").split())
    return [level + title, about, _grid(("key", "type", "meaning", "required"), rows)]


def _type(annotation: Any) -> str:
    """Write a type of Python as code, without the names of modules."""
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    for module in ("typing.", *(f"{m.__name__}." for m in (run, records))):
        text = text.replace(module, "")
    return f"`{text}`".replace("|", "or")


def _grid(headings: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [headings, tuple("---" for _ in headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
