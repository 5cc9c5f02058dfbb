"""Tidy tables of a grid: one row for each cell, one for each packed model; and summaries."""

import json
from pathlib import Path

import pandas as pd
from sklearn.metrics import f1_score

from qmoe.errors import UserError
from qmoe.grid import Grid
from qmoe.keys import named, sha256, write_atomically, write_json
from qmoe.nominal import theoretical_bytes
from qmoe.paths import CHECK, is_complete


def collect(grid: Grid) -> pd.DataFrame:
    """Return a row for every cell of the grid: what identifies it, its scores, its folder.
    Raises UserError where cells are missing, a score is not the F1 of its predictions, or cells
    were trained on other embeddings than those on disk. The message names the cells."""
    missing = [cell for cell in grid.cells if not is_complete(cell)]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(grid.cells)} cells are missing or lack a file: "
            f"{named(missing)}; remove these folders, `snakemake -j8 cells` trains them"
        )
    tables = {name: source.table for name, source in grid.sources.items()}
    embeddings = {name: sha256(path) for name, path in tables.items() if path.exists()}
    rows = []
    for experiment, fold in grid.runs:
        cell = experiment.cell(fold)
        scores = json.loads((cell / "scores.json").read_bytes())
        _check_f1(cell, scores["f1_weighted"])
        trained_on = scores["embeddings_sha256"]
        if trained_on != embeddings.get(experiment.dataset, trained_on):
            raise UserError(
                f"{cell} was trained on other embeddings than {tables[experiment.dataset]} holds: "
                "remove the cell, or restore the table"
            )
        rows.append(experiment.columns | {"fold": fold} | scores | {"cell": cell.as_posix()})
    return pd.DataFrame(rows)


def _check_f1(cell: Path, score: float) -> None:
    predictions = pd.read_parquet(cell / "predictions.parquet", columns=["label", "prediction"])
    f1 = f1_score(*predictions.to_numpy().T, average="weighted", zero_division=0)
    if abs(f1 - score) > 1e-12:
        raise UserError(
            f"{cell}: scores.json says F1 {score}, predictions.parquet {f1}; "
            "one was edited: remove the folder to train it again"
        )


def collect_packed(grid: Grid) -> pd.DataFrame:
    """Return a row for every packed model: what identifies it, its bytes, its agreement.
    Raises UserError where packed models or their checks are missing; the message names them."""
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
        scores = json.loads((cell / "scores.json").read_bytes())
        dimension, classes = scores["dimension"], scores["n_classes"]
        hidden, router = spec["network"]["hidden"], spec.get("router")
        published = theoretical_bytes(experiment.experts, dimension, hidden, classes, router)
        sizes = json.loads((folder / CHECK).read_bytes()) | {"published_bytes": published}
        folders = {"packed": folder.as_posix(), "cell": cell.as_posix()}
        rows.append(experiment.columns | {"fold": fold} | sizes | folders)
    return pd.DataFrame(rows)


def write(grid: Grid, table: Path) -> None:
    """Write the tidy table of cells, and `summary.json` of every experiment. A summary has the keys
    of the original research code, whose ddof of 0 it takes; tables of this project have ddof 1."""
    cells = collect(grid)
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
    write_atomically(table, cells.to_csv(index=False))
