"""The router: a small network whose softmax chooses experts."""

from itertools import pairwise

import torch
from torch import Tensor, nn


class Router(nn.Module):
    """Linear(D, 128) ReLU Dropout Linear(128, 64) ReLU [Dropout] Linear(64, E). Only the Bayesian
    router has the second Dropout. Its T (`samples`) Monte-Carlo passes use fixed dropout masks,
    drawn from `seed` and stored with the model. Each mask is one sampled router for all clips, so
    that the uncertainty of a clip depends on neither its neighbours nor a random state."""

    mask_first: Tensor
    mask_last: Tensor

    def __init__(
        self,
        d_in: int,
        experts: int,
        *,
        hidden: list[int],
        dropout: float,
        bayesian: bool,
        samples: int,
        seed: int,
    ) -> None:
        super().__init__()
        self.first = nn.Linear(d_in, hidden[0])
        self.middle = nn.Sequential(
            *(m for a, b in pairwise(hidden) for m in (nn.Linear(a, b), nn.ReLU()))
        )
        self.last = nn.Linear(hidden[-1], experts)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        self.dropout = nn.Dropout(dropout)
        self.bayesian = bayesian
        generator = torch.Generator().manual_seed(seed)

        def masks(width: int) -> Tensor:
            kept = torch.rand(samples, 1, width, generator=generator) >= dropout
            return kept / (1.0 - dropout)

        # Every router draws them, so that arms with and without curiosity start the same.
        self.register_buffer("mask_first", masks(hidden[0]))
        self.register_buffer("mask_last", masks(hidden[-1]))

    def forward(self, x: Tensor) -> Tensor:
        """(N, D) -> (N, E) logits; dropout is on during training only, as in any network."""
        h = self.middle(self.dropout(self.first(x).relu()))
        return self.last(self.dropout(h) if self.bayesian else h)

    def sample(self, x: Tensor) -> Tensor:
        """(N, D) -> (T, N, E) probabilities under the T masks; the first layer runs only once."""
        h = self.middle(self.first(x).relu() * self.mask_first)
        return self.last(h * self.mask_last).softmax(dim=-1)
