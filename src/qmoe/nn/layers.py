"""Linear layers, one for each quantisation scheme. All map (N, in) to (N, out) in float32."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from qmoe.nn.quantizers import (
    dynamic_uint8,
    int8_activations,
    int8_weights,
    k_bit_weights,
    no_gradient,
    straight_through,
    ternary_activations,
    ternary_weights,
)


class BitLinear(nn.Module):
    """Pre-LayerNorm, int8 activations, k-bit weights; trained through the quantisers.

    `quantize=False` leaves both in float32: the published 16-bit layer does so.
    """

    def __init__(self, d_in: int, d_out: int, bits: int, *, quantize: bool = True) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_in)
        self.weight = nn.Parameter(torch.empty(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))
        nn.init.xavier_uniform_(self.weight)
        self.bits, self.quantize = bits, quantize

    def forward(self, x: Tensor) -> Tensor:
        """(N, in) -> (N, out)."""
        x = self.norm(x)
        if not self.quantize:
            return F.linear(x, self.weight, self.bias)
        return F.linear(
            straight_through(x, int8_activations),
            straight_through(self.weight, partial(k_bit_weights, bits=self.bits)),
            self.bias,
        )


class BitNetLinear(nn.Module):
    """Pre-LayerNorm, ternary activations, ternary weights scaled per output row."""

    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_in)
        self.weight = nn.Parameter(torch.empty(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in) -> (N, out)."""
        return F.linear(
            straight_through(self.norm(x), ternary_activations),
            straight_through(self.weight, ternary_weights),
            self.bias,
        )


class PopcountLinear(nn.Module):
    """Ternary on both sides, no scale, no bias: a dot product of bit-planes.

    The same 0.05 threshold serves activations and weights (by output row). As published nothing
    flows back through it (`trainable=False`), so the weights stay where they started.
    """

    def __init__(self, d_in: int, d_out: int, *, trainable: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(d_out, d_in))
        nn.init.xavier_uniform_(self.weight)
        self.through = straight_through if trainable else no_gradient

    def forward(self, x: Tensor) -> Tensor:
        """(N, in) -> (N, out), integers."""
        ternary = ternary_activations
        return F.linear(self.through(x, ternary), self.through(self.weight, ternary))


class PostTrainingLinear(nn.Linear):
    """A float32 layer until `quantized` is set; from then on int8 weights, dynamic activations."""

    def __init__(self, d_in: int, d_out: int, *, per_row: bool) -> None:
        super().__init__(d_in, d_out)
        self.per_row, self.quantized = per_row, False

    def forward(self, x: Tensor) -> Tensor:
        """(N, in) -> (N, out)."""
        if not self.quantized:
            return super().forward(x)
        x = dynamic_uint8(x, per_row=self.per_row)
        return F.linear(x, int8_weights(self.weight), self.bias)


def quantize_after_training(model: nn.Module) -> None:
    """Switch every post-training layer of `model` to its int8 form, in place."""
    for module in model.modules():
        if isinstance(module, PostTrainingLinear):
            module.quantized = True
