"""The tables that a paper prints, of a few kinds, and the claims that are made of their numbers."""

from collections.abc import Iterator
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import Field

from referee.paper.claims import Claim, MeanStd, Part, PrintedMeanStd, PrintedNumber, Tolerance


class PrintedTable(Part):
    """What every printed table states, whatever its kind."""

    locus: str
    tolerance: Tolerance  # of its scores
    findings: tuple[str, ...] = ()  # names of the audit checks whose findings touch it

    def _claim(self, id: str, score: MeanStd, name: str, **about: Any) -> Claim:
        """The claim that a score, by its name in sentences, is as printed; or as `about` says."""
        shared = {"kind": "value", "locus": self.locus, "findings": self.findings}
        of_score = {"says": f"{name} is {score}", "judge": "mean_within", "printed": vars(score)}
        about = {"id": id, "tolerance": self.tolerance} | of_score | about
        return Claim.model_validate(shared | about)


class ScoresTable(PrintedTable):
    """Scores by model and dataset."""

    kind: Literal["scores"]
    average: str = ""  # the column, where there is one, of the average over the datasets
    alpha: float | None = None  # the strength of the models that a strategy varies
    rows: dict[str, dict[str, PrintedMeanStd]]

    def claims(self, name: str, score: str) -> Iterator[Claim]:
        """Yield a claim for each number, called `NAME/MODEL/DATASET`."""
        for model, row in self.rows.items():
            of_model = partial(self._claim, name=score, models=(model,), alpha=self.alpha)
            datasets = tuple(dataset for dataset in row if dataset != self.average)
            for column, printed in row.items():
                about: dict[str, Any] = {"datasets": (column,)}
                if column == self.average:
                    check = {"average_in_table": {"table": name}}
                    about = {"datasets": datasets, "arithmetic": check}
                yield of_model(f"{name}/{model}/{column}", printed, **about)


class VariedRow(Part):
    """A score with the rule, and by how many percent its variance is less than without."""

    score: PrintedMeanStd
    reduction: PrintedNumber


class VariedDataset(Part):
    """One dataset: the score without the rule, and with it, by its strength as printed."""

    baseline: PrintedMeanStd
    varied: dict[str, VariedRow]


class VariationTable(PrintedTable):
    """Scores of a model without and with a rule that varies it, by dataset and strength."""

    kind: Literal["variation"]
    baseline: str  # the model without the rule
    varied: str  # and with it
    reduction_tolerance: Tolerance  # of the reductions of the variance
    datasets: dict[str, VariedDataset]

    def claims(self, name: str, score: str) -> Iterator[Claim]:
        """Yield `NAME/DATASET/baseline`, then `NAME/DATASET/ALPHA` and its `/reduction`."""
        table = {"table": name}
        for dataset, printed in self.datasets.items():
            of_dataset = partial(self._claim, name=score, datasets=(dataset,))
            yield of_dataset(
                f"{name}/{dataset}/baseline",
                printed.baseline,
                models=(self.baseline,),
                arithmetic={"one_baseline_in_table": table},
            )
            for alpha, row in printed.varied.items():
                id, change = f"{name}/{dataset}/{alpha}", -row.reduction.value
                of_row = partial(of_dataset, score=row.score, alpha=float(alpha))
                yield of_row(id, models=(self.varied,))
                yield of_row(
                    f"{id}/reduction",
                    says=f"variance of {score} changes by {change:+g} % on {dataset}",
                    judge="variance_within",
                    arithmetic={"reduction_in_table": table},
                    printed={"reduction_percent": row.reduction},
                    models=(self.varied, self.baseline),
                    tolerance=self.reduction_tolerance,
                )


Printed = Annotated[ScoresTable | VariationTable, Field(discriminator="kind")]
