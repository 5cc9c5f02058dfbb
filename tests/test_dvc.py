"""DVC around Snakemake: who restores what, and that neither makes the other redo work."""

import hashlib
import http.server
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from conftest import ROOT, Project

from qmoe.config import Params

pipeline = pytest.mark.pipeline
TWO_CELLS = "grid: {expert_sets: [FP32-Base]}"  # a part of the tiny grid, which has six cells
OTHER_RATE: dict[str, Any] = {"training": {"single": {"learning_rate": 0.5}}}  # changes two cells


def initialised(source: Project, folder: Path) -> Project:
    """A copy of a project that is a git and DVC repository."""
    shutil.copytree(source.folder, folder, symlinks=True)
    made = Project(folder)
    made.run("git", "init", "--quiet")
    made.run("git", "config", "user.email", "author@example.org")
    made.run("git", "config", "user.name", "author")
    made.run("dvc", "init", "--quiet")
    made.run("dvc", "config", "core.analytics", "false")
    return made


def commit(project: Project, message: str) -> None:
    project.run("git", "add", "--force", "data/raw/small.csv")
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", message)


@pytest.fixture(scope="session")
def _tracked(_finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = initialised(_finished, tmp_path_factory.mktemp("tracked") / "project")
    made.run("dvc", "repro", "scores")
    commit(made, "first")
    return made


@pytest.fixture
def tracked(_tracked: Project, tmp_path: Path) -> Project:
    """The tiny project as a git and DVC repository whose first `dvc repro scores` is committed."""
    shutil.copytree(_tracked.folder, tmp_path / "tracked", symlinks=True)
    return Project(tmp_path / "tracked")


def trained(project: Project, *command: str) -> tuple[list[str], str]:
    """Run a command; return the cells that were trained, and what it said."""
    shutil.rmtree(project.folder / "logs", ignore_errors=True)
    said = project.run(*command)
    return told(project), said


def told(project: Project) -> list[str]:
    """The cells of which a log says that they were trained."""
    logs = (project.folder / "logs/train").glob("*.log")
    return sorted(line.split()[0] for log in logs for line in log.read_text().splitlines())


REPRO = ("dvc", "repro", "scores")
TABLES = ("snakemake", "-j2", "tables")


def stages(said: str) -> list[str]:
    """The stages that DVC ran."""
    return re.findall(r"Running stage '(\w+)'", said)


def scores(project: Project) -> pd.DataFrame:
    return pd.read_csv(project.folder / "results/cells.csv")


def without_lock(project: Project, folder: Path) -> Project:
    """A clone that has no store, no lock file, and the cache of the project."""
    clone = cloned(project, folder)
    clone.run("git", "rm", "--quiet", "dvc.lock")
    clone.run("dvc", "cache", "dir", "--local", str(project.folder / ".dvc/cache"))
    return clone


# --- the stages ---


def test_stages_depend_on_the_grid_and_leave_the_run_cache_on() -> None:
    text = (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    stages = yaml.safe_load(text)["stages"]
    assert "persist" not in text  # it would switch the run cache off
    assert [n for n, s in stages.items() if s.get("always_changed")] == ["keep", "verified"]
    for name in ("data", "embeddings"):
        assert "results/datasets.json" in stages[name]["deps"]
    for name in ("cells", "scores", "packed", "measurements"):
        assert "results/grid.json" in stages[name]["deps"]
    recorded = {p.split(".")[0] for s in stages.values() for p in s.get("params", [])}
    assert recorded == set(Params.model_fields)


@pipeline
def test_second_repro_runs_nothing_and_an_alpha_runs_its_cells(tracked: Project) -> None:
    cells, said = trained(tracked, *REPRO)
    assert stages(said) == ["keep"] and not cells
    before = set(tracked.cells())
    tracked.set(grid={"curiosity": [{"strategy": "none"}, {"strategy": "kl_divergence",
                                                           "alpha": [0.5]}]})  # fmt: skip
    cells, said = trained(tracked, *REPRO)
    assert {cell.split("/")[5] for cell in cells} == {"kl_divergence-0.5"} and len(cells) == 2
    assert stages(said) == ["keep", "cells", "scores"]  # the embeddings stay where they are
    after = set(tracked.cells())
    assert after - before == {cell.removeprefix("results/cells/") for cell in cells}
    assert not [n for n in after if "kl_divergence-0.3" in n]  # nothing stale in DVC
    tracked.run(*TABLES)
    assert tracked.table1()["alpha"].dropna().tolist() == [0.5]


@pipeline
def test_parameters_changed_back_train_nothing(tracked: Project) -> None:
    table, before = scores(tracked), set(tracked.cells())
    tracked.set(**OTHER_RATE)
    cells, _ = trained(tracked, *REPRO)
    assert len(cells) == 2 and set(tracked.cells()) != before
    tracked.run("git", "checkout", "params.yaml")
    cells, _ = trained(tracked, *REPRO)
    assert not cells and set(tracked.cells()) == before
    pd.testing.assert_frame_equal(scores(tracked), table)
    tracked.set(grid={"seeds": [0, 1]})
    cells, _ = trained(tracked, *REPRO)
    assert len(cells) == 6 and all("/seed1-" in cell for cell in cells)


@pipeline
def test_what_snakemake_made_alone_is_recorded_as_the_grid_and_nothing_else(
    tracked: Project,
) -> None:
    for changes in ("other", "first"):
        if changes == "other":
            tracked.set(**OTHER_RATE)
        else:
            tracked.run("git", "checkout", "params.yaml")
        tracked.run(*TABLES)
    (tracked.folder / "dvc.lock").unlink()
    shutil.rmtree(tracked.folder / ".dvc/cache")
    tracked.run("dvc", "commit", "--force", "--with-deps", "scores")
    assert len(tracked.cells()) == 6  # the cells of the other rate are in the store alone
    cells, said = trained(tracked, *REPRO)
    assert stages(said) == ["keep"] and not cells
    assert "is as its record says" in tracked.run("qmoe", "verify", "--params", "params.yaml")


@pipeline
def test_a_commit_of_a_smaller_grid_is_noticed_and_poisons_nothing(
    tracked: Project, tmp_path: Path
) -> None:
    (tracked.folder / "small.yaml").write_text(TWO_CELLS)
    tracked.run(*TABLES, "--configfile", "small.yaml")
    assert re.search(r"modified: +results/grid.json", tracked.run("dvc", "status", "keep"))
    tracked.run("dvc", "commit", "--force", "--with-deps", "scores")
    assert len(scores(tracked)) == len(tracked.cells()) == 2
    said = tracked.run("qmoe", "verify", "--params", "params.yaml", check=False)
    assert "results/grid.json is of another grid" in said and "4 of" not in said
    assert len(re.findall(r"fold\d is missing", said)) == 4
    commit(tracked, "a mistake")
    for project in (tracked, without_lock(tracked, tmp_path / "clone")):
        cells, _ = trained(project, *REPRO)
        assert not cells and len(scores(project)) == len(project.cells()) == 6
        project.run(*TABLES)
        project.run("qmoe", "verify", "--params", "params.yaml")


@pipeline
def test_a_killed_repro_goes_on_with_the_unfinished_cells(tracked: Project) -> None:
    tracked.set(grid={"seeds": [0, 1, 2, 3]})
    store = tracked.folder / ".store/results/cells"
    killed = subprocess.Popen(
        REPRO,
        cwd=tracked.folder,
        env=tracked.environment | {"JOBS": "1"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    while killed.poll() is None and not list(store.rglob("seed[123]-*/fold?/scores.json")):
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    finished = {path.parent for path in store.rglob("seed[123]-*/fold?/scores.json")}
    assert 0 < len(finished) < 18
    tracked.run("snakemake", "--unlock")
    cells, _ = trained(tracked, *REPRO)
    assert len(cells) == 18 - len(finished)
    assert not finished & {tracked.folder / ".store" / cell for cell in cells}
    assert len(scores(tracked)) == 24


# --- clones ---


def push(project: Project, folder: Path, *what: str) -> None:
    """Fill a remote, which the project names as its default, and commit."""
    project.run("dvc", "remote", "add", "--default", "folder", str(folder))
    project.run("dvc", "push", *what)
    commit(project, "remote")


def cloned(project: Project, folder: Path) -> Project:
    """A fresh clone, nothing pulled yet."""
    project.run("git", "clone", "--quiet", str(project.folder), str(folder))
    return Project(folder)


@pytest.fixture
def remote(tracked: Project, tmp_path: Path) -> Path:
    """A folder that `dvc push` filled with the tracked project's tables and what is before them."""
    push(tracked, tmp_path / "remote", "--with-deps", "scores")
    return tmp_path / "remote"


@pytest.fixture
def clone(tracked: Project, remote: Path, tmp_path: Path) -> Project:
    """A fresh clone of the tracked project, whose remote is filled."""
    return cloned(tracked, tmp_path / "clone")


@pipeline
def test_a_clone_with_a_shared_cache_trains_what_is_new(tracked: Project, tmp_path: Path) -> None:
    clone = without_lock(tracked, tmp_path / "clone")
    cells, said = trained(clone, *REPRO)
    assert stages(said) == ["keep"] and not cells
    cells, _ = trained(clone, *TABLES)
    assert not cells and not (clone.folder / "logs/collect.log").exists()
    clone.set(grid={"seeds": [0, 1]})
    cells, _ = trained(clone, *REPRO)
    assert len(cells) == 6 and all("/seed1-" in cell for cell in cells)
    clone.run("git", "checkout", "params.yaml")
    cells, _ = trained(clone, *REPRO)
    assert not cells
    pd.testing.assert_frame_equal(scores(clone), scores(tracked))


EXPERIMENT = ("dvc", "exp", "run", "scores", "--set-param", "grid.seeds=[0,1]")


@pipeline
@pytest.mark.parametrize("order", [(TABLES, REPRO), (REPRO, TABLES)], ids=["snakemake", "dvc"])
def test_a_pulled_clone_trains_nothing(
    tracked: Project, clone: Project, order: tuple[tuple[str, ...], ...]
) -> None:
    clone.run("dvc", "pull", "--with-deps", "scores")
    before = clone.cells()
    assert len(before) == 6
    for command in order:
        cells, said = trained(clone, *command)
        assert not cells and "'scores'" not in stages(said)
        assert not (clone.folder / "logs/collect.log").exists()
    assert clone.cells() == before
    pd.testing.assert_frame_equal(scores(clone), scores(tracked))
    if order[0] == TABLES:
        clone.set(grid={"seeds": [0, 1]})
        cells, _ = trained(clone, *REPRO)
    else:
        cells, _ = trained(clone, *EXPERIMENT)
    assert len(cells) == 6 and all("/seed1-" in cell for cell in cells)


@pipeline
def test_a_cell_lost_in_a_pulled_clone_is_the_only_one_trained(clone: Project) -> None:
    clone.run("dvc", "pull", "--with-deps", "scores")
    lost = next((clone.folder / "results/cells").rglob("fold1"))
    shutil.rmtree(lost)
    shutil.rmtree(clone.folder / ".dvc/cache")
    cells, _ = trained(clone, *REPRO)
    assert cells == [lost.relative_to(clone.folder).as_posix()]


@pipeline
def test_results_come_over_http_without_credentials(
    tracked: Project, clone: Project, remote: Path
) -> None:
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(remote))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        clone.run("dvc", "remote", "add", "--local", "--default", "web", address)
        clone.run("dvc", "pull", "--with-deps", "scores")
        server.shutdown()
    assert len(clone.cells()) == 6
    pd.testing.assert_frame_equal(scores(clone), scores(tracked))


# --- what lies in the places ---


@pipeline
def test_files_of_other_parameters_are_never_taken_for_those_asked(tracked: Project) -> None:
    """Restore the files of old parameters, ask for new ones: times alone would keep the old."""
    tracked.set(**OTHER_RATE)
    tracked.run(*REPRO)
    wanted = scores(tracked)
    tracked.run("git", "checkout", ".")
    tracked.run("dvc", "checkout", "--force", "--with-deps", "scores")
    assert not scores(tracked).equals(wanted)
    tracked.set(**OTHER_RATE)
    tracked.run(*REPRO)
    pd.testing.assert_frame_equal(scores(tracked), wanted)
    spec = next((tracked.folder / "results/cells/small/corrected/fp32").rglob("spec.json"))
    assert '"learning_rate": 0.5' in spec.read_text()


# A user who may write a file only where its mode says so: root can give that right away.
MODES = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all")


@pytest.fixture
def modes_in_force(tmp_path: Path) -> Callable[[Project, tuple[str, ...]], tuple[list[str], str]]:
    """Runs a command as `trained` does, where the modes of files are in force."""
    (tmp_path / "read-only").touch(mode=0o444)
    refused = "import os, sys; sys.exit(0 if os.access(sys.argv[1], os.W_OK) else 3)"
    attempt = (sys.executable, "-c", refused, str(tmp_path / "read-only"))
    for prefix in ((), MODES):
        try:
            if subprocess.run((*prefix, *attempt), capture_output=True).returncode == 3:
                return lambda project, command: trained(project, *prefix, *command)
        except FileNotFoundError:
            break
    pytest.skip("the modes of files are not in force for root, who may not give that up here")


def objects(cache: Path) -> dict[str, tuple[str, int]]:
    """Hash and time of every file in a cache of DVC, by the hash that it is named after."""
    files = (path for path in (cache / "files/md5").rglob("*") if path.is_file())
    return {
        path.parent.name + path.stem: (
            hashlib.md5(path.read_bytes()).hexdigest(),
            path.stat().st_mtime_ns,
        )
        for path in files
    }


def stored(project: Project) -> dict[Path, bytes]:
    root = project.folder / ".store"
    return {
        path.relative_to(root): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.name != "seen.json"
    }


@pipeline
@pytest.mark.parametrize("link", ["copy", "hardlink", "symlink"])
def test_links_into_the_cache_are_neither_written_nor_in_the_way(
    tracked: Project,
    tmp_path: Path,
    link: str,
    modes_in_force: Callable[[Project, tuple[str, ...]], tuple[list[str], str]],
) -> None:
    before = objects(tracked.folder / ".dvc/cache")
    clone = without_lock(tracked, tmp_path / "clone")
    clone.run("dvc", "config", "--local", "cache.type", link)
    clone.run("git", "checkout", "--quiet", "HEAD", "dvc.lock")
    modes_in_force(clone, ("dvc", "checkout", "--with-deps", "scores"))
    table = clone.folder / "results/cells.csv"
    assert table.is_symlink() == (link == "symlink")
    assert (table.lstat().st_nlink > 1) == (link == "hardlink")
    cells, _ = modes_in_force(clone, TABLES)  # takes the cells into the store
    assert not cells
    kept = stored(clone)
    clone.set(**OTHER_RATE)
    cells, _ = modes_in_force(clone, TABLES)
    assert len(cells) == 2 and not scores(clone).equals(scores(tracked))
    clone.run("git", "checkout", "params.yaml")
    cells, _ = modes_in_force(clone, REPRO)
    assert not cells
    pd.testing.assert_frame_equal(scores(clone), scores(tracked))
    assert {path: stored(clone).get(path) for path in kept} == kept
    after = objects(tracked.folder / ".dvc/cache")
    assert {name: after[name] for name in before} == before
    assert not [name for name, (md5, _) in after.items() if md5 != name]


@pipeline
def test_experiments_metrics_and_plots(tracked: Project, tmp_path: Path) -> None:
    tracked.set(grid={"expert_sets": ["FP32-Base"], "curiosity": [{"strategy": "none"}]})
    said = tracked.run("dvc", "exp", "run", "tables", "--set-param", "training.single.epochs=4")
    assert "Ran experiment" in said
    assert set(scores(tracked)["epochs"]) == {4}
    assert "corrected.FP32-Base.avg_f1_mean" in tracked.run("dvc", "metrics", "show")
    tracked.run("dvc", "plots", "show", "--out", str(tmp_path / "plots"))
    assert "f1_weighted" in (tmp_path / "plots/index.html").read_text()


@pipeline
def test_everything_is_restored_without_a_job(whole: Project, tmp_path: Path) -> None:
    """The whole pipeline, pages included: recorded where Snakemake made it, then in a clone."""
    made = initialised(whole, tmp_path / "made")
    made.run("dvc", "commit", "--force")
    _, said = trained(made, "dvc", "repro")
    assert stages(said) == ["keep", "verified"]
    push(made, tmp_path / "remote")
    clone = cloned(made, tmp_path / "clone")
    clone.run("dvc", "pull")
    for command in (("dvc", "repro"), ("snakemake", "-j2", "all"), ("dvc", "repro")):
        _, said = trained(clone, *command)
        assert not (clone.folder / "logs").exists()  # no job ran
        assert command[0] == "snakemake" or stages(said) == ["keep", "verified"]
    for name in ("tables/table3.csv", "index.html", "figures/figures.json"):
        assert clone.read(f"results/{name}") == whole.read(f"results/{name}")

    # Cells of a smaller grid that pretend to be all: what is in results/ is not what is asked for.
    grid = clone.read("results/grid.json")
    (clone.folder / "small.yaml").write_text(TWO_CELLS)
    clone.run("snakemake", "-j2", "results/cells.csv", "--configfile", "small.yaml")
    (clone.folder / "results/grid.json").write_text(grid)
    clone.run("dvc", "commit", "--force", "cells", "scores")
    said = clone.run("dvc", "repro", "--single-item", "verified", check=False)
    assert "failed to reproduce 'verified'" in said
    assert len(re.findall(r"results/cells/\S+ is missing", said)) == 4
