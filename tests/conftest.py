"""A small copy of the project to run, on a table small enough to train in a second."""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from filelock import FileLock

from qmoe.config import Params, load, merge

ROOT = Path(__file__).parents[1]

# Two classes, two folds, networks of eight units: a cell trains in milliseconds.
TINY: dict[str, Any] = {
    "datasets": {"small": {"kind": "csv", "path": "data/raw/small.csv", "folds": 2}},
    "network": {"hidden": [8, 4]},
    "router": {"hidden": [6, 4]},
    "training": {"single": {"epochs": 3}, "mixture": {"epochs": 3}},
    "measurement": {"repeats": 2, "energy_interval_s": 0.02, "energy_folds": 1},
    "grid": {
        "datasets": ["small"],
        "protocols": ["corrected"],
        "expert_sets": ["FP32-Base", "BitNet-Q4/8-QMoE"],
        "curiosity": [{"strategy": "none"}, {"strategy": "kl_divergence", "alpha": [0.3]}],
        "seeds": [0],
    },
}


def authors_csv(path: Path, *, clips_per_class: int = 12, dimension: int = 8) -> None:
    """Write a file of the authors' form: two classes, a mean apart."""
    rng = np.random.default_rng(7)
    class_id = np.repeat([0, 1], clips_per_class)
    values = rng.normal(size=(len(class_id), dimension)) + class_id[:, None]
    frame = pd.DataFrame(values, columns=[str(i) for i in range(dimension)])
    frame.insert(0, "class_id", class_id)
    frame.insert(0, "category", np.array(["birds", "rain"])[class_id])
    frame.insert(0, "name", [f"clip-{i:03d}" for i in range(len(frame))])
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False)


def parameters(changes: dict[str, Any]) -> Params:
    """The parameters of the project, with changes put over params.yaml."""
    return load(merge(yaml.safe_load((ROOT / "params.yaml").read_text()), changes))


# The commands of the environment that runs the tests come first.
ENVIRONMENT = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that run the pipeline are slow: they come first, so that no worker ends alone."""
    items.sort(key=lambda item: item.get_closest_marker("pipeline") is None)


@cache
def _preloaded() -> Path:
    """A folder of commands that need not import their libraries: see benchmarks/preloaded.py."""
    folder = Path(tempfile.mkdtemp(prefix="preloaded-"))
    command = [sys.executable, str(ROOT / "benchmarks/preloaded.py"), str(folder)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert server.stdout is not None and server.stdout.readline() == "ready\n"

    def end() -> None:
        os.killpg(server.pid, signal.SIGKILL)
        shutil.rmtree(folder)

    atexit.register(end)
    return folder


def _commands() -> str:
    """What comes first in the PATH. On a cluster a job must run where it was started."""
    return "" if "QMOE_SLURM" in os.environ else f"{_preloaded()}:"


@dataclass
class Project:
    """A folder with the workflow in it."""

    folder: Path

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command of this environment in the folder; return all that it prints."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment | {"PATH": f"{_commands()}{self.environment['PATH']}"},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if check and done.returncode:
            raise AssertionError(f"{command} exited with {done.returncode}:\n{done.stdout[-3000:]}")
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        """Variables under which the packages of the folder run, and not those of another clone."""
        return ENVIRONMENT | {"PYTHONPATH": str(self.folder / "src")}

    def snakemake(self, *arguments: str, check: bool = True) -> str:
        return self.run("snakemake", "-j2", *arguments, check=check)

    def set(self, **changes: Any) -> None:
        """Put changes over params.yaml."""
        path = self.folder / "params.yaml"
        merged = merge(yaml.safe_load(path.read_text()), changes)
        path.write_text(yaml.safe_dump(merged, sort_keys=False))

    def cells(self, below: str = "results/cells") -> dict[str, float]:
        """Time of the last change of every cell in results/cells, or of all that were ever made, in
        .store/results/cells."""
        root = self.folder / below
        return {
            str(p.parent.relative_to(root)): p.stat().st_mtime_ns
            for p in root.rglob("predictions.parquet")
        }

    def read(self, path: str) -> str:
        return (self.folder / path).read_text()

    def table1(self) -> pd.DataFrame:
        return pd.read_csv(self.folder / "results/tables/table1.csv")


def copy_project(folder: Path) -> Project:
    """The workflow and its configuration, without results; the package itself is installed."""
    for name in ("Snakefile", "params.yaml", "dvc.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("workflow", "profiles", "src", "notebooks", "papers"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.egg-info"))
    return Project(folder)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A tiny project in an empty folder."""
    made = copy_project(tmp_path)
    made.set(**TINY)
    authors_csv(tmp_path / "data/raw/small.csv")
    return made


Once = Callable[[str, Callable[[Path], None]], Project]


@pytest.fixture(scope="session")
def _once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Once:
    """Makes a project of a name for all workers of pytest-xdist, which share a folder above."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def once(name: str, make: Callable[[Path], None]) -> Project:
        folder = shared / name
        with FileLock(shared / f"{name}.lock"):
            if not folder.exists():
                draft = shared / f"{name}.draft"
                shutil.rmtree(draft, ignore_errors=True)
                make(draft)
                draft.rename(folder)
        return Project(folder)

    return once


@pytest.fixture(scope="session")
def _finished(_once: Once) -> Project:
    def make(folder: Path) -> None:
        folder.mkdir()
        made = copy_project(folder)
        made.set(**TINY)
        authors_csv(folder / "data/raw/small.csv")
        made.snakemake("tables")

    return _once("finished", make)


@pytest.fixture(scope="session")
def whole(_finished: Project, _once: Once) -> Project:
    """The tiny project after `snakemake` and `snakemake --report`; not to be changed."""

    def make(folder: Path) -> None:
        shutil.copytree(_finished.folder, folder, symlinks=True)
        Project(folder).snakemake()
        Project(folder).run("snakemake", "--report", "results/report.html")

    return _once("whole", make)


@pytest.fixture
def finished(_finished: Project, tmp_path: Path) -> Project:
    """The tiny project after `snakemake tables`; it runs once a session, tests get copies."""
    shutil.copytree(_finished.folder, tmp_path, symlinks=True, dirs_exist_ok=True)
    return Project(tmp_path)
