"""What a curiosity rule can do at all: the rules of the networks, tried on generic routings."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from qmoe.nn.curiosity import STRATEGIES, Evidence, uncertainty, weigh

Array = NDArray[np.float64]

BITS = {"bitnet": 1.58, "popcount": 1.58, "ptq8": 8.0, "fp32": 32.0} | {
    f"q{bits}": float(bits) for bits in (1, 2, 4, 8, 16)
}
DRAWS = 500
SAME = 1e-12  # float64 rounding of a map that changes nothing is some 1e-16
_PASSES = 10


@dataclass(frozen=True)
class Effect:
    """What a rule did to `DRAWS` random routings.

    largest_change: of any probability. choices_changed: share of draws with another expert on top.
    change_by_neighbours: largest change of any probability when the same clips lie in other
    batches, and u' is scaled over the batch. change_in_a_batch_of_one: largest change of any
    probability by the rule when u' is scaled over the batch and each clip is alone in it.
    """

    largest_change: float
    choices_changed: float
    change_by_neighbours: float
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

    p, passes = draw(DRAWS), draw(_PASSES, DRAWS)
    bits = np.array([BITS[expert] for expert in experts])

    def routed(batches: int) -> Array:
        """The rule on the draws, u' scaled over each of so many batches."""
        out = []
        for rows in np.array_split(np.arange(DRAWS), batches):
            samples = passes[:, rows]
            evidence: Evidence = weigh(
                uncertainty(samples), samples, bits, alpha, u_range=None, u_escalate=None
            )
            out.append(STRATEGIES[strategy](p[rows], alpha, evidence))
        return np.concatenate(out)

    out, elsewhere, alone = routed(1), routed(DRAWS // 2), routed(DRAWS)
    return Effect(
        largest_change=float(np.abs(out - p).max()),
        choices_changed=float((out.argmax(axis=1) != p.argmax(axis=1)).mean()),
        change_by_neighbours=float(np.abs(out - elsewhere).max()),
        change_in_a_batch_of_one=float(np.abs(alone - p).max()),
    )
