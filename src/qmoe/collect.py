"""All cells of a grid into one tidy table, one row a cell, and a summary for each experiment."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.metrics import f1_score

from qmoe.errors import UserError
from qmoe.grid import CHECK, Grid, is_complete
from qmoe.keys import named, sha256, write_atomically
from qmoe.nominal import theoretical_bytes


def collect(grid: Grid) -> pd.DataFrame:
    """One row for every cell of the grid: its keys, its scores, its folder.

    The F1 of every cell is computed anew from its predictions.

    Raises:
        UserError: cells are missing (they are named), a score is not that of its predictions, or
            cells of a dataset come from other embeddings than those on disk.

    """
    missing = [cell for cell in grid.cells if not is_complete(cell)]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(grid.cells)} cells are missing or lack a file: "
            f"{named(missing)}; remove these folders, `snakemake -j8 cells` trains them"
        )
    tables = {name: source.table for name, source in grid.sources.items()}
    embeddings = {name: sha256(path) for name, path in tables.items() if path.exists()}
    rows = []
    for experiment in grid.experiments:
        for fold in experiment.folds:
            scores = _checked_scores(experiment.cell(fold))
            expected = embeddings.get(experiment.dataset, scores["embeddings_sha256"])
            if scores["embeddings_sha256"] != expected:
                raise UserError(
                    f"{experiment.cell(fold)} was trained on other embeddings than "
                    f"{tables[experiment.dataset]} holds: remove the cell, or restore the table"
                )
            rows.append(
                experiment.columns
                | {"fold": fold}
                | scores
                | {"cell": experiment.cell(fold).as_posix()}
            )
    return pd.DataFrame(rows)


def _checked_scores(cell: Path) -> dict[str, Any]:
    scores: dict[str, Any] = json.loads((cell / "scores.json").read_text(encoding="utf-8"))
    predictions = pd.read_parquet(cell / "predictions.parquet", columns=["label", "prediction"])
    f1 = f1_score(*predictions.to_numpy().T, average="weighted", zero_division=0)
    if abs(f1 - scores["f1_weighted"]) > 1e-12:
        raise UserError(
            f"{cell}: scores.json says F1 {scores['f1_weighted']}, predictions.parquet {f1}; "
            "one was edited: remove the folder, and it is trained anew"
        )
    return scores


def collect_packed(grid: Grid) -> pd.DataFrame:
    """One row for every packed model of the grid: its keys, its bytes, its agreement.

    Raises:
        UserError: packed models or their checks are missing; they are named.

    """
    rows, missing = [], []
    for experiment in grid.experiments:
        for fold in experiment.folds:
            folder = grid.packed(experiment, fold)
            if not (folder / CHECK).is_file():
                missing.append(folder)
                continue
            checked = json.loads((folder / CHECK).read_text(encoding="utf-8"))
            cell = experiment.cell(fold)
            scores = json.loads((cell / "scores.json").read_text(encoding="utf-8"))
            published = theoretical_bytes(
                experiment.experts,
                scores["dimension"],
                experiment.spec["network"]["hidden"],
                scores["n_classes"],
                experiment.spec.get("router"),
            )
            rows.append(
                experiment.columns
                | {"fold": fold}
                | checked
                | {"published_bytes": published}
                | {"packed": folder.as_posix(), "cell": cell.as_posix()}
            )
    if missing:
        raise UserError(
            f"{len(missing)} packed models are not checked: {named(missing)}; "
            "`snakemake -j8 packed` makes and checks them"
        )
    return pd.DataFrame(rows)


def write_summaries(grid: Grid, cells: pd.DataFrame) -> None:
    """Write `summary.json` of every experiment, with the keys of the original research code.

    Standard deviations have ddof 0, as there; the tables of this project have ddof 1.
    """
    for experiment in grid.experiments:
        folders = [experiment.cell(fold).as_posix() for fold in experiment.folds]
        own = cells[cells["cell"].isin(folders)]
        summary = {
            "f1_mean": own["f1_weighted"].mean(),
            "f1_std": own["f1_weighted"].std(ddof=0),
            "accuracy_mean": own["accuracy"].mean(),
            "accuracy_std": own["accuracy"].std(ddof=0),
            "parameter_count": int(own["parameter_count"].iloc[0]),
            "folds": [
                {"fold": row.fold, "best_f1": row.f1_weighted, "accuracy": row.accuracy}
                for row in own.itertuples()
            ],
        }
        write_atomically(experiment.summary, json.dumps(summary, indent=1) + "\n")
