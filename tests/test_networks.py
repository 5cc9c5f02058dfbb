"""Experts and layers against float64 numpy written from the paper's definitions."""

from typing import Any

import numpy as np
import pytest
import torch
from conftest import parameters
from numpy.typing import NDArray
from torch import Tensor, nn

from qmoe.grid import Grid
from qmoe.nn.build import build_model
from qmoe.nn.experts import BITS, build_expert, parameter_count
from qmoe.nn.layers import (
    BitLinear,
    BitNetLinear,
    PopcountLinear,
    PostTrainingLinear,
    quantize_after_training,
)
from qmoe.nn.mixture import Mixture, Single
from qmoe.nn.router import Router

Array = NDArray[np.float64]
DROPOUT = 0.1953403862875243
QUANTISED = ["q1", "q2", "q4", "q8", "q16", "bitnet"]


def expert(scheme: str, d_in: int = 24, classes: int = 5, **changes: Any) -> nn.Sequential:
    settings: dict[str, Any] = {
        "hidden": [12, 7],
        "dropout": DROPOUT,
        "q16": "k_bit",
        "popcount_gradient": "straight_through",
        "ptq8_activations": "per_row",
    }
    return build_expert(scheme, d_in, classes, **settings | changes)


def shake(model: nn.Module, seed: int = 0) -> nn.Module:
    """Give every parameter a random value, so that none can be left out unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4 + 0.1)
    return model.eval()


def data(d_in: int = 24, rows: int = 9) -> Tensor:
    return torch.randn(rows, d_in, generator=torch.Generator().manual_seed(5)) * 2 + 0.3


# The definitions, in float64.


def norm(x: Array, layer: nn.LayerNorm) -> Array:
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    return x * values(layer.weight) + values(layer.bias)


def values(tensor: Tensor) -> Array:
    return tensor.detach().double().numpy()


def int8(x: Array) -> Array:
    s = 127 / np.maximum(np.abs(x).max(1, keepdims=True), 1e-5)
    return np.clip(np.rint(x * s), -128, 127) / s


def k_bit(w: Array, k: int) -> Array:
    w = w - w.mean()
    if k == 1:
        return np.sign(w)
    step = np.abs(w).max() / (2 ** (k - 1) - 1)
    return np.clip(np.rint(w / step), -(2 ** (k - 1)), 2 ** (k - 1) - 1) * step


def ternary(x: Array) -> Array:
    return np.where(np.abs(x) < 0.05 * np.abs(x).mean(1, keepdims=True), 0, np.sign(x))


def bitnet_weights(w: Array) -> Array:
    out = np.zeros_like(w)
    for row, kept in zip(w - w.mean(1, keepdims=True), out, strict=True):
        on = np.abs(row) >= 0.15 * np.abs(row).mean()
        kept[on] = np.sign(row[on]) * np.abs(row[on]).mean()
    return out


def uint8(x: Array, per_row: bool) -> Array:
    if per_row:
        return np.vstack([uint8(row[None], False) for row in x])
    low, high = min(x.min(), 0), max(x.max(), 0)
    step = (high - low) / 255
    zero = np.rint(-low / step)
    return (np.clip(np.rint(x / step) + zero, 0, 255) - zero) * step


def evaluate(layer: nn.Module, x: Array) -> Array:
    """One layer of any kind."""
    if isinstance(layer, nn.LayerNorm):
        return norm(x, layer)
    if isinstance(layer, nn.ReLU):
        return np.maximum(x, 0)
    if isinstance(layer, nn.Dropout):
        return x
    w = values(layer.weight)
    if isinstance(layer, PopcountLinear):
        return ternary(x) @ ternary(w).T
    bias = values(layer.bias)
    if isinstance(layer, PostTrainingLinear) and layer.quantized:
        step = np.abs(w).max() / 127
        return uint8(x, layer.per_row) @ (np.rint(w / step) * step).T + bias
    if isinstance(layer, BitNetLinear):
        return ternary(norm(x, layer.norm)) @ bitnet_weights(w).T + bias
    if isinstance(layer, BitLinear):
        x = norm(x, layer.norm)
        return (int8(x) @ k_bit(w, layer.bits).T if layer.quantize else x @ w.T) + bias
    return x @ w.T + bias


def post_training(per_row: bool) -> nn.Module:
    layer = PostTrainingLinear(24, 10, per_row=per_row)
    layer.quantized = True
    return layer


LAYERS = {
    **{f"q{k}": lambda k=k: BitLinear(24, 10, k) for k in (1, 2, 4, 8, 16)},
    "q16 float32": lambda: BitLinear(24, 10, 16, quantize=False),
    "bitnet": lambda: BitNetLinear(24, 10),
    "popcount": lambda: PopcountLinear(24, 10, trainable=True),
    "ptq8 before": lambda: PostTrainingLinear(24, 10, per_row=True),
    "ptq8 per row": lambda: post_training(True),
    "ptq8 per batch": lambda: post_training(False),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_equals_its_definition(name: str) -> None:
    layer, x = shake(LAYERS[name]()), data()
    np.testing.assert_allclose(values(layer(x)), evaluate(layer, values(x)), atol=2e-5)


@pytest.mark.parametrize("scheme", BITS)
def test_an_expert_is_its_layers_in_the_papers_order(scheme: str) -> None:
    model, x = shake(expert(scheme)), data()
    quantize_after_training(model)
    kind = {
        "fp32": nn.Linear,
        "ptq8": PostTrainingLinear,
        "bitnet": BitNetLinear,
        "popcount": PopcountLinear,
    }.get(scheme, BitLinear)
    block = [kind, nn.LayerNorm, nn.ReLU, nn.Dropout]
    head = nn.Linear if scheme in QUANTISED else kind
    assert [type(layer) for layer in model] == [*block, *block, head]
    assert [layer.p for layer in model if isinstance(layer, nn.Dropout)] == [DROPOUT, DROPOUT]
    assert [layer.bits for layer in model if isinstance(layer, BitLinear)] == [
        int(scheme[1:]) for _ in range(2) if kind is BitLinear
    ]
    wanted = values(x)
    for layer in model:
        wanted = evaluate(layer, wanted)
    np.testing.assert_allclose(values(model(x)), wanted, atol=1e-4)


@pytest.mark.parametrize(
    ("schemes", "count"),
    [
        (["fp32", "ptq8"], 1_206_770),
        (QUANTISED, 1_211_122),
        (["popcount"], 1_205_760),
    ],
)
@pytest.mark.parametrize("q16", ["float32", "k_bit"])
def test_parameter_counts_of_the_paper(schemes: list[str], count: int, q16: str) -> None:
    for scheme in schemes:
        model = expert(scheme, 1536, 50, hidden=[640, 320], q16=q16)
        assert parameter_count(model) == count
        assert sum(np.prod(p.shape) for p in model.parameters() if p.requires_grad) == count


def test_popcount_has_no_bias_in_its_products() -> None:
    names = [name for name, _ in expert("popcount").named_parameters()]
    assert [n for n in names if n.endswith("bias")] == ["1.bias", "5.bias"]  # of the LayerNorms


@pytest.mark.parametrize(
    ("weight", "bias"),
    [
        (layer.weight.detach(), getattr(layer, "bias", None))
        for layer in (
            torch.manual_seed(1) and BitLinear(300, 100, 4),
            BitNetLinear(300, 100),
            PopcountLinear(300, 100, trainable=True),
            *(
                m
                for m in Router(
                    300, 60, hidden=[128, 64], dropout=0.2, bayesian=True, samples=2, seed=0
                ).modules()
                if isinstance(m, nn.Linear)
            ),
        )
    ],
)
def test_init_is_xavier_uniform_with_zero_bias(weight: Tensor, bias: Tensor | None) -> None:
    bound = (6 / (weight.shape[0] + weight.shape[1])) ** 0.5
    assert 0.99 * bound < weight.abs().max() <= bound
    assert abs(float(weight.mean())) < 0.05 * bound
    assert float(weight.std()) == pytest.approx(bound / 3**0.5, rel=0.05)
    assert bias is None or not bias.any()


def test_sixteen_bits_as_published_are_not_quantised() -> None:
    published, corrected = (shake(expert("q16", q16=rule)) for rule in ("float32", "k_bit"))
    assert not torch.equal(published(data()), corrected(data()))
    for scheme in ("q1", "q8"):  # the switch is for 16 bits only
        one, other = (shake(expert(scheme, q16=rule)) for rule in ("float32", "k_bit"))
        assert torch.equal(one(data()), other(data()))


def test_a_row_depends_on_its_neighbours_only_in_ptq8_per_batch() -> None:
    for scheme in BITS:
        for rule in ("per_row", "per_batch"):
            model = shake(expert(scheme, ptq8_activations=rule))
            quantize_after_training(model)
            alone = torch.cat([model(row[None]) for row in data()])
            near = torch.allclose(alone, model(data()), atol=1e-4)
            assert near == ((scheme, rule) != ("ptq8", "per_batch"))


@pytest.mark.parametrize("rule", ["zero", "straight_through"])
def test_popcount_learns_only_through_the_straight_through_estimator(rule: str) -> None:
    torch.manual_seed(0)
    model = expert("popcount", popcount_gradient=rule).train()
    x = data().requires_grad_()
    model(x).square().sum().backward()
    weights = [m.weight.grad for m in model if isinstance(m, PopcountLinear)]
    for gradient in [*weights, x.grad]:
        assert gradient is not None
        assert bool(gradient.any()) == (rule == "straight_through")


@pytest.mark.parametrize("scheme", QUANTISED)
def test_quantised_layers_train_as_if_the_quantised_weights_were_plain(scheme: str) -> None:
    """The straight-through weight gradient is (quantised x)^T g: no factor, no clipping."""
    layer = shake(expert(scheme)[0])
    x, g = data(), torch.randn(9, 12, generator=torch.Generator().manual_seed(2))
    layer(x).backward(g)
    inner = norm(values(x), layer.norm)
    inner = ternary(inner) if scheme == "bitnet" else int8(inner)
    np.testing.assert_allclose(values(layer.weight.grad), values(g).T @ inner, atol=1e-4)


def test_quantize_after_training_switches_only_post_training_layers() -> None:
    model = nn.ModuleDict({scheme: shake(expert(scheme)) for scheme in BITS})
    before = {scheme: net(data()) for scheme, net in model.items()}
    state = {name: value.clone() for name, value in model.state_dict().items()}
    quantize_after_training(model)
    changed = {s for s, net in model.items() if not torch.equal(net(data()), before[s])}
    assert changed == {"ptq8"}
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def spec(expert_set: str) -> dict[str, Any]:
    grid = {"expert_sets": [expert_set], "curiosity": [{"strategy": "none"}]}
    return Grid(parameters({"grid": grid})).experiments[-1].spec


@pytest.mark.parametrize("expert_set", ["FP32-Base", "Q1-Base", "BitNet-Base", "Q8-Base-PTQ"])
def test_a_single_network_is_a_set_of_one_expert(expert_set: str) -> None:
    described = spec(expert_set)
    model = build_model(described, 24, 5, seed=9).eval()
    assert isinstance(model, Single)
    torch.manual_seed(9)
    alone = expert(described["experts"][0], hidden=[640, 320]).eval()
    out = model(data())
    assert torch.equal(out.logits, alone(data()))
    assert out.expert.tolist() == [0] * 9 and out.gate.tolist() == [1.0] * 9
    assert out.uncertainty.isnan().all() and out.balance == 0
    assert parameter_count(model) == parameter_count(alone)


def test_a_model_is_its_seed_and_a_mixture_holds_router_and_experts() -> None:
    described = spec("BitNet-Q8/16-PTQ-QMoE")
    first, again, other = (build_model(described, 1536, 50, seed=s) for s in (1, 1, 2))
    for (name, a), b, c in zip(
        first.named_parameters(), again.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(a, b)
        assert a.unique().numel() == 1 or not torch.equal(a, c), name
    assert isinstance(first, Mixture)
    assert [type(net[0]) for net in first.experts] == [
        BitNetLinear,
        BitLinear,
        BitLinear,
        PostTrainingLinear,
    ]
    assert first.bits.tolist() == pytest.approx([1.58, 8, 16, 8])
    router = 1536 * 128 + 128 + 128 * 64 + 64 + 64 * 4 + 4
    assert parameter_count(first) == router + 3 * 1_211_122 + 1_206_770


def test_nominal_bits_are_those_of_the_method() -> None:
    bits = {"fp32": 32, "ptq8": 8, "bitnet": 1.58, "popcount": 1.58}
    assert {**bits, **{f"q{k}": k for k in (1, 2, 4, 8, 16)}} == BITS
