"""Training on tables of a hundred clips: what it may look at, when it stops, what it keeps."""

import copy
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import parameters
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from qmoe.data.splits import stopping_split
from qmoe.data.table import EmbeddingTable
from qmoe.errors import UserError
from qmoe.grid import Grid
from qmoe.nn.build import build_model
from qmoe.nn.curiosity import STRATEGIES
from qmoe.nn.layers import quantize_after_training
from qmoe.train import Cell, Normalizer, pick_device, train_cell, weighted_f1

SMALL = {
    "datasets": {"demo": {"folds": 3}},
    "network": {"hidden": [16, 8]},
    "router": {"hidden": [8, 6]},
    "training": {kind: {"epochs": 4, "batch_size": 32} for kind in ("single", "mixture")},
}
SINGLE, PTQ, MIXTURE = "FP32-Base", "Q8-Base-PTQ", "BitNet-Q4/8-QMoE"
WITH_PTQ = "BitNet-Q8PTQ-QMoE"


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """As the pipeline trains; two threads would wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def spec(
    expert_set: str,
    protocol: str = "corrected",
    strategy: str = "none",
    alpha: float | None = None,
    **training: Any,
) -> dict[str, Any]:
    """A specification of the real configuration with small networks; `training` changes it."""
    made = copy.deepcopy(base_spec(expert_set, protocol, strategy, alpha))
    made["training"] |= training
    return made


@cache
def base_spec(
    expert_set: str, protocol: str, strategy: str, alpha: float | None, small: bool = True
) -> dict[str, Any]:
    grid = {
        "protocols": [protocol],
        "expert_sets": [expert_set],
        "curiosity": [{"strategy": strategy, "alpha": alpha}],
    }
    over = SMALL if small else {}
    return Grid(parameters(over | {"grid": grid})).experiments[0].spec


def table(seed: int = 0, dimension: int = 16, official: bool = True) -> EmbeddingTable:
    """Classes of 60, 36 and 24 clips in recordings of 2; three folds; columns of any scale."""
    rng = np.random.default_rng(seed)
    label = np.repeat([0, 1, 2], [60, 36, 24])
    recording = np.arange(len(label)) // 2
    centres = rng.normal(size=(3, dimension))
    vectors = (centres[label] + 1.3 * rng.normal(size=(len(label), dimension))) * np.geomspace(
        0.01, 100, dimension
    ) + 3
    clips = pd.DataFrame(
        {
            "clip": [f"clip{n}" for n in range(len(label))],
            "recording": [f"r{n}" for n in recording],
            "fold": pd.array(recording % 3 + 1 if official else [pd.NA] * len(label), "Int64"),
            "label": label,
            "class_name": np.array(["rain", "sea", "wind"])[label],
        }
    )
    return EmbeddingTable(clips, vectors.astype(np.float32), {})


TEST = {fold: np.flatnonzero(table().clips["fold"] == fold + 1) for fold in range(3)}
REST = {fold: np.flatnonzero(table().clips["fold"] != fold + 1) for fold in range(3)}


def changed(seed: int = 1, labels: bool = True, constant: bool = False) -> EmbeddingTable:
    """The table with other vectors and labels in the clips of test fold 0."""
    old, rng = table(), np.random.default_rng(seed)
    vectors, clips, test = old.vectors.copy(), old.clips.copy(), TEST[0]
    vectors[test] = 3.0 if constant else rng.normal(size=(len(test), 16)) * 1e4
    if labels:
        label = (old.clips["label"].to_numpy()[test] + 1) % 3  # other counts of the classes too
        clips.loc[test, "label"] = label
        clips.loc[test, "class_name"] = np.array(["rain", "sea", "wind"])[label]
    return EmbeddingTable(clips, vectors, {})


def same_state(one: Cell, other: Cell) -> bool:
    assert one.state.keys() == other.state.keys()
    return all(value.numpy().tobytes() == other.state[name].numpy().tobytes()
               for name, value in one.state.items())  # fmt: skip


def probabilities(cell: Cell) -> np.ndarray:
    return cell.predictions[["p_0", "p_1", "p_2"]].to_numpy()


@pytest.mark.parametrize("protocol", ["as_published", "corrected"])
@pytest.mark.parametrize("expert_set", [SINGLE, PTQ, MIXTURE])
def test_the_same_specification_gives_the_same_bytes_and_another_seed_others(
    expert_set: str, protocol: str
) -> None:
    curiosity = ("kl_divergence", 0.3) if expert_set == MIXTURE else ()
    described = spec(expert_set, protocol, *curiosity)
    first = train_cell(table(), described, 1)
    torch.rand(17)  # another random state
    again = train_cell(table(), copy.deepcopy(described), 1)
    assert same_state(first, again) and first.scores == again.scores
    assert first.predictions.to_csv() == again.predictions.to_csv()
    assert first.history.to_csv() == again.history.to_csv()
    other = train_cell(table(), described | {"seed": 1}, 1)
    assert not same_state(first, other)
    assert not np.array_equal(probabilities(first), probabilities(other))


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("protocol", ["as_published", "corrected"])
def test_every_strategy_trains_over_several_batches(strategy: str, protocol: str) -> None:
    described = spec(MIXTURE, protocol, strategy, 0.3, epochs=2, batch_size=16)
    cell = train_cell(table(), described, 0)
    assert len(cell.history) == 2 and np.isfinite(probabilities(cell)).all()
    assert (cell.predictions["uncertainty"] > 0).all()


@pytest.mark.parametrize(
    ("expert_set", "curiosity"),
    [
        (SINGLE, ()),
        (PTQ, ()),
        (MIXTURE, ("information_gain", 0.3)),
        (WITH_PTQ, ("escalation", 0.3)),
    ],
)
def test_corrected_the_test_fold_changes_nothing_in_training(
    expert_set: str, curiosity: tuple[Any, ...]
) -> None:
    described = spec(expert_set, "corrected", *curiosity)
    one, other = (train_cell(data, described, 0) for data in (table(), changed()))
    assert same_state(one, other)
    pd.testing.assert_frame_equal(one.history, other.history)
    assert not np.array_equal(probabilities(one), probabilities(other))


@pytest.mark.parametrize("expert_set", [SINGLE, MIXTURE])
@pytest.mark.parametrize("stop_on", ["test", "held_out"])
def test_as_published_the_test_fold_stops_training(expert_set: str, stop_on: str) -> None:
    described = spec(expert_set, "as_published", epochs=8, patience=2, learning_rate=3e-3)
    described["protocol"] |= {"folds": "grouped", "stop_on": stop_on, "held_out_fraction": 0.1}
    one, other = (
        train_cell(data, described, 0) for data in (table(), changed(labels=False, constant=True))
    )
    if stop_on == "held_out":
        assert same_state(one, other)
    else:  # on constant vectors F1 never moves: two epochs after the first it ends
        assert other.scores["epochs"] == 3 < one.scores["epochs"]
        assert not same_state(one, other)


def kept_epochs(cell: Cell, min_delta: float) -> list[int]:
    """Epochs that were better than the last better one by more than min_delta."""
    found: list[int] = []
    f1 = cell.history["stop_f1_weighted"].tolist()
    for epoch, value in enumerate(f1, start=1):
        if not found or value > f1[found[-1] - 1] + min_delta:
            found.append(epoch)
    return found


@pytest.mark.parametrize(
    ("expert_set", "protocol", "scored"),
    [
        (SINGLE, "as_published", "last"),
        (MIXTURE, "as_published", "best"),
        (SINGLE, "corrected", "best"),
        (MIXTURE, "corrected", "best"),
    ],
)
def test_the_scored_epoch_is_the_last_or_the_best(
    expert_set: str, protocol: str, scored: str
) -> None:
    min_delta = 0.0 if expert_set == SINGLE else 0.001
    cell = train_cell(
        table(), spec(expert_set, protocol, epochs=40, patience=4, learning_rate=0.01), 0
    )
    f1, best = cell.history["stop_f1_weighted"], kept_epochs(cell, min_delta)
    epochs = len(f1)
    assert epochs == best[-1] + 4 < 40, "stops after four epochs without a better one"
    wanted = epochs if scored == "last" else int(f1.idxmax()) + 1
    assert cell.scores["scored_epoch"] == wanted and cell.scores["epochs"] == epochs
    assert cell.scores["stop_f1_weighted"] == f1[wanted - 1]
    said = cell.predictions["prediction"].to_numpy()
    truth = cell.predictions["label"].to_numpy()
    if protocol == "as_published":
        assert cell.scores["f1_weighted"] == f1[wanted - 1]
    else:
        assert cell.scores["n_stop"] < 20  # a tenth of 80, whole recordings
        stop = stopping_split(table().clips, REST[0], 0.1, 42)[1]
        again = reload(cell, spec(expert_set, protocol))(torch.from_numpy(table().vectors[stop]))
        truth_there = table().clips["label"].to_numpy()[stop]
        assert f1_by_hand(truth_there, again.argmax(1)) == pytest.approx(f1[wanted - 1])
    assert f1_by_hand(truth, said) == pytest.approx(cell.scores["f1_weighted"])


def reload(cell: Cell, described: dict[str, Any]) -> Any:
    """Probabilities from nothing but the saved state: (N, D) -> (N, C)."""
    model = build_model(described, 16, 3, seed=999)
    prefix = "model."
    model.load_state_dict(
        {n.removeprefix(prefix): v for n, v in cell.state.items() if n.startswith(prefix)}
    )
    quantize_after_training(model)
    model.eval()

    def probabilities_of(x: Tensor) -> np.ndarray:
        with torch.no_grad():
            x = (x - cell.state["normalizer.offset"]) / cell.state["normalizer.scale"]
            return model(x).logits.softmax(1).numpy()

    return probabilities_of


@pytest.mark.parametrize(
    ("expert_set", "curiosity"),
    [(SINGLE, ()), (PTQ, ()), (MIXTURE, ("kl_divergence", 0.3)), (WITH_PTQ, ("escalation", 0.3))],
)
def test_the_saved_state_reproduces_the_predictions(
    expert_set: str, curiosity: tuple[Any, ...]
) -> None:
    described = spec(expert_set, "corrected", *curiosity)
    cell = train_cell(table(), described, 2)
    again = reload(cell, described)(torch.from_numpy(table().vectors[TEST[2]]))
    np.testing.assert_allclose(again, probabilities(cell), atol=1e-5)


def f1_by_hand(truth: np.ndarray, said: np.ndarray) -> float:
    """Weighted F1 from counts; a class that is never said scores 0."""
    total = 0.0
    pairs = list(zip(truth.tolist(), said.tolist(), strict=True))
    for c in set(truth.tolist()):
        hits = sum(t == s == c for t, s in pairs)
        total += sum(t == c for t, _ in pairs) * (
            2 * hits / (sum(t == c for t, _ in pairs) + sum(s == c for _, s in pairs))
        )
    return total / len(pairs)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=30))
def test_weighted_f1_is_counted_by_class(pairs: list[tuple[int, int]]) -> None:
    truth, said = np.array(pairs).T
    assert weighted_f1(truth, said) == pytest.approx(f1_by_hand(truth, said))


@pytest.mark.parametrize("expert_set", [SINGLE, PTQ, MIXTURE])
def test_predictions_are_complete_and_the_scores_follow_from_them(expert_set: str) -> None:
    cell = train_cell(table(), spec(expert_set), 1)
    frame, clips = cell.predictions, table().clips.iloc[TEST[1]]
    assert list(frame.columns) == [
        *("clip", "recording", "label", "prediction", "expert", "gate", "uncertainty"),
        *("p_0", "p_1", "p_2"),
    ]
    for column in ("clip", "recording", "label"):
        assert frame[column].tolist() == clips[column].tolist()
    np.testing.assert_allclose(probabilities(cell).sum(axis=1), 1, atol=1e-6)
    assert frame["prediction"].tolist() == probabilities(cell).argmax(axis=1).tolist()
    hits = [a == b for a, b in zip(frame["label"], frame["prediction"], strict=True)]
    scores = cell.scores
    assert scores["accuracy"] == pytest.approx(sum(hits) / len(hits))
    assert scores["f1_weighted"] == pytest.approx(
        f1_by_hand(frame["label"].to_numpy(), frame["prediction"].to_numpy())
    )
    assert scores["n_test"] == len(frame) == len(TEST[1])
    assert scores["n_fit"] + scores["n_stop"] == len(REST[1])
    assert (scores["n_classes"], scores["dimension"]) == (3, 16)
    single = 16 * 16 + 16 + 2 * 16 + 16 * 8 + 8 + 2 * 8 + 8 * 3 + 3
    bit = single + 2 * 16 + 2 * 16  # LayerNorm before each BitLinear
    router = 16 * 8 + 8 + 8 * 6 + 6 + 6 * 3 + 3
    assert scores["parameter_count"] == (router + 3 * bit if expert_set == MIXTURE else single)
    if expert_set == MIXTURE:
        assert set(frame["expert"]) <= {"bitnet", "q4", "q8"}
        assert (frame["gate"] >= 1 / 3).all() and (frame["gate"] <= 1).all()
        assert (frame["uncertainty"] > 0).all()
    else:
        assert set(frame["expert"]) == {"fp32" if expert_set == SINGLE else "ptq8"}
        assert (frame["gate"] == 1).all() and frame["uncertainty"].isna().all()


def test_post_training_quantisation_changes_the_scored_model_only() -> None:
    plain, quantised = (train_cell(table(), spec(s), 0) for s in (SINGLE, PTQ))
    assert same_state(plain, quantised)
    pd.testing.assert_frame_equal(plain.history, quantised.history)
    gap = np.abs(probabilities(plain) - probabilities(quantised)).max()
    assert 1e-5 < gap < 0.1


# Stopping and the steps of the optimiser.


def test_training_stops_after_patience_epochs_that_are_not_better_by_min_delta() -> None:
    still = train_cell(table(), spec(SINGLE, epochs=30, patience=5, learning_rate=1e-12), 0)
    assert len(still.history) == 6 and len(set(still.history["stop_f1_weighted"])) == 1
    fast = {"epochs": 9, "learning_rate": 0.01, "patience": 3}
    usual = train_cell(table(), spec(SINGLE, **fast), 0)
    assert len(usual.history) > 4 and usual.scores["scored_epoch"] > 1
    picky = train_cell(table(), spec(SINGLE, **fast, min_delta=0.99), 0)
    assert len(picky.history) == 4  # the gains were too small to go on, not to be kept
    assert picky.scores["scored_epoch"] == picky.history["stop_f1_weighted"].idxmax() + 1


@pytest.mark.parametrize("rate", [1e-6, 0.01])
def test_the_plateau_lowers_the_rate_when_f1_stands_still_for_its_patience(rate: float) -> None:
    plateau = {"factor": 0.25, "patience": 2}
    described = spec(SINGLE, epochs=12, patience=99, learning_rate=rate, plateau=plateau)
    history = train_cell(table(), described, 0).history
    best, waited, factor, wanted = -1.0, 0, 1.0, []
    for f1 in history["stop_f1_weighted"]:
        wanted.append(factor)
        best, waited = (f1, 0) if f1 > best * 1.0001 else (best, waited + 1)
        if waited > 2:
            factor, waited = factor / 4, 0
    assert (history["learning_rate"] / rate).tolist() == pytest.approx(wanted)
    assert wanted[:4] == [1] * 4 and wanted[-1] < 1


def one_step(expert_set: str, **training: Any) -> tuple[dict[str, Any], Cell, Tensor, Tensor]:
    """One full batch without dropout; returns also the normalised vectors and labels of it."""
    described = spec(expert_set, "as_published", epochs=1, batch_size=999, **training)
    described["training"]["checkpoint"] = "last"
    described["protocol"]["folds"] = "grouped"
    described["network"]["dropout"] = 0.0
    described.get("router", {})["dropout"] = 0.0
    vectors = table().vectors[REST[2]].astype(np.float64)
    x = torch.tensor((vectors - vectors.mean(0)) / vectors.std(0)).float()
    y = torch.tensor(table().clips["label"].to_numpy()[REST[2]])
    return described, train_cell(table(), described, 2), x, y


def loss_by_hand(logits: Tensor, y: Tensor, smoothing: float) -> Tensor:
    """Cross entropy with weights 1/count, averaged with those weights."""
    weight = [1 / y.tolist().count(c) for c in range(3)]
    log_p = logits - logits.exp().sum(1, keepdim=True).log()
    total, norm = torch.zeros(()), 0.0
    for row, label in zip(log_p, y.tolist(), strict=True):
        spread = sum(w * row[c] for c, w in enumerate(weight)) / 3
        total = total - (1 - smoothing) * weight[label] * row[label] - smoothing * spread
        norm += weight[label]
    return total / norm


@pytest.mark.parametrize("expert_set", [SINGLE, MIXTURE])
def test_the_first_step_is_the_papers_loss_and_optimiser(expert_set: str) -> None:
    described, cell, x, y = one_step(expert_set)
    model = build_model(described, 16, 3, seed=2).train()  # seed 0, fold 2
    out = model(x)
    if expert_set == SINGLE:
        loss = loss_by_hand(out.logits, y, 0.10851194368924916)
        rate, decay = 5.793146438537801e-4, 5.1275736171219844e-3
    else:
        p = model.router(x).softmax(1)
        loss = loss_by_hand(out.logits, y, 0.0) + 1e-3 * sum(p[:, i].mean() ** 2 for i in range(3))
        rate, decay = 1e-3, 0.0
    assert cell.history["loss"][0] == pytest.approx(float(loss.detach()), rel=1e-5)
    loss.backward()
    for name, before in model.named_parameters():
        after, gradient = cell.state[f"model.{name}"], before.grad
        assert gradient is not None
        clear = gradient.abs() > 1e-4  # the first step of Adam is the sign of the gradient
        step = -rate * (gradient.sign() + decay * before)
        torch.testing.assert_close(
            (after - before.detach())[clear], step[clear].detach(), rtol=1e-2, atol=1e-7
        )


def test_the_balance_term_and_smoothing_are_part_of_the_loss() -> None:
    losses = {
        name: one_step(MIXTURE, **changes)[1].history["loss"][0]
        for name, changes in {
            "published": {},
            "unbalanced": {"load_balance": 0.0},
            "strong": {"load_balance": 1.0},
            "smooth": {"label_smoothing": 0.5},
        }.items()
    }
    balance = losses["strong"] - losses["unbalanced"]  # sum of squared mean gates
    assert 1 / 3 <= balance < 1
    assert losses["published"] - losses["unbalanced"] == pytest.approx(1e-3 * balance, rel=1e-2)
    assert losses["smooth"] != losses["published"]


def test_the_configuration_holds_the_papers_numbers() -> None:
    single = base_spec(SINGLE, "as_published", "none", None, small=False)
    assert single["training"] == {
        "optimizer": "adamw",
        "learning_rate": 5.793146438537801e-4,
        "weight_decay": 5.1275736171219844e-3,
        "label_smoothing": 0.10851194368924916,
        "load_balance": 0.0,
        "plateau": {"factor": 0.6156433661410728, "patience": 15},
        "batch_size": 64,
        "epochs": 100,
        "patience": 15,
        "min_delta": 0.0,
        "checkpoint": "last",
    }
    mixture = base_spec(MIXTURE, "as_published", "none", None, small=False)
    assert mixture["training"] == {
        "optimizer": "adam",
        "learning_rate": 1e-3,
        "weight_decay": 0.0,
        "label_smoothing": 0.0,
        "load_balance": 1e-3,
        "plateau": None,
        "batch_size": 64,
        "epochs": 100,
        "patience": 30,
        "min_delta": 0.001,
        "checkpoint": "best",
    }
    assert mixture["network"] == {"hidden": [640, 320], "dropout": 0.1953403862875243}
    assert mixture["router"]["hidden"] == [128, 64]
    assert mixture["router"]["monte_carlo_samples"] == 10 and mixture["router"]["top_k"] == 1
    assert (single["normalization"], single["split_seed"], single["n_folds"]) == ("standard", 42, 5)
    for expert_set in (SINGLE, MIXTURE):
        corrected = base_spec(expert_set, "corrected", "none", None, small=False)
        assert corrected["training"]["checkpoint"] == "best"
        assert corrected["protocol"] == {
            "folds": "grouped",
            "stop_on": "held_out",
            "held_out_fraction": 0.1,
            "uncertainty_scale": "train_quantiles",
            "bayesian_router": "always",
            "q16": "k_bit",
            "popcount_gradient": "straight_through",
            "ptq8_activations": "per_row",
        }
    assert {k: single["protocol"][k] for k in ("folds", "stop_on", "uncertainty_scale", "q16")} == {
        "folds": "random",
        "stop_on": "test",
        "uncertainty_scale": "per_batch",
        "q16": "float32",
    }
    assert single["protocol"]["popcount_gradient"] == "zero"


def test_popcount_as_published_stays_where_it_started_and_corrected_learns() -> None:
    for protocol, learns in (("as_published", False), ("corrected", True)):
        described = spec(SINGLE, protocol, weight_decay=0.0) | {"experts": ["popcount"]}
        cell = train_cell(table(), described, 0)
        start = build_model(described, 16, 3, seed=0).state_dict()
        moved = [not torch.equal(cell.state[f"model.{name}"], start[name]) for name in start]
        assert any(moved) == learns


# Normalisation.


def matrix(seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(30, 6)) * [1e-3, 1, 50, 1e4, 1, 1] + [
        5,
        0,
        1,
        2,
        0,
        0,
    ]
    x[:, 5] = 0.1  # a column without spread
    return x.astype(np.float32)


@pytest.mark.parametrize("kind", ["standard", "l2", "min_max", "raw"])
def test_normalisation_is_learnt_from_the_rows_given(kind: str) -> None:
    fit, new = matrix(), matrix(1)
    a, b = fit.astype(np.float64), new.astype(np.float64)
    spread = np.array([1, 1, 1, 1, 1, 0], bool)
    wanted = {
        "standard": (b - a.mean(0)) / np.where(spread, a.std(0), 1),
        "l2": b / np.sqrt((b * b).sum(1, keepdims=True)),
        "min_max": (b - a.min(0)) / np.where(spread, a.max(0) - a.min(0), 1),
        "raw": b,
    }[kind]
    normalizer = Normalizer.fit(torch.from_numpy(fit), kind)
    got = normalizer(torch.from_numpy(new)).numpy()
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=2e-3 if kind != "l2" else 1e-6)
    itself = normalizer(torch.from_numpy(fit)).numpy()
    assert np.isfinite(itself).all()
    if kind == "standard":
        np.testing.assert_allclose(itself.std(0), spread, atol=1e-3)
    if kind == "min_max":
        assert np.abs(itself).max() <= 1 + 1e-5


ordinary = st.floats(-1e6, 1e6, width=32, allow_subnormal=False)


@settings(max_examples=30, deadline=None)
@given(
    hnp.arrays(np.float32, (5, 3), elements=ordinary),
    st.sampled_from(["standard", "l2", "min_max", "raw"]),
)
def test_normalisation_never_divides_by_zero(x: np.ndarray, kind: str) -> None:
    x[:, 0] = x[0, 0]
    got = Normalizer.fit(torch.from_numpy(x), kind)(torch.from_numpy(x))
    assert got.isfinite().all()
    if kind in ("standard", "min_max"):
        assert got[:, 0].abs().max() <= 1e-6 * (1 + abs(float(x[0, 0])))


@pytest.mark.parametrize("protocol", ["as_published", "corrected"])
def test_normalisation_sees_the_fitted_clips_only(protocol: str) -> None:
    described = spec(SINGLE, protocol, epochs=1)
    described["protocol"]["folds"] = "grouped"
    cell = train_cell(table(), described, 0)
    fit = REST[0]
    if protocol == "corrected":
        fit = stopping_split(table().clips, fit, 0.1, 42)[0]
    rows = table().vectors[fit].astype(np.float64)
    np.testing.assert_allclose(cell.state["normalizer.offset"], rows.mean(0), rtol=1e-6)
    np.testing.assert_allclose(cell.state["normalizer.scale"], rows.std(0), rtol=1e-6)
    assert len(fit) == cell.scores["n_fit"] < 120 - len(TEST[0]) + (protocol == "as_published")


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_an_absent_device_is_refused(device: str) -> None:
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if present[device]:
        pytest.skip(f"{device} is here")
    with pytest.raises(UserError, match=f"{device}.*cpu"):
        train_cell(table(), spec(SINGLE) | {"device": device}, 0)
    assert pick_device("cpu") == torch.device("cpu")


def test_two_training_clips_of_a_class_without_official_folds_are_refused_by_name() -> None:
    small = table(official=False)
    rows = [*range(60), *range(60, 96), 96, 97]  # wind: one recording
    few = EmbeddingTable(small.clips.iloc[rows].reset_index(drop=True), small.vectors[rows], {})
    with pytest.raises(UserError, match="class 'wind' has 1 recordings"):
        train_cell(few, spec(SINGLE), 0)


def test_the_stored_quantiles_are_of_the_fitted_clips_at_the_scored_epoch() -> None:
    described = spec(MIXTURE, "corrected", "precision_prior", 0.3)
    cell = train_cell(table(), described, 0)
    fit = stopping_split(table().clips, REST[0], 0.1, 42)[0]
    model = build_model(described, 16, 3, seed=999)
    model.load_state_dict(
        {n[6:]: v for n, v in cell.state.items() if n.startswith("model.")}, strict=True
    )
    x = torch.from_numpy(table().vectors[fit])
    x = (x - cell.state["normalizer.offset"]) / cell.state["normalizer.scale"]
    with torch.no_grad():
        u = model.router.sample(x).double().numpy().var(axis=0, ddof=1).sum(axis=1)
    np.testing.assert_allclose(cell.state["model.u_range"], np.quantile(u, [0.05, 0.95]), rtol=1e-3)
