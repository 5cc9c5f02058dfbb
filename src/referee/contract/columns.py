"""What `tables.yaml` and `records.yaml` describe: the tables, and all of it as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Literal

import pandas as pd
import yaml
from pydantic import TypeAdapter

PACKED = "packed"  # the runtime of the models that were trained; other runtimes are baselines
INFERENCE = "inference"  # the energy of one clip, as opposed to that of a training epoch
NO_RULE = "none"  # the strategy of an arm whose model no rule varies
IDENTITY = ("dataset", "protocol", "arm", "seed", "fold")  # these name a cell, in every table


@dataclass(frozen=True)
class Column:
    """A column of a table: what it holds, and what stands in for it where it is missing."""

    kind: Literal["text", "number", "boolean"]
    meaning: str
    default: Any = None
    same_as: str = ""
    optional: bool = False
    may_be_empty: bool = False

    @property
    def required(self) -> bool:
        """Whether a table without the column is refused."""
        return not (self.optional or self.same_as) and self.default is None


@dataclass(frozen=True)
class TableFile:
    """A file with a table: what a row is, the columns by name, and those that name a row."""

    holds: str
    columns: dict[str, Column]
    key: tuple[str, ...] = ()

    def scored_by(self, score: str) -> "TableFile":
        """Return the table with the paper's heading of its score in place of `score`."""
        headings = {"score": score, "stop_score": f"stop_{score}"}
        return replace(self, columns={headings.get(n, n): c for n, c in self.columns.items()})


def _described(file: str) -> dict[str, Any]:
    content = files("referee.contract").joinpath(file).read_text(encoding="utf-8")
    return dict(yaml.safe_load(content))


TABLES = TypeAdapter(dict[str, TableFile]).validate_python(_described("tables.yaml")["tables"])
PACKED_MODELS = TABLES["packed.csv"]
WHAT = ("latency", "energy", "memory")  # what is measured, each in a table of its own


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
    for name, record in _described("records.yaml").items():
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
