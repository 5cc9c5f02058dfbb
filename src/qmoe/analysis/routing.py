"""What a curiosity rule can do at all: the rules once more, in numpy, tried on generic inputs.

Stated from the paper's formulas and not from `qmoe.nn.curiosity`, which needs torch; the tests hold
the two against each other.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BITS = {"bitnet": 1.58, "popcount": 1.58, "ptq8": 8.0, "fp32": 32.0} | {
    f"q{bits}": float(bits) for bits in (1, 2, 4, 8, 16)
}
DRAWS = 2000
SAME = 1e-12  # float64 rounding of a map that changes nothing is some 1e-16


def route(
    strategy: str,
    p: Array,
    alpha: float,
    u: Array,
    escalate: NDArray[np.bool_],
    passes: Array,
    bits: Array,
) -> Array:
    """Probabilities (N, E) after curiosity, renormalised.

    Args:
        strategy: name of the rule.
        p: (N, E) the router's probabilities, inside (0, 1).
        alpha: strength.
        u: (N,) uncertainty scaled to [0, 1].
        escalate: (N,) whether a sample is among the alpha fraction of most uncertain ones.
        passes: (T, N, E) Monte-Carlo probabilities.
        bits: (E,) nominal precision.

    """
    experts = p.shape[1]
    spread = np.ptp(bits)
    beta = (bits - bits.min()) / spread if spread else np.zeros(experts)
    precise = np.eye(experts)[bits.argmax()]
    u = u[:, None]
    if strategy == "none":
        out = p
    elif strategy == "kl_global":
        out = p * np.exp(alpha * (p * np.log(p * experts)).sum(axis=1, keepdims=True))
    elif strategy == "kl_divergence":
        out = p ** (1 + alpha)
    elif strategy == "entropy_regularization":
        out = np.maximum(p * (1 + alpha * u * (p - 1 / experts)), 1e-4)
    elif strategy == "precision_prior":
        out = p * np.exp(alpha * u * beta)
    elif strategy == "precision_sharp":
        out = p ** (1 + alpha) * np.exp(alpha * u * beta)
    elif strategy == "escalation":
        out = np.where(escalate[:, None], precise, p)
    elif strategy == "soft_escalation":
        m = np.clip(alpha * u, 0, 1)
        out = (1 - m) * p + m * precise
    elif strategy == "information_gain":
        mean = passes.mean(axis=0)
        out = mean * np.exp(alpha * (passes * np.log(passes / mean)).mean(axis=0))
    else:
        raise ValueError(f"no rule for strategy {strategy!r}")
    return np.asarray(out / out.sum(axis=1, keepdims=True))


@dataclass(frozen=True)
class Effect:
    """What a rule did to `DRAWS` random routings.

    largest_change: of any probability. choices_changed: share of draws with another expert on top.
    change_by_uncertainty: largest change of any probability when only u' changes, that is when a
    clip has other neighbours and u' is scaled over the batch. change_in_a_batch_of_one: largest
    change of any probability where u' is scaled over the batch and the clip is alone in it.
    """

    largest_change: float
    choices_changed: float
    change_by_uncertainty: float
    change_in_a_batch_of_one: float

    @property
    def is_identity(self) -> bool:
        """Whether the rule changed nothing beyond rounding."""
        return self.largest_change < SAME


@cache
def effect(strategy: str, alpha: float, experts: tuple[str, ...]) -> Effect:
    """Try a rule on random probabilities, none below 0.01 / E, where no clamp acts."""
    rng = np.random.default_rng(0)
    count = len(experts)

    def draw(*shape: int) -> Array:
        return 0.99 * rng.dirichlet(np.ones(count), shape) + 0.01 / count

    p, passes = draw(DRAWS), draw(10, DRAWS)
    bits = np.array([BITS[expert] for expert in experts])

    def routed(u: Array, escalate: NDArray[np.bool_]) -> Array:
        return route(strategy, p, alpha, u, escalate, passes, bits)

    u, other = rng.uniform(size=(2, DRAWS))
    out, beside = routed(u, u >= 1 - alpha), routed(other, other >= 1 - alpha)
    alone = routed(np.zeros(DRAWS), np.full(DRAWS, alpha >= 1))
    return Effect(
        largest_change=float(np.abs(out - p).max()),
        choices_changed=float((out.argmax(axis=1) != p.argmax(axis=1)).mean()),
        change_by_uncertainty=float(np.abs(out - beside).max()),
        change_in_a_batch_of_one=float(np.abs(alone - p).max()),
    )
