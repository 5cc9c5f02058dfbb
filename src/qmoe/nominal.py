"""Sizes as the research code states them, bits times counts: defect D8 (docs/defects.md)."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

FLOAT_BYTES = 4


def theoretical_bytes(
    experts: Sequence[str],
    dimension: int,
    hidden: Sequence[int],
    classes: int,
    router: dict[str, Any] | None = None,
) -> int:
    """Return the bytes of a model whose quantised weights take their nominal bits, and all other
    values four bytes. The research code stores two layer scales beside k-bit weights, and one scale
    for each output row beside ternary ones. Its figure for FP32 is the length of a saved file, 0.08
    % more than this. `experts` are keys of `qmoe.nn.experts.BITS`, `hidden` the widths of their
    hidden layers; weights of the router are float32."""
    total = sum(_expert_bytes(scheme, [dimension, *hidden], classes) for scheme in experts)
    if router is None:
        return total
    widths = [dimension, *router["hidden"], len(experts)]
    return total + FLOAT_BYTES * sum(a * b + b for a, b in pairwise(widths))


def _expert_bytes(scheme: str, widths: list[int], classes: int) -> int:
    hidden = widths[1:]
    weights, head = sum(a * b for a, b in pairwise(widths)), hidden[-1] * classes
    norms, biases = 2 * sum(hidden), sum(hidden) + classes
    if scheme == "fp32":
        return FLOAT_BYTES * (weights + head + norms + biases)
    if scheme == "ptq8":
        return weights + head + FLOAT_BYTES * (norms + biases)
    if scheme == "popcount":
        return (weights + head) * 2 // 8 + FLOAT_BYTES * norms
    bits, scales = (2, sum(hidden)) if scheme == "bitnet" else (int(scheme[1:]), len(hidden))
    floats = head + norms + biases + 2 * sum(widths[:-1]) + scales  # pre-norms, too
    return weights * bits // 8 + FLOAT_BYTES * floats
