"""Curiosity strategies: rules that bend routing probabilities by the router's uncertainty.

All take p (N, E), rows summing to 1, and return the same shape, renormalised.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

TINY = 1e-12


@dataclass(frozen=True)
class Evidence:
    """What a rule may look at, beside p and alpha, for a batch of N samples and E experts."""

    uncertainty: Tensor  # (N,) u', scaled to [0, 1]
    escalate: Tensor  # (N,) bool, the alpha fraction of samples with the largest u
    samples: Tensor  # (T, N, E) Monte-Carlo routing probabilities
    bits: Tensor  # (E,) nominal precision of each expert

    @property
    def beta(self) -> Tensor:
        """(E,) precision scaled to [0, 1]; zeros where all experts are alike."""
        low, high = self.bits.aminmax()
        return (self.bits - low) / (high - low).clamp(min=TINY)

    @property
    def most_precise(self) -> Tensor:
        """(E,) one-hot of the expert with the most bits, the first of equals."""
        return torch.nn.functional.one_hot(self.bits.argmax(), len(self.bits)).float()


def _normalize(weights: Tensor) -> Tensor:
    return weights / weights.sum(dim=-1, keepdim=True)


def _tilt(p: Tensor, exponent: Tensor) -> Tensor:
    """p_i exp(exponent_i), renormalised, in a form that cannot overflow."""
    return torch.softmax(p.clamp(min=TINY).log() + exponent, dim=-1)


def kl_global(p: Tensor, alpha: float, evidence: Evidence) -> Tensor:
    """p_i exp(alpha KL(p||uniform)). The factor is the same for all i: an identity map."""
    kl = (p * (p.clamp(min=TINY) * p.shape[-1]).log()).sum(dim=-1, keepdim=True)
    return _normalize(p * torch.exp((alpha * kl).clamp(max=80.0)))  # float32 overflows at 88


def kl_divergence(p: Tensor, alpha: float, evidence: Evidence) -> Tensor:
    """p_i exp(alpha log(p_i / (1/E))) = p_i^(1+alpha): Eq. 8 as its authors corrected it."""
    return _tilt(p, alpha * (p.clamp(min=TINY) * p.shape[-1]).log())


def entropy_regularization(p: Tensor, alpha: float, evidence: Evidence) -> Tensor:
    """p_i (1 + alpha u' (p_i - 1/E)), clamped at 1e-4."""
    u = evidence.uncertainty[:, None]
    return _normalize((p * (1 + alpha * u * (p - 1 / p.shape[-1]))).clamp(min=1e-4))


def precision_prior(p: Tensor, alpha: float, evidence: Evidence) -> Tensor:
    """p_i exp(alpha u' beta_i): uncertain samples lean to precise experts."""
    return _tilt(p, alpha * evidence.uncertainty[:, None] * evidence.beta)


def precision_sharp(p: Tensor, alpha: float, evidence: Evidence) -> Tensor:
    """p_i^(1+alpha) exp(alpha u' beta_i)."""
    exponent = p.clamp(min=TINY).log() + evidence.uncertainty[:, None] * evidence.beta
    return _tilt(p, alpha * exponent)


def escalation(p: Tensor, alpha: float, evidence: Evidence) -> Tensor:
    """The alpha fraction of most uncertain samples goes to the most precise expert outright."""
    return torch.where(evidence.escalate[:, None], evidence.most_precise, p)


def soft_escalation(p: Tensor, alpha: float, evidence: Evidence) -> Tensor:
    """(1 - m) p + m onehot(most precise), with m = alpha u' clamped to [0, 1]."""
    m = (alpha * evidence.uncertainty).clamp(0, 1)[:, None]
    return (1 - m) * p + m * evidence.most_precise


def information_gain(p: Tensor, alpha: float, evidence: Evidence) -> Tensor:
    """pbar_i exp(alpha KL_i), with KL_i = mean_t p_i^t log(p_i^t / pbar_i).

    The KL terms of a sample add up to the mutual information between the choice of expert and the
    router's weights (Houlsby et al. 2011, arXiv 1112.5745), which makes this the reading of Eq. 8
    in which its terms are an information gain. Ours, not the paper's.
    """
    mean = evidence.samples.mean(dim=0)
    ratio = evidence.samples.clamp(min=TINY) / mean.clamp(min=TINY)
    return _tilt(mean, alpha * (evidence.samples * ratio.log()).mean(dim=0))


STRATEGIES: dict[str, Callable[[Tensor, float, Evidence], Tensor]] = {
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
