"""Tidy tables of a grid: one row for each cell, one for each packed model; and summaries."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.metrics import accuracy_score, f1_score

from qmoe.errors import UserError
from qmoe.grid import Experiment, Grid
from qmoe.keys import named, write_atomically, write_json
from qmoe.nominal import theoretical_bytes
from qmoe.paths import CELL_FILES, CHECK, RECORD, SCORES, SUMMARIES
from records.files import sha256
from records.record import AGAIN, Damaged, read, require_whole, seal

# What a row tells of a cell, from its scores.json; whatever else is written there is not read.
_TOLD = (
    "accuracy",
    "dimension",
    "embeddings_sha256",
    "epochs",
    "f1_weighted",
    "n_classes",
    "n_fit",
    "n_stop",
    "n_test",
    "parameter_count",
    "scored_epoch",
    "stop_f1_weighted",
)


def collect(grid: Grid) -> pd.DataFrame:
    """Return a row for every cell of the grid: what identifies it, its scores, its folder.
    Raises UserError where cells are missing, or were trained on other embeddings than those on
    disk; Damaged where a cell is not as it was written. The message names the cells."""
    missing = [cell for cell in grid.cells if not all((cell / f).is_file() for f in CELL_FILES)]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(grid.cells)} cells are missing or lack a file: "
            f"{named(missing)}; `snakemake -j8 cells` makes them"
        )
    tables = {name: source.table for name, source in grid.sources.items()}
    embeddings = {name: sha256(path) for name, path in tables.items() if path.exists()}
    rows = []
    for experiment, fold in grid.runs:
        cell = experiment.cell(fold)
        scores = read_scores(experiment, fold)
        trained_on = scores["embeddings_sha256"]
        if trained_on != embeddings.get(experiment.dataset, trained_on):
            raise UserError(
                f"{cell} was trained on other embeddings than {tables[experiment.dataset]} holds: "
                "remove the cell, or restore the table"
            )
        rows.append(experiment.columns | {"fold": fold} | scores | {"cell": cell.as_posix()})
    return pd.DataFrame(rows)


def read_scores(experiment: Experiment, fold: int) -> dict[str, Any]:
    """Return the scores of a cell. Raises Damaged where its files are not as they were written, are
    those of another cell, or its scores do not follow from its predictions."""
    cell = experiment.cell(fold)
    written = read(cell / RECORD)["key"]
    if written != f"{experiment.key}/fold{fold}":
        raise Damaged(f"{cell} holds the files of {written}, another cell: {AGAIN}")
    for name in (SCORES, "predictions.parquet"):
        require_whole(cell / name, recorded=True)
    wrong = disagreement(cell)
    if wrong:
        raise Damaged(f"{cell / SCORES} {wrong}: {AGAIN}")
    told = json.loads((cell / SCORES).read_bytes())
    return {name: told[name] for name in _TOLD}


def disagreement(cell: Path) -> str:
    """Return in which way the scores of a cell do not follow from its predictions, or the predicted
    classes from their probabilities; an empty text where they do."""
    try:
        told = json.loads((cell / SCORES).read_bytes())
        predictions = pd.read_parquet(cell / "predictions.parquet")
        truth, predicted = (predictions[name].to_numpy() for name in ("label", "prediction"))
        of_classes = predictions.filter(regex=r"^p_\d+$").to_numpy()
        computed = {
            "f1_weighted": f1_score(truth, predicted, average="weighted", zero_division=0),
            "accuracy": accuracy_score(truth, predicted),
            "n_test": len(truth),
            "n_classes": of_classes.shape[1],
        }
        for name, value in computed.items():
            if not abs(told[name] - value) <= 1e-12:  # also where it is not a number
                return f"says {name} {told[name]}, the predictions say {value}"
        if not (of_classes.argmax(axis=1) == predicted).all():
            return "is of predictions that are not the most probable classes"
        lacking = [name for name in _TOLD if not isinstance(told[name], str | int | float)]
        return f"has no {lacking[0]}" if lacking else ""
    except KeyError as error:
        return f"or the predictions have no {error}"
    except (OSError, TypeError, ValueError) as error:
        problem = str(error).partition("\n")[0]
        return f"or the predictions cannot be read ({problem})"


def collect_packed(grid: Grid) -> pd.DataFrame:
    """Return a row for every packed model: what identifies it, its bytes, its agreement.
    Raises UserError where packed models or their checks are missing; the message names them.
    Raises Damaged where a check is not as it was written."""
    packed = [grid.packed(experiment, fold) for experiment, fold in grid.runs]
    missing = [folder for folder in packed if not (folder / CHECK).is_file()]
    if missing:
        raise UserError(
            f"{len(missing)} packed models are not checked: {named(missing)}; "
            "`snakemake -j8 packed` makes and checks them"
        )
    rows = []
    for (experiment, fold), folder in zip(grid.runs, packed, strict=True):
        cell, spec = experiment.cell(fold), experiment.spec
        require_whole(cell / SCORES, recorded=True)
        scores = json.loads((cell / SCORES).read_bytes())
        dimension, classes = scores["dimension"], scores["n_classes"]
        hidden, router = spec["network"]["hidden"], spec.get("router")
        published = theoretical_bytes(experiment.experts, dimension, hidden, classes, router)
        require_whole(folder / CHECK, recorded=True)
        sizes = json.loads((folder / CHECK).read_bytes()) | {"published_bytes": published}
        folders = {"packed": folder.as_posix(), "cell": cell.as_posix()}
        rows.append(experiment.columns | {"fold": fold} | sizes | folders)
    return pd.DataFrame(rows)


def write(table: Path, rows: pd.DataFrame, key: str, more: Iterable[Path] = ()) -> None:
    """Write a tidy table, and the record of it and of `more` files that belong to it."""
    write_atomically(table, rows.to_csv(index=False))
    seal(table.with_suffix(f".{RECORD}"), key, [table, *more])


def write_summaries(grid: Grid, cells: pd.DataFrame) -> list[Path]:
    """Write `summary.json` of every experiment, and return the files. A summary has the keys of the
    original research code, whose ddof of 0 it takes; tables of this project have ddof 1."""
    wanted = [experiment.summary for experiment in grid.experiments]
    for stale in set(SUMMARIES.rglob("summary.json")) - set(wanted):
        stale.unlink()
    for experiment in grid.experiments:
        folders = [experiment.cell(fold).as_posix() for fold in experiment.folds]
        folds = cells[cells["cell"].isin(folders)]
        summary = {
            "f1_mean": folds["f1_weighted"].mean(),
            "f1_std": folds["f1_weighted"].std(ddof=0),
            "accuracy_mean": folds["accuracy"].mean(),
            "accuracy_std": folds["accuracy"].std(ddof=0),
            "parameter_count": int(folds["parameter_count"].iloc[0]),
            "folds": folds[["fold", "f1_weighted", "accuracy"]]
            .rename(columns={"f1_weighted": "best_f1"})
            .to_dict("records"),
        }
        write_json(experiment.summary, summary)
    return wanted
