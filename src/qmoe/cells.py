"""Cells on disk: training of those that are missing, writing them whole, loading them again."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from qmoe.data import table as tables
from qmoe.errors import UserError
from qmoe.keys import key, sha256
from qmoe.nn.build import Model, build_model
from qmoe.nn.layers import quantize_after_training
from qmoe.paths import CELL_FILES, EMBEDDINGS, RECORD, SCORES
from qmoe.train import Cell, Normalizer, train_cell
from records import files, record


def train(spec: dict[str, Any], folds: list[int], folder: Path) -> Iterator[tuple[Path, float]]:
    """Train the folds of an experiment that are not in its folder yet; yield the folder of each
    cell when it is written, and the seconds that it took. Raises UserError where the embeddings are
    missing or do not fit the specification, Damaged where they are not as they were written."""
    beyond = [fold for fold in folds if not 0 <= fold < spec["n_folds"]]
    if beyond:
        raise UserError(f"{folder} has folds 0 to {spec['n_folds'] - 1}, not {beyond[0]}")
    todo = [f for f in folds if not is_whole(folder / f"fold{f}", spec)]
    if not todo:
        return
    embeddings = Path(spec["embeddings"])
    if not embeddings.exists():
        raise UserError(f"{embeddings} is not here: `snakemake {embeddings}` makes it")
    record.require_whole(embeddings, recorded=embeddings.is_relative_to(EMBEDDINGS))
    table = tables.read(embeddings)
    embeddings_sha256 = sha256(embeddings)
    for fold in todo:
        start_s = time.process_time()
        cell = train_cell(table, spec, fold)
        cell.scores["embeddings_sha256"] = embeddings_sha256
        write(folder / f"fold{fold}", cell, spec, table.metadata)
        yield folder / f"fold{fold}", time.process_time() - start_s


def write(folder: Path, cell: Cell, spec: dict[str, Any], embedding: dict[str, object]) -> None:
    """Write the files of a cell and their record, each whole or not at all, the scores last. The
    model's file also holds the specification, and `embedding`, the metadata of the embeddings."""
    about = {"spec": spec, "classes": cell.classes, "embedding": embedding}
    # A single metadata entry, because safetensors writes several in random order.
    metadata = {"qmoe": json.dumps(about, sort_keys=True)}
    contents = {
        "model.safetensors": save(cell.state, metadata=metadata),
        "history.csv": cell.history.to_csv(index=False).encode(),
        "predictions.parquet": cell.predictions.to_parquet(index=False),
        SCORES: (json.dumps(cell.scores, indent=1, sort_keys=True) + "\n").encode(),
    }
    contents[RECORD] = record.text(_key(folder, spec), contents).encode()
    for name in sorted(contents, key=lambda name: name == SCORES):
        files.write(folder / name, contents[name])


def is_whole(cell: Path, spec: dict[str, Any]) -> bool:
    """Say whether a folder holds a cell of a specification, as it was written."""
    return record.is_whole(cell / RECORD, _key(cell, spec))


def _key(cell: Path, spec: dict[str, Any]) -> str:
    return f"{key(spec)}/{cell.name}"


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
    """Return the model of a cell, as it was scored. Raises UserError where a file is missing, and
    Damaged where the model is not as it was written."""
    if not all((cell / name).is_file() for name in (*CELL_FILES, RECORD)):
        raise UserError(f"{cell} is not a trained cell: `snakemake cells` makes it")
    file = cell / "model.safetensors"
    record.require_whole(file, recorded=True)
    try:
        return _load(file)
    except (SafetensorError, KeyError, RuntimeError, TypeError, ValueError) as error:
        problem = str(error).partition("\n")[0]
        raise record.Damaged(f"{file} holds no model ({problem}): {record.AGAIN}") from None


def _load(file: Path) -> Trained:
    with safe_open(file, "pt") as opened:
        about = json.loads(opened.metadata()["qmoe"])
        state = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    spec = about["spec"]
    offset, scale = (state.pop(f"normalizer.{name}") for name in ("offset", "scale"))
    normalizer = Normalizer(offset, scale, spec["normalization"] == "l2")
    model = build_model(spec, len(normalizer.offset), len(about["classes"]), seed=0)
    model.load_state_dict({name.removeprefix("model."): value for name, value in state.items()})
    quantize_after_training(model)
    return Trained(model.eval(), normalizer, spec, about["classes"], about["embedding"])
