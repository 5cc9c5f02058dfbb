"""Cells on disk: train what is missing, write it whole."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from safetensors.torch import save

from qmoe.data import table as tables
from qmoe.errors import UserError
from qmoe.grid import CELL_FILES
from qmoe.keys import sha256
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


def is_complete(folder: Path) -> bool:
    """Whether every file of a cell is there; they appear whole, the scores last."""
    return all((folder / name).is_file() for name in CELL_FILES)


def write(folder: Path, cell: Cell, spec: dict[str, Any]) -> None:
    """Write a cell's four files, each under a draft name first, the scores last."""
    folder.mkdir(parents=True, exist_ok=True)

    def place(name: str, content: bytes) -> None:
        draft = folder / f".{name}"
        draft.write_bytes(content)
        os.replace(draft, folder / name)  # noqa: PTH105 - the one atomic step

    # One metadata entry: safetensors does not order several.
    metadata = {"spec": json.dumps(spec, sort_keys=True)}
    place("model.safetensors", save(cell.state, metadata=metadata))
    place("history.csv", cell.history.to_csv(index=False).encode())
    place("predictions.parquet", cell.predictions.to_parquet(index=False))
    place("scores.json", (json.dumps(cell.scores, indent=1, sort_keys=True) + "\n").encode())
