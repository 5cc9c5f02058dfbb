"""`run.json`, what only the program that trained the models can tell, and findings of the audit.

`records.yaml` says what the fields hold.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from records.record import require_whole
from referee.contract.columns import NO_RULE
from referee.errors import InputError, first_mistake

Severity = Literal["error", "warning", "note"]


class Finding(BaseModel, extra="forbid", frozen=True):
    """A finding of the audit, as `audit.json` lists it."""

    check: str
    severity: Severity
    where: str
    evidence: dict[str, Any]
    consequence: str
    claims: tuple[str, ...] = ()


class RunPart(BaseModel):
    """A part of `run.json`: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RunExperiment(RunPart):
    """One arm, trained with one seed on one dataset under one protocol; its folds are its cells."""

    dataset: str
    protocol: str
    arm: str
    model: str
    strategy: str = NO_RULE
    alpha: float | None = None
    experts: tuple[str, ...] = ()
    seed: int
    folds: tuple[int, ...]
    cells: tuple[str, ...]
    scored_epoch: str | None = None
    stopped_by: str | None = None
    scaled_by_batch: tuple[Literal["uncertainty", "activations"], ...] = ()
    same_network_as_plain: bool | None = None
    top_k: int | None = None

    @model_validator(mode="after")
    def _a_folder_for_each_fold(self) -> "RunExperiment":
        if len(self.folds) != len(self.cells):
            raise ValueError("folds and cells differ in number")
        return self


class RuleEffect(RunPart):
    """What a strategy does to random routings of the networks of a model."""

    strategy: str
    alpha: float | None
    experts: tuple[str, ...]
    random_routings: int
    largest_change: float
    choices_changed: float
    change_by_neighbours: float
    change_in_a_batch_of_one: float


class ClassClips(RunPart):
    """A class and its clips."""

    name: str
    clips: tuple[str, ...]


class DatasetFacts(RunPart):
    """Facts of a table of embeddings."""

    dimension: int
    constant_columns: int
    duplicate_columns: int
    vectors_in_several_recordings: int
    recordings_known: bool
    embedding_known: bool
    backbone: str | None = None
    random_layer: bool = False
    source: str | None = None
    classes: tuple[ClassClips, ...]

    @property
    def clips(self) -> pd.DataFrame:
        """The clips, one row each: `clip`, `class_name` and `label`, the number of the class."""
        labelled = enumerate(self.classes)
        rows = [(clip, group.name, label) for label, group in labelled for clip in group.clips]
        return pd.DataFrame(rows, columns=["clip", "class_name", "label"])


class SplitFacts(RunPart):
    """How the clips of a dataset are split under a protocol."""

    dataset: str
    protocol: str
    n_folds: int
    test_clips: int | None = None
    test_clips_with_their_recording_in_training: int | None = None


class Run(RunPart):
    """`run.json`, written by `qmoe describe` or by any other program that trains."""

    grid: str
    params: dict[str, Any]
    training_source: str
    experiments: tuple[RunExperiment, ...] = ()
    effects: tuple[RuleEffect, ...] = ()
    datasets: dict[str, DatasetFacts] = {}
    splits: tuple[SplitFacts, ...] = ()

    @property
    def groups(self) -> Mapping[tuple[str, str], Sequence[RunExperiment]]:
        """The experiments by dataset and protocol."""
        groups = defaultdict(list)
        for experiment in self.experiments:
            groups[experiment.dataset, experiment.protocol].append(experiment)
        return groups

    def effect_of(self, experiment: RunExperiment) -> RuleEffect | None:
        """The measured effect of the strategy of an experiment; None where there is none."""
        rule = (experiment.strategy, experiment.alpha, experiment.experts)
        return next((e for e in self.effects if (e.strategy, e.alpha, e.experts) == rule), None)

    def n_folds(self, dataset: str, protocol: str) -> int | None:
        """The folds of the split of a dataset under a protocol; None where they are not told."""
        splits = {(split.dataset, split.protocol): split.n_folds for split in self.splits}
        return splits.get((dataset, protocol))


def read_run(path: Path) -> Run:
    """Read `run.json`; raises InputError where it is missing, or names its first mistake."""
    try:
        require_whole(path)
        return Run.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} is not here: `qmoe describe {path}` writes it") from None
    except ValidationError as error:
        raise InputError(f"{path}: {first_mistake(error)}") from None
