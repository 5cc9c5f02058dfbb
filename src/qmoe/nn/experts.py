"""The feed-forward networks of the paper: hidden layers and a head."""

from collections.abc import Callable
from itertools import pairwise

from torch import nn

from qmoe.nn.layers import BitLinear, BitNetLinear, PopcountLinear, PostTrainingLinear

BITS: dict[str, float] = {  # nominal bits of a weight, by which precision-aware rules rank experts
    "fp32": 32.0,
    "ptq8": 8.0,
    "q1": 1.0,
    "q2": 2.0,
    "q4": 4.0,
    "q8": 8.0,
    "q16": 16.0,
    "bitnet": 1.58,
    "popcount": 1.58,
}
Layer = Callable[[int, int], nn.Module]


def build_expert(
    scheme: str,
    d_in: int,
    classes: int,
    *,
    hidden: list[int],
    dropout: float,
    q16: str,
    popcount_gradient: str,
    ptq8_activations: str,
) -> nn.Sequential:
    """Return layer, LayerNorm, ReLU and Dropout for each width, then a head: (N, D) -> (N, C).
    `scheme` is a key of `BITS`; KeyError otherwise. `q16` is "float32" (as published: 16 bits are
    not quantised) or "k_bit", `popcount_gradient` "zero" (as published) or "straight_through",
    `ptq8_activations` "per_batch" or "per_row": the range of dynamic activations."""

    def post_training(a: int, b: int) -> nn.Module:
        return PostTrainingLinear(a, b, per_row=ptq8_activations == "per_row")

    def popcount(a: int, b: int) -> nn.Module:
        return PopcountLinear(a, b, trainable=popcount_gradient == "straight_through")

    def bit(bits: int) -> Layer:
        quantize = bits != 16 or q16 == "k_bit"
        return lambda a, b: BitLinear(a, b, bits, quantize=quantize)

    kinds: dict[str, tuple[Layer, Layer]] = {
        "fp32": (nn.Linear, nn.Linear),
        "ptq8": (post_training, post_training),
        "popcount": (popcount, popcount),
        "bitnet": (BitNetLinear, nn.Linear),
        **{f"q{bits}": (bit(bits), nn.Linear) for bits in (1, 2, 4, 8, 16)},
    }
    layer, head = kinds[scheme]
    blocks: list[nn.Module] = []
    for a, b in pairwise([d_in, *hidden]):
        blocks += [layer(a, b), nn.LayerNorm(b), nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*blocks, head(hidden[-1], classes))


def parameter_count(model: nn.Module) -> int:
    """Return the number of trainable values in `model`; buffers do not count."""
    return sum(p.numel() for p in model.parameters())
