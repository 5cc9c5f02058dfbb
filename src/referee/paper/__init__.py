"""A paper as data: the folder that tells referee what was claimed, and by what names.

All `*.yaml` of the folder are read as one; `checks.py`, where there is one, holds what only this
paper needs and cannot be said in YAML: judges, checks of its printed numbers, checks of its data.
"""

from functools import cached_property
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from referee.errors import InputError
from referee.paper.claims import Claim, Part
from referee.paper.figures import Figures
from referee.paper.printed import Statements
from referee.paper.story import Story
from referee.paper.tables import TableLayout

ROOT = Path("papers")


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


class Paper(Statements):
    """The folder of a paper.

    `protocols` are those under which claims are judged; `decides` names the one whose verdict
    counts, the last one where it is left out. `strategies` says, by protocol, which strategies of
    the tidy table stand for the paper's varied arms, whose models end in `varied_suffix`; the
    first that was run counts.
    """

    folder: Path
    title: str
    score: Score = Score()
    protocols: tuple[str, ...] = ("main",)
    decides: str = ""
    strategies: dict[str, tuple[str, ...]] = Field(default={})
    varied_suffix: str = ""
    mixture_suffix: str = ""
    experts: dict[str, Expert] = Field(default={})
    datasets: dict[str, PaperDataset] = Field(default={})
    tables: dict[str, TableLayout] = Field(default={})
    figures: Figures = Figures()
    story: Story = Story()
    table_notes: dict[str, str] = Field(default={})  # of captions of tables
    dimension: int | None = None  # values of an embedding in the paper

    @model_validator(mode="before")
    @classmethod
    def _last_decides(cls, data: Any) -> Any:
        protocols = data.get("protocols") or ["main"]
        return {"decides": protocols[-1]} | data

    @cached_property
    def claims(self) -> dict[str, Claim]:
        """Every claim by its id: those in prose, then those of the printed tables."""
        return {claim.id: claim for claim in self.claims_of(self.score.short)}

    @cached_property
    def checks(self) -> ModuleType | None:
        """The module `checks.py` of the folder, None where there is none.

        It is loaded by its path: a paper need not be installed.
        """
        path = self.folder / "checks.py"
        if not path.exists():
            return None
        spec = spec_from_file_location(f"checks_of_{self.folder.name}", path)
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        return module


def read(folder: Path | None = None) -> Paper:
    """Read the folder of a paper.

    Args:
        folder: None takes the only folder in `papers/` below the current one.

    Raises:
        InputError: there is no such folder, or it does not validate; the first mistake is named.

    """
    folder = folder or _only_paper()
    files = sorted(folder.glob("*.yaml"))
    if not files:
        raise InputError(f"{folder} holds no paper: it needs paper.yaml")
    content: dict[str, Any] = {"folder": folder}
    for file in files:
        part = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        twice = sorted(content.keys() & part.keys())
        if twice:
            raise InputError(f"{file}: {twice[0]} already stands in another file of {folder}")
        content |= part
    try:
        return Paper.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        message = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{folder}: {where}: {message}") from None


def _only_paper() -> Path:
    folders = sorted(path.parent for path in ROOT.glob("*/paper.yaml"))
    if len(folders) != 1:
        known = ", ".join(map(str, folders)) or "none"
        raise InputError(f"name a paper's folder with --paper; below {ROOT}/ there are: {known}")
    return folders[0]
