"""DVC around Snakemake: who restores what, and that neither makes the other redo work."""

import http.server
import re
import shutil
import threading
from functools import partial
from pathlib import Path

import pandas as pd
import pytest
from conftest import Project

pytestmark = pytest.mark.pipeline
COSTLY = {"embed", "train", "pack", "check", "measure"}
JOBS = COSTLY | {"claims", "figures", "latex", "page", "notebook"}


def started(said: str) -> set[str]:
    """The first words of the rules that ran, from what Snakemake wrote off a terminal."""
    return set(re.findall(r"^\d\d:\d\d:\d\d ([a-z]+)", said, re.MULTILINE))


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


@pytest.fixture(scope="session")
def _tracked(_finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    made = initialised(_finished, tmp_path_factory.mktemp("tracked") / "project")
    made.run("dvc", "repro", "scores")
    commit(made, "first")
    return made


@pytest.fixture
def tracked(_tracked: Project, tmp_path: Path) -> Project:
    """The tiny project as a git and DVC repository whose first `dvc repro scores` is committed."""
    shutil.copytree(_tracked.folder, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Project(tmp_path)


def commit(project: Project, message: str) -> None:
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", message)


def repro(project: Project) -> str:
    """Bring the scores up to date through DVC, and Table 1 of them through Snakemake."""
    said = project.run("dvc", "repro", "scores")
    return said + project.snakemake("tables")


def scores(project: Project) -> pd.DataFrame:
    return pd.read_csv(project.folder / "results/cells.csv")


def test_second_repro_runs_nothing_and_an_alpha_runs_its_cells(tracked: Project) -> None:
    assert "Running stage" not in repro(tracked)
    before = tracked.cells()
    tracked.set(grid={"curiosity": [{"strategy": "none"}, {"strategy": "kl_divergence",
                                                           "alpha": [0.5]}]})  # fmt: skip
    repro(tracked)
    after = tracked.cells()
    assert {n.split("/")[3] for n in set(after) - set(before)} == {"kl_divergence-0.5"}
    kept = {n: t for n, t in before.items() if "kl_divergence" not in n}
    assert {name: after[name] for name in kept} == kept
    assert not [n for n in after if "kl_divergence-0.3" in n]  # nothing stale in DVC
    assert tracked.table1()["alpha"].dropna().tolist() == [0.5]


def test_parameters_changed_back_train_nothing(tracked: Project) -> None:
    table, before = tracked.table1(), tracked.cells()
    tracked.set(training={"single": {"learning_rate": 0.5}})
    repro(tracked)
    assert set(tracked.cells()) != set(before)
    tracked.run("git", "checkout", "params.yaml")
    repro(tracked)
    assert tracked.cells() == before  # back from results/attic, not trained again
    pd.testing.assert_frame_equal(tracked.table1(), table)


def push(project: Project, folder: Path, *what: str) -> None:
    """Fill a remote, which the project names as its default, and commit."""
    project.run("dvc", "remote", "add", "--default", "folder", str(folder))
    project.run("dvc", "push", *what)
    project.run("git", "add", "--force", "data/raw/small.csv")
    commit(project, "remote")


def cloned(project: Project, folder: Path) -> Project:
    """A fresh clone, nothing pulled yet."""
    project.run("git", "clone", "--quiet", str(project.folder), str(folder))
    return Project(folder)


@pytest.fixture
def remote(tracked: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `dvc push` filled with the tracked project's tables and what is before them."""
    folder = tmp_path_factory.mktemp("remote")
    push(tracked, folder, "--with-deps", "scores")
    return folder


@pytest.fixture
def clone(tracked: Project, remote: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A fresh clone of the tracked project, whose remote is filled."""
    return cloned(tracked, tmp_path_factory.mktemp("elsewhere") / "clone")


@pytest.mark.parametrize("order", [("snakemake", "dvc"), ("dvc", "snakemake")])
def test_a_pulled_clone_trains_nothing(
    tracked: Project, clone: Project, order: tuple[str, str]
) -> None:
    clone.run("dvc", "pull", "--with-deps", "scores")
    before = clone.cells()
    assert len(before) == 6
    for tool in order:
        dvc = tool == "dvc"
        said = clone.run("dvc", "repro", "scores") if dvc else clone.snakemake("tables")
        assert "train" not in started(said)
    assert clone.cells() == before
    pd.testing.assert_frame_equal(clone.table1(), tracked.table1())


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


def test_files_of_other_parameters_are_never_taken_for_those_asked(tracked: Project) -> None:
    """Restore the files of old parameters, ask for new ones: times alone would keep the old."""
    tracked.set(training={"single": {"learning_rate": 0.5}})
    repro(tracked)
    wanted = scores(tracked)
    tracked.run("git", "checkout", ".")
    tracked.run("dvc", "checkout", "--force", "--with-deps", "scores")
    assert not scores(tracked).equals(wanted)
    tracked.set(training={"single": {"learning_rate": 0.5}})
    repro(tracked)
    pd.testing.assert_frame_equal(scores(tracked), wanted)
    spec = next((tracked.folder / "results/cells/small/corrected/fp32").rglob("spec.json"))
    assert '"learning_rate": 0.5' in spec.read_text()


def test_experiments_metrics_and_plots(tracked: Project, tmp_path: Path) -> None:
    tracked.set(grid={"expert_sets": ["FP32-Base"], "curiosity": [{"strategy": "none"}]})
    said = tracked.run("dvc", "exp", "run", "tables", "--set-param", "training.single.epochs=4")
    assert "Ran experiment" in said
    assert set(scores(tracked)["epochs"]) == {4}
    assert "corrected.FP32-Base.avg_f1_mean" in tracked.run("dvc", "metrics", "show")
    tracked.run("dvc", "plots", "show", "--out", str(tmp_path / "plots"))
    assert "f1_weighted" in (tmp_path / "plots/index.html").read_text()


def test_everything_is_restored_without_a_job(whole: Project, tmp_path: Path) -> None:
    """The whole pipeline, pages included: recorded where Snakemake made it, then in a clone."""
    made = initialised(whole, tmp_path / "made")
    said = made.run("dvc", "repro")
    assert "Running stage 'report'" in said and not started(said) & JOBS
    push(made, tmp_path / "remote")
    clone = cloned(made, tmp_path / "clone")
    clone.run("dvc", "pull")
    assert "Running stage" not in clone.run("dvc", "repro")
    for name in ("tables/table3.csv", "index.html", "figures/figures.json"):
        assert clone.read(f"results/{name}") == whole.read(f"results/{name}")
    said = clone.snakemake("all")  # times are arbitrary now: what costs nothing may be made again
    assert not started(said) & COSTLY
    assert clone.read("results/tables/table3.csv") == whole.read("results/tables/table3.csv")
