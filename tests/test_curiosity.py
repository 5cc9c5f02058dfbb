"""Curiosity rules, router and mixture against float64 arithmetic done one sample at a time."""

import math
import statistics
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from conftest import parameters
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from torch import Tensor

from qmoe.grid import Grid
from qmoe.nn.build import build_model
from qmoe.nn.curiosity import (
    STRATEGIES,
    Evidence,
    kl_divergence,
    kl_global,
    uncertainty,
    weigh,
)
from qmoe.nn.mixture import Mixture
from qmoe.nn.router import Router

BENDING = sorted(set(STRATEGIES) - {"kl_global"})
BITS = [1.58, 4.0, 8.0, 16.0, 2.0, 32.0, 1.0, 8.0]
examples = settings(max_examples=40, deadline=None)
alphas = st.floats(0, 3)


def rows(limit: float, experts: int | None = None) -> st.SearchStrategy[NDArray[np.float64]]:
    """Logits of one sample; at a limit of 50 one expert may have all of the float32 mass."""
    shape = st.integers(2, 8) if experts is None else st.just(experts)
    return shape.flatmap(lambda n: hnp.arrays(np.float64, n, elements=st.floats(-limit, limit)))


def softmax(logits: NDArray[np.float64]) -> Tensor:
    return torch.tensor(logits).softmax(-1).float()


def evidence(p: Tensor, u: float = 0.7, *, seed: int = 0, escalate: bool = True) -> Evidence:
    """For one sample p (1, E), with ten random passes."""
    generator = torch.Generator().manual_seed(seed)
    samples = torch.randn(10, 1, p.shape[1], generator=generator).mul(2).softmax(-1)
    return Evidence(
        torch.tensor([u]), torch.tensor([escalate]), samples, torch.tensor(BITS[: p.shape[1]])
    )


def reference(name: str, p: Tensor, alpha: float, given_: Evidence) -> list[float]:
    """One sample by the table of METHOD section 3."""
    q = p[0].double().tolist()
    count, u = len(q), given_.uncertainty.item()
    bits = BITS[:count]
    beta = [(b - min(bits)) / (max(bits) - min(bits)) for b in bits]
    best = [float(i == bits.index(max(bits))) for i in range(count)]
    passes = given_.samples[:, 0].double().tolist()
    mean = [sum(one[i] for one in passes) / len(passes) for i in range(count)]
    gain = [
        sum(o[i] * math.log(o[i] / mean[i]) for o in passes) / len(passes) for i in range(count)
    ]
    m = min(max(alpha * u, 0.0), 1.0)
    rules = {
        "kl_global": lambda i: q[i],
        "kl_divergence": lambda i: q[i] ** (1 + alpha),
        "entropy_regularization": lambda i: max(q[i] * (1 + alpha * u * (q[i] - 1 / count)), 1e-4),
        "precision_prior": lambda i: q[i] * math.exp(alpha * u * beta[i]),
        "precision_sharp": lambda i: q[i] ** (1 + alpha) * math.exp(alpha * u * beta[i]),
        "escalation": lambda i: best[i] if given_.escalate.item() else q[i],
        "soft_escalation": lambda i: (1 - m) * q[i] + m * best[i],
        "information_gain": lambda i: mean[i] * math.exp(alpha * gain[i]),
    }
    weights = [rules[name](i) for i in range(count)]
    return [w / sum(weights) for w in weights]


@examples
@given(rows(50), st.floats(0, 50))
def test_kl_global_is_the_identity_for_every_p_and_alpha(
    logits: NDArray[np.float64], alpha: float
) -> None:
    p = softmax(logits)[None]
    assert (kl_global(p, alpha, evidence(p)) - p).abs().max() <= 1e-6


@pytest.mark.parametrize("experts", range(2, 9))
def test_kl_global_is_the_identity_on_a_sure_router(experts: int) -> None:
    p = torch.eye(experts)
    assert torch.equal(kl_global(p, 50.0, evidence(p)), p)


@examples
@given(rows(50), st.floats(0, 50))
def test_kl_divergence_is_a_power_of_p(logits: NDArray[np.float64], alpha: float) -> None:
    p = softmax(logits)[None]
    power = p[0].double().numpy() ** (1 + alpha)
    got = kl_divergence(p, alpha, evidence(p))[0]
    np.testing.assert_allclose(got, power / power.sum(), atol=1e-4)


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@examples
@given(
    logits=rows(8), alpha=alphas, u=st.floats(0, 1), escalate=st.booleans(), seed=st.integers(0, 99)
)
def test_every_rule_is_its_formula_and_sums_to_one(
    name: str, logits: NDArray[np.float64], alpha: float, u: float, escalate: bool, seed: int
) -> None:
    p = softmax(logits)[None]
    given_ = evidence(p, u, seed=seed, escalate=escalate)
    got = STRATEGIES[name](p, alpha, given_)
    assert got.shape == p.shape and (got >= 0).all()
    assert float(got.double().sum()) == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(got[0], reference(name, p, alpha, given_), atol=3e-6)


@pytest.mark.parametrize("name", BENDING)
def test_every_other_rule_bends_p(name: str) -> None:
    p = torch.tensor([[0.6, 0.3, 0.1]])
    assert (STRATEGIES[name](p, 0.3, evidence(p)) - p).abs().max() > 1e-3


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@examples
@given(rows(4))
def test_alpha_zero_leaves_p(name: str, logits: NDArray[np.float64]) -> None:
    p = softmax(logits)[None]
    given_ = evidence(p, escalate=False)  # the fraction 0 escalates nobody
    wanted = given_.samples.mean(0) if name == "information_gain" else p
    got = STRATEGIES[name](p, 0.0, given_)
    assert (got - wanted).abs().max() <= (1e-3 if p.min() < 1e-4 and "entropy" in name else 1e-6)


def test_information_gain_terms_add_up_to_the_mutual_information() -> None:
    """exp(alpha KL_i) is read back from the gates; the sum over i is H(pbar) - mean_t H(p_t)."""
    p = torch.tensor([[0.6, 0.3, 0.1]])
    given_ = evidence(p)
    gates = STRATEGIES["information_gain"](p, 1.0, given_)[0].double()
    passes = given_.samples[:, 0].double()
    mean = passes.mean(0)
    shifted = (gates / mean).log()  # KL_i up to a constant of the sample
    entropy = [-float((q * q.log()).sum()) for q in (mean, *passes)]
    information = entropy[0] - sum(entropy[1:]) / 10
    first = (passes[:, 0] * (passes[:, 0] / mean[0]).log()).mean()
    assert float((shifted - shifted[0] + first).sum()) == pytest.approx(information, abs=1e-5)


@pytest.mark.parametrize(
    ("bits", "beta"),
    [
        ([1.58, 4, 8], [0, 2.42 / 6.42, 1]),
        ([1.58, 8, 16, 8], [0, 6.42 / 14.42, 1, 6.42 / 14.42]),
        ([32, 1.58], [1, 0]),
        ([8, 8, 8], [0, 0, 0]),
    ],
)
def test_beta_scales_the_bits(bits: list[float], beta: list[float]) -> None:
    empty = torch.zeros(1)
    given_ = Evidence(empty, empty.bool(), empty, torch.tensor(bits))
    np.testing.assert_allclose(given_.beta, beta, atol=1e-6)
    best = [0.0] * len(bits)
    best[bits.index(max(bits))] = 1.0
    assert given_.most_precise.tolist() == best


# The same lines in NumPy, where packed models run, and in torch.


def in_numpy(given_: Evidence) -> Evidence:
    fields = (given_.uncertainty, given_.escalate, given_.samples, given_.bits)
    return Evidence(*(field.numpy() for field in fields))


@pytest.mark.parametrize("name", sorted(STRATEGIES))
@examples
@given(
    logits=hnp.arrays(np.float64, (5, 3), elements=st.floats(-60, 60)),
    alpha=alphas,
    u=st.lists(st.floats(0, 1), min_size=5, max_size=5),
    seed=st.integers(0, 99),
)
def test_every_rule_gives_the_same_in_numpy_and_in_torch(
    name: str, logits: NDArray[np.float64], alpha: float, u: list[float], seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    p = softmax(logits)
    given_ = Evidence(
        torch.tensor(u),
        torch.rand(5, generator=generator) < 0.5,
        torch.randn(10, 5, 3, generator=generator).mul(2).softmax(-1),
        torch.tensor([1.58, 8.0, 8.0]),
    )
    wanted = STRATEGIES[name](p, alpha, given_).numpy()
    got = STRATEGIES[name](p.numpy(), alpha, in_numpy(given_))
    assert isinstance(got, np.ndarray) and got.dtype == wanted.dtype == np.float32
    np.testing.assert_allclose(got, wanted, atol=2e-6)


def weighed_by_hand(
    u: list[float], alpha: float, scale: tuple[float, float] | None, threshold: float
) -> tuple[list[float], list[bool]]:
    low, high = scale or (min(u), max(u))
    scaled = [0.0 if high <= low else min(1, max(0, (v - low) / (high - low))) for v in u]
    if scale:
        return scaled, [alpha > 0 and v >= threshold for v in u]
    first = sorted(range(len(u)), key=lambda n: (-u[n], n))[: int(min(1, alpha) * len(u))]
    return scaled, [n in first for n in range(len(u))]


@examples
@given(
    u=st.lists(st.sampled_from([0.0, 0.125, 0.25, 0.5]) | st.floats(0, 2, width=32), min_size=1),
    alpha=st.sampled_from([0.0, 0.2, 0.5, 1.0, 1.7]),
    scale=st.none() | st.sampled_from([(0.125, 0.5), (0.25, 0.25), (0.0, 1.0)]),
    threshold=st.sampled_from([0.125, 0.25, math.inf, -math.inf]),
)
def test_weigh_scales_and_escalates_the_same_in_numpy_and_in_torch(
    u: list[float], alpha: float, scale: tuple[float, float] | None, threshold: float
) -> None:
    wanted, escalated = weighed_by_hand(u, alpha, scale, threshold)
    samples, bits = torch.rand(4, len(u), 3), torch.tensor([1.0, 4.0, 8.0])
    for make in (torch.tensor, lambda values: np.asarray(values, dtype=np.float32)):
        got = weigh(
            make(u), samples, bits, alpha,
            u_range=None if scale is None else make(scale),
            u_escalate=None if scale is None else make(threshold),
        )  # fmt: skip
        np.testing.assert_allclose(got.uncertainty, wanted, atol=1e-6)
        assert got.escalate.tolist() == escalated
        assert str(got.uncertainty.dtype).endswith("float32") and got.samples is samples


def test_of_equally_uncertain_clips_the_first_are_escalated() -> None:
    """In a batch too large to be sorted by insertion, which keeps the order whatever is asked."""
    u = [0.25 * (n % 3) for n in range(600)]
    _, wanted = weighed_by_hand(u, 0.2, None, 0.0)
    for make in (torch.tensor, np.asarray):
        given_ = weigh(make(u), make([0.0]), make([1.0]), 0.2, u_range=None, u_escalate=None)
        assert given_.escalate.tolist() == wanted


def test_uncertainty_is_the_same_in_numpy_and_in_torch() -> None:
    samples = torch.randn(7, 30, 4, generator=torch.Generator().manual_seed(0)).softmax(-1)
    got = uncertainty(samples.numpy())
    assert got.dtype == np.float32 and got.shape == (30,)
    np.testing.assert_allclose(got, uncertainty(samples), rtol=1e-5)
    by_clip = samples.double().permute(1, 2, 0).tolist()
    wanted = [sum(statistics.variance(passes) for passes in clip) for clip in by_clip]
    np.testing.assert_allclose(got, wanted, rtol=1e-4)


# The router.


def router(d_in: int = 12, experts: int = 3, samples: int = 10, **changes: Any) -> Router:
    torch.manual_seed(4)
    settings_ = {"hidden": [20, 9], "dropout": 0.2, "bayesian": True, "seed": 1}
    made = Router(d_in, experts, samples=samples, **settings_ | changes)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
    return made.eval()


def by_hand(model: Router, x: Tensor, first: Any = 1.0, last: Any = 1.0) -> NDArray[np.float64]:
    """Probabilities (N, E) with the hidden units multiplied by masks: all layers, in float64."""
    w = [p.detach().double().numpy() for p in model.parameters()]
    h = np.maximum(x.double().numpy() @ w[0].T + w[1], 0) * first
    h = np.maximum(h @ w[2].T + w[3], 0) * last
    z = np.exp(h @ w[4].T + w[5])
    return z / z.sum(1, keepdims=True)


def batch(n: int = 40, d_in: int = 12, seed: int = 6) -> Tensor:
    return torch.randn(n, d_in, generator=torch.Generator().manual_seed(seed))


def test_router_samples_are_full_passes_with_one_dropout_mask_each() -> None:
    model, x = router(), batch()
    got = model.sample(x).detach()
    assert got.shape == (10, 40, 3)
    masks = list(zip(model.mask_first, model.mask_last, strict=True))
    for one, (first, last) in zip(got, masks, strict=True):
        np.testing.assert_allclose(one, by_hand(model, x, first.numpy(), last.numpy()), atol=1e-5)
    assert torch.equal(model.sample(x), got)
    np.testing.assert_allclose(model(x).softmax(1).detach(), by_hand(model, x), atol=1e-5)


def test_router_masks_drop_a_fifth_and_keep_the_expectation() -> None:
    model = router(samples=400)
    for mask, width in ((model.mask_first, 20), (model.mask_last, 9)):
        assert mask.shape == (400, 1, width)
        assert mask.unique().tolist() == pytest.approx([0, 1.25])
        assert float((mask == 0).float().mean()) == pytest.approx(0.2, abs=0.03)
        assert len(mask.flatten(1).unique(dim=0)) > 100
    other = router(samples=400, seed=2)
    assert not torch.equal(other.mask_first, model.mask_first)


def test_only_the_bayesian_router_drops_before_its_last_layer() -> None:
    def drops(model: Router) -> int:
        """Dropout calls in one training pass."""
        calls: list[int] = []
        model.dropout.register_forward_hook(lambda *_: calls.append(1))
        model.train()(batch())
        return len(calls)

    assert drops(router()) == 2
    assert drops(router(bayesian=False)) == 1


def test_uncertainty_is_the_sum_of_unbiased_variances() -> None:
    samples = router().sample(batch(n=5)).detach()
    for n, u in enumerate(uncertainty(samples).tolist()):
        passes = samples[:, n].double().tolist()
        variances = [statistics.variance(one[i] for one in passes) for i in range(3)]
        assert u == pytest.approx(sum(variances), rel=1e-4)
    assert not uncertainty(samples[:1].expand(10, -1, -1)).any()


# The mixture.


@cache
def spec(strategy: str, alpha: float | None, protocol: str) -> dict[str, Any]:
    over = {
        "network": {"hidden": [8, 4]},
        "router": {"hidden": [16, 8]},
        "grid": {
            "protocols": [protocol],
            "expert_sets": ["BitNet-Q4/8-QMoE"],
            "curiosity": [{"strategy": strategy, "alpha": alpha}],
        },
    }
    return Grid(parameters(over)).experiments[0].spec


def mixture(
    strategy: str = "none",
    alpha: float | None = None,
    protocol: str = "corrected",
    top_k: int = 1,
) -> Mixture:
    """From the real configuration, with small layers; weights pulled apart to route widely."""
    described = spec(strategy, alpha, protocol)
    described = described | {"router": described["router"] | {"top_k": top_k}}
    model = build_model(described, 12, 5, seed=3)
    assert isinstance(model, Mixture)
    with torch.no_grad():
        model.router.last.weight.mul_(3)
    return model.eval()


def gates(model: Mixture, x: Tensor) -> NDArray[np.float64]:
    return model.route(x)[1].detach().double().numpy()


@pytest.mark.parametrize("top_k", [1, 2, 3])
@pytest.mark.parametrize("strategy", ["none", "kl_divergence"])
def test_output_sums_the_chosen_experts_times_their_gates(top_k: int, strategy: str) -> None:
    alpha = None if strategy == "none" else 0.3
    model, x = mixture(strategy, alpha, top_k=top_k), batch()
    out, bent = model(x), gates(model, x)
    answers = [expert(x).detach().double().numpy() for expert in model.experts]
    chosen = set()
    for n in range(len(x)):
        order = sorted(range(3), key=lambda i: -bent[n][i])
        chosen.add(order[0])
        wanted = sum(bent[n][i] * answers[i][n] for i in order[:top_k])
        np.testing.assert_allclose(out.logits[n].detach(), wanted, atol=1e-5)
        assert out.expert[n] == order[0]
        assert float(out.gate[n].detach()) == pytest.approx(bent[n][order[0]], abs=1e-6)
    assert chosen == {0, 1, 2}


def test_balance_and_u_are_of_the_router_before_curiosity() -> None:
    model, x = mixture("kl_divergence", 2.0), batch()
    p = by_hand(model.router, x)
    out = model(x)
    assert float(out.balance.detach()) == pytest.approx(sum(p.mean(0) ** 2), abs=1e-6)
    np.testing.assert_allclose(out.uncertainty, by_hand_u(model, x), rtol=1e-3)
    np.testing.assert_allclose(gates(model, x), p**3 / (p**3).sum(1, keepdims=True), atol=1e-5)


def by_hand_u(model: Mixture, x: Tensor) -> NDArray[np.float64]:
    masks = zip(model.router.mask_first.numpy(), model.router.mask_last.numpy(), strict=True)
    passes = np.stack([by_hand(model.router, x, first, last) for first, last in masks])
    return passes.var(axis=0, ddof=1).sum(axis=1)


def prior(p: NDArray[np.float64], scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    """precision_prior at alpha 1 for [bitnet, 4, 8]."""
    bent = p * np.exp(scaled[:, None] * np.array([0, 2.42 / 6.42, 1]))
    return bent / bent.sum(1, keepdims=True)


def test_per_batch_a_clips_gates_depend_on_its_neighbours_as_published() -> None:
    model, x = mixture("precision_prior", 1.0, "as_published"), batch()
    model.calibrate(batch(seed=7))  # changes nothing
    u, p = by_hand_u(model, x), by_hand(model.router, x)
    wanted = prior(p, (u - u.min()) / (u.max() - u.min()))
    np.testing.assert_allclose(gates(model, x), wanted, atol=1e-5)
    alone = np.vstack([gates(model, row[None]) for row in x])
    np.testing.assert_allclose(alone, p, atol=1e-5)  # u' is 0: curiosity is off
    assert np.abs(alone - wanted).max() > 0.05


def test_training_quantiles_make_gates_independent_of_the_batch() -> None:
    model, x, train = mixture("precision_prior", 1.0), batch(n=80), batch(n=200, seed=7)
    with torch.no_grad():
        model.calibrate(train)
    low, high = np.quantile(by_hand_u(model, train), [0.05, 0.95])
    np.testing.assert_allclose(model.u_range, [low, high], rtol=1e-4)
    scaled = np.clip((by_hand_u(model, x) - low) / (high - low), 0, 1)
    assert 0 in scaled and 1 in scaled  # both ends are cut in this batch
    np.testing.assert_allclose(gates(model, x), prior(by_hand(model.router, x), scaled), atol=1e-5)
    together = model(x)
    for n, row in enumerate(x):
        alone = model(row[None])
        assert alone.expert[0] == together.expert[n]
        np.testing.assert_allclose(alone.logits[0].detach(), together.logits[n].detach(), atol=1e-5)
    assert "u_range" in model.state_dict() and "u_escalate" in model.state_dict()


@pytest.mark.parametrize("alpha", [0.1, 0.3, 0.5])
def test_escalation_sends_the_most_uncertain_fraction_to_the_most_precise(alpha: float) -> None:
    for protocol in ("as_published", "corrected"):
        model, x = mixture("escalation", alpha, protocol), batch()
        with torch.no_grad():
            model.calibrate(x)
        u, p, bent = by_hand_u(model, x), by_hand(model.router, x), gates(model, x)
        escalated = np.argsort(-u)[: round(alpha * 40)]
        wanted = p.copy()
        wanted[escalated] = [0, 0, 1]
        np.testing.assert_allclose(bent, wanted, atol=1e-5)


def test_a_threshold_learnt_in_training_escalates_one_by_one() -> None:
    model, train = mixture("escalation", 0.25), batch(n=200, seed=7)
    with torch.no_grad():
        model.calibrate(train)
    limit = np.quantile(by_hand_u(model, train), 0.75)
    x = batch()
    alone = np.vstack([gates(model, row[None]) for row in x])
    escalated = (alone == [0, 0, 1]).all(axis=1)
    assert escalated.tolist() == (by_hand_u(model, x) >= limit).tolist()
    assert 0 < escalated.sum() < 40


def test_equal_uncertainty_of_a_whole_batch_is_no_uncertainty() -> None:
    for protocol in ("as_published", "corrected"):
        model = mixture("precision_prior", 1.0, protocol)
        x = batch(n=1).expand(6, -1)
        with torch.no_grad():
            model.calibrate(x)
        np.testing.assert_allclose(gates(model, x), by_hand(model.router, x), atol=1e-5)


@pytest.mark.parametrize("protocol", ["as_published", "corrected"])
def test_kl_global_routes_like_no_curiosity_at_all(protocol: str) -> None:
    curious, plain, x = mixture("kl_global", 0.3, protocol), mixture(protocol=protocol), batch()
    plain.load_state_dict(curious.state_dict())
    assert curious.router.bayesian
    assert plain.router.bayesian == (protocol == "corrected")
    assert plain(x).uncertainty.isnan().all() == (protocol == "as_published")
    one, other = curious(x), plain(x)
    assert torch.equal(one.expert, other.expert)
    np.testing.assert_allclose(one.logits.detach(), other.logits.detach(), atol=1e-6)
    np.testing.assert_allclose(one.gate.detach(), other.gate.detach(), atol=1e-6)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_router_and_chosen_experts_learn_under_every_rule(strategy: str) -> None:
    model, x = mixture(strategy, 0.3), batch()
    with torch.no_grad():
        model.calibrate(x)
    out = model.train()(x)
    out.logits.square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert model.router.first.weight.grad.any()


def test_calibration_is_no_part_of_the_graph() -> None:
    model = mixture("precision_prior", 0.3)
    model.calibrate(batch())
    assert not model.u_range.requires_grad and not model.u_escalate.requires_grad
