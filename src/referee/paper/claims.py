"""What a paper states, typed: its claims and printed tables. Verdicts are reached elsewhere."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Kind = Literal["value", "order", "pvalue", "arith", "hardware"]


@dataclass(frozen=True)
class Number:
    """A printed number; all values that round to it are as likely meant."""

    text: str

    @property
    def value(self) -> float:
        """As printed."""
        return float(self.text)

    @property
    def low(self) -> float:
        """The least value that rounds to it."""
        return self.value - self._half

    @property
    def high(self) -> float:
        """The greatest value that rounds to it."""
        return self.value + self._half

    @property
    def _half(self) -> float:
        return 0.5 * 10.0 ** -len(self.text.partition(".")[2])


@dataclass(frozen=True)
class Spread:
    """`mean ± std` as printed."""

    mean: Number
    std: Number

    def __str__(self) -> str:
        return f"{self.mean.text} ± {self.std.text}"


def _number(value: Any) -> Number:
    if isinstance(value, Number):
        return value
    if not (isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value)):
        raise ValueError("a printed number is text, such as '0.010'")
    return Number(value)


def _spread(value: Any) -> Spread:
    parts = value.split(" ± ") if isinstance(value, str) else []
    if len(parts) != 2:
        raise ValueError("must be 'mean ± std'")
    return Spread(*map(_number, parts))


Printed = Annotated[Number, BeforeValidator(_number)]
PrintedSpread = Annotated[Spread, BeforeValidator(_spread)]


class Part(BaseModel):
    """A part of the file: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Tolerance(Part):
    """How far ours may lie from theirs, in exactly one of three ways, and why so far."""

    absolute: float | None = None
    factor: float | None = None  # times or divided by
    standard_deviations: float | None = None  # of the printed spread
    reason: str

    @model_validator(mode="after")
    def _one_way(self) -> "Tolerance":
        ways = (self.absolute, self.factor, self.standard_deviations)
        if sum(way is not None for way in ways) != 1:
            raise ValueError("give one of absolute, factor, standard_deviations")
        return self


class Claim(Part):
    """One statement that can be judged.

    `printed` names each quoted number with its unit; `models` are names of `expert_sets`, with -C
    for curiosity, the one that the claim favours first; `datasets` are those it needs, none where
    it needs no data.
    """

    id: str
    locus: str
    kind: Kind
    says: str
    printed: dict[str, Printed] = {}
    models: tuple[str, ...] = ()
    alpha: float | None = None
    datasets: tuple[str, ...] = ()
    tolerance: Tolerance | None = None
    note: str = ""
    findings: tuple[str, ...] = ()  # checks of the audit that touch it

    @model_validator(mode="after")
    def _complete(self) -> "Claim":
        if self.kind == "value" and (self.tolerance is None or not self.printed):
            raise ValueError(f"claim {self.id!r}: a value needs printed numbers and a tolerance")
        return self


class Table1(Part):
    """F1 by model and dataset, and their average under `avg`."""

    alpha: float
    findings: tuple[str, ...] = ()  # checks of the audit that touch its numbers
    tolerance: Tolerance
    rows: dict[str, dict[str, PrintedSpread]]


class Curious(Part):
    """F1 with curiosity, and how much less it varies than without, in percent."""

    f1: PrintedSpread
    reduction: Printed


class Ablation(Part):
    """One dataset of table 5, by alpha as printed."""

    baseline: PrintedSpread
    curiosity: dict[str, Curious]


class Table5(Part):
    """Curiosity by alpha, of one expert set."""

    model: str
    findings: tuple[str, ...] = ()  # checks of the audit that touch its numbers
    tolerance: Tolerance
    reduction_tolerance: Tolerance
    datasets: dict[str, Ablation]


class Size(Part):
    """Of one network."""

    parameters: int
    size_kb: Printed


class Sizes(Part):
    """Parameters and sizes that the research code states, kB of 1000 bytes."""

    dimension: int
    classes: int
    hidden: list[int] = Field(min_length=1)
    networks: dict[str, Size]


class Source(Part):
    """Which paper."""

    arxiv: str
    versions: list[str]


class Claims(Part):
    """All that is judged."""

    source: Source
    table1: Table1
    table5: Table5
    sizes: Sizes
    prose: list[Claim]

    @property
    def claims(self) -> dict[str, Claim]:
        """Every claim by its id: those in prose, then one for each number of tables 1 and 5.

        The latter are called `table1/MODEL/DATASET`, `table5/DATASET/baseline`,
        `table5/DATASET/ALPHA` and `table5/DATASET/ALPHA/reduction`.
        """
        found = [*self.prose, *_of_table1(self.table1), *_of_table5(self.table5)]
        return {claim.id: claim for claim in found}

    def touched_by(self, check: str) -> tuple[str, ...]:
        """Return the names of printed tables, then ids of claims in prose, that a check touches."""
        printed: dict[str, Table1 | Table5] = {"table1": self.table1, "table5": self.table5}
        tables = tuple(name for name, table in printed.items() if check in table.findings)
        return tables + tuple(claim.id for claim in self.prose if check in claim.findings)

    @model_validator(mode="after")
    def _distinct(self) -> "Claims":
        ids = [claim.id for claim in self.prose]
        double = [name for name in ids if ids.count(name) > 1]
        if double:
            raise ValueError(f"claim {double[0]!r} is there twice")
        return self


def _of_table1(table: Table1) -> list[Claim]:
    datasets = [name for name in next(iter(table.rows.values())) if name != "avg"]
    return [
        _f1(
            f"table1/{model}/{dataset}",
            f1,
            table.tolerance,
            models=(model,),
            alpha=table.alpha,
            datasets=tuple(datasets) if dataset == "avg" else (dataset,),
        )
        for model, row in table.rows.items()
        for dataset, f1 in row.items()
    ]


def _of_table5(table: Table5) -> list[Claim]:
    found = []
    for dataset, ablation in table.datasets.items():
        stem, plain, here = f"table5/{dataset}", table.model, (dataset,)
        found.append(
            _f1(
                f"{stem}/baseline",
                ablation.baseline,
                table.tolerance,
                models=(plain,),
                datasets=here,
            )
        )
        for alpha, curious in ablation.curiosity.items():
            about: dict[str, Any] = {"alpha": float(alpha), "datasets": here}
            f1, change = curious.f1, curious.reduction
            found += [
                _f1(f"{stem}/{alpha}", f1, table.tolerance, models=(f"{plain}-C",), **about),
                Claim(
                    id=f"{stem}/{alpha}/reduction",
                    locus="table 5",
                    kind="value",
                    says=f"variance of F1 changes by {-change.value:+g} % on {dataset}",
                    printed={"reduction_percent": change},
                    models=(f"{plain}-C", plain),
                    tolerance=table.reduction_tolerance,
                    **about,
                ),
            ]
    return found


def _f1(id: str, f1: Spread, tolerance: Tolerance, **about: Any) -> Claim:
    return Claim(
        id=id,
        locus=id.partition("/")[0].replace("table", "table "),
        kind="value",
        says=f"F1 is {f1}",
        printed={"f1_mean": f1.mean, "f1_std": f1.std},
        tolerance=tolerance,
        **about,
    )
