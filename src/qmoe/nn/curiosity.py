"""Curiosity strategies: rules that bend routing probabilities by the router's uncertainty.

All take p (N, E), rows summing to 1, and return the same shape, renormalised. They are written
for the Python array API (data-apis.org/array-api): the same lines train in torch and serve packed
models in NumPy.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from array_api_compat import array_namespace, device

Array = Any  # a torch tensor or a NumPy array

TINY = 1e-12


@dataclass(frozen=True)
class Evidence:
    """What a rule may look at, beside p and alpha, for a batch of N samples and E experts."""

    uncertainty: Array  # (N,) u', scaled to [0, 1]
    escalate: Array  # (N,) bool, the alpha fraction of samples with the largest u
    samples: Array  # (T, N, E) Monte-Carlo routing probabilities
    bits: Array  # (E,) nominal precision of each expert

    @property
    def beta(self) -> Array:
        """(E,) precision scaled to [0, 1]; zeros where all experts are alike."""
        xp = array_namespace(self.bits)
        low, high = xp.min(self.bits), xp.max(self.bits)
        return (self.bits - low) / xp.clip(high - low, min=TINY)

    @property
    def most_precise(self) -> Array:
        """(E,) one-hot of the expert with the most bits, the first of equals."""
        xp = array_namespace(self.bits)
        indices = xp.arange(self.bits.shape[0], device=device(self.bits))
        return xp.astype(indices == xp.argmax(self.bits), self.bits.dtype)


def uncertainty(samples: Array) -> Array:
    """u = sum_i Var_t[p_i^(t)], unbiased: (T, N, E) -> (N,)."""
    xp = array_namespace(samples)
    return xp.sum(xp.var(samples, axis=0, correction=1), axis=-1)


def weigh(
    u: Array,
    samples: Array,
    bits: Array,
    alpha: float,
    *,
    u_range: Array | None,
    u_escalate: Array | None,
) -> Evidence:
    """Scale u (N,) to [0, 1] and say whom to escalate.

    By `u_range` (2,) and the threshold `u_escalate` (), learnt on the training part; or, where
    both are None, by the batch at hand (as published, D4: a clip's route depends on its
    neighbours, and a batch of one knows no curiosity).
    """
    xp = array_namespace(u)
    if u_range is None:
        low, high = xp.min(u), xp.max(u)
        count = int(min(1.0, alpha) * u.shape[0])
        escalate = xp.zeros(u.shape, dtype=xp.bool, device=device(u))
        escalate[xp.argsort(u, descending=True, stable=True)[:count]] = True
    else:
        low, high = u_range[0], u_range[1]
        escalate = (u >= u_escalate) & (alpha > 0)
    # A batch of one, or a router without spread, has no range: u' is 0, not 0/0.
    span = xp.where(high > low, high - low, xp.inf)
    return Evidence(xp.clip((u - low) / span, 0.0, 1.0), escalate, samples, bits)


def _normalize(weights: Array) -> Array:
    xp = array_namespace(weights)
    return weights / xp.sum(weights, axis=-1, keepdims=True)


def _log(p: Array) -> Array:
    xp = array_namespace(p)
    return xp.log(xp.clip(p, min=TINY))


def _tilt(p: Array, exponent: Array) -> Array:
    """p_i exp(exponent_i), renormalised, in a form that cannot overflow."""
    xp = array_namespace(p)
    logits = _log(p) + exponent
    return _normalize(xp.exp(logits - xp.max(logits, axis=-1, keepdims=True)))


def kl_global(p: Array, alpha: float, evidence: Evidence) -> Array:
    """p_i exp(alpha KL(p||uniform)). The factor is the same for all i: an identity map."""
    xp = array_namespace(p)
    kl = xp.sum(p * _log(p * p.shape[-1]), axis=-1, keepdims=True)
    return _normalize(p * xp.exp(xp.clip(alpha * kl, max=80.0)))  # float32 overflows at 88


def kl_divergence(p: Array, alpha: float, evidence: Evidence) -> Array:
    """p_i exp(alpha log(p_i / (1/E))) = p_i^(1+alpha): Eq. 8 as its authors corrected it."""
    return _tilt(p, alpha * _log(p * p.shape[-1]))


def entropy_regularization(p: Array, alpha: float, evidence: Evidence) -> Array:
    """p_i (1 + alpha u' (p_i - 1/E)), clamped at 1e-4."""
    xp = array_namespace(p)
    u = evidence.uncertainty[:, None]
    return _normalize(xp.clip(p * (1 + alpha * u * (p - 1 / p.shape[-1])), min=1e-4))


def precision_prior(p: Array, alpha: float, evidence: Evidence) -> Array:
    """p_i exp(alpha u' beta_i): uncertain samples lean to precise experts."""
    return _tilt(p, alpha * evidence.uncertainty[:, None] * evidence.beta)


def precision_sharp(p: Array, alpha: float, evidence: Evidence) -> Array:
    """p_i^(1+alpha) exp(alpha u' beta_i)."""
    return _tilt(p, alpha * (_log(p) + evidence.uncertainty[:, None] * evidence.beta))


def escalation(p: Array, alpha: float, evidence: Evidence) -> Array:
    """The alpha fraction of most uncertain samples goes to the most precise expert outright."""
    xp = array_namespace(p)
    return xp.where(evidence.escalate[:, None], evidence.most_precise, p)


def soft_escalation(p: Array, alpha: float, evidence: Evidence) -> Array:
    """(1 - m) p + m onehot(most precise), with m = alpha u' clamped to [0, 1]."""
    xp = array_namespace(p)
    m = xp.clip(alpha * evidence.uncertainty, 0.0, 1.0)[:, None]
    return (1 - m) * p + m * evidence.most_precise


def information_gain(p: Array, alpha: float, evidence: Evidence) -> Array:
    """pbar_i exp(alpha KL_i), with KL_i = mean_t p_i^t log(p_i^t / pbar_i).

    The KL terms of a sample add up to the mutual information between the choice of expert and the
    router's weights (Houlsby et al. 2011, arXiv 1112.5745), which makes this the reading of Eq. 8
    in which its terms are an information gain. Ours, not the paper's.
    """
    xp = array_namespace(p)
    mean = xp.mean(evidence.samples, axis=0)
    ratio = _log(evidence.samples) - _log(mean)
    return _tilt(mean, alpha * xp.mean(evidence.samples * ratio, axis=0))


STRATEGIES: dict[str, Callable[[Array, float, Evidence], Array]] = {
    rule.__name__: rule
    for rule in (
        kl_global,
        kl_divergence,
        entropy_regularization,
        precision_prior,
        precision_sharp,
        escalation,
        soft_escalation,
        information_gain,
    )
}
