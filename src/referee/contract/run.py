"""`run.json`: what only the program that trained the models can tell of a run."""

from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from referee.contract.columns import NO_RULE
from referee.errors import InputError

_AS = "as in `cells.csv`"


class RunPart(BaseModel):
    """A part of `run.json`: unknown keys and values of another type are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class RunExperiment(RunPart):
    """One arm, trained with one seed on one dataset under one protocol; its folds are its cells."""

    dataset: str = Field(description=_AS)
    protocol: str = Field(description=_AS)
    arm: str = Field(description=_AS)
    model: str = Field(description=_AS)
    strategy: str = Field(
        default=NO_RULE, description="rule that varies the model, `none` without one"
    )
    alpha: float | None = Field(default=None, description="strength of the strategy")
    experts: tuple[str, ...] = Field(default=(), description="networks of the model")
    seed: int = Field(description=_AS)
    folds: tuple[int, ...] = Field(description="numbers of the folds that were scored")
    cells: tuple[str, ...] = Field(description="folder of each of these folds")
    scored_epoch: str | None = Field(
        default=None, description="epoch that is scored: `best` or `last`"
    )
    stopped_by: str | None = Field(
        default=None, description="clips that stop training: `test`, or others such as `held_out`"
    )
    scaled_by_batch: tuple[Literal["uncertainty", "activations"], ...] = Field(
        default=(), description="values that the model scales by the range of the batch at hand"
    )
    same_network_as_plain: bool | None = Field(
        default=None, description="whether the arm without the strategy has the same layers"
    )
    top_k: int | None = Field(
        default=None, description="networks that classify each clip, in mixtures"
    )

    @model_validator(mode="after")
    def _a_folder_for_each_fold(self) -> "RunExperiment":
        if len(self.folds) != len(self.cells):
            raise ValueError("folds and cells differ in number")
        return self


class RuleEffect(RunPart):
    """What a strategy does to random routings of the networks of a model."""

    strategy: str = Field(description=_AS)
    alpha: float | None = Field(description=_AS)
    experts: tuple[str, ...] = Field(description="networks that are routed between")
    random_routings: int = Field(description="routings that were drawn")
    largest_change: float = Field(description="largest change of any probability by the strategy")
    choices_changed: float = Field(
        description="share of the routings in which another network became the most probable"
    )
    change_by_neighbours: float = Field(
        description="largest change of any probability when the same clips lie in other batches "
        "and uncertainty is scaled by the batch"
    )
    change_in_a_batch_of_one: float = Field(
        description="largest change of any probability by the strategy when each clip is alone in "
        "its batch and uncertainty is scaled by the batch"
    )


class ClassClips(RunPart):
    """A class and its clips."""

    name: str = Field(description="name of the class")
    clips: tuple[str, ...] = Field(description="names of the clips, in the order of the table")


class DatasetFacts(RunPart):
    """Facts of a table of embeddings."""

    dimension: int = Field(description="values of an embedding")
    constant_columns: int = Field(description="values that are the same in all clips")
    duplicate_columns: int = Field(description="varying values that equal an earlier one")
    vectors_in_several_recordings: int = Field(
        description="embeddings that several clips share which belong to different recordings"
    )
    recordings_known: bool = Field(
        description="whether there are official folds, or recordings with several clips"
    )
    embedding_known: bool = Field(description="whether the table says how it was made")
    backbone: str | None = Field(default=None, description="network that made the embeddings")
    random_layer: bool = Field(
        default=False, description="whether the last layer of that network has random weights"
    )
    source: str | None = Field(default=None, description="file that the embeddings were read from")
    classes: tuple[ClassClips, ...] = Field(description="a class per label, from 0")

    @property
    def clips(self) -> pd.DataFrame:
        """The clips, one row each: `clip`, `class_name` and `label`."""
        rows = [
            (clip, group.name, label)
            for label, group in enumerate(self.classes)
            for clip in group.clips
        ]
        return pd.DataFrame(rows, columns=["clip", "class_name", "label"])


class SplitFacts(RunPart):
    """How the clips of a dataset are split under a protocol."""

    dataset: str = Field(description=_AS)
    protocol: str = Field(description=_AS)
    n_folds: int = Field(description="folds of the split, whether all are scored or not")
    test_clips: int | None = Field(
        default=None,
        description="clips of all scored folds; absent without the table of embeddings",
    )
    test_clips_with_their_recording_in_training: int | None = Field(
        default=None, description="how many of them share a recording with a training clip"
    )


class Run(RunPart):
    """`run.json`, written by `qmoe describe` or by any other program that trains."""

    grid: str = Field(description="key of all that was run")
    params: dict[str, Any] = Field(description="the configuration")
    training_source: str = Field(description="key of the code that trains, as it is now")
    experiments: tuple[RunExperiment, ...] = Field(default=(), description="all that was trained")
    effects: tuple[RuleEffect, ...] = Field(
        default=(), description="one per strategy, strength and set of networks"
    )
    datasets: dict[str, DatasetFacts] = Field(
        default={}, description="by name, those whose table of embeddings was there"
    )
    splits: tuple[SplitFacts, ...] = Field(default=(), description="one per dataset and protocol")

    @property
    def groups(self) -> dict[tuple[str, str], list[RunExperiment]]:
        """The experiments by dataset and protocol."""
        groups: dict[tuple[str, str], list[RunExperiment]] = {}
        for experiment in self.experiments:
            groups.setdefault((experiment.dataset, experiment.protocol), []).append(experiment)
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
    """Read `run.json`.

    Raises:
        InputError: the file is missing or not as the contract says; the first mistake is named.

    """
    try:
        return Run.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} is not here: `qmoe describe {path}` writes it") from None
    except ValidationError as error:
        raise InputError(f"{path}: {first_mistake(error)}") from None


def first_mistake(error: ValidationError) -> str:
    """Say in one line where a file first departs from its schema, and how."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"]))
    return f"{where}: {first['msg']}" if where else first["msg"]
