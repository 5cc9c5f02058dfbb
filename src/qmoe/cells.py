"""Cells on disk: train what is missing, write it whole."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors.torch import save

from qmoe.data import table as tables
from qmoe.errors import UserError
from qmoe.grid import is_complete
from qmoe.keys import sha256, write_atomically
from qmoe.train import Cell, train_cell


def train(spec_file: Path, folds: list[int]) -> Iterator[Path]:
    """Train the folds of an experiment that are not there yet; yield each folder when written.

    A finished cell is left as it is, so a job that was cut off goes on where it stopped.

    Raises:
        UserError: the specification or its embeddings are missing, or the data do not fit it.

    """
    try:
        spec = json.loads(spec_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{spec_file} is not here: `qmoe plan` writes it") from None
    beyond = [fold for fold in folds if not 0 <= fold < spec["n_folds"]]
    if beyond:
        raise UserError(f"{spec_file} has folds 0 to {spec['n_folds'] - 1}, not {beyond[0]}")
    todo = [fold for fold in folds if not is_complete(spec_file.parent / f"fold{fold}")]
    if not todo:
        return
    embeddings = Path(spec["embeddings"])
    if not embeddings.exists():
        raise UserError(f"{embeddings} is not here: `snakemake {embeddings}` makes it")
    table = tables.read(embeddings)
    embeddings_sha256 = sha256(embeddings)
    for fold in todo:
        cell = train_cell(table, spec, fold)
        cell.scores["embeddings_sha256"] = embeddings_sha256
        folder = spec_file.parent / f"fold{fold}"
        write(folder, cell, spec)
        yield folder


def write(folder: Path, cell: Cell, spec: dict[str, Any]) -> None:
    """Write a cell's four files, each whole or not at all, the scores last."""
    # One metadata entry: safetensors does not order several.
    metadata = {"spec": json.dumps(spec, sort_keys=True)}
    write_atomically(folder / "model.safetensors", save(cell.state, metadata=metadata))
    write_atomically(folder / "history.csv", cell.history.to_csv(index=False))
    write_atomically(folder / "predictions.parquet", cell.predictions.to_parquet(index=False))
    scores = json.dumps(cell.scores, indent=1, sort_keys=True)
    write_atomically(folder / "scores.json", scores + "\n")
