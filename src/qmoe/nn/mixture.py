"""Mixtures of quantised experts behind a router, and single networks with the same interface."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qmoe.nn.curiosity import STRATEGIES, uncertainty, weigh
from qmoe.nn.router import Router

LOW_QUANTILE, HIGH_QUANTILE = 0.05, 0.95  # of u on training clips: D4 (docs/defects.md) mended


@dataclass(frozen=True)
class Output:
    """The outputs for N clips; a single network has expert 0, gate 1 and uncertainty NaN."""

    logits: Tensor  # (N, C)
    expert: Tensor  # (N,) index of the expert with the largest gate
    gate: Tensor  # (N,) routing probability of that expert, after curiosity
    uncertainty: Tensor  # (N,) u, not scaled
    balance: Tensor  # () load-balancing term of the loss: sum_i (mean of p_i over the batch)^2


class Single(nn.Module):
    """One network with the interface of a mixture."""

    def __init__(self, expert: nn.Module) -> None:
        super().__init__()
        self.experts = nn.ModuleList([expert])

    def forward(self, x: Tensor) -> Output:
        """(N, D) -> Output."""
        return Output(
            logits=self.experts[0](x),
            expert=x.new_zeros(len(x), dtype=torch.long),
            gate=x.new_ones(len(x)),
            uncertainty=x.new_full((len(x),), torch.nan),
            balance=x.new_zeros(()),
        )

    def calibrate(self, x: Tensor) -> None:
        """Do nothing: a single network has no router to calibrate."""


class Mixture(nn.Module):
    """A top-k mixture: the sum of expert_i(x) p_i over the k chosen experts, p not renormalised.
    Experts map (N, D) to (N, C); `strategy` is a key of `STRATEGIES`, or "none". `per_batch` scales
    u over each batch (as published: defect D4, docs/defects.md) instead of by quantiles of u on the
    training clips, which `calibrate` stores with the model."""

    bits: Tensor
    u_range: Tensor
    u_escalate: Tensor

    def __init__(
        self,
        router: Router,
        experts: list[nn.Module],
        *,
        bits: list[float],
        strategy: str,
        alpha: float,
        top_k: int,
        per_batch: bool,
    ) -> None:
        super().__init__()
        self.router, self.experts = router, nn.ModuleList(experts)
        self.strategy, self.alpha, self.top_k = strategy, alpha, top_k
        self.per_batch = per_batch
        self.register_buffer("bits", torch.tensor(bits))
        self.register_buffer("u_range", torch.tensor([0.0, 1.0]))
        self.register_buffer("u_escalate", torch.tensor(torch.inf))

    @torch.no_grad()
    def calibrate(self, x: Tensor) -> None:
        """Store the quantiles of u on the training clips, x (N, D)."""
        if self.per_batch or not self.router.bayesian:
            return
        u = uncertainty(self.router.sample(x))
        levels = torch.tensor([LOW_QUANTILE, HIGH_QUANTILE, max(0.0, 1.0 - self.alpha)])
        low, high, escalate = u.quantile(levels.to(u))
        self.u_range = torch.stack([low, high])
        self.u_escalate = escalate if self.alpha < 1 else torch.full_like(escalate, -torch.inf)

    def route(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, D) -> p (N, E) before and after curiosity, and u (N,), NaN for a plain router."""
        p = self.router(x).softmax(dim=-1)
        if not self.router.bayesian:
            return p, p, p.new_full((len(p),), torch.nan)
        samples = self.router.sample(x)
        u = uncertainty(samples).detach()
        if self.strategy == "none":
            return p, p, u
        evidence = weigh(
            u,
            samples,
            self.bits,
            self.alpha,
            u_range=None if self.per_batch else self.u_range,
            u_escalate=None if self.per_batch else self.u_escalate,
        )
        return p, STRATEGIES[self.strategy](p, self.alpha, evidence), u

    def forward(self, x: Tensor) -> Output:
        """(N, D) -> Output. Each expert runs only on the clips that are routed to it."""
        p, gates, u = self.route(x)
        top, chosen = gates.topk(self.top_k, dim=-1)
        logits: Tensor | None = None
        for index, expert in enumerate(self.experts):
            rows, rank = (chosen == index).nonzero(as_tuple=True)
            if len(rows) == 0:
                continue
            part = expert(x.index_select(0, rows)) * top[rows, rank, None]
            if logits is None:
                logits = part.new_zeros(len(x), part.shape[1])
            logits = logits.index_add(0, rows, part)
        if logits is None:
            raise ValueError("an empty batch has no logits")
        return Output(logits, chosen[:, 0], top[:, 0], u, p.mean(dim=0).square().sum())
