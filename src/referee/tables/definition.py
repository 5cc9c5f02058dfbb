"""What a kind of table is: its rows, and how each of its columns is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from referee.sheet import Call, Columns, Formula, Row, Sheet, Tidy, Values, key
from referee.stats.comparison import OVER_DATASETS
from referee.values import same

ARM = ("protocol", "model", "strategy", "alpha")
ROW = ("dataset", *ARM)


@dataclass(frozen=True)
class Definition:
    """A table.

    Attributes:
        keys: labels that tell rows apart; they are the first columns.
        tidy: the tidy table whose rows have these labels.
        columns: the other columns, in their order; constants stand in every row.
        over: the columns of a row that is a mean over datasets, where there are such rows.

    """

    keys: tuple[str, ...]
    tidy: str
    columns: Columns
    over: Columns = field(default_factory=dict)

    def columns_of(self, labels: Mapping[str, Any]) -> Columns:
        """The columns of a row."""
        return self.over if self.over and labels["dataset"] == OVER_DATASETS else self.columns

    def label(self, name: str) -> Formula:
        """The column of a label, which the rows of the tidy table share."""
        names = ("protocol", "arm", "batch_size") if "arm" in self.keys else self.keys
        return Call(same, (Values(name, self.tidy, {key: key for key in names}),))[""]


def batch_sizes(tidy: Tidy, name: str) -> list[int]:
    """The batch sizes in a tidy table, in their order; none where there is no such table."""
    frame = tidy.frame(name)
    return [] if frame is None else [key(size) for size in frame["batch_size"].unique()]


def built(definition: Definition, tidy: Tidy, chosen: pd.DataFrame | None = None) -> pd.DataFrame:
    """The table, with a row for each combination of the keys.

    Args:
        definition: what it is.
        tidy: the tidy tables.
        chosen: rows of the tidy table to take; None takes all.

    """
    frame = tidy.frame(definition.tidy) if chosen is None else chosen
    assert frame is not None
    labels = frame[list(definition.keys)].drop_duplicates()
    columns = tidy.possible(definition.columns)
    rows = [Row(row, columns) for row in labels.to_dict("records")]
    return Sheet(rows, tidy).frame([*definition.keys, *columns])
