"""Commands of the judge under their old names, `qmoe NAME`, and keys of rewritten code."""

from pathlib import Path
from typing import Annotated

import pytest
import typer
from conftest import ROOT
from typer.testing import CliRunner

from qmoe import judge, keys
from qmoe.aliases import alias
from qmoe.grid import training_source
from qmoe.judge import paper_folder


def test_the_paper_is_found_below_the_current_folder_else_beside_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert paper_folder() == ROOT / "papers/curious_qmoe"
    assert paper_folder("papers/other") == Path("papers/other")  # nowhere: the judge names it
    (tmp_path / "params.yaml").write_text("paper: papers/other\n")  # of nobody's business here
    assert paper_folder() == ROOT / "papers/curious_qmoe"
    (tmp_path / "papers/curious_qmoe").mkdir(parents=True)
    assert paper_folder("papers/curious_qmoe") == Path("papers/curious_qmoe")


def test_an_alias_tells_the_judge_the_paper_and_the_training_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(
        what: str,
        paper: Annotated[Path | None, typer.Option("--paper")] = None,
        training_source: Annotated[str, typer.Option()] = "",
    ) -> None:
        print(what, paper, training_source)

    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(alias(command))
    said = CliRunner().invoke(app, ["table1"]).output
    assert said.split() == ["table1", str(ROOT / "papers/curious_qmoe"), training_source()]
    assert CliRunner().invoke(app, ["table1", "--paper", "mine"]).output.split()[1] == "mine"


def test_the_paper_changes_the_key_of_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "papers/mine").mkdir(parents=True)
    claims = tmp_path / "papers/mine/claims.yaml"
    claims.write_text("claims: []\n")
    first = judge.tables_key([], "papers/mine")
    assert judge.tables_key([], "papers/mine") == first != judge.tables_key([1], "papers/mine")
    claims.write_text("claims: [other]\n")
    assert judge.tables_key([], "papers/mine") != first


def test_the_contract_changes_the_key_of_the_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "contract").mkdir()
    monkeypatch.setattr(judge, "CODE", tmp_path)
    without = judge.tables_key([], "papers/curious_qmoe")
    (tmp_path / "contract/tables.yaml").write_text("tables: {}\n")
    assert judge.tables_key([], "papers/curious_qmoe") != without


def test_a_declared_rewriting_is_of_the_code_that_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    declared = dict(keys.REWRITTEN)
    monkeypatch.setattr(keys, "REWRITTEN", {})
    code = [
        ("nn/*.py", "train.py", "data/splits.py", "data/table.py"),
        ("data/table.py", "data/clips.py"),
        ("data/audio.py", "data/backbones.py", "data/clips.py", "data/embed.py"),
        ("deploy/*.py",),
        ("measure/*.py",),
    ]
    assert declared.keys() <= {keys.source_key(*patterns) for patterns in code}
