"""Linear layers, one for each quantisation scheme; all map (N, in) to (N, out) in float32."""

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


class _Quantized(nn.Module):
    def __init__(self, d_in: int, d_out: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(d_in)
        self.weight = nn.Parameter(torch.empty(d_out, d_in))
        self.bias = nn.Parameter(torch.zeros(d_out))
        nn.init.xavier_uniform_(self.weight)


class BitLinear(_Quantized):
    """LayerNorm, int8 activations and weights of `bits` bits; float32 where not `quantize`."""

    def __init__(self, d_in: int, d_out: int, bits: int, *, quantize: bool = True) -> None:
        super().__init__(d_in, d_out)
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


class BitNetLinear(_Quantized):
    """A layer with LayerNorm, ternary activations, and ternary weights with a scale per output."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, in) -> (N, out)."""
        return F.linear(
            straight_through(self.norm(x), ternary_activations),
            straight_through(self.weight, ternary_weights),
            self.bias,
        )


class PopcountLinear(nn.Module):
    """Ternary activations and weights, no scale and no bias: a dot product of bit-planes. As
    published (not `trainable`) no gradient passes, so that its weights never change."""

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
    """A float32 layer that, once `quantized` is set, has int8 weights and dynamic activations."""

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
    """Switch every `PostTrainingLinear` in `model` to its int8 form, in place."""
    for module in model.modules():
        if isinstance(module, PostTrainingLinear):
            module.quantized = True
