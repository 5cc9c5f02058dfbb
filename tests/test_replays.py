"""Faults that earlier versions of the workflow had, each replayed: nothing of them is left."""

import json
import os
import re
import shutil
import time
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Project, authors_csv, copy_project

from qmoe.config import load, merge, read, read_yaml
from qmoe.errors import UserError
from qmoe.grid import Grid
from qmoe.outdated import Derived
from qmoe.workflow import WorkflowRun
from records import record as records

HOSTILE = "it's {1} $(touch PWNED) `touch PWNED`"


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file below a folder."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def grid_of(project: Project) -> Grid:
    with chdir(project.folder):
        grid = Grid(read(Path("params.yaml")))
        assert grid.experiments and grid.packed_root
        return grid


# Number 2: clocks.


@pytest.mark.pipeline
def test_files_dated_in_the_future_do_not_hide_that_they_are_outdated(finished: Project) -> None:
    for path in [*finished.folder.glob("results/**/*"), *finished.folder.glob("data/**/*")]:
        os.utime(path, (time.time() + 10**8,) * 2)
    before = finished.table1()
    finished.set(grid={"curiosity": [{"strategy": "none"}]})
    finished.snakemake("tables")
    after = finished.table1()
    assert list(after["model"]) == ["FP32-Base", "BitNet-Q4/8-QMoE"]
    assert len(before) == 3
    assert "Nothing to be done" in finished.snakemake("tables")


# Number 3: the package of another clone.


@pytest.mark.pipeline
def test_the_package_of_another_clone_is_refused(project: Project, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(ROOT / "src", other / "src", ignore=shutil.ignore_patterns("*.egg-info"))
    foreign = ["env", f"PYTHONPATH={other / 'src'}"]
    for command in (
        ["snakemake", "-n", "tables"],
        ["qmoe", "estimate", "params.yaml"],
        ["qmoe", "explain", "table1", "1"],
        ["referee", "explain", "table1", "1"],
    ):
        said = project.run(*foreign, *command, check=False)
        assert str(other / "src") in said and str(project.folder / "src") in said, command
        assert "Traceback" not in said


# Number 4: finished cells outlive the job that made them.


@pytest.mark.pipeline
def test_a_failed_job_keeps_its_finished_cells_without_any_profile(project: Project) -> None:
    experiment, fold = grid_of(project).runs[-1]
    cell = experiment.cell(fold)
    places = [project.folder / cell, project.folder / ".store" / cell]
    for place in places:
        (place / "scores.json").mkdir(parents=True)  # in the way: this cell cannot be written
    said = project.run("snakemake", "-j1", "--workflow-profile", "none", "cells", check=False)
    assert "Error in rule train" in said or "failed" in said
    finished = {name: t for name, t in project.cells().items() if name != str(cell)}
    whole = {n for n in finished if (project.folder / f"results/cells/{n}/scores.json").is_file()}
    assert len(whole) == 5
    for place in places:
        shutil.rmtree(place)
    project.run("snakemake", "-j1", "--workflow-profile", "none", "cells")
    assert {name: project.cells()[name] for name in whole} == {n: finished[n] for n in whole}
    assert len(project.cells()) == 6


# Number 6: what fails takes no good result away.


def _results(project: Project) -> dict[str, bytes]:
    """Tables and summaries, and the records of both."""
    kept = ("cells.csv", "cells.provenance.json", "metrics.json")
    found = contents(project.folder / "results")
    return {
        name: content
        for name, content in found.items()
        if name.endswith(kept) or "/results/tables/" in name or "/results/summaries/" in name
    }


@pytest.mark.pipeline
def test_a_bad_cell_or_a_broken_paper_deletes_no_good_result(finished: Project) -> None:
    before = _results(finished)
    cell = min((finished.folder / "results/cells").rglob("fold0"))
    scores, record = cell / "scores.json", cell / "provenance.json"
    told, key = json.loads(scores.read_text()), json.loads(record.read_text())["key"]
    scores.unlink()  # not in the store as well
    scores.write_text(json.dumps(told | {"f1_weighted": 0.99}))
    record.unlink()
    records.seal(record, key, [path for path in cell.iterdir() if path.name[0] != "."])
    said = finished.snakemake("tables", check=False)
    assert "0.99" in (finished.folder / "logs/collect.log").read_text()
    assert "0.99" in said or "collect" in said
    assert _results(finished) == before
    shutil.rmtree(cell)  # the store has the one that was trained
    paper = finished.folder / "papers/curious_qmoe/paper.yaml"
    good = paper.read_text()
    paper.write_text(good.replace("column: f1_weighted", "column: nope"))
    assert paper.read_text() != good
    finished.snakemake("tables", check=False)
    assert "nope" in (finished.folder / "logs/tables.log").read_text()
    assert _results(finished) == before
    paper.write_text(good)
    finished.snakemake("tables")
    assert _results(finished) == before


# Number 7: links into DVC's cache, which nobody may write.


def test_a_read_only_output_is_replaced_by_a_file_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cached, table = Path("cache"), Path("cells.csv")
    cached.write_text("a,b\n")
    os.link(cached, table)
    cached.chmod(0o444)
    record = Path("cells.provenance.json")
    records.seal(record, "key", [table])
    # The superuser may write everything; other users may not.
    monkeypatch.setattr(os, "access", lambda path, _: bool(Path(path).stat().st_mode & 0o200))
    Path("workflow").mkdir()
    assert Derived("workflow").outdated(str(record), "key", [str(table)]) == []
    assert table.stat().st_mode & 0o200 and not cached.stat().st_mode & 0o200
    assert not table.samefile(cached) and table.read_text() == "a,b\n"


# Number 8: no value of a user reaches a shell.


@pytest.mark.pipeline
def test_hostile_paths_and_patterns_are_only_data(tmp_path: Path) -> None:
    folder = tmp_path / "it's $(touch PWNED) `touch PWNED`"
    folder.mkdir()
    project = copy_project(folder)
    data = f"data/raw/{HOSTILE}.csv"
    authors_csv(folder / data, clips_per_class=12)
    pattern = rf"clip-(?P<recording>\d{{3}})|{re.escape(HOSTILE)}"
    dataset = {"kind": "csv", "path": data, "folds": 2, "name_pattern": pattern}
    project.set(
        datasets={"small": dataset},
        network={"hidden": [8, 4]},
        training={"single": {"epochs": 1}},
        grid={
            "datasets": ["small"],
            "protocols": ["corrected"],
            "expert_sets": ["FP32-Base"],
            "curiosity": [{"strategy": "none"}],
        },
    )
    project.snakemake("tables")
    assert "FP32-Base" in project.read("results/tables/table1.csv")
    assert not [path for path in tmp_path.rglob("*") if path.name == "PWNED"]


@pytest.mark.pipeline
def test_a_clone_below_braces_is_refused_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / r"\d{8}"
    folder.mkdir()
    said = copy_project(folder).snakemake("-n", check=False)
    assert "takes braces in a path for wildcards: rename the folder" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "changes",
    [
        {"expert_sets": {"x'$(touch PWNED)'": ["bitnet", 2]}},
        {"expert_sets": {"{1}": ["bitnet", 2]}},
        {"datasets": {"$(touch PWNED)": {"kind": "csv", "path": "data/raw/small.csv"}}},
        {"paper": "papers/$(touch PWNED)"},
        {"paper": "papers/o'connor"},
    ],
)
def test_names_that_become_paths_are_plain(changes: dict[str, Any]) -> None:
    name = changes["paper"] if "paper" in changes else next(iter(next(iter(changes.values()))))
    with pytest.raises(UserError, match="may hold only letters, digits and") as error:
        load(merge(read_yaml(ROOT / "params.yaml"), changes))
    assert name in str(error.value)


# What a shell command of a rule may hold, and why that is no text of a user: keys, numbers, names
# with a pattern, and paths below results and data that are made of those.
ALLOWED = {
    "wildcards.dataset",
    "wildcards.order",
    "wildcards.what",
    "threads",
    "log",
    "params.parameters",
    "params.key",
    "params.folder",
    "params.paper",
}


def test_no_rule_puts_a_value_of_a_user_into_a_shell() -> None:
    text = "\n".join(path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk")))
    assert "run:" not in text and "script:" not in text
    shells = re.findall(r"^    shell:\n((?: {8}.*\n)+)", text, re.MULTILINE)
    assert len(shells) == text.count("shell:") >= 15
    for shell in shells:
        for value in re.findall(r"{([^}]+)}", shell):
            is_path = re.fullmatch(r"(output|input)([.]\w+)?", value)
            assert value in ALLOWED or is_path, shell
    for wildcard in ("archive", "folder", "dataset", "key", "what", "order"):
        assert re.search(rf"^ +{wildcard}=", text, re.MULTILINE), wildcard


# Number 9: a forced job that has nothing to do, and drafts of dead jobs.


@pytest.mark.pipeline
def test_forcing_a_training_without_missing_cells_looks_like_none(finished: Project) -> None:
    said = finished.snakemake("tables", "--forcerun", "train")
    assert "Nothing to be done" in said
    assert "Training" not in said


@pytest.mark.pipeline
def test_drafts_of_dead_jobs_are_cleared_at_the_next_start(finished: Project) -> None:
    cell = min((finished.folder / "results/cells").rglob("fold0"))
    model = grid_of(finished).packed_root / cell.parent.relative_to(
        finished.folder / "results/cells"
    )
    drafts = [
        cell / ".model.safetensors.123.draft",
        finished.folder / ".store" / cell.relative_to(finished.folder) / ".scores.json.123.draft",
        finished.folder / ".store" / model / ".fold0.draft/router.onnx",
        finished.folder / "results/tables/.table1.csv.123.draft",
        finished.folder / "results/.cells.csv.123.draft",
    ]
    for draft in drafts:
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text("half")
    for place in (cell, finished.folder / ".store" / cell.relative_to(finished.folder)):
        (place / "scores.json").unlink()  # as the death of the job left it
    finished.snakemake("-n", "results/packed.csv", "tables")
    assert all(map(Path.exists, drafts[3:]))  # a dry run clears nothing
    finished.snakemake("results/packed.csv", "tables")
    assert not list(finished.folder.rglob("*.draft"))


@pytest.mark.pipeline
def test_a_dry_run_changes_no_content(finished: Project) -> None:
    lost = min((finished.folder / "results/cells").rglob("fold0"))
    shutil.rmtree(lost)  # the store has it
    stored = contents(finished.folder / ".store")
    before = contents(finished.folder / "results")
    finished.set(training={"single": {"learning_rate": 0.5}})
    said = finished.snakemake("-n")
    assert "train" in said
    after = contents(finished.folder / "results")
    assert {name: after[name] for name in before} == before
    seen = str(finished.folder / ".store/seen.json")  # what was read, which a dry run may remember
    assert contents(finished.folder / ".store") | {seen: b""} == stored | {seen: b""}
    assert all(Path(name).is_relative_to(lost) for name in set(after) - set(before))


# Found by readers who attacked the work orders.


@pytest.mark.pipeline
def test_code_that_changes_while_a_run_goes_on_makes_nothing_under_the_old_key(
    finished: Project,
) -> None:
    experiment = grid_of(finished).experiments[0]
    order = {
        "kind": "train",
        "packed_root": "results/packed/0123456789",
        "experiments": [{"path": str(experiment.path), "folds": [0], "spec": experiment.spec}],
    }
    (finished.folder / "order.json").write_text(json.dumps(order))
    for folder in ("results/cells", ".store"):
        shutil.rmtree(finished.folder / folder)
    code = finished.folder / "src/qmoe/train.py"
    changed = code.read_text().replace('lr=training["learning_rate"]', "lr=1.0")
    code.write_text(changed)
    said = finished.run("qmoe", "work", "order.json", check=False)
    assert "changed while the workflow ran" in said and "Traceback" not in said
    assert not finished.cells() and not finished.cells(".store/results/cells")


@pytest.mark.pipeline
def test_a_whole_copy_in_the_store_outlives_a_repair(finished: Project) -> None:
    cell = finished.folder / "results/cells" / next(iter(finished.cells()))
    kept = finished.folder / ".store" / cell.relative_to(finished.folder)
    changed = cell / "history.csv"
    content = changed.read_bytes()
    changed.unlink()
    changed.write_bytes(content.replace(b"1", b"2", 1))  # as most editors do: another file
    finished.run("qmoe", "verify", "--repair")
    inode = (kept / "scores.json").stat().st_ino
    finished.snakemake("cells")
    assert (cell / "scores.json").stat().st_ino == inode  # restored, not trained again
    assert changed.read_bytes() == content


def test_a_damaged_copy_in_the_store_is_set_aside_and_not_deleted(
    finished: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = grid_of(finished)
    with chdir(finished.folder):
        shutil.rmtree("results/cells")
        model = Path(".store") / grid.cells[0] / "model.safetensors"
        model.write_bytes(model.read_bytes()[:100])
        assert len(WorkflowRun(grid, lambda: (1, False)).cells) == len(grid.cells) - 1
        assert "set aside" in capsys.readouterr().err
        assert len(list(Path("results/damaged").rglob("model.safetensors"))) == 1


def test_a_second_run_in_the_folder_is_refused(finished: Project) -> None:
    grid = grid_of(finished)
    with chdir(finished.folder):
        first = WorkflowRun(grid, lambda: (1, False))
        first.begin()
        with pytest.raises(UserError, match="another run of Snakemake is under way"):
            WorkflowRun(grid, lambda: (1, False)).begin()
        assert first.parameters.exists()


@pytest.mark.pipeline
def test_no_profile_measures_again_what_was_measured(whole: Project, tmp_path: Path) -> None:
    shutil.copytree(whole.folder, tmp_path, symlinks=True, dirs_exist_ok=True)
    project = Project(tmp_path)
    before = contents(tmp_path / "results/measurements")
    project.snakemake("--workflow-profile", "none", "measurements")
    assert contents(tmp_path / "results/measurements") == before
