"""Numbers, names and lists as English prose shows them."""

from collections.abc import Iterable


def listed(words: Iterable[str]) -> str:
    """Join words as `a, b and c`; the word `none` where there is none."""
    *first, last = list(words) or ["none"]
    return f"{', '.join(first)} and {last}" if first else last


def counted(n: int, noun: str) -> str:
    """A number with its noun: `1 cell`, `1,200 cells`."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def spaced(name: str) -> str:
    """A name of a file or column as words: `as_published` as `as published`."""
    return name.replace("_", " ")


def number(value: float) -> str:
    """A number with three significant digits, and all digits before the decimal point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def p_value(p: float) -> str:
    """A p-value with its relation: `= 0.03`, or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"
