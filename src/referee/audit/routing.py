"""Bits of the experts, until every caller reads them from the paper."""

BITS = {"bitnet": 1.58, "popcount": 1.58, "ptq8": 8.0, "fp32": 32.0} | {
    f"q{bits}": float(bits) for bits in (1, 2, 4, 8, 16)
}
