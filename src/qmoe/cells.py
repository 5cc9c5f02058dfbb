"""Cells on disk: training of those that are missing, writing them whole, loading them again."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save

from qmoe.data import table as tables
from qmoe.errors import UserError
from qmoe.keys import sha256, write_atomically
from qmoe.nn.build import Model, build_model
from qmoe.nn.layers import quantize_after_training
from qmoe.paths import is_complete
from qmoe.train import Cell, Normalizer, train_cell


def train(spec_file: Path, folds: list[int]) -> Iterator[Path]:
    """Train the folds of an experiment that are not there yet; yield each folder when written.
    Finished cells stay as they are, so that a job that was interrupted goes on where it stopped.
    Raises UserError where the specification or its embeddings are missing, or do not fit."""
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
        write(folder, cell, spec, table.metadata)
        yield folder


def write(folder: Path, cell: Cell, spec: dict[str, Any], embedding: dict[str, object]) -> None:
    """Write the four files of a cell, each whole or not at all, the scores last. The model's file
    also holds the specification, and `embedding`, the metadata of the table of embeddings."""
    about = {"spec": spec, "classes": cell.classes, "embedding": embedding}
    # A single metadata entry, because safetensors writes several in random order.
    metadata = {"qmoe": json.dumps(about, sort_keys=True)}
    write_atomically(folder / "model.safetensors", save(cell.state, metadata=metadata))
    write_atomically(folder / "history.csv", cell.history.to_csv(index=False))
    write_atomically(folder / "predictions.parquet", cell.predictions.to_parquet(index=False))
    scores = json.dumps(cell.scores, indent=1, sort_keys=True)
    write_atomically(folder / "scores.json", scores + "\n")


@dataclass(frozen=True)
class Trained:
    """A trained model, in evaluation mode on the CPU, and what describes it."""

    model: Model
    normalizer: Normalizer
    spec: dict[str, Any]
    classes: list[str]
    embedding: dict[str, Any]  # metadata of the table of embeddings

    @property
    def dimension(self) -> int:
        """D, the number of values of an embedding."""
        return len(self.normalizer.offset)


def load(cell: Path) -> Trained:
    """Return the model of a cell, as it was scored. Raises UserError where a file is missing."""
    if not is_complete(cell):
        raise UserError(f"{cell} is not a trained cell: `qmoe train` makes it")
    with safe_open(cell / "model.safetensors", "pt") as file:
        about = json.loads(file.metadata()["qmoe"])
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    spec = about["spec"]
    offset, scale = (state.pop(f"normalizer.{name}") for name in ("offset", "scale"))
    normalizer = Normalizer(offset, scale, spec["normalization"] == "l2")
    model = build_model(spec, len(normalizer.offset), len(about["classes"]), seed=0)
    model.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})
    quantize_after_training(model)
    return Trained(model.eval(), normalizer, spec, about["classes"], about["embedding"])
