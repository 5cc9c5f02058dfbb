"""The result that every test returns, and the stars that tables print beside it."""

from dataclasses import dataclass
from math import nan


@dataclass(frozen=True)
class Result:
    """The outcome of one test, with what a reader needs to judge it."""

    test: str  # its name
    n: int  # pairs, or values in the arm where the test is unpaired
    ddof: int  # subtracted from n in the standard deviations that the test uses
    df: float  # degrees of freedom; NaN where the test has none
    alternative: str  # "two-sided", "greater", "less" or "equivalence"
    estimate: float  # the effect, in the unit that the test's module names
    statistic: float = nan  # value of the test statistic, without a unit
    p: float = nan  # p-value
    se: float = nan  # standard error, in the unit of the estimate
    ci_low: float = nan  # ends of the confidence interval, in the unit of the estimate
    ci_high: float = nan
    smallest_p: float = nan  # the smallest p that any data of this size could give
    detectable: float = nan  # smallest effect found with a power of 80 %, as the estimate
    note: str = ""  # why values are NaN, or that the scores are identical


def stars(p: float, smallest_p: float = 0.0) -> str:
    """Return `***`, `**` or `*` for p below 0.001, 0.01 or 0.05, and "" otherwise.

    A level that the test cannot reach with this sample (`smallest_p`) earns no stars.
    """
    levels = {0.001: "***", 0.01: "**", 0.05: "*"}
    reached = (mark for level, mark in levels.items() if p < level and smallest_p < level)
    return next(reached, "")
