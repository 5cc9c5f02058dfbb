"""The result that every test returns, and the stars that tables print beside it."""

from dataclasses import dataclass
from math import nan


@dataclass(frozen=True)
class Result:
    """The outcome of one test, with what a reader needs to judge it.

    Attributes:
        test: name of the test.
        n: number of pairs, or of values in the arm where the test is unpaired.
        ddof: subtracted from n in the standard deviations that the test uses.
        df: degrees of freedom; NaN where the test has none.
        alternative: "two-sided", "greater", "less" or "equivalence".
        estimate: the effect, in the unit that the test's docstring names.
        statistic: value of the test statistic, without a unit.
        p: p-value.
        se: standard error of the estimate, in its unit.
        ci_low: lower end of the confidence interval, in the unit of the estimate.
        ci_high: upper end of it.
        smallest_p: the smallest p that any data of this size could give.
        detectable: the smallest effect that the test detects with a power of 80 %, in the unit of
            the estimate.
        note: why values are NaN, or that the scores are identical; empty otherwise.

    """

    test: str
    n: int
    ddof: int
    df: float
    alternative: str
    estimate: float
    statistic: float = nan
    p: float = nan
    se: float = nan
    ci_low: float = nan
    ci_high: float = nan
    smallest_p: float = nan
    detectable: float = nan
    note: str = ""


LEVELS = {0.001: "***", 0.01: "**", 0.05: "*"}


def stars(p: float, smallest_p: float = 0.0) -> str:
    """Return `***`, `**` or `*` for p below 0.001, 0.01 or 0.05, and "" otherwise.

    A level that the test cannot reach with this sample (`smallest_p`) earns no stars.
    """
    reached = (mark for level, mark in LEVELS.items() if p < level and smallest_p < level)
    return next(reached, "")
