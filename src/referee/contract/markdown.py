"""The contract as Markdown, for the documentation."""

from collections.abc import Sequence
from importlib.resources import files

import pandas as pd
import yaml

from referee.contract.columns import TABLES, Column


def markdown() -> str:
    """Return a section for each file of the contract, with a table of its columns or keys."""
    yes = {True: "yes", False: ""}
    parts: list[str] = []
    for file, table in TABLES.items():
        key = ", ".join(f"`{name}`" for name in table.key)
        parts += [f"## `{file}`", table.holds]
        parts += [f"Key, which no two rows share: {key}."] if key else []
        rows = [
            (f"`{name}`", c.kind, c.meaning, _if_missing(c), yes[c.optional or c.may_be_empty])
            for name, c in table.columns.items()
        ]
        headings = ("column", "kind", "meaning", "if the column is missing", "may be empty")
        parts.append(_grid(headings, rows))
    text = files("referee.contract").joinpath("records.yaml").read_text(encoding="utf-8")
    for name, record in yaml.safe_load(text).items():
        parts += [f"{'##' if name.endswith('.json') else '###'} `{name}`", record["holds"]]
        keys = [
            (f"`{key}`", about["type"], about["meaning"], yes["optional" not in about])
            for key, about in record["keys"].items()
        ]
        parts.append(_grid(("key", "type", "meaning", "required"), keys))
    return "\n\n".join(parts) + "\n"


def _if_missing(column: Column) -> str:
    if column.required:
        return "the table is refused"
    if column.optional:
        return "what needs the column is left out"
    if column.same_as:
        decides = column.same_as == "decides"
        return "the protocol that decides" if decides else f"the same as `{column.same_as}`"
    return "empty" if pd.isna(column.default) else f"`{column.default}`"


def _grid(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
