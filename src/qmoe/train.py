"""One cell: split, fit, choose an epoch, score. It depends on `spec` and the table alone."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

from qmoe.data.splits import Indices, stopping_split, test_folds
from qmoe.data.table import EmbeddingTable
from qmoe.errors import UserError
from qmoe.nn.build import Model, build_model
from qmoe.nn.experts import parameter_count
from qmoe.nn.layers import quantize_after_training
from qmoe.nn.mixture import Output


@dataclass(frozen=True)
class Cell:
    """What is written to disk of a trained cell, as plain data."""

    scores: dict[str, Any]
    predictions: pd.DataFrame  # a row for each test clip
    history: pd.DataFrame  # a row for each epoch
    state: dict[str, Tensor]  # of the model and its input normalisation
    classes: list[str]  # names, by label


@dataclass(frozen=True)
class Normalizer:
    """(x - offset) / scale in each column, after an optional division by the norm of the row."""

    offset: Tensor  # (D,)
    scale: Tensor  # (D,)
    unit_rows: bool

    @classmethod
    def fit(cls, x: Tensor, kind: str) -> "Normalizer":
        """Learn `standard` or `min_max` from x (N, D); a constant column is shifted, not scaled."""
        offset, scale = torch.zeros(x.shape[1]), torch.ones(x.shape[1])
        if kind == "standard":
            standard = StandardScaler().fit(x.double())
            offset, scale = torch.tensor(standard.mean_), torch.tensor(standard.scale_)
        elif kind == "min_max":
            unit = MinMaxScaler().fit(x.double())
            offset, scale = torch.tensor(unit.data_min_), torch.tensor(1.0 / unit.scale_)
        scale = scale.float()
        return cls(offset.float(), torch.where(scale > 0, scale, 1.0), kind == "l2")

    def __call__(self, x: Tensor) -> Tensor:
        """(N, D) -> (N, D)."""
        x = F.normalize(x, dim=1) if self.unit_rows else x
        return (x - self.offset) / self.scale


def pick_device(name: str) -> torch.device:
    """Return the device called `name`; raises UserError where this machine does not have it."""
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available[name]:
        here = ", ".join(device for device, there in available.items() if there)
        raise UserError(f"device {name!r} is not available here: set device to one of {here}")
    if name != "cpu":  # one thread of a CPU is deterministic anyway, and starts 1.4 s sooner
        torch.use_deterministic_algorithms(True)
    return torch.device(name)


def train_cell(table: EmbeddingTable, spec: dict[str, Any], fold: int) -> Cell:
    """Train and score one fold of the experiment that `spec` (see `qmoe.grid`) describes. As
    published, the test fold also stops training and chooses the epoch of mixtures: defect D5
    (docs/defects.md). Corrected, some training clips do both, and the test fold is scored once.
    Raises UserError where the device is missing, or the data cannot be split as asked."""
    device, training = pick_device(spec["device"]), spec["training"]
    fit, stop, test = _split(table.clips, spec, fold)
    vectors = torch.from_numpy(np.array(table.vectors))
    labels = torch.from_numpy(table.clips["label"].to_numpy(copy=True))
    normalizer = Normalizer.fit(vectors[fit], spec["normalization"])
    x, y = normalizer(vectors).to(device), labels.to(device)
    classes = int(labels.max()) + 1
    seed = spec["seed"] * 1000 + fold  # every fold starts from other weights
    model = build_model(spec, x.shape[1], classes, seed=seed).to(device)
    history = fit_model(model, x, y, fit, stop, training)
    kept = history["kept"].to_numpy().nonzero()[0][-1]
    quantize_after_training(model)
    out = predict(model, x[test], training["batch_size"])
    predictions = _predictions(table.clips.iloc[test], out, spec["experts"])
    truth, predicted = predictions["label"].to_numpy(), predictions["prediction"].to_numpy()
    scores = {
        "f1_weighted": weighted_f1(truth, predicted),
        "accuracy": float(accuracy_score(truth, predicted)),
        "epochs": len(history),
        "scored_epoch": int(history["epoch"].iloc[kept]),
        "stop_f1_weighted": float(history["stop_f1_weighted"].iloc[kept]),
        "parameter_count": parameter_count(model),
        "n_fit": len(fit),
        "n_stop": len(stop),
        "n_test": len(test),
        "n_classes": classes,
        "dimension": x.shape[1],
    }
    state = {f"model.{name}": value.cpu() for name, value in model.state_dict().items()}
    state |= {"normalizer.offset": normalizer.offset, "normalizer.scale": normalizer.scale}
    names = table.clips.drop_duplicates("label").set_index("label")["class_name"].sort_index()
    return Cell(scores, predictions, history, state, names.tolist())


def _split(
    clips: pd.DataFrame, spec: dict[str, Any], fold: int
) -> tuple[Indices, Indices, Indices]:
    protocol, seed = spec["protocol"], spec["split_seed"]
    test = test_folds(clips, protocol["folds"], spec["n_folds"], seed)[fold]
    fit = np.setdiff1d(np.arange(len(clips)), test)
    if protocol["stop_on"] == "held_out":
        return *stopping_split(clips, fit, protocol["held_out_fraction"], seed), test
    return fit, test, test


def weighted_f1(truth: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Return the weighted F1, the paper's score, of (N,) classes; one never predicted counts 0."""
    return float(f1_score(truth, predicted, average="weighted", zero_division=0))


def fit_model(
    model: Model, x: Tensor, y: Tensor, fit: Indices, stop: Indices, training: dict[str, Any]
) -> pd.DataFrame:
    """Train the model in place on the clips `fit`, and leave it at the last epoch that was kept. x
    (N, D) are the normalised embeddings and y (N,) the labels of all clips. The clips `stop` decide
    when training stops and which epoch is best; `training` is that part of the specification.
    Returns a row for each epoch: epoch, loss, stop_f1_weighted, learning_rate and kept."""
    history = []
    rows = torch.from_numpy(fit).to(x.device)
    stop_x, stop_y = x[stop], y[stop].cpu().numpy()
    optimizer = _optimizer(model, training)
    schedule = training["plateau"]
    plateau = schedule and ReduceLROnPlateau(optimizer, mode="max", **schedule)
    best, best_state = -1.0, copy.deepcopy(model.state_dict())
    to_beat, last_gain = -1.0, 0  # only gains of more than min_delta reset the patience
    keep_best = training["checkpoint"] == "best"
    model.calibrate(x[rows])
    for epoch in range(1, training["epochs"] + 1):
        loss = _train_epoch(model, x, y, rows, optimizer, training)
        model.calibrate(x[rows])
        f1 = weighted_f1(stop_y, predict(model, stop_x, training["batch_size"]).classes)
        improved = f1 > best
        record = {"epoch": epoch, "loss": loss, "stop_f1_weighted": f1}
        record["learning_rate"] = optimizer.param_groups[0]["lr"]
        history.append(record | {"kept": improved if keep_best else True})
        if plateau:
            plateau.step(f1)
        if improved:
            best, best_state = f1, copy.deepcopy(model.state_dict())
        if f1 > to_beat + training["min_delta"]:
            to_beat, last_gain = f1, epoch
        elif epoch - last_gain >= training["patience"]:
            break
    if keep_best:
        model.load_state_dict(best_state)
    return pd.DataFrame(history)


def _train_epoch(
    model: Model,
    x: Tensor,
    y: Tensor,
    rows: Tensor,
    optimizer: torch.optim.Optimizer,
    training: dict[str, Any],
) -> float:
    """Train on the clips `rows` once, in random order; return the mean loss."""
    counts = torch.bincount(y[rows], minlength=int(y.max()) + 1)
    weight = torch.where(counts > 0, 1.0 / counts, 0.0)
    smoothing = training["label_smoothing"]
    model.train()
    total = 0.0
    for batch in rows[torch.randperm(len(rows)).to(x.device)].split(training["batch_size"]):
        out = model(x[batch])
        loss = F.cross_entropy(out.logits, y[batch], weight, label_smoothing=smoothing)
        loss = loss + training["load_balance"] * out.balance
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(rows)


def _optimizer(model: Model, training: dict[str, Any]) -> torch.optim.Optimizer:
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[training["optimizer"]]
    return kind(
        model.parameters(),
        lr=training["learning_rate"],
        weight_decay=training["weight_decay"],
        fused=True,
    )


@dataclass(frozen=True)
class Predictions:
    """Outputs of a model for N clips, on the CPU; see `qmoe.nn.mixture.Output`."""

    probabilities: NDArray[np.float32]  # (N, C)
    expert: NDArray[np.int64]  # (N,)
    gate: NDArray[np.float32]  # (N,)
    uncertainty: NDArray[np.float32]  # (N,)

    @property
    def classes(self) -> NDArray[np.int64]:
        """(N,) the most probable class of each clip."""
        return self.probabilities.argmax(axis=1)


@torch.no_grad()
def predict(model: Model, x: Tensor, batch_size: int) -> Predictions:
    """Return the outputs of the model for x (N, D), evaluated in batches and in order."""
    model.eval()
    outs: list[Output] = [model(batch) for batch in x.split(batch_size)]
    names = ("logits", "expert", "gate", "uncertainty")
    logits, *rest = (torch.cat([getattr(out, name) for out in outs]).cpu() for name in names)
    return Predictions(logits.softmax(dim=1).numpy(), *(values.numpy() for values in rest))


def _predictions(clips: pd.DataFrame, out: Predictions, schemes: list[str]) -> pd.DataFrame:
    probabilities = {f"p_{label}": column for label, column in enumerate(out.probabilities.T)}
    return pd.DataFrame(
        {
            **{name: clips[name].to_numpy() for name in ("clip", "recording", "label")},
            "prediction": out.classes,
            "expert": [schemes[i] for i in out.expert],
            "gate": out.gate,
            "uncertainty": out.uncertainty,
            **probabilities,
        }
    )
