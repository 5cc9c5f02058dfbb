"""Quantisers as pure functions: float32 in, and float32 of the same shape out, on a grid."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Quantizer = Callable[[Tensor], Tensor]
ACTIVATION_FLOOR = 1e-5  # lower bound of max|x| in a row, so that rows of zeros stay finite
TERNARY_ACTIVATION_THRESHOLD = 0.05  # times the mean |x| of the row
TERNARY_WEIGHT_THRESHOLD = 0.15  # times the mean |W| of the output row


class _Quantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, quantize: Quantizer, through: bool) -> Tensor:
        ctx.through = through
        return quantize(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradients[0]
        return gradient if ctx.through else torch.zeros_like(gradient), None, None


def straight_through(x: Tensor, quantize: Quantizer) -> Tensor:
    """Return `quantize(x)` with the gradient of x (Bengio et al. 2013, arXiv 1308.3432)."""
    out: Tensor = _Quantize.apply(x, quantize, True)
    return out


def no_gradient(x: Tensor, quantize: Quantizer) -> Tensor:
    """Return `quantize(x)` with a gradient of zero, the derivative of a step function."""
    out: Tensor = _Quantize.apply(x, quantize, False)
    return out


def int8_activations(x: Tensor) -> Tensor:
    """Return (..., D) in steps of max|x| / 127 of its row: symmetric int8."""
    scale = 127.0 / x.abs().amax(dim=-1, keepdim=True).clamp_(min=ACTIVATION_FLOOR)
    return (x * scale).round_().clamp_(-128, 127).div_(scale)


def k_bit_weights(w: Tensor, bits: int) -> Tensor:
    """Return weights (out, in), less their mean, on 2^bits levels; with one bit their signs, where
    exactly zero stays zero, as in the published code."""
    centred = w - w.mean()
    if bits == 1:
        return centred.sign_()
    top = float(2 ** (bits - 1) - 1)
    low, high = centred.aminmax()
    step = torch.maximum(-low, high) / top
    if step == 0:
        return centred
    return centred.div_(step).round_().clamp_(-top - 1, top).mul_(step)


def ternary_activations(x: Tensor) -> Tensor:
    """Return the signs of (..., D), zero below 0.05 of the row's mean magnitude; no scale."""
    magnitude = x.abs()
    threshold = TERNARY_ACTIVATION_THRESHOLD * magnitude.mean(dim=-1, keepdim=True)
    return x.sign().mul_((magnitude >= threshold).to(x.dtype))


def ternary_weights(w: Tensor) -> Tensor:
    """Return BitNet weights (out, in): in each row -1, 0 or 1 times the mean magnitude it keeps."""
    centred = w - w.mean(dim=1, keepdim=True)
    magnitude = centred.abs()
    threshold = TERNARY_WEIGHT_THRESHOLD * magnitude.mean(dim=1, keepdim=True)
    kept = (magnitude >= threshold).to(w.dtype)
    alpha = magnitude.mul_(kept).sum(dim=1, keepdim=True) / kept.sum(dim=1, keepdim=True)
    return centred.sign_().mul_(kept).mul_(alpha)


def dynamic_uint8(x: Tensor, *, per_row: bool) -> Tensor:
    """Return activations (N, D) in asymmetric 8 bits with an exact zero. The range of run time is
    that of each row, or of the batch, as in common runtimes: a row depends on its neighbours."""
    low, high = (x.amin(-1, keepdim=True), x.amax(-1, keepdim=True)) if per_row else x.aminmax()
    low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    scale = ((high - low) / 255.0).clamp(min=torch.finfo(x.dtype).tiny)
    zero_point = (-low / scale).round()
    return ((x / scale).round() + zero_point).clamp(0, 255).sub(zero_point).mul(scale)


def int8_weights(w: Tensor) -> Tensor:
    """Return weights (out, in) in symmetric int8 with one scale: the post-training scheme."""
    scale = (w.abs().max() / 127.0).clamp(min=torch.finfo(w.dtype).tiny)
    return (w / scale).round().clamp(-127, 127).mul(scale)
