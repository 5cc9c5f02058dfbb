"""Keys and paths: what changes a cell changes its path, and nothing else does."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, TINY, authors_csv

from qmoe import keys
from qmoe.config import load, merge
from qmoe.errors import UserError
from qmoe.grid import Experiment, Grid

PARAMS = merge(yaml.safe_load((ROOT / "params.yaml").read_text()), TINY)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    authors_csv(tmp_path / "data/raw/small.csv")
    return tmp_path


def experiments(**changes: Any) -> dict[str, Experiment]:
    return {e.name: e for e in Grid(load(merge(PARAMS, changes))).experiments}


def changed(**changes: Any) -> set[str]:
    """Arms whose key is another one under the changes."""
    before, after = experiments(), experiments(**changes)
    return {n.split("/")[2] for n in before if before[n].key != after[n].key}


ALL = {"fp32", "bitnet+q4+q8"}


@pytest.mark.parametrize(
    ("changes", "arms"),
    [
        ({"training": {"single": {"learning_rate": 0.1}}}, {"fp32"}),
        ({"training": {"mixture": {"epochs": 9}}}, {"bitnet+q4+q8"}),
        ({"router": {"dropout": 0.5}}, {"bitnet+q4+q8"}),
        ({"network": {"dropout": 0.5}}, ALL),
        ({"normalization": "l2"}, ALL),
        ({"split_seed": 1}, ALL),
        ({"device": "cuda"}, ALL),
        ({"protocols": {"corrected": {"folds": "random"}}}, ALL),
        ({"protocols": {"corrected": {"single_checkpoint": "last"}}}, {"fp32"}),
        ({"protocols": {"as_published": {"folds": "grouped"}}}, set()),
        ({"embedding": {"n_mels": 32}}, set()),  # a CSV has no pictures
        ({"grid": {"folds": [0]}}, set()),
    ],
)
def test_a_parameter_changes_the_keys_of_the_cells_it_can_change(
    changes: dict[str, Any], arms: set[str]
) -> None:
    assert changed(**changes) == arms


def test_data_change_the_keys_and_renaming_an_arm_does_not(here: Path) -> None:
    before = experiments()
    sets = {"Renamed": ["fp32"], "FP32-Base": ["q1", "q2"]}
    renamed = experiments(expert_sets=sets, grid={"expert_sets": ["Renamed"]})
    assert {e.key for e in renamed.values()} <= {e.key for e in before.values()}
    authors_csv(here / "data/raw/small.csv", clips_per_class=13)
    after = experiments()
    assert all(before[name].key != after[name].key for name in before)


def test_alpha_has_one_spelling() -> None:
    spelled = [
        experiments(grid={"curiosity": [{"strategy": "escalation", "alpha": [alpha]}]})
        for alpha in (1, 1.0, "1.0", "1")
    ]
    assert len({tuple(e.path for e in found.values()) for found in spelled}) == 1
    assert "small/corrected/bitnet+q4+q8/escalation-1/seed0" in spelled[0]


def test_curiosity_may_be_for_some_mixtures_only() -> None:
    found = experiments(
        grid={
            "expert_sets": ["BitNet-Q4/8-QMoE", "BitNet-Q8PTQ-QMoE"],
            "curiosity": [
                {"strategy": "none"},
                {"strategy": "kl_global", "alpha": 0.3, "expert_sets": ["BitNet-Q8PTQ-QMoE"]},
            ],
        }
    )
    curious = {n.split("/")[2] for n in found if "kl_global" in n}
    assert curious == {"bitnet+ptq8"}


def test_missing_data_are_named() -> None:
    with pytest.raises(UserError, match=r"nowhere\.csv does not exist"):
        experiments(datasets={"small": {"path": "nowhere.csv"}})


def test_a_missing_package_is_named() -> None:
    with pytest.raises(UserError, match="no-such-package is not installed"):
        keys.versions("numpy", "no-such-package")


def test_source_key_knows_code_from_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(keys.SOURCE / "nn", tmp_path / "nn")
    monkeypatch.setattr(keys, "SOURCE", tmp_path)
    first = keys.source_key("nn/*.py")
    module = tmp_path / "nn/mixture.py"
    text = module.read_text()
    module.write_text(text.replace('"""', '"""Other words. ', 1) + "\n# a comment\n")
    assert keys.source_key("nn/*.py") == first
    module.write_text(text.replace("0.95", "0.96", 1))
    assert keys.source_key("nn/*.py") != first
    module.write_text(text.replace("0.05, 0.95", "0.95, 0.05", 1))
    assert keys.source_key("nn/*.py") != first


def test_fingerprint_sees_content_names_and_a_change_of_equal_size(here: Path) -> None:
    folder = here / "audio"
    folder.mkdir()
    (folder / "a.wav").write_bytes(b"one")
    first = keys.fingerprint(folder)
    assert keys.fingerprint(folder) == first
    (folder / "a.wav").write_bytes(b"two")
    second = keys.fingerprint(folder)
    assert second != first
    (folder / "a.wav").rename(folder / "b.wav")
    assert keys.fingerprint(folder) not in (first, second)
