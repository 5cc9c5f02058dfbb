"""The tables of the contract: what their columns hold, and what stands in for a missing column."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal

import numpy as np

PACKED = "packed"  # the runtime of the models that were trained; other runtimes are baselines
INFERENCE = "inference"  # the energy of one clip, as opposed to that of a training epoch
NO_RULE = "none"  # the strategy of an arm whose model no rule varies
IDENTITY = ("dataset", "protocol", "arm", "seed", "fold")  # these name a cell, in every table


class Lacking(Enum):
    """What happens where a table lacks a column that has no plain default."""

    REFUSED = "the table is refused"
    LEFT_OUT = "what needs the column is left out"
    DECIDING = "the protocol that decides"


@dataclass(frozen=True)
class SameAs:
    """A default: the values of another column of the same row."""

    column: str


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: its heading.
        kind: of its values.
        meaning: what it holds, with the unit where there is one.
        default: what a table that lacks the column gets: a value, `SameAs` or `Lacking`.
        may_be_empty: whether single rows may have no value.

    """

    name: str
    kind: Literal["text", "number", "boolean"]
    meaning: str
    default: Any = Lacking.REFUSED
    may_be_empty: bool = False


@dataclass(frozen=True)
class TableFile:
    """A file with a table in it.

    Attributes:
        file: its usual name.
        holds: what a row is.
        columns: those that the contract knows; a file may have others, which are kept.
        key: columns that together name a row; no two rows agree in all of them.

    """

    file: str
    holds: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()


def _optional(name: str, kind: Literal["text", "number", "boolean"], meaning: str) -> Column:
    return Column(name, kind, meaning, Lacking.LEFT_OUT, may_be_empty=True)


_CELL = (
    Column("dataset", "text", "name of the dataset"),
    Column("synthetic", "boolean", "whether the data are made up", False),
    Column("protocol", "text", "how clips were split and training stopped", Lacking.DECIDING),
    Column("arm", "text", "what is compared: a name of model, strategy and strength"),
    Column("model", "text", "the model of the arm, as the paper calls it", SameAs("arm")),
    Column("strategy", "text", f"rule that varies the model; `{NO_RULE}` without one", NO_RULE),
    Column("alpha", "number", "strength of the strategy", np.nan, may_be_empty=True),
    Column("experts", "text", "networks of the model, joined by `+`", SameAs("model")),
    Column("seed", "number", "seed of the training"),
    Column("fold", "number", "number of the fold that is scored, from 0"),
)
_MEASURED = (
    *(
        replace(column, meaning=f"{column.meaning}; empty for a baseline", may_be_empty=True)
        if column.name in ("protocol", "strategy", "seed")
        else column
        for column in _CELL
    ),
    Column("runtime", "text", f"what ran the model: `{PACKED}`, or the name of a baseline"),
)

SCORES = TableFile(
    "cells.csv",
    "One row per cell: one model, trained with one seed and scored on one fold. `score` stands for "
    "the heading that the paper gives its score.",
    (
        *_CELL,
        _optional("n_train", "number", "clips that training could see"),
        _optional("n_fit", "number", "clips that were fitted"),
        _optional("n_stop", "number", "clips that stopped training"),
        _optional("n_test", "number", "clips that were scored"),
        _optional("n_classes", "number", "classes of the dataset"),
        _optional("epochs", "number", "epochs that were trained"),
        _optional("scored_epoch", "number", "epoch whose weights were scored, from 1"),
        _optional("parameter_count", "number", "parameters of the model"),
        _optional("embeddings_sha256", "text", "hash of the table of embeddings"),
        _optional("cell", "text", "folder of predictions and history"),
    ),
    IDENTITY,
)
PACKED_MODELS = TableFile(
    "packed.csv",
    "One row per packed model: a trained cell, exported for inference.",
    (
        *_CELL,
        Column("disk_bytes", "number", "bytes of all files of the model"),
        Column("resident_bytes", "number", "bytes of the weights in memory"),
        Column("published_bytes", "number", "bytes by the paper's formula"),
    ),
    IDENTITY,
)
_CALL = (*IDENTITY, "runtime", "batch_size")
_BATCH_SIZE = Column("batch_size", "number", "clips in a call")
MEASUREMENTS: Mapping[str, TableFile] = {
    "latency": TableFile(
        "latency.csv",
        "One row per timed call of a model.",
        (
            *_MEASURED,
            _BATCH_SIZE,
            Column("repeat", "number", "number of the call, from 0"),
            Column("latency_ms", "number", "wall time of the call, ms"),
        ),
        (*_CALL, "repeat"),
    ),
    "energy": TableFile(
        "energy.csv",
        "One row per model and kind of work.",
        (
            *_MEASURED,
            Column("per", "text", f"work that the energy is of: `{INFERENCE}` or `training epoch`"),
            _BATCH_SIZE,
            Column(
                "energy_j",
                "number",
                "energy of one clip or epoch, J; empty below the resolution of the meter",
                may_be_empty=True,
            ),
            Column("carbon_g", "number", "CO2 of that energy, g", may_be_empty=True),
        ),
        (*_CALL, "per"),
    ),
    "memory": TableFile(
        "memory.csv",
        "One row per model, run in a process of its own.",
        (*_CELL, Column("peak_rss_bytes", "number", "largest resident size of the process, bytes")),
        IDENTITY,
    ),
}
WHAT = tuple(MEASUREMENTS)
PREDICTIONS = TableFile(
    "predictions.parquet",
    "One row per test clip of a cell, in the folder of the cell.",
    (
        Column("clip", "text", "name of the clip"),
        _optional("recording", "text", "recording that the clip is taken from"),
        Column("label", "number", "number of the true class, from 0"),
        Column("prediction", "number", "number of the predicted class"),
        _optional("p_0", "number", "probability of class 0; `p_1` and so on of the others"),
        _optional("expert", "text", "network that classified the clip, in mixtures"),
        _optional("gate", "number", "probability with which the router chose that network"),
        _optional(
            "uncertainty",
            "number",
            "variance of the router's probabilities over its "
            "Monte-Carlo passes; empty where the router has none",
        ),
    ),
    ("clip",),
)
HISTORY = TableFile(
    "history.csv",
    "One row per epoch of a cell, in the folder of the cell.",
    (
        Column("epoch", "number", "number of the epoch, from 1"),
        _optional("loss", "number", "mean training loss"),
        _optional("learning_rate", "number", "learning rate of the epoch"),
        _optional("kept", "boolean", "whether the epoch was the best so far"),
    ),
    ("epoch",),
)
SIGNIFICANCE = TableFile(
    "significance/*.csv",
    "One row per comparison, or per cell and network where routing is concerned. referee writes "
    "these files, and reads them again for figures and pages.",
    (
        Column("protocol", "text", "protocol of both arms"),
        Column("dataset", "text", "name of the dataset, or of several that were pooled"),
        Column("arm", "text", "what is compared"),
        _optional("baseline", "text", "what it is compared with"),
        _optional("n", "number", "pairs"),
        _optional("holm_p", "number", "p of the corrected test, after Holm, within its family"),
    ),
)


def scores_of(column: str, words: str) -> TableFile:
    """Describe the table of scores of a paper whose score stands in `column`.

    Args:
        column: heading of the score; its stopping score is headed `stop_` and this.
        words: the score in prose.

    """
    more = (
        Column(column, "number", f"{words} on the test clips"),
        _optional(f"stop_{column}", "number", f"{words} on the clips that stop training"),
    )
    return replace(SCORES, columns=(*SCORES.columns, *more))


def history_of(column: str, words: str) -> TableFile:
    """Describe the history of a cell; the arguments are those of `scores_of`."""
    stopping = Column(f"stop_{column}", "number", f"{words} on the clips that stop training")
    return replace(HISTORY, columns=(*HISTORY.columns, stopping))
