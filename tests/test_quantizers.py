"""Quantisers against whole numbers and fractions; either neighbour is right only at a tie."""

import warnings
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import partial
from math import floor

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor, nn

from qmoe.nn.layers import PostTrainingLinear
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

QUANTIZERS: dict[str, Callable[[Tensor], Tensor]] = {
    "int8_activations": int8_activations,
    **{f"k_bit_weights {k}": partial(k_bit_weights, bits=k) for k in (1, 2, 4, 8, 16)},
    "ternary_activations": ternary_activations,
    "ternary_weights": ternary_weights,
    "dynamic_uint8 per row": partial(dynamic_uint8, per_row=True),
    "dynamic_uint8 per batch": partial(dynamic_uint8, per_row=False),
    "int8_weights": int8_weights,
}
each_quantizer = pytest.mark.parametrize("quantize", QUANTIZERS.values(), ids=QUANTIZERS)

whole = st.integers(-2000, 2000)
matrices = hnp.arrays(
    np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=whole
)
# As many values as a power of two: their float32 mean is exact, and only the rounding is tested.
even_matrices = hnp.arrays(
    np.int64, st.sampled_from([(1, 1), (1, 2), (2, 1), (2, 2), (8, 2), (4, 8)]), elements=whole
)
binary = st.integers(-40, 40).map(lambda e: Fraction(2) ** e)
decimal = st.integers(-25, 25).map(lambda e: Fraction(10) ** e)
examples = settings(max_examples=40, deadline=None)


def tensor(values: np.ndarray, unit: Fraction) -> Tensor:
    return torch.tensor(values.astype(np.float64) * float(unit), dtype=torch.float32)


def exact(row: Tensor) -> list[Fraction]:
    return [Fraction(value) for value in row.flatten().tolist()]


def nearest(t: Fraction) -> set[int]:
    """The whole number next to t; two of them where float32 cannot tell a tie."""
    slack = Fraction(1, 100_000) + abs(t) * Fraction(3, 2**24)
    return {n for n in (floor(t), floor(t) + 1) if abs(n - t) <= Fraction(1, 2) + slack}


def assert_codes(
    got: Tensor, wanted: Iterable[Fraction], step: Fraction, low: int, high: int
) -> None:
    """Each value is step times the whole number nearest to `wanted`, within [low, high]."""
    for value, t in zip(exact(got), wanted, strict=True):
        allowed = [min(max(n, low), high) * step for n in nearest(t)]
        assert any(abs(value - a) <= abs(a) / 2**21 for a in allowed), (
            f"{float(value)} is not one of {[float(a) for a in allowed]}"
        )


@examples
@given(matrices, decimal)
def test_int8_activations_are_whole_steps_of_a_127th_of_the_row_maximum(
    values: np.ndarray, unit: Fraction
) -> None:
    x = tensor(values, unit)
    for row, got in zip(x, int8_activations(x), strict=True):
        largest = max(Fraction(1, 100_000), *map(abs, exact(row)))
        wanted = [v * 127 / largest for v in exact(row)]
        assert_codes(got, wanted, largest / 127, -128, 127)


def test_int8_activations_of_a_silent_row_do_not_touch_the_others() -> None:
    got = int8_activations(torch.tensor([[0.0, 0.0], [1e-7, 0.0], [3.0, -3.0]]))
    step = Fraction(1, 100_000) / 127  # the floor: 1e-7 is 1.27 steps of it
    assert got[0].tolist() == [0.0, 0.0]
    assert_codes(got[1], [Fraction(127, 100), Fraction(0)], step, -128, 127)
    assert_codes(got[2], [Fraction(127), Fraction(-127)], Fraction(3, 127), -128, 127)


@examples
@given(even_matrices, binary, st.sampled_from([1, 2, 4, 8, 16]))
def test_k_bit_weights_are_levels_around_the_mean_of_the_matrix(
    values: np.ndarray, unit: Fraction, bits: int
) -> None:
    got = k_bit_weights(tensor(values, unit), bits)
    count, total = values.size, int(values.sum())
    centred = [count * int(v) - total for v in values.flat]  # count times W - mean(W)
    largest, top = max(map(abs, centred)), 2 ** (bits - 1) - 1
    if bits == 1:
        assert got.flatten().tolist() == [(c > 0) - (c < 0) for c in centred]
    elif largest == 0:
        assert not got.any()
    else:
        step = Fraction(largest, top * count) * unit
        assert_codes(got, [Fraction(c * top, largest) for c in centred], step, -top - 1, top)
        assert len(got.unique()) <= 2**bits


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
@pytest.mark.parametrize("value", [0.0, 0.1, -7e20, 3e-20])
def test_k_bit_weights_leave_nothing_of_a_constant_matrix(bits: int, value: float) -> None:
    got = k_bit_weights(torch.full((5, 7), value), bits)
    assert got.abs().max() <= abs(value) * 1e-5


@examples
@given(matrices, binary)
def test_ternary_activations_are_signs_above_a_twentieth_of_the_row_mean(
    values: np.ndarray, unit: Fraction
) -> None:
    got = ternary_activations(tensor(values, unit)).tolist()
    for row, codes in zip(values.tolist(), got, strict=True):
        total = sum(map(abs, row))
        for value, code in zip(row, codes, strict=True):
            if 20 * len(row) * abs(value) != total:  # else |x| = 0.05 mean|x|, a tie
                kept = 20 * len(row) * abs(value) > total
                assert code == (((value > 0) - (value < 0)) if kept else 0)


@examples
@given(matrices, binary)
def test_ternary_weights_are_signs_times_the_mean_kept_magnitude_of_the_row(
    values: np.ndarray, unit: Fraction
) -> None:
    got = ternary_weights(tensor(values, unit))
    for row, found in zip(values.tolist(), got, strict=True):
        centred = [len(row) * v - sum(row) for v in row]  # len(row) times W - mean_row(W)
        total = sum(map(abs, centred))
        margins = [20 * len(row) * abs(c) - 3 * total for c in centred]
        # What float32 may lose in the mean, of W and (times 20 n^2) of a margin. Nearer is a tie.
        lost = max(map(abs, row)) / 2**21
        assume(not total or min(map(abs, margins)) > 20 * len(row) ** 2 * lost)
        kept = [abs(c) for c, margin in zip(centred, margins, strict=True) if margin > 0]
        if not kept:  # a constant row: nothing but the rounding of its mean is left
            assert found.abs().max() <= lost * float(unit)
            continue
        alpha = Fraction(sum(kept), len(kept) * len(row)) * unit
        codes = [(c > 0) - (c < 0) if m > 0 else 0 for c, m in zip(centred, margins, strict=True)]
        wanted = [c * float(alpha) for c in codes]
        np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=lost * float(unit))


def test_ternary_thresholds_are_a_twentieth_and_three_twentieths_of_the_mean() -> None:
    """Mean magnitudes of 1000, and values next to 50 and 150."""
    x = torch.tensor([[51.0, -51.0, 49.0, -49.0, *[1225.0, -1225.0] * 4]])
    x[0, -1] -= 12 * 1000 - float(x.abs().sum())
    assert float(x.abs().mean()) == 1000
    assert ternary_activations(x)[0, :5].tolist() == [1, -1, 0, 0, 1]
    w = torch.tensor([[151.0, -151.0, 149.0, -149.0, 1850.0, -1850.0, 1850.0, -1850.0]])
    assert float(w.abs().mean()) == 1000
    alpha = (2 * 151 + 4 * 1850) / 6
    codes = [1, -1, 0, 0, 1, -1, 1, -1]
    np.testing.assert_allclose(ternary_weights(w)[0], [c * alpha for c in codes], rtol=1e-6)


def affine(x: Tensor, got: Tensor) -> None:
    """Check the codes 0..255 of one range that takes in zero."""
    low, high = min(Fraction(0), *exact(x)), max(Fraction(0), *exact(x))
    if low == high:
        assert not got.any()
        return
    step = (high - low) / 255
    possible = []
    for zero in nearest(-low / step):
        try:
            assert_codes(got, [v / step for v in exact(x)], step, -zero, 255 - zero)
        except AssertionError as error:
            possible.append(error)
        else:
            return
    raise possible[0]


@examples
@given(matrices, decimal)
def test_dynamic_uint8_takes_256_codes_of_each_row_or_of_the_batch(
    values: np.ndarray, unit: Fraction
) -> None:
    x = tensor(values, unit)
    affine(x, dynamic_uint8(x, per_row=False))
    for row, got in zip(x, dynamic_uint8(x, per_row=True), strict=True):
        affine(row, got)


@examples
@given(matrices, st.floats(2.0**-40, 2.0**40), st.booleans())
def test_dynamic_uint8_keeps_zero_exact(values: np.ndarray, unit: float, per_row: bool) -> None:
    x = torch.tensor(values * unit, dtype=torch.float32)
    x[:, 0] = 0.0
    assert not dynamic_uint8(x, per_row=per_row)[:, 0].any()


def test_dynamic_uint8_depends_on_neighbours_per_batch_and_not_per_row() -> None:
    x = torch.tensor([[0.3, -0.2, 0.7], [900.0, -1.0, 5.0]])
    assert torch.equal(dynamic_uint8(x, per_row=True)[:1], dynamic_uint8(x[:1], per_row=True))
    assert not dynamic_uint8(x, per_row=False)[0].any()  # the neighbour's step is 3.5
    assert dynamic_uint8(x[:1], per_row=False).abs().min() > 0.1


@examples
@given(matrices, decimal)
def test_int8_weights_share_one_symmetric_step(values: np.ndarray, unit: Fraction) -> None:
    w = tensor(values, unit)
    largest = max(map(abs, exact(w)))
    if largest == 0:
        assert not int8_weights(w).any()
    else:
        wanted = [v * 127 / largest for v in exact(w)]
        assert_codes(int8_weights(w), wanted, largest / 127, -127, 127)


@each_quantizer
@pytest.mark.parametrize("x", [torch.zeros(2, 3), torch.tensor([[4.0]]), torch.full((2, 4), 2.0)])
def test_zeros_constants_and_single_values_stay_finite(
    quantize: Callable[[Tensor], Tensor], x: Tensor
) -> None:
    got = quantize(x)
    assert got.shape == x.shape and got.dtype == torch.float32 and got.isfinite().all()
    if not x.any():
        assert not got.any()


@each_quantizer
def test_gradients_are_the_identity_or_nothing_and_the_input_is_left_alone(
    quantize: Callable[[Tensor], Tensor],
) -> None:
    torch.manual_seed(3)
    start, gradient = torch.randn(6, 11) * 3 + 1, torch.randn(6, 11)
    for wrap, wanted in ((straight_through, gradient), (no_gradient, torch.zeros(6, 11))):
        x = start.clone().requires_grad_()
        y = wrap(x, quantize)
        assert torch.equal(y, quantize(start)) and not torch.equal(y, start)
        y.backward(gradient)
        assert x.grad is not None and torch.equal(x.grad, wanted)
        assert torch.equal(x, start)


@pytest.mark.parametrize("d_in", [16, 200])
def test_post_training_linear_is_as_near_to_torch_as_two_roundings_allow(d_in: int) -> None:
    torch.manual_seed(d_in)
    ours = PostTrainingLinear(d_in, 24, per_row=False)
    x = torch.randn(40, d_in) + 0.5
    plain = nn.Linear(d_in, 24)
    plain.load_state_dict(ours.state_dict())
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        theirs = torch.ao.quantization.quantize_dynamic(nn.Sequential(plain), {nn.Linear})(x)
        assert torch.equal(ours(x), plain(x))
        ours.quantized = True
        difference = ours(x) - theirs
        w, span = plain.weight.double(), float(x.max() - x.min())
        largest = float(w.abs().max())
    assert not torch.equal(theirs, plain(x))
    # Ours: 8-bit activations, weights in steps of max/127. Theirs: 7 bits (reduce_range) and
    # max/127.5. A rounding is off by half a step at most and by step / sqrt(12) on average; a
    # rounded zero point can cost another half step at the ends of the range.
    steps_x, steps_w = (span / 255, span / 127), (largest / 127, largest / 127.5)
    variance_x, variance_w = (sum(s * s for s in both) / 12 for both in (steps_x, steps_w))
    x64 = x.double()
    expected = (x64.square() * variance_w).sum(1)[:, None] + (w.square() * variance_x).sum(1)
    ratio = float((difference.square().mean() / expected.mean()).sqrt())
    assert 0.5 < ratio < 1.5
    worst = x64.abs().sum(1)[:, None] * sum(steps_w) + w.abs().sum(1) * sum(steps_x)
    assert (difference.abs() <= worst + d_in * sum(steps_x) * sum(steps_w)).all()
