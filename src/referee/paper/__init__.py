"""A paper as data: a folder that tells referee what was claimed, and by what names.

All its `*.yaml` are read as one; `checks.py`, where there is one, holds what YAML cannot say.
"""

from functools import cached_property
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from pydantic import Field, ValidationError, model_validator

from referee.errors import InputError, first_mistake
from referee.paper.claims import Claim, Part
from referee.paper.figures import Figures
from referee.paper.printed import Statements
from referee.paper.story import Story
from referee.paper.tables import TableLayout


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

    Claims are judged under its `protocols`; the verdict under `decides` counts, by default the
    last one. `strategies` says, by protocol, which strategies of the tidy table stand for the
    paper's varied arms, whose models end in `varied_suffix`; the first that was run counts.
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
        """The module `checks.py` of the folder, loaded by its path; None where there is none."""
        path = self.folder / "checks.py"
        spec = spec_from_file_location(f"checks_of_{self.folder.name}", path)
        if not path.exists() or spec is None or spec.loader is None:
            return None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
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
        part = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
        if twice := sorted(content.keys() & part.keys()):
            raise InputError(f"{file}: {twice[0]} already stands in another file of {folder}")
        content |= part
    if len(content) == 1:
        raise InputError(f"{folder} holds no paper: it needs paper.yaml")
    try:
        return Paper.model_validate(content)
    except ValidationError as error:
        raise InputError(f"{folder}: {first_mistake(error)}") from None
