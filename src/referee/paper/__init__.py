"""A paper as data: a folder that tells referee what was claimed, and by what names.

All its `*.yaml` are read as one; `checks.py`, where there is one, holds what YAML cannot say.
"""

from functools import cached_property
from importlib.machinery import SourceFileLoader
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError, model_validator

from referee.errors import InputError, first_mistake
from referee.paper.claims import Claim, Number, Part
from referee.paper.printed import Printed, VariationTable
from referee.paper.tables import TableLayout

# The name of a table is that of its files.
TableName = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]*$")]


class Score(Part):
    """The score that is compared: its column in the tidy table, and how tables call it."""

    column: str = "score"
    name: str = "score"  # in headings of CSV files: f1 gives `f1_mean`
    words: str = "score"  # in prose: Weighted F1
    short: str = "score"  # in sentences and as a unit: F1


class Expert(Part):
    """A network that a mixture can choose."""

    bits: float  # of a weight


class PaperDataset(Part):
    """A dataset as the paper used it, by its name without punctuation, in lower case."""

    classes: int | None = None  # None: any number of them


class Publication(Part):
    """Where the paper was published, and which versions its claims are taken from."""

    arxiv: str = ""
    versions: tuple[str, ...] = ()


class Ratio(Part):
    """Two models; a sentence says how much of the baseline's score one keeps, and at what cost."""

    model: str
    baseline: str
    model_words: str  # in a sentence: `the small network`
    baseline_words: str


class Story(Part):
    """Words and choices of the results page and of the sentences in the notebook."""

    heading: str = ""  # of the results page; if empty, the title of the paper
    short_title: str = ""  # of the paper, as sentences give it; if empty, they give it in full
    ratio: Ratio | None = None  # without it no sentence compares two models
    variation: str = "the variation"  # the rule that varies the paper's models, in words
    tests: dict[str, str] = Field(default={})  # what a significance file tests, by its name
    runtimes: dict[str, str] = Field(default={})  # that latencies are compared with, in words


class Look(Part):
    """How an expert, a protocol or a strategy is drawn, in matplotlib's terms."""

    color: str
    hatch: str = ""  # of bars: tells them apart in grey print
    marker: str = "o"
    line: str = "-"
    hollow: bool = False  # whether markers are white inside

    @property
    def paint(self) -> dict[str, Any]:
        """The colours of markers, for `Axes.plot` and `Line2D`."""
        return {"color": self.color, "markerfacecolor": "white" if self.hollow else self.color}


class Figures(Part):
    """What figures need to know of a paper beside its claims; names without a look are given one.

    Significance files are named without their suffix.
    """

    files: dict[str, str] = Field(default={})  # of figures, where they have other names
    score: str = ""  # in titles; without it `Score.words`
    folds: int = Field(default=5, ge=2)  # over which the paper compares arms
    variances: str = ""  # the significance file with `variance_reduction_percent`
    differences: str = ""  # the significance file with the effects `d_z`
    family: str = ""  # how the families of these effects begin that are shown
    experts: dict[str, Look] = Field(default={})
    protocols: dict[str, Look] = Field(default={})
    strategies: dict[str, Look] = Field(default={})  # in the order in which they are drawn


class Paper(Part):
    """The folder of a paper.

    Claims stand in its `printed` tables and in `prose`; `source` says where they are published.
    They are judged under its `protocols`; the verdict under `decides` counts, by default the last
    one. `strategies` says, by protocol, which strategies of the tidy table stand for the paper's
    varied arms, whose models end in `varied_suffix`; the first that was run counts.
    `command` is a Jinja2 template of the command that makes the cells of a claim; it may use
    `datasets`, `models` (without the suffix of the varied ones), `strategies` (of this paper) and
    `alpha` (none where no model of the claim is varied). `for_checks` is free data for checks.py.
    """

    folder: Path
    title: str
    source: Publication = Publication()
    score: Score = Score()
    protocols: tuple[str, ...] = ("main",)
    decides: str = Field(default_factory=lambda data: (data.get("protocols") or ["main"])[-1])
    strategies: dict[str, tuple[str, ...]] = Field(default={})
    varied_suffix: str = ""
    mixture_suffix: str = ""
    experts: dict[str, Expert] = Field(default={})
    datasets: dict[str, PaperDataset] = Field(default={})
    printed: dict[str, Printed] = Field(default={})
    prose: tuple[Claim, ...] = ()
    command: str = ""
    for_checks: dict[str, Any] = Field(default={})
    tables: dict[TableName, TableLayout] = Field(default={})
    figures: Figures = Figures()
    story: Story = Story()
    table_notes: dict[str, str] = Field(default={})  # of captions of tables
    dimension: int | None = None  # values of an embedding in the paper

    @model_validator(mode="after")
    def _distinct(self) -> "Paper":
        _ = self.claims  # made here, so that reading a paper refuses two of one id
        if self.decides not in self.protocols:
            raise ValueError(f"decides: {self.decides!r} is none of the protocols")
        return self

    @cached_property
    def claims(self) -> dict[str, Claim]:
        """Every claim by its id: those in prose, then those of the printed tables."""
        of_tables = (table.claims(n, self.score.short) for n, table in self.printed.items())
        claims: dict[str, Claim] = {}
        for claim in chain(self.prose, *of_tables):
            if claims.setdefault(claim.id, claim) is not claim:
                raise ValueError(f"claim {claim.id!r} is there twice")
        return claims

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

    @cached_property
    def checks(self) -> ModuleType | None:
        """The module `checks.py` of the folder, loaded by its path; None where there is none."""
        path = self.folder / "checks.py"
        if not path.exists():
            return None
        module = ModuleType(f"checks_of_{self.folder.name}")
        try:
            SourceFileLoader(module.__name__, str(path)).exec_module(module)
        except Exception as error:
            raise InputError(f"{path} cannot be loaded: {error}") from None
        return module


def read(folder: Path | None = None) -> Paper:
    """Read the folder of a paper; None takes the only folder in `papers/` below the current one.

    Raises InputError where there is no such folder, or names the first mistake in its files.
    """
    if folder is None:
        folders = sorted(path.parent for path in Path("papers").glob("*/paper.yaml"))
        if len(folders) != 1:
            known = ", ".join(map(str, folders)) or "none"
            raise InputError(f"name a paper's folder with --paper; below papers/ are: {known}")
        folder = folders[0]
    content: dict[str, Any] = {"folder": folder}
    for file in sorted(folder.glob("*.yaml")):
        try:
            part = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        except yaml.YAMLError as error:
            raise InputError(f"{file} is no YAML: {' '.join(str(error).split())}") from None
        if not isinstance(part, dict):
            raise InputError(f"{file} must hold keys with values")
        if twice := sorted(content.keys() & part.keys()):
            raise InputError(f"{file}: {twice[0]} already stands in another file of {folder}")
        content |= part
    if len(content) == 1:
        raise InputError(f"{folder} holds no paper: it needs paper.yaml")
    try:
        return Paper.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{folder}: {first_mistake(error)}") from None
