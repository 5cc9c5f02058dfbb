"""Numbers, names and lists, written as in English prose."""

from collections.abc import Iterable


def listed(words: Iterable[str]) -> str:
    """Return the words joined as `a, b and c`, or `none` if there are none."""
    *first, last = list(words) or ["none"]
    return f"{', '.join(first)} and {last}" if first else last


def counted(n: int, noun: str) -> str:
    """Return a number with its noun: `1 cell`, `1,200 cells`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def spaced(name: str) -> str:
    """Return the name of a column, file or rule as words: `peak memory` for `peak_memory`."""
    return name.replace("_", " ")


def number(value: float) -> str:
    """Return a number with three significant digits, but never rounded before its decimal point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def p_value(p: float) -> str:
    """Return a p-value with its relation sign: `= 0.03` or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"
