"""Ternary networks on bit-planes, where a dot product is AND, XOR and population count. With a
plane for `not zero` (mask) and one for `negative` (sign), the dot product of two ternary vectors is
popcount(m) - 2 popcount(m AND (s XOR s')), where m = mask AND mask'."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from numpy.typing import NDArray

LAYER_NORM_EPSILON = np.float32(1e-5)
ACTIVATION_THRESHOLD = np.float32(0.05)  # times mean |x| of the row, as in nn.quantizers


def _define_popcount(typing_context: Any, word: Any) -> Any:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), code


_popcount: Any = intrinsic(_define_popcount)  # one instruction, vpopcntq in a loop

# Sums may be reordered, so that they are vectorised, but nothing else may change (`contract` or
# `arcp` would sometimes change a rounding). Loops index x[row, i], because loops over a slice
# x[row] are not vectorised and take six times as long.
_sums = njit(cache=True, nogil=True, fastmath={"reassoc", "nsz"})
_exact = njit(cache=True, nogil=True)


@_sums
def _mean(x: Any, row: int) -> Any:
    total = np.float32(0)
    for i in range(x.shape[1]):
        total += x[row, i]
    return total / np.float32(x.shape[1])


@_sums
def _variance(x: Any, row: int, mean: Any) -> Any:
    total = np.float32(0)
    for i in range(x.shape[1]):
        total += (x[row, i] - mean) * (x[row, i] - mean)
    return total / np.float32(x.shape[1])


@_sums
def _mean_magnitude(x: Any, row: int) -> Any:
    total = np.float32(0)
    for i in range(x.shape[1]):
        total += abs(x[row, i])
    return total / np.float32(x.shape[1])


@_exact
def _layer_norm(x: Any, weight: Any, bias: Any, floor: Any) -> Any:
    """(N, D) -> (N, D), not below `floor`; x itself where `weight` is empty."""
    if len(weight) == 0:
        return x
    out = np.empty_like(x)
    for row in range(x.shape[0]):
        mean = _mean(x, row)
        scale = np.float32(1) / np.sqrt(_variance(x, row, mean) + LAYER_NORM_EPSILON)
        for i in range(x.shape[1]):
            out[row, i] = max((x[row, i] - mean) * scale * weight[i] + bias[i], floor)
    return out


@_exact
def _row_planes(x: Any, row: int, mask: Any, sign: Any) -> None:
    threshold = ACTIVATION_THRESHOLD * _mean_magnitude(x, row)
    for word in range(len(mask)):
        m, s = np.uint64(0), np.uint64(0)
        start = word * 64
        for bit in range(min(64, x.shape[1] - start)):
            value = x[row, start + bit]
            kept = (abs(value) >= threshold) & (value != 0)
            m |= np.uint64(kept) << np.uint64(bit)
            s |= np.uint64(kept & (value < 0)) << np.uint64(bit)
        mask[word], sign[word] = m, s


@_exact
def _linear(x: Any, weight_mask: Any, weight_sign: Any, scale: Any, bias: Any) -> Any:
    """(N, in) float32 -> (N, out): quantise each row, then dot products of bit-planes."""
    out = np.empty((x.shape[0], weight_mask.shape[0]), dtype=np.float32)
    mask = np.empty(weight_mask.shape[1], dtype=np.uint64)
    sign = np.empty(weight_mask.shape[1], dtype=np.uint64)
    for row in range(x.shape[0]):
        _row_planes(x, row, mask, sign)
        for j in range(weight_mask.shape[0]):
            dot = np.int64(0)
            for word in range(weight_mask.shape[1]):
                m = mask[word] & weight_mask[j, word]
                unlike = m & (sign[word] ^ weight_sign[j, word])
                dot += np.int64(_popcount(m)) - np.int64(2) * np.int64(_popcount(unlike))
            out[row, j] = np.float32(dot) * scale[j] + bias[j]
    return out


@_exact
def _block(
    x: Any,
    pre_weight: Any,
    pre_bias: Any,
    mask: Any,
    sign: Any,
    scale: Any,
    bias: Any,
    post_weight: Any,
    post_bias: Any,
) -> Any:
    """LayerNorm, ternary layer, LayerNorm and ReLU; one call saves time at batch size 1."""
    x = _layer_norm(x, pre_weight, pre_bias, np.float32(-np.inf))
    x = _linear(x, mask, sign, scale, bias)
    return _layer_norm(x, post_weight, post_bias, np.float32(0))


BLOCK = ("pre_weight", "pre_bias", "mask", "sign", "scale", "bias", "post_weight", "post_bias")
"""Arrays of a ternary layer: weight and bias of a LayerNorm before it, (in,) or empty; bit-planes
of its weights, (out, words) uint64; scale and bias, (out,); weight and bias of a LayerNorm after
it, which a ReLU follows, (out,) or empty."""


class TernaryNetwork:
    """A BitNet or popcount expert, (N, D) -> (N, C) float32, from arrays called `LAYER.PART`.
    Layers are numbered from 0, the head is last. Parts are those of `BLOCK`; a head in float32 has
    `weight` (C, in) and `bias` (C,)."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        count = 1 + max(int(name.partition(".")[0]) for name in arrays)
        self.blocks: list[tuple[NDArray[Any], ...]] = []
        self.head: tuple[NDArray[Any], NDArray[Any]] | None = None
        for layer in range(count):
            if f"{layer}.mask" in arrays:
                parts = [np.ascontiguousarray(arrays[f"{layer}.{part}"]) for part in BLOCK]
                self.blocks.append(tuple(parts))
            else:
                weight = np.ascontiguousarray(arrays[f"{layer}.weight"].T)
                self.head = (weight, arrays[f"{layer}.bias"])

    @property
    def resident_bytes(self) -> int:
        """Bytes of all arrays in memory."""
        everything = [*self.blocks, self.head or ()]
        return sum(array.nbytes for layer in everything for array in layer)

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, D) -> (N, C)."""
        for block in self.blocks:
            x = _block(x, *block)
        return x if self.head is None else x @ self.head[0] + self.head[1]
