"""Classification of a CSV file of embeddings, or of audio files, with a packed model."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from qmoe.deploy.packed import PackedModel
from qmoe.errors import UserError


def predict(folder: Path, inputs: list[Path]) -> pd.DataFrame:
    """Return a row for each clip: clip, class, probability, expert, uncertainty. `inputs` are a CSV
    file with columns 0, 1, 2, ... and perhaps `name`, or audio files, embedded as the model's data.
    Raises UserError where the model or an input is missing, or vectors have another length."""
    model = PackedModel(folder)
    names, vectors = _csv(inputs[0]) if _is_csv(inputs) else _audio(inputs, model.manifest)
    out = model.predict(vectors)
    best = out.logits.argmax(axis=1)
    schemes = [expert["scheme"] for expert in model.manifest["experts"]]
    return pd.DataFrame(
        {
            "clip": names,
            "class": [model.manifest["classes"][label] for label in best],
            "probability": out.probabilities[np.arange(len(best)), best],
            "expert": [schemes[index] for index in out.expert],
            "uncertainty": out.uncertainty,
        }
    )


def _is_csv(inputs: list[Path]) -> bool:
    missing = [path for path in inputs if not path.is_file()]
    if missing:
        raise UserError(f"{missing[0]} is not here")
    return len(inputs) == 1 and inputs[0].suffix == ".csv"


def _csv(path: Path) -> tuple[list[str], NDArray[np.float32]]:
    try:
        frame = pd.read_csv(path)
    except ValueError as error:  # pandas raises it for an empty file or rows of unequal length
        reason = str(error).strip().partition("\n")[0]
        raise UserError(f"{path}: cannot read it as CSV ({reason}); export it again") from None
    columns = [str(index) for index in range(sum(c.isdecimal() for c in frame.columns))]
    if not columns or not set(columns) <= set(frame.columns) or frame.empty:
        raise UserError(f"{path}: needs rows, and columns 0, 1, 2, ... for all values of a vector")
    values = frame[columns].apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float32)
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise UserError(
            f"{path}: column {column}, row {row + 1} is not a number; correct or remove it"
        )
    names = [str(name) for name in frame.get("name", frame.index)]
    return names, values


def _audio(files: list[Path], manifest: dict[str, Any]) -> tuple[list[str], NDArray[np.float32]]:
    from qmoe.data.audio import Recipe  # imports torch, which only audio needs
    from qmoe.data.embed import embed_files

    made_by = manifest["embedding"]
    if "recipe" not in made_by:
        raise UserError(
            "the model was trained on a CSV of embeddings, not on audio: give it such a CSV"
        )
    recipe, published = Recipe(**made_by["recipe"]), made_by["published"]
    vectors = embed_files(files, recipe, made_by["backbone"], published=published)
    return [path.name for path in files], vectors
