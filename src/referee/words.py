"""Numbers, names and lists, written as in English prose."""

import math
import re
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


def capitalised(text: str) -> str:
    """Return the text with a capital first letter; the other letters stay as they are."""
    return text[:1].upper() + text[1:]


def spaced_names(text: str, names: Iterable[str]) -> str:
    """Return a text in which the given names stand as words; everything else is as it was."""
    for name in names:
        text = text.replace(name, spaced(name))
    return text


def heading(name: str) -> str:
    """Return a column as people read it: `latency_batch1_ms` as `latency batch 1 (ms)`."""
    words = re.sub(r"batch(\d+)", r"batch \1", spaced(name))
    words = re.sub(r"\bf1\b", "F1", words).replace("peak rss", "peak RSS")
    words = re.sub(r"\b[jw]\b", lambda unit: unit[0].upper(), words)
    return re.sub(r" (ms|J|g|W|s|kB)$", r" (\1)", words)


def arm_name(model: str, strategy: str = "none", alpha: float | None = None) -> str:
    """Return an arm as `MODEL STRATEGY 0.3`; the model alone where nothing varies it (no alpha)."""
    return model if alpha is None or math.isnan(alpha) else f"{model} {strategy} {alpha:g}"


def number(value: float) -> str:
    """Return a number with three significant digits, but never rounded before its decimal point."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def p_value(p: float) -> str:
    """Return a p-value with its relation sign: `= 0.03` or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"= {p:.2g}"
