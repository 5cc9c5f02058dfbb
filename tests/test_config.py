"""params.yaml: every mistake is one line that says what to write instead."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT

from qmoe.config import load, merge, read, schema_table
from qmoe.errors import UserError

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


def refused(**changes: Any) -> str:
    with pytest.raises(UserError) as error:
        load(merge(PARAMS, changes))
    assert len(str(error.value).splitlines()) == 1
    return str(error.value)


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.name)
def test_shipped_configurations_are_valid(path: Path) -> None:
    load(merge(PARAMS, yaml.safe_load(path.read_text())))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trainig": {}}, ["'trainig'", "did you mean 'training'?"]),
        ({"training": {"single": {"epoch": 3}}}, ["training.single.epoch", "'epochs'"]),
        ({"grid": {"datasets": ["dmeo"]}}, ["'dmeo' is not defined", "'demo'"]),
        ({"grid": {"expert_sets": ["FP32"]}}, ["'FP32' is not defined", "FP32-Base"]),
        ({"grid": {"protocols": ["correct"]}}, ["did you mean 'corrected'?"]),
        ({"expert_sets": {"New": ["bitnets"]}}, ["'bitnets'", "did you mean 'bitnet'?"]),
        ({"expert_sets": {"New": [3]}}, ["'q3' is not one of its values"]),
        ({"expert_sets": {"New": ["q4", 4]}}, ["'q4' is listed twice"]),
        ({"expert_sets": {"New": ["bitnet", 8, 4], "Old": ["bitnet", 8, 4]}}, ["is listed twice"]),
        ({"grid": {"curiosity": [{"strategy": "none", "alpha": [0.3]}]}}, ["alpha without"]),
        ({"grid": {"curiosity": [{"alpha": [0.3]}]}}, ["strategy", "missing"]),
        ({"grid": {"curiosity": [{"strategy": "kl_global"}]}}, ["needs alpha"]),
        ({"grid": {"curiosity": [{"strategy": "kl_globl", "alpha": 1}]}}, ["'kl_global'?"]),
        ({"grid": {"curiosity": [{"strategy": "escalation", "alpha": -1}]}}, ["it is -1"]),
        ({"grid": {"seeds": [1, 1]}}, ["1 is listed twice"]),
        ({"grid": {"folds": [5]}}, ["folds 0 to 4, not 5"]),
        ({"training": {"mixture": {"epochs": 0}}}, ["training.mixture.epochs", "it is 0"]),
        ({"network": {"dropout": 1.0}}, ["network.dropout", "less than 1"]),
        ({"router": {"top_k": 3}}, ["top_k is 3", "BitNet-Q8PTQ-QMoE"]),
        ({"normalization": "standart"}, ["did you mean 'standard'?"]),
        ({"embedding": {"f_max_hz": 20000}}, ["f_max_hz <= sample_rate_hz / 2"]),
        ({"datasets": {"m": {"kind": "csv", "path": "x", "fold": 3}}}, ["m.fold'", "'folds'"]),
        ({"datasets": {"mine": {"kind": "vidio"}}}, ["'vidio'", "audio"]),
        ({"datasets": {"mine": {"kind": "audio", "path": "x"}}}, ["metadata or name_pattern"]),
        ({"datasets": {"mi/ne": {"kind": "csv", "path": "x"}}}, ["mi/ne"]),
    ],
)
def test_a_mistake_is_one_line_with_the_nearest_name(
    changes: dict[str, Any], words: list[str]
) -> None:
    said = refused(**changes)
    for word in words:
        assert word in said


def test_several_mistakes_are_several_lines() -> None:
    with pytest.raises(UserError) as error:
        load(merge(PARAMS, {"device": "tpu", "split_seed": -1}))
    assert len(str(error.value).splitlines()) == 2


def test_numbers_may_be_strings_as_snakemake_gives_them() -> None:
    params = load(
        merge(PARAMS, {"grid": {"seeds": ["3"]}, "training": {"single": {"epochs": "7"}}})
    )
    assert params.grid.seeds == [3]
    assert params.training.single.epochs == 7


def test_files_are_put_over_each_other_and_written_parameters_are_read_again(
    tmp_path: Path,
) -> None:
    over, resolved = tmp_path / "over.yaml", tmp_path / "resolved.json"
    over.write_text("grid: {seeds: [4]}\n")
    params = read(ROOT / "params.yaml", over)
    assert params.grid.seeds == [4]
    assert params.grid.datasets == PARAMS["grid"]["datasets"]
    resolved.write_text(json.dumps(params.model_dump(mode="json")))  # as a run writes them for jobs
    assert read(resolved) == params


def test_the_documentation_holds_the_generated_table() -> None:
    page = (ROOT / "docs/configuration.md").read_text()
    assert schema_table() in page, "run `make docs`, which calls `qmoe schema`"
