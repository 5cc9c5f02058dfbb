"""The tables of a paper, as its `tables.yaml` describes them."""

from typing import Literal

from referee.paper.claims import Part

Arms = Literal["all", "single", "mixture", "varied"]
Alternative = Literal["greater", "less", "two-sided"]


class Family(Part):
    """Comparisons of some arms with one kind of baseline; Holm corrects within each protocol.

    `baseline` is an arm, or empty: the arm of the same experts that no rule varies. With
    `other_runtimes`, the baselines are the other runtimes of that arm, each a family of its own,
    whose name stands for `{baseline}` in `name`. `published` is the alternative of the test that
    the paper made.
    """

    name: str
    of: Arms = "all"
    baseline: str = ""
    other_runtimes: bool = False
    published: Alternative = "two-sided"


class Reference(Part):
    """Scores in percent of those of other experts: the experts, and the heading of the column."""

    experts: str
    column: str


class TableLayout(Part):
    """One table: the folder of the results in which it lies, its title and what it shows.

    `kind` names a definition, see `referee.tables.make`. The caption is the title, then `text`,
    then the notes that `notes` names in the paper's `table_notes`. `families` are the comparisons
    of a table of `significance`. A table of `networks` also shows scores in percent of those of
    its `reference`; a table of `mixtures` also shows the experts `beside` them, and calls a single
    network, a mixture and one that a rule varies by its `types`; a table of `latency` has
    speed-ups over some runtimes.
    """

    folder: Literal["tables", "significance"]
    title: str
    kind: Literal[
        "scores", "networks", "mixtures", "latency", "energy", "score_spread", "latency_spread"
    ]
    text: str = ""
    notes: tuple[str, ...] = ()
    families: tuple[Family, ...] = ()
    reference: Reference | None = None
    beside: tuple[str, ...] = ()
    types: tuple[str, str, str] = ("single network", "mixture", "varied mixture")
    speedups_over: tuple[str, ...] = ()

    @property
    def group(self) -> Literal["scores", "measured", "tests"]:
        """Which command writes the table."""
        if self.folder == "significance":
            return "tests"
        return "scores" if self.kind == "scores" else "measured"
