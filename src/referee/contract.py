"""The contract: every file that referee reads, what its columns hold, and how they are checked.

Whoever writes these files, by whatever program, can have them judged. A column that has a default
may be left out; other columns than these are kept and ignored.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from referee.errors import InputError
from referee.paper import Paper

PACKED = "packed"  # the runtime of the models that were trained; other runtimes are baselines
NO_RULE = "none"  # the strategy of an arm whose model no rule varies
INFERENCE = "inference"  # what an energy is of, beside a training epoch
WHAT = ("latency", "energy", "memory")  # measurements, each a table of its own


class Required:
    """In the place of a default: the column must be there."""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its heading.
        kind: of its values.
        meaning: what it holds, for the documentation; a unit where it has one.
        default: of a table that lacks it: a value, or the name of another column in braces.

    """

    name: str
    kind: Literal["text", "number", "boolean"]
    meaning: str
    default: Any = Required


IDENTITY = ("dataset", "protocol", "arm", "seed", "fold")  # of a cell, in every table

_ARM = (
    Column("dataset", "text", "name of the dataset"),
    Column("synthetic", "boolean", "whether its data are made up", False),
    Column("protocol", "text", "how folds were made and training was stopped", "{decides}"),
    Column("arm", "text", "what is compared: a name of model, strategy and strength"),
    Column("model", "text", "the model of the arm, as the paper calls it", "{arm}"),
    Column(
        "strategy", "text", f"rule that varies the model; `{NO_RULE}` where there is none", NO_RULE
    ),
    Column("alpha", "number", "strength of the rule; empty without one", np.nan),
    Column("experts", "text", "networks of the model, joined by `+`", "{model}"),
    Column("seed", "number", "seed of the training"),
    Column("fold", "number", "number of the fold that is scored, from 0"),
)
SCORES = _ARM  # and the column that the paper names as its score
PACKED_MODELS = (
    *_ARM,
    Column("disk_bytes", "number", "bytes of all files of the model"),
    Column("resident_bytes", "number", "bytes of the weights in memory"),
    Column("published_bytes", "number", "bytes as the paper counts them, on paper"),
)
MEASUREMENTS: Mapping[str, Sequence[Column]] = {
    "latency": (
        *_ARM,
        Column("runtime", "text", f"what ran the model: `{PACKED}`, or a baseline"),
        Column("batch_size", "number", "clips in a call"),
        Column("repeat", "number", "number of the call, from 0"),
        Column("latency_ms", "number", "wall time of the call, ms"),
    ),
    "energy": (
        *_ARM,
        Column("runtime", "text", f"what ran the model: `{PACKED}`, or a baseline"),
        Column("per", "text", f"`{INFERENCE}` or `training epoch`"),
        Column("batch_size", "number", "clips in a call"),
        Column("energy_j", "number", "energy of a clip or epoch, J; empty below the resolution"),
        Column("carbon_g", "number", "CO2 of it, g"),
    ),
    "memory": (
        *_ARM,
        Column("peak_rss_bytes", "number", "high-water mark of a process with the model, bytes"),
    ),
}


def read_table(path: Path, columns: Sequence[Column], decides: str = "") -> pd.DataFrame:
    """Read a CSV file of the contract; columns that it may lack are filled in.

    Args:
        path: the file.
        columns: what it must have, or may.
        decides: the protocol of a table that names none.

    Raises:
        InputError: the file or a column is missing, or a number is no number.

    """
    try:
        frame = pd.read_csv(path)
    except FileNotFoundError:
        raise InputError(f"{path} is not here: `snakemake -j1 {path}` makes it") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as CSV: {error}") from None
    lacking = [c.name for c in columns if c.default is Required and c.name not in frame]
    if lacking:
        raise InputError(f"{path} has no column {', '.join(lacking)}")
    for column in columns:
        if column.name not in frame:
            frame[column.name] = _default(column, frame, decides)
        if column.kind == "number" and not pd.api.types.is_numeric_dtype(frame[column.name]):
            words = pd.to_numeric(frame[column.name], errors="coerce").isna()
            raise InputError(
                f"{path}, column {column.name}: {frame.loc[words, column.name].iloc[0]!r} is no "
                "number"
            )
    return frame


def _default(column: Column, frame: pd.DataFrame, decides: str) -> Any:
    if column.default == "{decides}":
        return decides
    if isinstance(column.default, str) and column.default.startswith("{"):
        return frame[column.default.strip("{}")]
    return column.default


def read_scores(path: Path, paper: Paper) -> pd.DataFrame:
    """Read the tidy table of scores: a row a cell, `score` beside the paper's own column.

    `n_train` are the clips that training could see, where the table tells: also those that
    stopped it, unless they are the test clips, whose score is then the stopping score in most
    cells (not after post-training quantisation).

    Raises:
        InputError: the table is not as the contract says.

    """
    frame = read_table(path, SCORES, paper.decides)
    column = paper.score.column
    if column not in frame:
        raise InputError(f"{path} has no column {column}, the score of this paper")
    return scored(frame, column)


def scored(cells: pd.DataFrame, column: str) -> pd.DataFrame:
    """The cells with `score`, and with `n_train` where it can be told, see `read_scores`."""
    frame = cells.assign(score=cells[column])
    if {"n_fit", "n_stop", "n_test"} <= set(frame) and f"stop_{column}" in frame:
        same = (frame["n_stop"] == frame["n_test"]) & (frame[f"stop_{column}"] == frame["score"])
        on_test = same.groupby([frame["dataset"], frame["protocol"]]).transform("mean") > 0.5
        frame = frame.assign(n_train=frame["n_fit"] + frame["n_stop"].where(~on_test, 0))
    return frame


def is_mixture(arms: pd.DataFrame) -> "pd.Series[bool]":
    """Which rows are of a mixture of several experts."""
    return arms["experts"].str.contains("+", regex=False)


@dataclass(frozen=True)
class Measured:
    """The measurements of a run; None what was not measured.

    `machines` holds the description of the machine behind each, `latency.json` and so on.
    """

    latency: pd.DataFrame | None = None
    energy: pd.DataFrame | None = None
    memory: pd.DataFrame | None = None
    machines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def processors(self) -> dict[str, str]:
        """The processor behind each measurement; on a cluster they may differ."""
        return {what: str(about["processor"]) for what, about in self.machines.items()}


def read_measurements(folder: Path | None, paper: Paper) -> Measured:
    """Read the measurements in a folder; those that are not there are None."""
    files = {what: folder / f"{what}.csv" for what in WHAT} if folder else {}
    tables = {
        what: read_table(file, MEASUREMENTS[what], paper.decides)
        for what, file in files.items()
        if file.exists()
    }
    machines = {
        what: json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        for what, file in files.items()
        if file.with_suffix(".json").exists()
    }
    return Measured(**tables, machines=machines)


def of_packed(measured: pd.DataFrame) -> pd.DataFrame:
    """The rows of a measurement that are of packed models, and of an inference."""
    rows = measured["runtime"] == PACKED
    return measured[rows & (measured["per"] == INFERENCE) if "per" in measured else rows]


def read_predictions(cell: Path) -> pd.DataFrame:
    """Read the predictions of a cell: a row a test clip.

    Columns: clip, recording, label and prediction (numbers of classes), p_0, p_1, ... (class
    probabilities), and of mixtures expert, gate (its routing probability) and uncertainty (empty
    where the router has none).

    Raises:
        InputError: the file is not there.

    """
    path = cell / "predictions.parquet"
    if not path.exists():
        raise InputError(
            f"{path} is not here: `snakemake -j8 cells` makes it, `dvc pull` brings it"
        )
    return pd.read_parquet(path)


class Run(BaseModel):
    """`run.json`: what only the method can tell of a run, written by `qmoe describe`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    grid: str  # key of all that was run
    params: dict[str, Any]  # the configuration
    training_source: str  # key of the code that trains, as it is here


def read_run(path: Path) -> Run:
    """Read `run.json`.

    Raises:
        InputError: the file is missing or not as the contract says.

    """
    try:
        return Run.model_validate_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is not here: `qmoe describe {path}` writes it") from None
    except ValidationError as error:
        raise InputError(f"{path}: {error.errors()[0]['msg']}") from None
