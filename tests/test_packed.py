"""Packed models against integer arithmetic by hand, and against the networks they come from."""

import copy
import dataclasses
import hashlib
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
import torch
from conftest import parameters
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.numpy import load as load_tensors
from torch import nn

from qmoe import cells, cli, work
from qmoe.data import table as tables
from qmoe.data.embed import embed_files
from qmoe.data.synth import render
from qmoe.deploy import export as exporting
from qmoe.deploy.bits import narrowest, pack, planes
from qmoe.deploy.check import Agreement, agreement, check
from qmoe.deploy.export import PackedExpert, export, pack_expert, router_graph
from qmoe.deploy.graph import Graph
from qmoe.deploy.packed import PackedModel, session
from qmoe.deploy.predict import predict
from qmoe.deploy.ternary import TernaryNetwork
from qmoe.errors import UserError
from qmoe.grid import Grid
from qmoe.nn.build import build_model
from qmoe.nn.curiosity import STRATEGIES
from qmoe.nn.experts import build_expert
from qmoe.nn.layers import quantize_after_training
from qmoe.train import Cell, Normalizer
from records import record

SMALL = {
    "datasets": {"demo": {"folds": 3}},
    "network": {"hidden": [13, 9]},
    "router": {"hidden": [12, 7]},
    "training": {kind: {"epochs": 2, "batch_size": 16} for kind in ("single", "mixture")},
}
MIXTURE = "BitNet-Q4/8-QMoE"
D, CLASSES = 21, 3
examples = settings(max_examples=40, deadline=None)
Array = NDArray[Any]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# Bits.

LIMITS = {1: (-1, 1), 2: (-2, 1), 4: (-8, 7), 8: (-128, 127), 16: (-32768, 32767)}


@st.composite
def matrices(draw: st.DrawFn, bits: int) -> Array:
    """Integers of so many bits; widths that fill the last byte or do not."""
    low, high = LIMITS[bits]
    shape = draw(st.integers(1, 5)), draw(st.integers(1, 21))
    value = st.sampled_from([-1, 1]) if bits == 1 else st.integers(low, high)
    flat = draw(st.lists(value, min_size=math.prod(shape), max_size=math.prod(shape)))
    return np.array(flat, dtype=np.int64).reshape(shape)


def holds(value: int, bits: int) -> bool:
    """Whether a number is one of the 2^bits of its width."""
    return value in (-1, 1) if bits == 1 else value in range(-(1 << bits - 1), 1 << bits - 1)


@examples
@given(st.lists(st.integers(-40000, 40000) | st.integers(-9, 9), min_size=1, max_size=6))
def test_narrowest_is_the_first_width_that_holds_all(values: list[int]) -> None:
    fitting = [bits for bits in LIMITS if all(holds(value, bits) for value in values)]
    if fitting:
        assert narrowest(np.array([values])) == fitting[0]
    else:
        with pytest.raises(ValueError, match="16 bits"):
            narrowest(np.array([values]))


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_narrowest_at_the_ends_of_a_width(bits: int) -> None:
    low, high = LIMITS[bits]
    assert narrowest(np.array([[low, 0]])) == narrowest(np.array([[high, 0]])) == bits
    if bits < 16:
        assert narrowest(np.array([[low - 1]])) == narrowest(np.array([[high + 1]])) == 2 * bits


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@examples
@given(st.data())
def test_pack_puts_a_column_where_it_says(bits: int, data: st.DataObject) -> None:
    values = data.draw(matrices(bits))
    packed = pack(values, bits)
    width = math.ceil(values.shape[1] * bits / 8)
    assert packed.dtype == np.uint8 and packed.shape == (len(values), width)
    for row, line in zip(values.tolist(), packed.tolist(), strict=True):
        for n, value in enumerate(row):
            code = line[n % width] // 2 ** (n // width * bits) % 2**bits
            assert value == (2 * code - 1 if bits == 1 else code - 2 ** (bits - 1))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@settings(max_examples=12, deadline=None)
@given(st.data())
def test_a_graph_unpacks_what_was_packed(bits: int, data: st.DataObject) -> None:
    values = data.draw(matrices(bits))
    graph = Graph(2)
    whole = graph.node("Cast", graph.unpacked(values, bits), to=onnx.TensorProto.FLOAT)
    model = graph.model({"y": (whole, list(values.shape))})
    got = session(model.SerializeToString()).run(None, {"x": np.zeros((1, 2), np.float32)})[0]
    assert got.astype(int).tolist() == values.tolist()
    stored = [i for i in model.graph.initializer if len(i.dims) == 2]
    size = sum(onnx.numpy_helper.to_array(i).nbytes for i in stored)
    assert size == len(values) * math.ceil(values.shape[1] * bits / 8)


@examples
@given(st.integers(1, 3), st.integers(1, 140), st.integers(0, 99))
def test_planes_say_where_a_value_is_not_zero_and_where_negative(
    rows: int, width: int, seed: int
) -> None:
    values = np.random.default_rng(seed).integers(-1, 2, size=(rows, width))
    nonzero, negative = planes(values)
    assert nonzero.dtype == negative.dtype == np.uint64
    assert nonzero.shape == negative.shape == (rows, math.ceil(width / 64))
    for row in range(rows):
        not_zero, below = (
            [i for w, word in enumerate(plane[row].tolist()) for i in range(64 * w, 64 * w + 64)
             if word >> i % 64 & 1]
            for plane in (nonzero, negative)
        )  # fmt: skip
        assert not_zero == [i for i, v in enumerate(values[row]) if v]
        assert below == [i for i, v in enumerate(values[row]) if v == -1]


# Experts.


def randomize(model: nn.Module, seed: int = 0) -> None:
    """Weights, biases and norms as far from their start as training never brings them."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)


def expert(scheme: str, d_in: int = D, *, q16: str = "k_bit", seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    made = build_expert(
        scheme,
        d_in,
        CLASSES,
        hidden=[70, 9],  # more than a word of a bit-plane
        dropout=0.2,
        q16=q16,
        popcount_gradient="zero",
        ptq8_activations="per_batch",
    )
    randomize(made, seed)
    quantize_after_training(made)
    return made.eval()


def clips(n: int = 60, d_in: int = D, seed: int = 3) -> Array:
    return np.random.default_rng(seed).normal(size=(n, d_in)).astype(np.float32)


def run(packed: PackedExpert, x: Array) -> Array:
    if packed.suffix == ".safetensors":
        return TernaryNetwork(load_tensors(packed.content))(x)
    return session(packed.content).run(None, {"x": x})[0]


def unit(x: Array, norm: nn.LayerNorm) -> Array:
    """LayerNorm of a row at a time."""
    w, b = (p.detach().double().numpy() for p in (norm.weight, norm.bias))
    rows = [(row - row.mean()) / math.sqrt(((row - row.mean()) ** 2).mean() + 1e-5) for row in x]
    return np.stack(rows) * w + b


def ternary(row: Array, share: float) -> Array:
    """Signs of what is not less than a share of the mean magnitude."""
    limit = share * sum(abs(v) for v in row) / len(row)
    return np.array([0 if abs(v) < limit else int(v > 0) - int(v < 0) for v in row])


def dense(layer: Any, x: Array, scheme: str) -> Array:
    """A layer of METHOD section 2 on integers: x (N, in) in float64 -> (N, out)."""
    w = layer.weight.detach().double().numpy()
    if scheme == "popcount":
        a = np.stack([ternary(row, 0.05) for row in x])
        return (a @ np.stack([ternary(row, 0.05) for row in w]).T).astype(float)
    b = layer.bias.detach().double().numpy()
    if scheme in ("fp32", "ptq8") or isinstance(layer, nn.Linear):
        return x @ w.T + b
    x = unit(x, layer.norm)
    if scheme == "bitnet":
        a = np.stack([ternary(row, 0.05) for row in x])
        out = []
        for row, bias in zip(w - w.mean(1, keepdims=True), b, strict=True):
            t = ternary(row, 0.15)
            alpha = abs(row[t != 0]).mean() if t.any() else 0.0
            out.append((a @ t) * alpha + bias)
        return np.stack(out, axis=1)
    bits = int(scheme[1:])
    unit_of_row = np.maximum(abs(x).max(1, keepdims=True), 1e-5) / 127
    codes = np.rint(x / unit_of_row).astype(np.int64)
    centred = w - w.mean()
    step = 1.0 if bits == 1 else abs(centred).max() / (2 ** (bits - 1) - 1)
    whole = np.sign(centred) if bits == 1 else np.rint(centred / (step or 1.0))
    return (codes @ whole.astype(np.int64).T) * unit_of_row * step + b


def by_hand(network: nn.Sequential, x: Array, scheme: str) -> Array:
    first, norm1, _, _, second, norm2, _, _, head = network
    h = x.astype(np.float64)
    for layer, norm in ((first, norm1), (second, norm2)):
        h = np.maximum(unit(dense(layer, h, scheme), norm), 0)
    return dense(head, h, scheme)


def assert_same(got: Array, wanted: Array) -> None:
    """Logits of the same size and class, but for a rare row with a value between two codes."""
    assert got.dtype == np.float32 and got.shape == wanted.shape and np.isfinite(got).all()
    scale = max(1.0, abs(wanted).max())
    difference = abs(got - wanted).max(axis=1) / scale
    assert np.quantile(difference, 0.95) < 2e-5 and difference.max() < 0.02
    assert (got.argmax(1) == wanted.argmax(1)).mean() > 0.98


SCHEMES = ["q1", "q2", "q4", "q8", "q16", "bitnet", "popcount", "fp32"]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_packed_expert_is_its_integer_arithmetic_and_its_trained_network(scheme: str) -> None:
    network, x = expert(scheme), clips()
    packed = pack_expert(scheme, network)
    got = run(packed, x)
    assert_same(got, by_hand(network, x, scheme))
    with torch.no_grad():
        assert_same(got, network(torch.from_numpy(x)).numpy())
    alone = np.vstack([run(packed, row[None]) for row in x])
    assert np.array_equal(alone.argmax(1), got.argmax(1))
    np.testing.assert_allclose(alone, got, atol=1e-4)


def test_sixteen_bits_as_published_are_float32_behind_a_norm() -> None:
    network, x = expert("q16", q16="float32"), clips()
    packed = pack_expert("q16", network)
    assert packed.weights == "float32"
    first, norm1, _, _, second, norm2, _, _, head = network
    h = x.astype(np.float64)
    for layer, norm in ((first, norm1), (second, norm2)):
        w, b = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
        h = np.maximum(unit(unit(h, layer.norm) @ w.T + b, norm), 0)
    assert_same(run(packed, x), dense(head, h, "fp32"))


def test_post_training_int8_is_near_and_holds_bytes() -> None:
    network, x = expert("ptq8"), clips()
    packed = pack_expert("ptq8", network)
    got, wanted = run(packed, x), by_hand(network, x, "ptq8")  # float32: what was quantised
    assert abs(got - wanted).max() < 0.05 * abs(wanted).max()
    assert abs(got - wanted).max() > 0
    kinds = {
        i.data_type
        for i in onnx.load_from_string(packed.content).graph.initializer
        if len(i.dims) == 2
    }
    assert kinds == {onnx.TensorProto.INT8}


@pytest.mark.parametrize(
    ("scheme", "weights"),
    [("q1", "1 bit"), ("q2", "2 bit"), ("q4", "4 bit"), ("q8", "8 bit"), ("q16", "16 bit"),
     ("bitnet", "two bit-planes"), ("popcount", "two bit-planes"), ("ptq8", "int8"),
     ("fp32", "float32")],
)  # fmt: skip
def test_a_packed_expert_says_how_its_weights_lie(scheme: str, weights: str) -> None:
    assert pack_expert(scheme, expert(scheme)).weights == weights


def test_one_bit_keeps_a_weight_that_is_exactly_the_mean() -> None:
    """Its sign is zero, as published: such a layer needs two bits, and they say so."""
    network, x = expert("q1"), clips()
    with torch.no_grad():
        for layer in (network[0], network[4]):
            whole = torch.ones(layer.weight.numel())
            whole[1::2] = -1
            whole[: len(whole) // 4 * 2] = 0  # as many 1 as -1 remain; the mean is 0 exactly
            whole[-1] = 0 if len(whole) % 2 else whole[-1]
            layer.weight.copy_(whole.reshape(layer.weight.shape))
    packed = pack_expert("q1", network)
    assert packed.weights == "2 bit"
    assert_same(run(packed, x), by_hand(network, x, "q1"))


@pytest.mark.parametrize("scheme", ["q1", "q2", "q4", "q8", "q16", "bitnet", "popcount"])
@pytest.mark.parametrize("value", [0.0, 0.25])
def test_constant_weights_survive(scheme: str, value: float) -> None:
    network, x = expert(scheme), clips(20)
    with torch.no_grad():
        network[0].weight.fill_(value)
    got = run(pack_expert(scheme, network), x)
    with torch.no_grad():
        assert_same(got, network(torch.from_numpy(x)).numpy())


@pytest.mark.parametrize("scheme", SCHEMES)
def test_silent_faint_and_huge_rows_are_as_in_training(scheme: str) -> None:
    network, x = expert(scheme), clips(12)
    x[0], x[1], x[2] = 0, 5, -0.0
    x[3:6] *= 1e-12
    x[6:9] *= np.float32(1e12)
    with torch.no_grad():
        wanted = network(torch.from_numpy(x)).numpy()
    got = run(pack_expert(scheme, network), x)
    for row, other in zip(got, wanted, strict=True):
        assert_same(row[None], other[None])


def test_a_block_takes_rows_that_are_not_contiguous() -> None:
    packed = pack_expert("bitnet", expert("bitnet"))
    x = clips(20)
    np.testing.assert_array_equal(run(packed, x[::2]), run(packed, np.ascontiguousarray(x[::2])))


@pytest.mark.parametrize("top", [7, 32767])
def test_rows_of_any_size_are_cut_into_127_steps_of_their_own(top: int) -> None:
    """The layer alone: no LayerNorm brings the rows to one size. Below 1e-5 the steps stop."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=(8, 31)) * np.array(
        [[0], [1e-9], [1e-6], [1e-4], [1e-2], [1], [1e3], [1e9]]
    )
    x = x.astype(np.float32)
    x[6] = -abs(x[6])  # the largest is negative
    levels = rng.integers(-top, top + 1, size=(5, 31))
    levels[0, 0] = top
    bias, step = rng.normal(size=5).astype(np.float32) * 1e-3, 0.37 / top
    graph = Graph(31)
    y, bits = graph.k_bit_linear("x", levels, step, bias)
    model = graph.model({"y": (y, ["n", 5])})
    got = session(model.SerializeToString()).run(None, {"x": x})[0]
    assert bits == (4 if top == 7 else 16)
    for row, out in zip(x.astype(float), got, strict=True):
        unit_of_row = max(1e-5, max(abs(row))) / 127
        codes = [round(value / unit_of_row) for value in row]
        exact = [sum(c * int(w) for c, w in zip(codes, line, strict=True)) for line in levels]
        wanted = np.array(exact) * unit_of_row * step + bias
        np.testing.assert_allclose(out, wanted, atol=1e-5 * max(abs(wanted)))


# Whole models.


@cache
def spec(
    expert_set: str,
    strategy: str = "none",
    alpha: float | None = None,
    protocol: str = "corrected",
    normalization: str = "standard",
    top_k: int = 1,
) -> dict[str, Any]:
    grid = {
        "protocols": [protocol],
        "expert_sets": [expert_set],
        "curiosity": [{"strategy": strategy, "alpha": alpha}],
    }
    over = copy.deepcopy(SMALL) | {"grid": grid, "normalization": normalization}
    over["router"]["top_k"] = top_k
    return Grid(parameters(over)).experiments[0].spec


def table(n: int = 60) -> tables.EmbeddingTable:
    rng = np.random.default_rng(5)
    label = np.arange(n) % CLASSES
    frame = pd.DataFrame(
        {
            "clip": [f"clip{i:03d}" for i in range(n)],
            "recording": [f"r{i // 2}" for i in range(n)],
            "fold": pd.array([pd.NA] * n, "Int64"),
            "label": label,
            "class_name": np.array(["rain", "sea", "wind"])[label],
        }
    )
    values = rng.normal(size=(n, D)) * np.geomspace(0.1, 10, D) + 2 + label[:, None]
    return tables.EmbeddingTable(frame, values.astype(np.float32), {"source": "made up"})


def cell_of(folder: Path, made_from: dict[str, Any], seed: int = 0) -> Path:
    """A cell on disk whose weights are random: its biases count, its experts all have clips."""
    data = table()
    embeddings = folder / "table.parquet"
    tables.write(embeddings, data)
    made_from = made_from | {"embeddings": embeddings.as_posix()}
    vectors = torch.from_numpy(np.array(data.vectors))
    normalizer = Normalizer.fit(vectors[:30], made_from["normalization"])
    model = build_model(made_from, D, CLASSES, seed=seed)
    randomize(model, seed)
    model.calibrate(normalizer(vectors[:30]))
    state = {f"model.{name}": value for name, value in model.state_dict().items()}
    state |= {"normalizer.offset": normalizer.offset, "normalizer.scale": normalizer.scale}
    cell = Cell(
        scores={},
        predictions=data.clips.iloc[30:][["clip"]].reset_index(drop=True),
        history=pd.DataFrame({"epoch": [1]}),
        state=state,
        classes=["rain", "sea", "wind"],
    )
    cells.write(folder / "fold0", cell, made_from, data.metadata)
    return folder / "fold0"


def packed_of(folder: Path, made_from: dict[str, Any]) -> tuple[cells.Trained, PackedModel]:
    cell = cell_of(folder, made_from)
    export(cell, folder / "packed")
    return cells.load(cell), PackedModel(folder / "packed")


def compare(trained: cells.Trained, packed: PackedModel, size: int = 20) -> dict[str, Array]:
    """Both on all clips, in batches of `size`; returns what the trained one says."""
    vectors = np.array(table().vectors)
    with torch.no_grad():
        parts = [
            trained.model(x) for x in trained.normalizer(torch.from_numpy(vectors)).split(size)
        ]
    wanted = {
        name: torch.cat([getattr(part, name) for part in parts]).numpy()
        for name in ("logits", "expert", "gate", "uncertainty")
    }
    got = packed.predict(vectors, size)
    assert got.logits.dtype == got.gate.dtype == got.uncertainty.dtype == np.float32
    assert np.array_equal(got.expert, wanted["expert"])
    np.testing.assert_allclose(got.gate, wanted["gate"], atol=2e-5)
    np.testing.assert_allclose(got.uncertainty, wanted["uncertainty"], atol=2e-5, rtol=1e-4)
    assert_same(got.logits, wanted["logits"])
    odds = np.exp(wanted["logits"].astype(np.float64))
    np.testing.assert_allclose(got.probabilities, odds / odds.sum(1, keepdims=True), atol=1e-2)
    return wanted


@pytest.mark.parametrize("normalization", ["standard", "min_max", "l2", "raw"])
def test_a_packed_single_network_says_what_the_trained_one_says(
    normalization: str, tmp_path: Path
) -> None:
    wanted = compare(*packed_of(tmp_path, spec("Q4-Base", normalization=normalization)))
    assert (wanted["expert"] == 0).all() and (wanted["gate"] == 1).all()
    assert np.isnan(wanted["uncertainty"]).all()


@pytest.mark.parametrize("top_k", [1, 2])
@pytest.mark.parametrize("protocol", ["as_published", "corrected"])
@pytest.mark.parametrize("strategy", ["none", *STRATEGIES])
def test_a_packed_mixture_says_what_the_trained_one_says(
    strategy: str, protocol: str, top_k: int, tmp_path: Path
) -> None:
    """As published: u' of the batch, a plain router without curiosity; corrected: by quantiles."""
    alpha = None if strategy == "none" else 0.4
    made_from = spec(MIXTURE, strategy, alpha, protocol, top_k=top_k)
    trained, packed = packed_of(tmp_path, made_from)
    wanted = compare(trained, packed)
    assert set(wanted["expert"]) == {0, 1, 2}
    plain = strategy == "none" and protocol == "as_published"
    assert np.isnan(wanted["uncertainty"]).all() == plain
    compare(trained, packed, size=1)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 1.5])
@pytest.mark.parametrize("protocol", ["as_published", "corrected"])
def test_escalation_of_none_and_of_all(alpha: float, protocol: str, tmp_path: Path) -> None:
    """The threshold is infinite then, which JSON cannot say."""
    trained, packed = packed_of(tmp_path, spec(MIXTURE, "escalation", alpha, protocol))
    wanted = compare(trained, packed)
    assert set(wanted["expert"]) == ({2} if alpha else {0, 1, 2})
    manifest = (tmp_path / "packed/manifest.json").read_text()
    json.loads(manifest, parse_constant=pytest.fail)


@pytest.mark.parametrize("top_k", [1, 2])
def test_only_the_chosen_experts_run_each_on_its_rows(top_k: int, tmp_path: Path) -> None:
    _, packed = packed_of(tmp_path, spec(MIXTURE, top_k=top_k))
    x = packed.normalize(np.array(table().vectors))
    gates, _ = packed.route(x)
    seen: dict[int, list[Array]] = {}

    def spy(index: int, network: Any) -> Any:
        def spied(rows: Array) -> Array:
            seen.setdefault(index, []).append(rows)
            return network(rows)

        return spied

    plain = packed.experts
    packed.experts = [spy(i, network) for i, network in enumerate(plain)]
    out = packed(x)
    for index in range(3):
        better = (gates > gates[:, [index]]).sum(axis=1)
        [rows] = seen[index]
        np.testing.assert_array_equal(rows, x[better < top_k])
    # Clips of one expert alone: no other runs, not even on nothing.
    seen.clear()
    packed(x[out.expert == 1])
    assert top_k == 2 or list(seen) == [1]
    for n, logits in enumerate(out.logits):
        best = sorted(range(3), key=lambda i: -gates[n, i])[:top_k]
        wanted = sum(float(gates[n, i]) * plain[i](x[[n]])[0].astype(float) for i in best)
        np.testing.assert_allclose(logits, wanted, atol=1e-4)


def test_samples_of_the_router_are_full_passes_with_the_same_masks() -> None:
    router: Any = build_model(spec(MIXTURE, "kl_divergence", 0.3), D, CLASSES, seed=0).router
    randomize(router)
    x = clips(15)
    p, samples = session(router_graph(router).SerializeToString()).run(None, {"x": x})
    w = [value.detach().double().numpy() for value in router.parameters()]

    def passed(first: Any, last: Any) -> Array:
        h = np.maximum(x @ w[0].T + w[1], 0) * first
        h = np.maximum(h @ w[2].T + w[3], 0) * last
        odds = np.exp(h @ w[4].T + w[5])
        return odds / odds.sum(axis=1, keepdims=True)

    masks = list(zip(router.mask_first.numpy(), router.mask_last.numpy(), strict=True))
    assert samples.shape == (10, 15, 3)
    np.testing.assert_allclose(samples, np.stack([passed(*mask) for mask in masks]), atol=1e-5)
    np.testing.assert_allclose(p, passed(1, 1), atol=1e-5)
    assert samples.std(axis=0).max() > 0.01


def test_a_plain_router_has_no_samples() -> None:
    model: Any = build_model(spec(MIXTURE, protocol="as_published"), D, CLASSES, seed=0)
    outputs = router_graph(model.router).graph.output
    assert [output.name for output in outputs] == ["p"]


# The folder.


@pytest.fixture(scope="module")
def packed_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mixture with every kind of file; copy it before changing it."""
    folder = tmp_path_factory.mktemp("model")
    export(cell_of(folder, spec("BitNet-Q8/16-PTQ-QMoE", "kl_divergence", 0.3)), folder / "packed")
    return folder / "packed"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_exporting_twice_gives_the_same_bytes(packed_folder: Path, tmp_path: Path) -> None:
    cell = packed_folder.parent / "fold0"
    torch.rand(3)
    export(cell, tmp_path / "elsewhere" / "again")
    first, again = contents(packed_folder), contents(tmp_path / "elsewhere/again")
    assert first == again
    export(cell, tmp_path / "elsewhere/again")  # over an old one
    assert contents(tmp_path / "elsewhere/again") == first
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["again"]


def test_the_manifest_lists_every_file_with_its_bytes_and_hash(packed_folder: Path) -> None:
    manifest = json.loads((packed_folder / "manifest.json").read_text())
    found = contents(packed_folder)
    del found["manifest.json"]
    assert manifest["files"] == {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in found.items()
    }
    assert [e["scheme"] for e in manifest["experts"]] == ["bitnet", "q8", "q16", "ptq8"]
    named = {e["file"] for e in manifest["experts"]} | {manifest["router"]["file"]}
    assert named | {"normalizer.safetensors"} == set(found)
    model = packed_folder.parent / "fold0/model.safetensors"
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    assert manifest["provenance"]["model_sha256"] == digest
    assert (manifest["classes"], manifest["dimension"]) == (["rain", "sea", "wind"], D)
    assert PackedModel(packed_folder).disk_bytes == sum(
        path.stat().st_size for path in packed_folder.iterdir()
    )


def copied(source: Path, to: Path) -> Path:
    to.mkdir(parents=True)
    for name, content in contents(source).items():
        (to / name).write_bytes(content)
    return to


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "name",
    ["expert0-bitnet.safetensors", "expert1-q8.onnx", "router.onnx", "normalizer.safetensors"],
)
@pytest.mark.parametrize("what", ["flip", "cut", "remove"])
def test_a_damaged_file_is_one_line_with_a_next_step(
    name: str, what: str, packed_folder: Path, tmp_path: Path
) -> None:
    folder = copied(packed_folder, tmp_path / "model")
    path = folder / name
    if what == "flip":
        flip_a_byte(path)
    elif what == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    else:
        path.unlink()
    with pytest.raises(UserError, match=r"qmoe export") as caught:
        PackedModel(folder)
    assert name in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [None, "", "{", "{}", "[]", "null", '{"format": 0}'])
def test_no_manifest_or_another_format_is_a_user_error(
    content: str | None, packed_folder: Path, tmp_path: Path
) -> None:
    folder = copied(packed_folder, tmp_path / "model")
    if content is None:
        (folder / "manifest.json").unlink()
    else:
        (folder / "manifest.json").write_text(content)
    with pytest.raises(UserError, match="qmoe export"):
        PackedModel(folder)


def test_a_whole_model_of_another_format_is_refused(packed_folder: Path, tmp_path: Path) -> None:
    folder = copied(packed_folder, tmp_path / "model")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": manifest["format"] + 1}))
    with pytest.raises(UserError, match=r"another version: `qmoe export`"):
        PackedModel(folder)


def test_no_folder_or_a_file_in_its_place_is_a_user_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "nothing", tmp_path / "file"):
        with pytest.raises(UserError, match="not a packed model"):
            PackedModel(folder)


@pytest.mark.parametrize("shape", [(2, D - 1), (2, D + 1), (D,), (2, D, 1)])
def test_another_width_is_a_user_error(shape: tuple[int, ...], packed_folder: Path) -> None:
    with pytest.raises(UserError, match=f"takes vectors of {D} values"):
        PackedModel(packed_folder).predict(np.zeros(shape, dtype=np.float32))


def test_a_cut_off_export_leaves_what_was_there(
    packed_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = packed_folder.parent / "fold0"
    old = copied(packed_folder, tmp_path / "old")
    before = contents(old)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    for step in ("router_graph", "write_atomically"):
        with monkeypatch.context() as patch:
            patch.setattr(exporting, step, cut)
            for folder in (old, tmp_path / "new"):
                with pytest.raises(KeyboardInterrupt):
                    export(cell, folder)
    assert contents(old) == before and not (tmp_path / "new").exists()
    for draft in tmp_path.glob(".*"):  # not whole, and no model
        with pytest.raises(UserError):
            PackedModel(draft)
    export(cell, tmp_path / "new")
    assert contents(tmp_path / "new") == before
    assert {p.name for p in tmp_path.iterdir() if p.suffix != ".draft"} == {"old", "new"}


def test_a_missing_cell_is_a_user_error_and_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="`snakemake cells` makes it"):
        export(tmp_path / "fold0", tmp_path / "packed")
    assert list(tmp_path.iterdir()) == []


# Sizes, those of the paper.

HIDDEN_WEIGHTS = 1536 * 640 + 640 * 320
FLOATS = 2 * (1536 + 640) + 2 * 3 * (640 + 320) // 2 + 320 * 50 + 50  # norms, biases, head


@cache
def paper_size(scheme: str) -> PackedExpert:
    torch.manual_seed(0)
    network = build_expert(
        scheme,
        1536,
        50,
        hidden=[640, 320],
        dropout=0.2,
        q16="k_bit",
        popcount_gradient="zero",
        ptq8_activations="per_row",
    )
    return pack_expert(scheme, network.eval())


@pytest.mark.parametrize(
    ("scheme", "bits"), [("q1", 1), ("q2", 2), ("q4", 4), ("q8", 8), ("q16", 16), ("bitnet", 2)]
)
def test_a_file_holds_its_bits_and_little_else(scheme: str, bits: int) -> None:
    size = len(paper_size(scheme).content)
    least = HIDDEN_WEIGHTS * bits // 8 + 4 * (320 * 50 + 50)
    assert least < size < least + 4 * 2 * FLOATS // 2 + 12_000


def folder_bytes(folder: Path, scheme: str) -> tuple[int, int]:
    """Disk and resident bytes of a packed network of the paper's size."""
    packed = paper_size(scheme)
    made = copied(folder, folder.parent / scheme)
    manifest = json.loads((made / "manifest.json").read_text())
    [entry] = manifest["experts"]
    (made / entry["file"]).unlink()
    entry["file"] = f"expert0-{scheme}{packed.suffix}"
    (made / entry["file"]).write_bytes(packed.content)
    manifest["files"] = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents(made).items()
        if name != "manifest.json"
    }
    (made / "manifest.json").write_text(json.dumps(manifest))
    model = PackedModel(made)
    return model.disk_bytes, model.resident_bytes


def test_folders_shrink_with_the_bits_and_memory_holds_bytes(tmp_path: Path) -> None:
    export(cell_of(tmp_path, spec("Q1-Base")), tmp_path / "small")
    disk, resident = {}, {}
    for scheme in ("fp32", "q1", "q4", "q8", "ptq8", "bitnet"):
        disk[scheme], resident[scheme] = folder_bytes(tmp_path / "small", scheme)
    assert disk["fp32"] > 4 * 1_206_770
    assert disk["q1"] <= disk["fp32"] / 15
    assert disk["q4"] <= disk["fp32"] / 6
    assert disk["q8"] <= disk["fp32"] / 3.5
    assert disk["bitnet"] <= disk["fp32"] / 10
    weights = 1_211_122  # all parameters, four fifths of them a byte
    for scheme in ("q1", "q4", "q8", "ptq8"):
        assert 0.95 * HIDDEN_WEIGHTS < resident[scheme] < 1.1 * weights, scheme
    assert resident["bitnet"] < 0.4 * weights
    assert resident["fp32"] > 4 * 1_206_770


# check.


def test_a_trained_cell_holds_what_check_promises(tmp_path: Path) -> None:
    """Through training itself: the table, the cell, its predictions, the packed model."""
    tables.write(tmp_path / "table.parquet", table())
    described = spec(MIXTURE, "kl_divergence", 0.3) | {
        "embeddings": (tmp_path / "table.parquet").as_posix(),
    }
    [(cell, _)] = cells.train(described, [1], tmp_path)
    export(cell, tmp_path / "packed")
    predictions = pd.read_parquet(cell / "predictions.parquet")
    found = check(tmp_path / "packed")
    assert found.holds and found.n_bounded == found.n == len(predictions) == 20
    assert found.argmax_agreement == found.expert_agreement == 1
    assert 0 < found.max_logit_difference < 1e-3
    model = PackedModel(tmp_path / "packed")
    assert found.disk_bytes == model.disk_bytes and found.resident_bytes == model.resident_bytes
    # The cell's own predictions, which nothing here has computed.
    names = table().clips["clip"].tolist()
    vectors = np.array(table().vectors)[[names.index(clip) for clip in predictions["clip"]]]
    out = model.predict(vectors)
    assert np.array_equal(out.logits.argmax(1), predictions["prediction"])
    np.testing.assert_allclose(
        out.probabilities, predictions[["p_0", "p_1", "p_2"]].to_numpy(), atol=1e-4
    )
    np.testing.assert_allclose(out.gate, predictions["gate"], atol=1e-5)
    np.testing.assert_allclose(out.uncertainty, predictions["uncertainty"], atol=1e-6)
    schemes = [["bitnet", "q4", "q8"][i] for i in out.expert]
    assert schemes == predictions["expert"].tolist()


def exit_code(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    monkeypatch.setattr("sys.argv", ["qmoe", *arguments])
    with pytest.raises(SystemExit) as done:
        cli.main()
    return done.value.code


def tamper(packed: Path, other: Path, *names: str) -> None:
    """Put files of another model in its place, with a manifest and a record that know them."""
    manifest = json.loads((packed / "manifest.json").read_text())
    for name in names:
        content = (other / name).read_bytes()
        (packed / name).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        manifest["files"][name] = {"bytes": len(content), "sha256": digest}
    (packed / "manifest.json").write_text(json.dumps(manifest))
    written = record.read(packed / "provenance.json")
    paths = [packed / name for name in written["files"]]
    record.seal(packed / "provenance.json", written["key"], paths)


@pytest.mark.parametrize("names", [["router.onnx"], ["expert0-bitnet.safetensors"]])
def test_check_finds_other_weights_behind_a_true_manifest(
    names: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    made_from = spec(MIXTURE)
    for seed in (0, 1):
        (tmp_path / str(seed)).mkdir()
        work.pack(cell_of(tmp_path / str(seed), made_from, seed), tmp_path / f"packed{seed}")
    monkeypatch.chdir(tmp_path)
    assert exit_code(monkeypatch, "check", "packed0") == 0
    written = json.loads((tmp_path / "packed0/check.json").read_text())
    assert written["holds"] and written["n"] == 30
    (tmp_path / "packed0/check.json").unlink()
    tamper(tmp_path / "packed0", tmp_path / "packed1", *names)
    assert not check(tmp_path / "packed0").holds
    capsys.readouterr()
    assert exit_code(monkeypatch, "check", "packed0") == 1
    err = capsys.readouterr().err
    assert "packed0 disagrees with the trained model" in err and err.count("\n") == 1
    assert not (tmp_path / "packed0/check.json").exists()


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"bounded_argmax_agreement": 0.9949}, False),
        ({"expert_agreement": 0.9949}, False),  # else no logit might be left to compare
        ({"bounded_argmax_agreement": 0.995, "bounded_logit_difference": 0.05}, True),
        ({"bounded_logit_difference": 0.051}, False),
        ({"bounded_logit_difference": np.nan}, False),
        ({"argmax_agreement": 0.5, "max_logit_difference": 9.0}, True),  # of ptq8's clips
    ],
)
def test_the_bounds_of_an_agreement(changes: dict[str, Any], holds: bool) -> None:
    perfect = Agreement(1000, 1.0, 1.0, 0.0, 900, 1.0, 0.0, 10, 10)
    found = dataclasses.replace(perfect, **changes)
    assert found.holds is holds and found.as_dict()["holds"] is holds


def test_check_reports_post_training_int8_and_does_not_bound_it(packed_folder: Path) -> None:
    found = check(packed_folder)
    assert found.holds and found.n_bounded < found.n
    assert found.max_logit_difference > 0
    assert found.as_dict()["holds"] and found.as_dict()["n"] == 30


def test_beside_int8_after_training_the_other_experts_stay_bounded(packed_folder: Path) -> None:
    trained = cells.load(packed_folder.parent / "fold0")
    packed, vectors = PackedModel(packed_folder), np.array(table().vectors)
    found = agreement(trained, packed, vectors)
    asked = packed.predict(vectors, trained.spec["training"]["batch_size"]).expert
    by_others = int((asked != trained.spec["experts"].index("ptq8")).sum())
    assert 0 < found.n_bounded == by_others < len(vectors)
    assert found.holds and found.bounded_logit_difference < 1e-4
    for index in np.unique(asked):
        if trained.spec["experts"][index] != "ptq8":
            packed.experts[index] = lambda x: -np.ones((len(x), 3), dtype=np.float32)
    assert not agreement(trained, packed, vectors).holds


def test_check_runs_the_batches_of_training(tmp_path: Path) -> None:
    """As published u' is of the batch: other batches would be another model."""
    made_from = spec(MIXTURE, "precision_prior", 9.0, "as_published")
    trained, packed = packed_of(tmp_path, made_from)
    found = agreement(trained, packed, np.array(table().vectors))
    assert found.holds and found.expert_agreement == 1
    alone = packed.predict(np.array(table().vectors), 1)
    together = packed.predict(np.array(table().vectors), 16)
    assert (alone.expert != together.expert).any()


def test_check_names_a_clip_that_the_table_lost(tmp_path: Path) -> None:
    cell = cell_of(tmp_path, spec("Q4-Base"))
    export(cell, tmp_path / "packed")
    data = table()
    tables.write(
        tmp_path / "table.parquet",
        tables.EmbeddingTable(data.clips.iloc[:-1], data.vectors[:-1], data.metadata),
    )
    with pytest.raises(UserError, match="clip059"):
        check(tmp_path / "packed")


def test_check_wants_the_cell_the_model_was_made_from(tmp_path: Path) -> None:
    cell = cell_of(tmp_path, spec("Q4-Base"))
    export(cell, tmp_path / "packed")
    cell.rename(tmp_path / "moved")
    with pytest.raises(UserError, match="not a trained cell"):
        check(tmp_path / "packed")


# predict.


def csv(path: Path, frame: pd.DataFrame) -> Path:
    frame.to_csv(path, index=False)
    return path


def frame_of(vectors: Array) -> pd.DataFrame:
    return pd.DataFrame(vectors, columns=[str(i) for i in range(vectors.shape[1])])


def test_predict_reads_columns_by_their_numbers(packed_folder: Path, tmp_path: Path) -> None:
    vectors = np.array(table().vectors)
    frame = frame_of(vectors)
    plain = predict(packed_folder, [csv(tmp_path / "plain.csv", frame)])
    frame["name"], frame["class_id"] = [f"song {i}" for i in range(60)], 0
    shuffled = frame[np.random.default_rng(1).permutation(frame.columns)]
    got = predict(packed_folder, [csv(tmp_path / "shuffled.csv", shuffled)])
    assert list(got.columns) == ["clip", "class", "probability", "expert", "uncertainty"]
    assert got["clip"].tolist() == [f"song {i}" for i in range(60)]
    assert plain["clip"].tolist() == [str(i) for i in range(60)]
    pd.testing.assert_frame_equal(got.drop(columns="clip"), plain.drop(columns="clip"))
    out = PackedModel(packed_folder).predict(vectors, 64)
    odds = np.exp(out.logits.astype(np.float64))
    odds /= odds.sum(axis=1, keepdims=True)
    names = ["rain", "sea", "wind"]
    assert got["class"].tolist() == [names[int(np.argmax(row))] for row in odds]
    np.testing.assert_allclose(got["probability"], odds.max(axis=1), rtol=1e-5)
    assert set(got["expert"]) <= {"bitnet", "q8", "q16", "ptq8"}
    np.testing.assert_allclose(got["uncertainty"], out.uncertainty, rtol=1e-6)


def test_predict_says_what_is_wrong_with_a_csv(packed_folder: Path, tmp_path: Path) -> None:
    good = frame_of(np.array(table().vectors))
    holes, words = good.copy(), good.astype(object)
    holes.iloc[3, 5] = np.nan
    words.iloc[3, 5] = "loud"
    for name, frame, message in (
        ("narrow", good.drop(columns="20"), f"takes vectors of {D} values"),
        ("gap", good.rename(columns={"20": "21"}), "columns 0, 1, 2"),
        ("headless", good.add_prefix("v"), "columns 0, 1, 2"),
        ("hole", holes, "column 5, row 4"),
        ("words", words, "column 5, row 4"),
        ("empty", good.iloc[:0], "needs rows"),
    ):
        path = csv(tmp_path / f"{name}.csv", frame)
        with pytest.raises(UserError, match=message) as caught:
            predict(packed_folder, [path])
        assert "\n" not in str(caught.value)
    (tmp_path / "nothing.csv").write_text("")
    (tmp_path / "ragged.csv").write_text("0,1\n1,2\n1,2,3\n")
    for name in ("nothing", "ragged"):
        with pytest.raises(UserError, match="cannot read it as CSV"):
            predict(packed_folder, [tmp_path / f"{name}.csv"])


def test_predict_wants_files_and_the_right_kind(packed_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.csv is not here"):
        predict(packed_folder, [tmp_path / "absent.csv"])
    (tmp_path / "a.wav").write_bytes(b"")
    with pytest.raises(UserError, match="trained on a CSV"):
        predict(packed_folder, [tmp_path / "a.wav"])


def test_a_packed_model_runs_without_torch(packed_folder: Path, tmp_path: Path) -> None:
    path = csv(tmp_path / "some.csv", frame_of(np.array(table().vectors[:3])))
    program = (
        "import sys; from pathlib import Path; from qmoe.deploy.predict import predict\n"
        "predict(Path(sys.argv[1]), [Path(sys.argv[2])]).to_csv(sys.stdout, index=False)\n"
        "assert not {'torch', 'onnx', 'sklearn'} & set(sys.modules)"
    )
    command = [sys.executable, "-c", program, str(packed_folder), str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert done.stdout.count("\n") == 4


def test_predict_hears_by_the_recipe_of_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recipe and the order of the files arrive; the vectors are then those of any CSV."""
    render(tmp_path / "demo", seed=0, recordings_per_class=1, takes_per_recording=1, duration_s=0.5)
    files = sorted((tmp_path / "demo").rglob("*.ogg")) or sorted((tmp_path / "demo").rglob("*.wav"))
    recipe = parameters({}).embedding.model_dump(exclude={"backbone", "recipe"})
    recipe |= {"duration_s": 0.5}
    folder = tmp_path / "model"
    folder.mkdir()
    export(cell_of(folder, spec("FP32-Base")), folder / "packed")
    manifest = json.loads((folder / "packed/manifest.json").read_text())
    manifest["embedding"] = {
        "backbone": "efficientnet_lite0",
        "recipe": recipe,
        "published": False,
    }
    (folder / "packed/manifest.json").write_text(json.dumps(manifest))

    from qmoe.data import embed

    def shortened(*arguments: Any, published: bool) -> Array:
        return embed_files(*arguments, published=published)[:, :D]

    monkeypatch.setattr(embed, "embed_files", shortened)
    got = predict(folder / "packed", files[:2])
    assert got["clip"].tolist() == [path.name for path in files[:2]]
    from qmoe.data.audio import Recipe

    vectors = embed_files(files[:2], Recipe(**recipe), "efficientnet_lite0", published=False)[:, :D]
    wanted = predict(folder / "packed", [csv(tmp_path / "a.csv", frame_of(vectors))])
    np.testing.assert_allclose(got["probability"], wanted["probability"], rtol=1e-4)
