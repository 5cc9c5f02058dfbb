"""The tables of the contract, as `tables.yaml` describes them."""

from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Literal

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


_TEXT = files("referee.contract").joinpath("tables.yaml").read_text(encoding="utf-8")
TABLES = TypeAdapter(dict[str, TableFile]).validate_python(yaml.safe_load(_TEXT)["tables"])
PACKED_MODELS = TABLES["packed.csv"]
WHAT = ("latency", "energy", "memory")  # what is measured, each in a table of its own
MEASUREMENTS = {what: TABLES[f"{what}.csv"] for what in WHAT}
