"""What a kind of table is: its rows, and how each of its columns is made."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from referee.tables.aggregates import same
from referee.tables.comparison import OVER_DATASETS
from referee.tables.sheet import Call, Columns, Formula, Sheet, Tidy, Values, possible

ARM = ("protocol", "model", "strategy", "alpha")
ROW = ("dataset", *ARM)


@dataclass(frozen=True)
class Definition:
    """A table."""

    keys: tuple[str, ...]  # labels that tell rows apart; they are the first columns
    tidy: str  # the tidy table whose rows have these labels
    columns: Columns  # the other columns, in their order
    over: Columns = field(default_factory=dict)  # of rows that are means over datasets, if any

    def columns_of(self, labels: Mapping[str, Any]) -> Columns:
        """The columns of a row."""
        return self.over if self.over and labels["dataset"] == OVER_DATASETS else self.columns

    def label(self, name: str) -> Formula:
        """The column of a label, which the rows of the tidy table share."""
        names = ("protocol", "arm", "batch_size") if "arm" in self.keys else self.keys
        return Call(same, (Values(name, self.tidy, names),))[""]


def built(definition: Definition, tidy: Tidy, chosen: pd.DataFrame) -> pd.DataFrame:
    """The table, with a row for each combination of the keys in the chosen rows."""
    columns = possible(definition.columns, tidy)
    labels = chosen[list(definition.keys)].drop_duplicates().to_dict("records")
    rows = [{**columns, **row} for row in labels]
    return Sheet(rows, tidy).frame([*definition.keys, *columns])
