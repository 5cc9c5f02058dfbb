"""What a judge says of a claim: the measured value, two p-values, and a verdict with its reason.

`p_for` is of the hypothesis that the effect lies outside of the region that supports the claim,
`p_against` that it lies outside of the one that contradicts it. `reproduced` needs the first below
0.05, `not reproduced` the second; if neither is, the sample could not tell.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isnan, nan
from typing import Literal

import numpy as np
import pandas as pd

from referee.stats.multiplicity import holm
from referee.words import number, p_value

Verdict = Literal[
    "reproduced", "not reproduced", "inconclusive", "not testable here", "inconsistent"
]
LEVEL = 0.05


@dataclass(frozen=True)
class Judgement:
    """What the cells of one protocol say of a claim; all numbers are those of one test."""

    value: float
    ci_low: float = nan  # ends of the 95 % interval, or of the range of what is exact
    ci_high: float = nan
    n: int = 0  # pairs of cells, folds or models
    p_for: float = nan
    p_against: float = nan
    quantity: str = ""  # what was measured, in words that follow "the"
    unit: str = ""  # sentences leave it out where the quantity names it
    supported: str = ""  # the two regions, in words that follow "is"
    contradicted: str = ""
    detects: Callable[[float], float] = lambda level: nan  # at a level, with a power of 80 %
    detectable_words: str = ""  # what size it detects, with `{}` in the place of the number
    family: int = 1  # tests that are corrected together
    notes: tuple[str, ...] = ()  # further facts, each a clause that becomes a sentence
    exact: bool = False  # counted, not sampled: there is no p-value
    measurement: str = ""  # what it rests on, where it is `latency` or `energy`
    numbers: pd.DataFrame = field(default_factory=pd.DataFrame)  # a row a dataset

    @property
    def verdict(self) -> Verdict:
        """The verdict from the two p-values; support counts first."""
        if self.p_for < LEVEL:
            return "reproduced"
        return "not reproduced" if self.p_against < LEVEL else "inconclusive"

    @property
    def detectable(self) -> float:
        """The smallest size that the first step of Holm finds with a power of 80 %."""
        return self.detects(LEVEL / self.family) if self.family else nan

    @property
    def power(self) -> str:
        """What a sample of this size finds, in words."""
        if isnan(self.detectable):
            return "counted, so there is no sampling error" if self.exact else ""
        size = self.detectable_words.format(number(self.detectable))
        return f"n = {self.n} would show {size} with a power of 80 %"

    @property
    def measured(self) -> str:
        """The value and its interval, in words."""
        unit = "" if self.unit.strip() in self.quantity else self.unit
        low, high = number(self.ci_low), number(self.ci_high)
        what = "range" if self.exact else "95 % interval"
        interval = "" if isnan(self.ci_low) or low == high else f"{what} {low} to {high}, "
        return f"{number(self.value)}{unit} ({interval}n = {self.n})"

    @property
    def sentence(self) -> str:
        """Why the verdict is what it is, from the numbers."""
        family = f", corrected by Holm over {self.family} tests" if self.family > 1 else ""
        supported, contradicted = (
            region if self.exact else f"{region} (p {p_value(p)}{family})"
            for region, p in ((self.supported, self.p_for), (self.contradicted, self.p_against))
        )
        if self.verdict == "reproduced":
            why = f", which is {supported}."
        elif self.verdict == "not reproduced":
            why = f", which is {contradicted}."
        elif isnan(self.p_for):
            why = "; no test is possible."
        elif self.exact:
            why = f". Not every cell is {supported}, and not every cell is {contradicted}."
        else:
            why = f". It is not shown to be {supported}, nor to be {contradicted}."
            why += f" {self.power}." if self.power else ""
        notes = "".join(f" {note[:1].upper()}{note[1:]}." for note in self.notes)
        return f"The {self.quantity} is {self.measured}{why}{notes}"

    def of(self, quantity: str, unit: str | None = None) -> "Judgement":
        """Return the same judgement of a named quantity, in another unit if one is given."""
        return replace(self, quantity=quantity, unit=self.unit if unit is None else unit)

    def noted(self, *notes: str) -> "Judgement":
        """Return the same judgement with further notes; empty ones are left out."""
        return replace(self, notes=(*self.notes, *filter(None, notes)))


def weakest(parts: Sequence[Judgement]) -> Judgement:
    """Judge a claim of several parts, all of which must hold, by the weakest one.

    Every part must be shown, so that support needs no correction; one part that fails is enough
    against the claim, by Bonferroni.
    """
    if len(parts) == 1:
        return parts[0]
    p_for, p_against = np.array([(part.p_for, part.p_against) for part in parts]).T
    against = float(np.minimum(1.0, len(parts) * p_against.min()))
    refuted = against < LEVEL
    chosen = parts[int(p_against.argmin() if refuted else np.nan_to_num(p_for, nan=-1.0).argmax())]
    return replace(
        chosen,
        quantity=f"{chosen.quantity} (the weakest of {len(parts)} parts)",
        p_for=float(p_for.max()),
        p_against=against,
        numbers=pd.concat([part.numbers for part in parts], ignore_index=True),
    )


def settle(family: Mapping[str, Judgement]) -> dict[str, Judgement]:
    """Return the judgements with Holm's p within the family: of support, and of contradiction."""
    p_for = holm([judgement.p_for for judgement in family.values()])
    p_against = holm([judgement.p_against for judgement in family.values()])
    return {
        name: replace(judgement, p_for=float(a), p_against=float(b), family=len(family))
        for (name, judgement), a, b in zip(family.items(), p_for, p_against, strict=True)
    }


def counted(values: "pd.Series[float]", ends: tuple[float, float], unit: str = "") -> Judgement:
    """Judge numbers without sampling error, one a cell: all lie between the ends, or none does."""
    inside = values.between(*ends)
    region = f"{number(ends[0])} to {number(ends[1])}{unit}"
    value, low, high = map(float, (values.mean(), values.min(), values.max()))
    p_for, p_against = float(not inside.all()), float(inside.any())
    judgement = Judgement(value, low, high, len(values), p_for, p_against, unit=unit, exact=True)
    return replace(judgement, supported=f"within {region}", contradicted=f"outside of {region}")
