"""What every test hands back."""

from dataclasses import dataclass
from math import nan


@dataclass(frozen=True)
class Result:
    """One test, with what a reader needs to judge it.

    `estimate`, its interval and `detectable` (the smallest effect that is found with 80 % power)
    are in one unit, which the test's docstring names.
    """

    test: str
    n: int  # pairs, or values a side
    ddof: int
    df: float
    alternative: str
    estimate: float
    statistic: float = nan
    p: float = nan
    se: float = nan
    ci_low: float = nan
    ci_high: float = nan
    smallest_p: float = nan  # what the best imaginable data of this size would give
    detectable: float = nan
    note: str = ""


LEVELS = {0.001: "***", 0.01: "**", 0.05: "*"}


def stars(p: float, smallest_p: float = 0.0) -> str:
    """`***`, `**`, `*` for p below 0.001, 0.01, 0.05; only levels that the test can reach."""
    reached = (mark for level, mark in LEVELS.items() if p < level and smallest_p < level)
    return next(reached, "")
