"""Checks of a paper's printed numbers against each other; they need no run.

A printed number stands for every value that rounds to it. A statement is `inconsistent` only if no
values behind the printed numbers could make it true. A check takes the arguments of the claim's
YAML; it raises InputError where the claim or the paper does not print a number that it needs.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import sqrt
from typing import TypeVar

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
    """Return the checks of every claim that names one, by the claim's id.

    Raises InputError where a claim names no function, or one that lacks a printed number.
    """
    return {
        id: list(claim.function(claim.arithmetic, CHECKS, paper.checks)(claim, paper))
        for id, claim in paper.claims.items()
        if claim.arithmetic
    }


def mean(parts: list[Number]) -> Interval:
    """Return the interval of the mean of printed numbers."""
    return sum(p.low for p in parts) / len(parts), sum(p.high for p in parts) / len(parts)


def root_mean_square(parts: list[Number]) -> Interval:
    """Return the interval of the root mean square of printed numbers that are not negative."""

    def rms(values: Iterable[float]) -> float:
        return sqrt(sum(value**2 for value in values) / len(parts))

    return rms(max(0.0, p.low) for p in parts), rms(p.high for p in parts)


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


def _table(paper: Paper, name: str, kind: type[Table]) -> Table:
    table = paper.printed.get(name)
    if not isinstance(table, kind):
        raise InputError(f"{paper.folder}: {name!r} is no printed table of the kind that is needed")
    return table


def _rows(claim: Claim, paper: Paper, table: str) -> tuple[VariedDataset, VariedRow]:
    """The dataset of a claim in a printed table, and its row at the strength of the claim."""
    datasets = _table(paper, table, VariationTable).datasets
    for dataset in (datasets[name] for name in claim.datasets[:1] if name in datasets):
        for strength, row in dataset.varied.items():
            if float(strength) == claim.alpha:
                return dataset, row
    raise InputError(f"claim {claim.id!r}: {table} does not print its dataset and strength")


def average_in_table(claim: Claim, paper: Paper, table: str) -> Checks:
    """The average of a model is the mean of its means and the RMS of its standard deviations."""
    scores = _table(paper, table, ScoresTable)
    row = scores.rows[claim.models[0]]
    parts = [score for name, score in row.items() if name != scores.average]
    average, means, stds = row[scores.average], [p.mean for p in parts], [p.std for p in parts]
    yield compared(average.mean, mean(means), "the mean of the means")
    how = "the root mean square of the standard deviations"
    yield compared(average.std, root_mean_square(stds), how)


def reduction_in_table(claim: Claim, paper: Paper, table: str) -> Checks:
    """The printed `reduction_percent` follows from the two standard deviations in a table."""
    dataset, row = _rows(claim, paper, table)
    before, after = dataset.baseline.std, row.score.std
    how = f"a standard deviation of {before.text} before and {after.text} after"
    yield compared(claim.number("reduction_percent"), reduction_percent(before, after), how, " %")


def one_baseline_in_table(claim: Claim, paper: Paper, table: str) -> Checks:
    """One baseline deviation, of those that round to the printed one, serves every reduction."""
    dataset = _table(paper, table, VariationTable).datasets[claim.datasets[0]]
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


def scores_in_table(claim: Claim, paper: Paper, table: str, printed: tuple[str, str]) -> Checks:
    """Two scores in prose, without the rule and with it, are a table's; the second is greater."""
    dataset, row = _rows(claim, paper, table)
    first, second = map(claim.number, printed)
    before, after = dataset.baseline.mean, row.score.mean
    agree = meet(first.ends, before.ends) and meet(second.ends, after.ends)
    said = f"{table} prints {dataset.baseline} and {row.score}; the text prints {first.text} and "
    change = (after.low - before.high, after.high - before.low)
    yield Check(change, agree and change[1] > 0, f"{said}{second.text}.")


def reductions_in_range(claim: Claim, paper: Paper, table: str, printed: tuple[str, str]) -> Checks:
    """Every reduction of a table can lie between the claim's least and largest one, in percent."""
    least, most = map(claim.number, printed)
    ends, outside = [], []
    for dataset, rows in _table(paper, table, VariationTable).datasets.items():
        for strength, row in rows.varied.items():
            low, high = reduction_percent(rows.baseline.std, row.score.std)
            ends += [low, high]
            if high < least.low or low > most.high:
                outside.append(
                    f"{row.reduction.text} % on {dataset} at alpha {strength} ({low:.0f} % to "
                    f"{high:.0f} % from its standard deviations)"
                )
    said = f"{table} prints {' and '.join(outside)}."
    if not outside:
        said = f"every row of {table} can lie in the range."
    yield Check((min(ends), max(ends)), not outside, said)


def percent_kept(claim: Claim, paper: Paper, printed: tuple[str, str, str]) -> Checks:
    """The first printed number is the percentage that the second one is of the third."""
    kept, part, whole = map(claim.number, printed)
    span = (100 * part.low / whole.high, 100 * part.high / whole.low)
    yield compared(kept, span, f"{part.text} of {whole.text}", " %")


def reduction_of_std(claim: Claim, paper: Paper, printed: tuple[str, str]) -> Checks:
    """The printed `reduction_percent` is that of two standard deviations, or of their variances."""
    percent, (before, after) = claim.number("reduction_percent"), map(claim.number, printed)
    variance, deviation = (reduction_percent(before, after, power) for power in (2, 1))
    yield Check(
        recomputed=(deviation[0], variance[1]),
        consistent=any(meet(percent.ends, span) for span in (variance, deviation)),
        sentence=f"a fall of the standard deviation from {before.text} to {after.text} is one of "
        f"{sum(deviation) / 2:.0f} %, and of {sum(variance) / 2:.0f} % of the variance; "
        f"{percent.text} % is printed.",
    )


def versions_agree(claim: Claim, paper: Paper, printed: dict[str, str]) -> Checks:
    """All versions of the paper print the same percentage; its names by version, latest first."""
    latest, *others = percents = [claim.number(name) for name in printed.values()]
    said = [f"{v} prints {n.text} %" for v, n in zip(printed, percents, strict=True)]
    yield Check(
        recomputed=(min(n.low for n in others), max(n.high for n in others)),
        consistent=all(meet(latest.ends, number.ends) for number in others),
        sentence=f"{' and '.join(said)} for the same comparison.",
    )


OF_TABLES = (average_in_table, reduction_in_table, one_baseline_in_table)
OF_PROSE = (scores_in_table, reductions_in_range, percent_kept, reduction_of_std, versions_agree)
CHECKS: dict[str, Callable[..., Iterable[Check]]] = {f.__name__: f for f in OF_TABLES + OF_PROSE}
