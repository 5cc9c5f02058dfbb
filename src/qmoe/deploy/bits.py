"""Packing of small integers in few bits, and of ternary values in bit-planes."""

import numpy as np
from numpy.typing import NDArray

WORD = 64  # values in a word of a bit-plane


def narrowest(values: NDArray[np.int64]) -> int:
    """Return the smallest of 1, 2, 4, 8 and 16 bits that hold all values; raises ValueError beyond.
    One bit holds -1 and 1; b >= 2 bits hold -2^(b-1) to 2^(b-1) - 1."""
    if np.isin(values, (-1, 1)).all():
        return 1
    low, high = values.min(), values.max()
    for bits in (2, 4, 8, 16):
        if -(2 ** (bits - 1)) <= low and high < 2 ** (bits - 1):
            return bits
    raise ValueError(f"values from {low} to {high} do not fit in 16 bits")


def pack(values: NDArray[np.int64], bits: int) -> NDArray[np.uint8]:
    """Pack integers (K, N) of 1, 2, 4 or 8 bits in (K, ceil(N bits / 8)) bytes. Column n lies in
    byte n mod width from bit (n // width) bits on: shifts of the whole array, joined side by side,
    restore the order. A value v is stored as (v + 1) / 2 in one bit, as v + 2^(b-1) in b."""
    codes = (values + 1) // 2 if bits == 1 else values + 2 ** (bits - 1)
    parts = 8 // bits
    width = -(-codes.shape[1] // parts)
    padded = np.zeros((codes.shape[0], parts * width), dtype=np.uint8)
    padded[:, : codes.shape[1]] = codes
    packed = np.zeros((codes.shape[0], width), dtype=np.uint8)
    for part in range(parts):
        packed |= padded[:, part * width : (part + 1) * width] << np.uint8(part * bits)
    return packed


def planes(values: NDArray[np.int64]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return two bit-planes (N, ceil(K / 64)) of ternary (N, K): not zero, and negative."""
    padded = np.zeros((len(values), -(-values.shape[1] // WORD) * WORD), dtype=np.int8)
    padded[:, : values.shape[1]] = values

    def words(bits: NDArray[np.bool_]) -> NDArray[np.uint64]:
        return np.packbits(bits, axis=1, bitorder="little").view("<u8").astype(np.uint64)

    return words(padded != 0), words(padded < 0)
