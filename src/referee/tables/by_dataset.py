"""Table of scores across datasets: a row a protocol and arm."""

from typing import Any

import pandas as pd

from referee.paper import Paper
from referee.paper.tables import TableLayout
from referee.sheet import Call, Tidy, Values
from referee.tables.definition import ARM, Definition
from referee.tables.tidy import CELLS
from referee.values import average_over_datasets, mean_and_deviation


def of_arm(source: str, tidy: str = CELLS) -> Values:
    """Values of an arm on all datasets."""
    return Values(source, tidy, {name: name for name in ARM})


def averages(paper: Paper, cells: pd.DataFrame) -> Call:
    """The score on average over the datasets of some cells."""
    datasets = " ".join(cells["dataset"].unique())
    return Call(average_over_datasets, (of_arm(paper.score.column),), given={"datasets": datasets})


def scores(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Scores on each dataset, and on average over the datasets."""
    cells, name = tidy.need(CELLS), paper.score.name
    average, columns = averages(paper, cells), dict[str, Any]()
    for dataset in cells["dataset"].unique():
        values = Values(paper.score.column, CELLS, of_arm("").keys, {"dataset": dataset})
        call = Call(mean_and_deviation, (values,))
        columns |= {f"{dataset}_n": call["n"], f"{dataset}_{name}_mean": call["mean"]}
        columns |= {f"{dataset}_{name}_std": call["std"]}
    columns |= {f"avg_{name}_mean": average["mean"], f"avg_{name}_std": average["std"]}
    return Definition(ARM, CELLS, columns)
