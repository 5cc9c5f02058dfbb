"""The tables that a paper prints, of a few kinds, and the claims that are made of their numbers."""

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

    def _claim(self, judge: str, check: str, table: str, **about: Any) -> Claim:
        """A claim of a value of the table, with the arithmetic check that it takes part in."""
        arithmetic = {check: {"table": table}} if check else {}
        about = {"tolerance": self.tolerance} | about
        return Claim(
            locus=self.locus,
            kind="value",
            judge={judge: {}},
            arithmetic=arithmetic,
            findings=self.findings,
            **about,
        )


def _score(printed: PrintedMeanStd, score: str) -> dict[str, Any]:
    return {"says": f"{score} is {printed}", "printed": {"mean": printed.mean, "std": printed.std}}


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
                is_average = column == self.average
                yield self._claim(
                    "mean_within",
                    "average_in_table" if is_average else "",
                    name,
                    id=f"{name}/{model}/{column}",
                    models=(model,),
                    alpha=self.alpha,
                    datasets=datasets if is_average else (column,),
                    **_score(printed, score),
                )


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
        for dataset, printed in self.datasets.items():
            about: dict[str, Any] = {"datasets": (dataset,), "models": (self.baseline,)}
            about |= {"id": f"{name}/{dataset}/baseline"} | _score(printed.baseline, score)
            yield self._claim("mean_within", "one_baseline_in_table", name, **about)
            for alpha, row in printed.varied.items():
                about |= {"id": f"{name}/{dataset}/{alpha}", "models": (self.varied,)}
                about |= {"alpha": float(alpha)} | _score(row.score, score)
                yield self._claim("mean_within", "", name, **about)
                change = -row.reduction.value
                about |= {
                    "id": f"{name}/{dataset}/{alpha}/reduction",
                    "says": f"variance of {score} changes by {change:+g} % on {dataset}",
                    "models": (self.varied, self.baseline),
                    "printed": {"reduction_percent": row.reduction},
                }
                tolerance = self.reduction_tolerance
                yield self._claim(
                    "variance_within", "reduction_in_table", name, tolerance=tolerance, **about
                )


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
    printed: dict[str, Annotated[ScoresTable | VariationTable, Field(discriminator="kind")]] = (
        Field(default={})
    )
    prose: tuple[Claim, ...] = ()
    command: str = ""
    for_checks: dict[str, Any] = Field(default={})

    @model_validator(mode="after")
    def _distinct(self) -> "Statements":
        ids = [claim.id for claim in self.claims_of("")]
        for id in ids:
            if ids.count(id) > 1:
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
