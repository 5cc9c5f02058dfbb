"""What a paper claims, as data: a claim names its judge, its check and the findings that touch it.

The printed tables from which more claims are made are in `referee.paper.printed`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from inspect import signature
from math import sqrt
from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PositiveFloat, model_validator

from referee.errors import InputError
from referee.words import counted, listed


@dataclass
class Number:
    """A printed number; it stands for every value from `low` to `high`, which round to it."""

    text: str
    value: float = field(init=False, repr=False)
    low: float = field(init=False, repr=False)
    high: float = field(init=False, repr=False)
    ends: tuple[float, float] = field(init=False, repr=False)  # `low` and `high`

    def __post_init__(self) -> None:
        if not (isinstance(self.text, str) and re.fullmatch(r"-?\d+(\.\d+)?", self.text)):
            raise ValueError("a printed number is text, such as '0.010'")
        half = 0.5 * 10.0 ** -len(self.text.partition(".")[2])
        self.value = float(self.text)
        self.ends = self.low, self.high = self.value - half, self.value + half


@dataclass(frozen=True)
class MeanStd:
    """A mean and a standard deviation, printed as `mean ± std`."""

    mean: Number
    std: Number

    def __str__(self) -> str:
        return f"{self.mean.text} ± {self.std.text}"


def _mean_std(value: Any) -> MeanStd:
    mean, plus_minus, std = str(value).partition(" ± ")
    if not plus_minus:
        raise ValueError("must be 'mean ± std'")
    return MeanStd(Number(mean), Number(std))


PrintedNumber = Annotated[
    Number, BeforeValidator(lambda text: text if isinstance(text, Number) else Number(text))
]
PrintedMeanStd = Annotated[MeanStd, BeforeValidator(_mean_std)]


class Part(BaseModel):
    """A part of a paper's YAML files: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _call(value: Any) -> Any:
    if isinstance(value, str):
        return {value: {}}
    if value is None or (isinstance(value, dict) and len(value) < 2):
        return {name: arguments or {} for name, arguments in (value or {}).items()}
    raise ValueError("must be the name of a function, or this name with a mapping of arguments")


# A function of referee or of the paper's checks.py: its arguments by its name; the name in YAML
# may stand alone. Empty where there is none.
FunctionCall = Annotated[dict[str, dict[str, Any]], BeforeValidator(_call), Field(default={})]


class Tolerance(Part):
    """How far our number may lie from the printed one, in one of three ways."""

    absolute: PositiveFloat | None = None
    factor: float | None = Field(None, gt=1)  # by which it may be larger or smaller
    standard_deviations: PositiveFloat | None = None  # of the printed spread
    reason: str  # for this width

    @model_validator(mode="after")
    def _one_way(self) -> "Tolerance":
        if (self.absolute, self.factor, self.standard_deviations).count(None) != 2:
            raise ValueError("give one of absolute, factor, standard_deviations")
        return self


class Claim(Part):
    """One statement that can be judged."""

    id: str
    locus: str = ""
    kind: Literal["value", "order", "pvalue", "arith", "hardware"]
    says: str
    judge: FunctionCall  # judges cells
    arithmetic: FunctionCall  # compares the paper's printed numbers with each other
    printed: dict[str, PrintedNumber] = Field(default={})  # by names that tell their units
    models: tuple[str, ...] = ()  # of the column `model`; the one that the claim favours first
    alpha: float | None = None  # the strength at which the varied models are judged
    datasets: tuple[str, ...] = ()  # that the claim needs; none where it needs no data
    tolerance: Tolerance | None = None
    findings: tuple[str, ...] = ()  # names of the audit checks whose findings touch the claim
    note: str = ""

    @model_validator(mode="after")
    def _complete(self) -> "Claim":
        if self.kind == "value" and (self.tolerance is None or not self.printed):
            raise ValueError(f"claim {self.id!r}: a value needs printed numbers and a tolerance")
        if self.kind == "arith" and not self.arithmetic:
            raise ValueError(f"claim {self.id!r}: kind arith needs an arithmetic check")
        if self.kind != "arith" and not self.judge:
            raise ValueError(f"claim {self.id!r}: kind {self.kind} needs a judge")
        return self

    def number(self, name: str) -> Number:
        """Return the printed number of this name; raises InputError if the claim has none."""
        if name not in self.printed:
            raise InputError(f"claim {self.id!r} has no printed number {name!r}")
        return self.printed[name]

    def take(self, count: int) -> tuple[str, ...]:
        """Return the models; raises InputError if there are not so many."""
        if len(self.models) != count:
            models = counted(len(self.models), "model")
            raise InputError(f"claim {self.id!r} names {models}, but its judge needs {count}")
        return self.models

    def function(
        self, call: FunctionCall, known: Mapping[str, Callable[..., Any]], own: ModuleType | None
    ) -> Callable[..., Any]:
        """Return the function of a call, known or the paper's own, with its arguments bound.

        Two positional arguments are left to the caller. Raises InputError where there is no such
        function, or it does not take these arguments.
        """
        ((name, arguments),) = call.items()
        function = known.get(name) or getattr(own, name, None)
        if function is None:
            raise InputError(
                f"claim {self.id!r} names the function {name!r}, which neither referee nor the "
                f"paper's checks.py has; those of referee are {listed(known)}"
            )
        try:
            signature(function).bind(None, None, **arguments)
        except TypeError as error:
            raise InputError(f"claim {self.id!r}: {name}: {error}") from None
        return partial(function, **arguments)

    @property
    def strength(self) -> str:
        """The strength as it follows the name of a strategy: ` 0.3`; empty without one."""
        return "" if self.alpha is None else f" {self.alpha:g}"

    @property
    def width(self) -> float:
        """Width of the tolerance on each side, in units of the score.

        Standard deviations are multiplied with the printed `std`; the mean of k datasets varies
        less than the score of one, by a factor of 1/√k. Raises InputError where the tolerance is
        a factor, or missing.
        """
        if self.tolerance is None or self.tolerance.factor is not None:
            ways = "absolute or in standard_deviations"
            raise InputError(f"claim {self.id!r}: its judge needs a tolerance that is {ways}")
        if self.tolerance.standard_deviations is None:
            return float(self.tolerance.absolute or 0)
        width = self.tolerance.standard_deviations * self.number("std").value
        return width / sqrt(len(self.datasets) or 1)

    @property
    def factor(self) -> float:
        """The tolerance as a factor; raises InputError where it is none."""
        if self.tolerance is None or self.tolerance.factor is None:
            raise InputError(f"claim {self.id!r}: its judge needs a tolerance that is a factor")
        return self.tolerance.factor

    def around(self, value: float) -> tuple[float, float]:
        """Return the ends of the tolerance around a value."""
        return value - self.width, value + self.width
