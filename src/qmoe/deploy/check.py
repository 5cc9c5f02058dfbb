"""Comparison of a packed model with the trained one on every clip of the test fold."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from qmoe.cells import Trained, load
from qmoe.data import table as tables
from qmoe.deploy.packed import PackedModel
from qmoe.errors import UserError
from records.record import require_whole

# ONNX Runtime takes one range of activations for a batch, so that this scheme has no bounds.
INEXACT = "ptq8"
LEAST_ARGMAX_AGREEMENT = 0.995
LARGEST_LOGIT_DIFFERENCE = 0.05


@dataclass(frozen=True)
class Agreement:
    """How a trained and a packed model agree on the n clips of a test fold. Routes are bounded for
    all clips, classes and logits for the `n_bounded` that no `INEXACT` expert classified."""

    n: int
    argmax_agreement: float  # share of clips with the same class
    expert_agreement: float  # share of clips sent to the same expert
    max_logit_difference: float  # over clips sent to the same expert
    n_bounded: int
    bounded_argmax_agreement: float  # 1 where no clip is bounded
    bounded_logit_difference: float
    disk_bytes: int
    resident_bytes: int

    @property
    def holds(self) -> bool:
        """Whether the models agree within the documented bounds."""
        agreement = min(self.bounded_argmax_agreement, self.expert_agreement)
        return (
            agreement >= LEAST_ARGMAX_AGREEMENT
            and self.bounded_logit_difference <= LARGEST_LOGIT_DIFFERENCE
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the content of check.json."""
        return asdict(self) | {"holds": self.holds}


def check(folder: Path) -> Agreement:
    """Return how a packed model agrees with its cell, on the cell's test fold. Raises UserError
    where the cell, its embeddings or the packed model are missing or damaged."""
    packed = PackedModel(folder)
    cell = Path(packed.manifest["provenance"]["cell"])
    trained = load(cell)
    embeddings, predictions = Path(trained.spec["embeddings"]), cell / "predictions.parquet"
    table = tables.read(embeddings)
    for file in (embeddings, predictions):
        require_whole(file)
    clips = pd.read_parquet(predictions, columns=["clip"])["clip"]
    rows = pd.Index(table.clips["clip"]).get_indexer(clips)
    if (rows < 0).any():
        raise UserError(
            f"{trained.spec['embeddings']} has no clip {clips[rows < 0].iloc[0]}, which {cell} "
            "was scored on: make the table again"
        )
    return agreement(trained, packed, np.array(table.vectors[rows]))


@torch.no_grad()
def agreement(trained: Trained, packed: PackedModel, vectors: Any) -> Agreement:
    """Return how two models agree on embeddings (n, D), in the batches that scored the cell."""
    size = trained.spec["training"]["batch_size"]
    outs = [trained.model(x) for x in trained.normalizer(torch.from_numpy(vectors)).split(size)]
    logits = torch.cat([out.logits for out in outs]).numpy()
    expert = torch.cat([out.expert for out in outs]).numpy()
    other = packed.predict(vectors, size)
    alike = expert == other.expert
    same = logits.argmax(1) == other.logits.argmax(1)
    difference = np.abs(logits - other.logits).max(axis=1)
    schemes = np.array(trained.spec["experts"])
    one_expert = len(schemes) == 1 or trained.spec["router"]["top_k"] == 1
    exact = schemes[expert] != INEXACT if one_expert else np.full(len(same), INEXACT not in schemes)
    return Agreement(
        n=len(vectors),
        argmax_agreement=float(same.mean()),
        expert_agreement=float(alike.mean()),
        max_logit_difference=float(difference[alike].max(initial=0.0)),
        n_bounded=int(exact.sum()),
        bounded_argmax_agreement=float(same[exact].mean()) if exact.any() else 1.0,
        bounded_logit_difference=float(difference[alike & exact].max(initial=0.0)),
        disk_bytes=packed.disk_bytes,
        resident_bytes=packed.resident_bytes,
    )
