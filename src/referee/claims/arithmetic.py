"""Checks of a paper's printed numbers against each other; they need no run.

A printed number stands for every value that rounds to it. A statement is `inconsistent` only if no
values behind the printed numbers could make it true. A check takes the arguments of the claim's
YAML; it raises InputError where the claim or the paper does not print a number that it needs.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import sqrt
from typing import TypeVar

import numpy as np

from referee.errors import InputError
from referee.paper import Paper
from referee.paper.claims import Claim, Number
from referee.paper.printed import ScoresTable, VariationTable, VariedDataset, VariedRow

Interval = tuple[float, float]
Table = TypeVar("Table", ScoresTable, VariationTable)


@dataclass(frozen=True)
class Check:
    """Whether a printed number lies in the interval that other printed numbers leave it."""

    recomputed: Interval
    consistent: bool
    sentence: str


Checks = Iterator[Check]


def checks(paper: Paper) -> dict[str, list[Check]]:
    """Return the checks of each claim that names one, by its id; may raise InputError."""
    return {
        id: list(claim.function(claim.arithmetic, CHECKS, paper.checks)(claim, paper))
        for id, claim in paper.claims.items()
        if claim.arithmetic
    }


def root_mean_square(parts: list[Number]) -> Interval:
    """Return the interval of the root mean square of printed numbers that are not negative."""
    low, high = np.sqrt(np.mean(np.square([(max(0.0, p.low), p.high) for p in parts]), axis=0))
    return low, high


def reduction_percent(before: Number, after: Number, power: int = 2) -> Interval:
    """Return the interval of 100 (1 - (after / before)^power).

    With power 2 it is the reduction of the variance, from standard deviations; the same for ddof
    0 and 1, whose factor cancels over equal numbers of folds.
    """
    worst = 100 * (1 - (after.high / before.low) ** power)
    return worst, 100 * (1 - (after.low / before.high) ** power)


def meet(a: Interval, b: Interval) -> bool:
    """Return whether two intervals overlap; a hair's breadth for numbers at the very edge."""
    return a[0] <= b[1] + 1e-9 and b[0] <= a[1] + 1e-9


def compared(printed: Number, recomputed: Interval, how: str, unit: str = "") -> Check:
    """Compare a printed number, of a unit after a space, with the interval that others leave it.

    `how` is the way from the others to it, in words that come before "gives".
    """
    digits = max(3, len(printed.text.partition(".")[2]) + 1)
    low, high = (f"{end:.{digits}f}".rstrip("0").rstrip(".") for end in recomputed)
    span = low if low == high else f"{low} to {high}"
    consistent = meet(printed.ends, recomputed)
    link = "; " if consistent else ", but "
    said = f"{how} gives {span}{unit}{link}{printed.text}{unit} is printed."
    return Check(recomputed, consistent, said)


def printed_table(paper: Paper, name: str, kind: type[Table]) -> Table:
    """Return a printed table; raises InputError if it is not of the kind."""
    table = paper.printed.get(name)
    if not isinstance(table, kind):
        raise InputError(f"{paper.folder}: {name!r} is no printed table of the kind that is needed")
    return table


def varied_row(claim: Claim, paper: Paper, table: str) -> tuple[VariedDataset, VariedRow]:
    """Return the claim's dataset and row of a printed table; raises InputError if there is none."""
    for name, dataset in printed_table(paper, table, VariationTable).datasets.items():
        for strength, row in dataset.varied.items():
            if name in claim.datasets[:1] and float(strength) == claim.alpha:
                return dataset, row
    raise InputError(f"claim {claim.id!r}: {table} does not print its dataset and strength")


def average_in_table(claim: Claim, paper: Paper, table: str) -> Checks:
    """The average of a model is the mean of its means and the RMS of its standard deviations."""
    scores = printed_table(paper, table, ScoresTable)
    row = scores.rows[claim.models[0]]
    average = row[scores.average]
    parts = [score for name, score in row.items() if name != scores.average]
    low, high = np.mean([score.mean.ends for score in parts], axis=0)
    yield compared(average.mean, (low, high), "the mean of the means")
    std = root_mean_square([score.std for score in parts])
    yield compared(average.std, std, "the root mean square of the standard deviations")


def reduction_in_table(claim: Claim, paper: Paper, table: str) -> Checks:
    """The printed `reduction_percent` follows from the two standard deviations in a table."""
    dataset, row = varied_row(claim, paper, table)
    before, after = dataset.baseline.std, row.score.std
    how = f"a standard deviation of {before.text} before and {after.text} after"
    yield compared(claim.number("reduction_percent"), reduction_percent(before, after), how, " %")


def one_baseline_in_table(claim: Claim, paper: Paper, table: str) -> Checks:
    """One baseline deviation, of those that round to the printed one, serves every reduction."""
    dataset = printed_table(paper, table, VariationTable).datasets[claim.datasets[0]]
    before = dataset.baseline.std
    low, high = before.ends
    for row in dataset.varied.values():
        # std before = std after / sqrt(1 - reduction): what this row leaves the baseline.
        low = max(low, row.score.std.low / sqrt(1 - row.reduction.low / 100))
        high = min(high, row.score.std.high / sqrt(1 - row.reduction.high / 100))
    said = f"one baseline of {low:.5f} to {high:.5f} agrees with every row."
    if low > high:
        said = f"no single baseline that rounds to {before.text} agrees with every row."
    yield Check((low, high), low <= high, said)


def percent_kept(claim: Claim, paper: Paper, printed: tuple[str, str, str]) -> Checks:
    """The first printed number is the percentage that the second one is of the third."""
    kept, part, whole = map(claim.number, printed)
    span = (100 * part.low / whole.high, 100 * part.high / whole.low)
    yield compared(kept, span, f"{part.text} of {whole.text}", " %")


CHECKS: dict[str, Callable[..., Iterable[Check]]] = {
    check.__name__: check
    for check in (average_in_table, reduction_in_table, one_baseline_in_table, percent_kept)
}
