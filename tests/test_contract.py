"""Every file of the contract is checked when it is read, and the first mistake is named."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT
from pydantic import ValidationError

from referee import contract, paper
from referee.contract.columns import TABLES, markdown
from referee.contract.run import RunPart
from referee.errors import InputError

PAPER = paper.read(ROOT / "papers/curious_qmoe")


def scores(**changes: object) -> pd.DataFrame:
    """Two arms on two folds, with what a table of scores must have and nothing else."""
    frame = pd.DataFrame(
        {
            "dataset": "d",
            "arm": ["a", "a", "b", "b"],
            "seed": 0,
            "fold": [0, 1, 0, 1],
            "f1_weighted": [0.1, 0.2, 0.3, 0.4],
        }
    )
    return frame.assign(**changes)


@pytest.fixture
def read(tmp_path: Path) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def from_file(frame: pd.DataFrame) -> pd.DataFrame:
        frame.to_csv(tmp_path / "scores.csv", index=False)
        return contract.read_scores(tmp_path / "scores.csv", PAPER)

    return from_file


Read = Callable[[pd.DataFrame], pd.DataFrame]


def test_columns_that_a_table_lacks_are_filled_in(read: Read) -> None:
    frame = read(scores(more="kept"))
    assert frame["score"].tolist() == frame["f1_weighted"].tolist() == [0.1, 0.2, 0.3, 0.4]
    first = frame.iloc[0]
    assert first[["protocol", "model", "strategy", "experts", "more"]].tolist() == [
        "corrected",
        "a",
        "none",
        "a",
        "kept",
    ]
    assert not first["synthetic"]
    assert np.isnan(first["alpha"])
    assert not {"cell", "n_train", "n_test"} & set(frame)


def test_names_that_look_like_numbers_stay_names(read: Read) -> None:
    frame = read(scores(dataset=["01", "01", "01", "01"]))
    assert frame["dataset"].tolist() == ["01"] * 4


@pytest.mark.parametrize("column", ["dataset", "arm", "seed", "fold", "f1_weighted"])
def test_a_column_that_must_be_there(read: Read, column: str) -> None:
    with pytest.raises(InputError, match=rf"scores\.csv has no column {column}$"):
        read(scores().drop(columns=column))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"f1_weighted": [0.1, np.nan, 0.3, 0.4]},
            "column f1_weighted, row 2: the value is missing",
        ),
        (
            {"f1_weighted": [0.1, 0.2, "high", 0.4]},
            "column f1_weighted, row 3: 'high' is not a number",
        ),
        (
            {"f1_weighted": [0.1, 0.2, 0.3, np.inf]},
            "column f1_weighted, row 4: inf is not a number",
        ),
        ({"fold": ["0", "one", "0", "1"]}, "column fold, row 2: 'one' is not a number"),
        ({"seed": [0, 0, np.nan, 0]}, "column seed, row 3: the value is missing"),
        ({"arm": ["a", None, "b", "b"]}, "column arm, row 2: the value is missing"),
        ({"alpha": ["0.1", "", "much", ""]}, "column alpha, row 3: 'much' is not a number"),
        (
            {"synthetic": [True, "perhaps", True, True]},
            "column synthetic, row 2: 'perhaps' is not a b",
        ),
        (
            {"fold": [0, 1, 0, 0]},
            "row 4: an earlier row has the same dataset d, protocol corrected, arm b, seed 0, f",
        ),
        ({"n_test": [9, 9, "many", 9]}, "column n_test, row 3: 'many' is not a number"),
    ],
)
def test_the_first_wrong_row_is_named(read: Read, changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=re.escape(message)) as error:
        read(scores(**changes))
    assert str(error.value).count("\n") == 0
    assert "scores.csv" in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "cannot be read as CSV"),
        (b"dataset,arm,seed,fold,f1_weighted\n", "has no rows"),
        (b"\xff\xfe\x00", "cannot be read as CSV"),
        (b'a,b\n"open', "cannot be read as CSV"),
    ],
)
def test_a_file_without_a_table(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "scores.csv").write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        contract.read_scores(tmp_path / "scores.csv", PAPER)
    assert str(error.value).count("\n") == 0


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    for missing in (
        lambda: contract.read_scores(tmp_path / "scores.csv", PAPER),
        lambda: contract.read_predictions(tmp_path),
        lambda: contract.read_history(tmp_path, PAPER.score),
        lambda: contract.read_run(tmp_path / "run.json"),
    ):
        with pytest.raises(InputError, match="is not here"):
            missing()


def test_what_training_could_see(read: Read) -> None:
    clips = {"n_fit": 80, "n_stop": 20, "n_test": 20}
    apart = read(scores(**clips, stop_f1_weighted=0.9))
    assert apart["n_train"].tolist() == [100] * 4
    on_test = read(scores(**clips, stop_f1_weighted=[0.1, 0.2, 0.3, 0.9]))
    assert on_test["n_train"].tolist() == [80] * 4
    assert read(scores(n_train=7))["n_train"].tolist() == [7] * 4


def measured(**changes: object) -> pd.DataFrame:
    return scores(
        runtime=["packed", "other", "packed", "packed"], batch_size=1, repeat=0, latency_ms=2.0
    ).assign(**changes)


def test_measurements(tmp_path: Path) -> None:
    nothing = contract.read_measurements(tmp_path, PAPER)
    assert (nothing.latency, nothing.energy, nothing.memory, nothing.processors) == (None,) * 3 + (
        {},
    )
    assert contract.read_measurements(None, PAPER) == nothing
    measured(seed=[0, np.nan, 0, 0]).to_csv(tmp_path / "latency.csv", index=False)
    (tmp_path / "latency.json").write_text('{"processor": "a processor"}')
    there = contract.read_measurements(tmp_path, PAPER)
    assert there.processors == {"latency": "a processor"}
    assert there.latency is not None
    assert len(contract.of_packed(there.latency)) == 3
    measured(latency_ms=[1.0, np.nan, 1.0, 1.0]).to_csv(tmp_path / "latency.csv", index=False)
    with pytest.raises(
        InputError, match=r"latency\.csv, column latency_ms, row 2: the value is missing"
    ):
        contract.read_measurements(tmp_path, PAPER)


@pytest.mark.parametrize("content", ["", "[]", '{"node": "here"}'])
def test_a_machine_without_a_processor(tmp_path: Path, content: str) -> None:
    measured().to_csv(tmp_path / "latency.csv", index=False)
    (tmp_path / "latency.json").write_text(content)
    with pytest.raises(InputError, match=r"latency\.json"):
        contract.read_measurements(tmp_path, PAPER)


def test_an_energy_may_lie_below_the_resolution(tmp_path: Path) -> None:
    frame = measured(per="inference", energy_j=[1.0, np.nan, 1.0, 1.0], carbon_g=np.nan)
    frame.to_csv(tmp_path / "energy.csv", index=False)
    there = contract.read_measurements(tmp_path, PAPER).energy
    assert there is not None
    assert len(contract.of_packed(there)) == 3
    pd.concat([frame, frame.tail(1)]).to_csv(tmp_path / "energy.csv", index=False)
    with pytest.raises(InputError, match=r"energy\.csv, row 5: an earlier row .* per inference"):
        contract.read_measurements(tmp_path, PAPER)


def predictions(**changes: object) -> pd.DataFrame:
    frame = pd.DataFrame({"clip": ["x", "y"], "label": [0, 1], "prediction": [0, 0]})
    return frame.assign(**changes)


def test_predictions(tmp_path: Path) -> None:
    path = tmp_path / "predictions.parquet"
    predictions(uncertainty=np.nan, p_0=[0.5, 1], p_1=[0.5, 0]).to_parquet(path)
    assert contract.read_predictions(tmp_path)["p_1"].tolist() == [0.5, 0]
    for changes, message in (
        ({"p_1": [0.5, np.nan], "p_0": 0.5}, "column p_1, row 2: the value is missing"),
        ({"label": ["frog", "0"]}, "column label, row 1: 'frog' is not a number"),
        ({"clip": "x"}, "row 2: an earlier row has the same clip x"),
    ):
        predictions(**changes).to_parquet(path)
        with pytest.raises(InputError, match=message):
            contract.read_predictions(tmp_path)
    predictions().drop(columns="label").to_parquet(path)
    with pytest.raises(InputError, match="has no column label"):
        contract.read_predictions(tmp_path)
    path.write_bytes(b"no Parquet")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        contract.read_predictions(tmp_path)


def test_history(tmp_path: Path) -> None:
    frame = pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.0], "stop_f1_weighted": [0.1, 0.2]})
    frame.to_csv(tmp_path / "history.csv", index=False)
    assert len(contract.read_history(tmp_path, PAPER.score)) == 2
    frame.drop(columns="stop_f1_weighted").to_csv(tmp_path / "history.csv", index=False)
    with pytest.raises(InputError, match=r"history\.csv has no column stop_f1_weighted"):
        contract.read_history(tmp_path, PAPER.score)


EXPERIMENT = {
    "dataset": "d",
    "protocol": "corrected",
    "arm": "a",
    "model": "a",
    "seed": 0,
    "folds": [0, 1],
    "cells": ["cells/0", "cells/1"],
}


def run(**changes: object) -> str:
    return json.dumps({"grid": "g", "params": {}, "training_source": "t"} | changes)


def test_run_json(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(run(experiments=[EXPERIMENT]))
    told = contract.read_run(path)
    assert told.experiments[0].cells == ("cells/0", "cells/1")
    assert told.effect_of(told.experiments[0]) is None
    assert told.n_folds("d", "corrected") is None
    for content, message in (
        ("", "Invalid JSON"),
        ("{}", "grid: Field required"),
        (run(more=1), "more: Extra inputs are not permitted"),
        (run(experiments=[EXPERIMENT | {"seed": "0"}]), "experiments.0.seed: Input should be"),
        (run(experiments=[EXPERIMENT | {"cells": []}]), "experiments.0: .*differ in number"),
    ):
        path.write_text(content)
        with pytest.raises(InputError, match=message) as error:
            contract.read_run(path)
        assert str(error.value).count("\n") == 0


def test_a_finding_has_a_known_severity() -> None:
    finding = {
        "check": "few_folds",
        "severity": "note",
        "where": "d/corrected",
        "evidence": {"folds": 2},
        "consequence": "A sentence.",
        "claims": ["table1"],
    }
    assert contract.Finding.model_validate(finding).model_dump(mode="json") == finding
    with pytest.raises(ValidationError, match=r"severity\n.*Input should be 'error'"):
        contract.Finding.model_validate(finding | {"severity": "grave"})


def test_the_documentation_names_every_column() -> None:
    text = markdown()
    for file, table in TABLES.items():
        assert f"## `{file}`" in text
        assert all(f"| `{name}` |" in text for name in table.columns)
    for field in contract.Run.model_fields:
        assert f"| `{field}` |" in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {line.count(" | ") for line in rows} == {3, 4}
    assert "None" not in text
    assert not re.search(r"\| {2}\| (yes)? \|", text), "a field without a meaning"


def test_the_documentation_is_that_of_the_models() -> None:
    described = yaml.safe_load((ROOT / "src/referee/contract/records.yaml").read_text())
    models = {"run.json": contract.Run, "audit.json": contract.Finding}
    models |= {
        model.__name__: model for model in RunPart.__subclasses__() if model is not contract.Run
    }
    assert described.keys() - models.keys() == {"claims.json", "ClaimEvidence"}
    for name, model in models.items():
        keys = described[name]["keys"]
        required = {key for key, about in keys.items() if not about.get("optional", False)}
        assert list(keys) == list(model.model_fields)
        assert required == {key for key, field in model.model_fields.items() if field.is_required()}
