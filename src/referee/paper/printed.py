"""The tables that a paper prints, of a few kinds, and the claims that are made of their numbers."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from referee.paper.claims import Claim, Number, Part, PrintedMeanStd, PrintedNumber, Tolerance


class PrintedTable(Part):
    """What every printed table states, whatever its kind.

    `tolerance` holds for its scores, `findings` are the audit checks whose findings touch it.
    """

    locus: str
    tolerance: Tolerance
    findings: tuple[str, ...] = ()

    def _claim(self, **about: Any) -> Claim:
        shared = {"kind": "value", "locus": self.locus, "findings": self.findings}
        return Claim.model_validate(shared | {"tolerance": self.tolerance} | about)

    def _score_claim(self, id: str, printed: PrintedMeanStd, score: str, **about: Any) -> Claim:
        about |= {"says": f"{score} is {printed}", "judge": "mean_within"}
        return self._claim(id=id, printed={"mean": printed.mean, "std": printed.std}, **about)


class ScoresTable(PrintedTable):
    """Scores by model and dataset; the column `average`, where there is one, is over the datasets.

    `alpha` is the strength of the models that a strategy varies.
    """

    kind: Literal["scores"]
    average: str = ""
    alpha: float | None = None
    rows: dict[str, dict[str, PrintedMeanStd]]

    def claims(self, name: str, score: str) -> Iterator[Claim]:
        """Yield a claim for each number, called `NAME/MODEL/DATASET`."""
        for model, row in self.rows.items():
            datasets = tuple(dataset for dataset in row if dataset != self.average)
            for column, printed in row.items():
                about: dict[str, Any] = {"datasets": (column,)}
                if column == self.average:
                    check = {"average_in_table": {"table": name}}
                    about = {"datasets": datasets, "arithmetic": check}
                about |= {"models": (model,), "alpha": self.alpha}
                yield self._score_claim(f"{name}/{model}/{column}", printed, score, **about)


class VariedRow(Part):
    """A score with the rule, and by how many percent its variance is less than without."""

    score: PrintedMeanStd
    reduction: PrintedNumber


class VariedDataset(Part):
    """One dataset: the score without the rule, and with it, by its strength as printed."""

    baseline: PrintedMeanStd
    varied: dict[str, VariedRow]


class VariationTable(PrintedTable):
    """Scores of a model without and with a rule that varies it, by dataset and strength.

    `baseline` and `varied` are the models; `reduction_tolerance` holds for the reductions of the
    variance.
    """

    kind: Literal["variation"]
    baseline: str
    varied: str
    reduction_tolerance: Tolerance
    datasets: dict[str, VariedDataset]

    def claims(self, name: str, score: str) -> Iterator[Claim]:
        """Yield `NAME/DATASET/baseline`, then `NAME/DATASET/ALPHA` and its `/reduction`."""
        table = {"table": name}
        for dataset, printed in self.datasets.items():
            id = f"{name}/{dataset}/baseline"
            about: dict[str, Any] = {"models": (self.baseline,)}
            about |= {"datasets": (dataset,), "arithmetic": {"one_baseline_in_table": table}}
            yield self._score_claim(id, printed.baseline, score, **about)
            for alpha, row in printed.varied.items():
                id, about = f"{name}/{dataset}/{alpha}", {"alpha": float(alpha)}
                about |= {"datasets": (dataset,), "models": (self.varied,)}
                yield self._score_claim(id, row.score, score, **about)
                change = -row.reduction.value
                about |= {
                    "id": f"{id}/reduction",
                    "says": f"variance of {score} changes by {change:+g} % on {dataset}",
                    "judge": "variance_within",
                    "arithmetic": {"reduction_in_table": table},
                    "printed": {"reduction_percent": row.reduction},
                    "models": (self.varied, self.baseline),
                    "tolerance": self.reduction_tolerance,
                }
                yield self._claim(**about)


Printed = Annotated[ScoresTable | VariationTable, Field(discriminator="kind")]


class Publication(Part):
    """Where the paper was published, and which versions its claims are taken from."""

    arxiv: str = ""
    versions: tuple[str, ...] = ()


class Statements(Part):
    """All that a paper states: `printed` tables, and claims in `prose`; `source` says where.

    `command` is a Jinja2 template of the command that makes the cells of a claim; it may use
    `datasets`, `models` (without the suffix of the varied ones), `strategies` (of this paper) and
    `alpha` (none where no model of the claim is varied). `for_checks` is free data for the
    paper's own checks.py.
    """

    source: Publication = Publication()
    printed: dict[str, Printed] = Field(default={})
    prose: tuple[Claim, ...] = ()
    command: str = ""
    for_checks: dict[str, Any] = Field(default={})

    @model_validator(mode="after")
    def _distinct(self) -> "Statements":
        for id, count in Counter(claim.id for claim in self.claims_of("")).items():
            if count > 1:
                raise ValueError(f"claim {id!r} is there twice")
        return self

    def claims_of(self, score: str) -> list[Claim]:
        """Return the claims in prose, then those of each printed table, in the order of the files.

        `score` is how sentences call the score.
        """
        tables = self.printed.items()
        return [*self.prose, *(c for name, table in tables for c in table.claims(name, score))]

    @property
    def printed_reductions(self) -> list[tuple[str, str, Number]]:
        """(dataset, strength as printed, reduction of the variance in percent), as printed."""
        return [
            (dataset, strength, row.reduction)
            for table in self.printed.values()
            if isinstance(table, VariationTable)
            for dataset, printed in table.datasets.items()
            for strength, row in printed.varied.items()
        ]

    def touched_by(self, check: str) -> tuple[str, ...]:
        """Return the names of printed tables, then ids of claims in prose, that a check touches."""
        tables = tuple(name for name, table in self.printed.items() if check in table.findings)
        return tables + tuple(claim.id for claim in self.prose if check in claim.findings)
