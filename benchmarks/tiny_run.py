"""A tiny project, runs of it that can be struck, and what they have under way and have made.

The project has two arms, one epoch and a table of 60 clips.
"""

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import preloaded

ROOT = Path(__file__).parents[1]
sys.path += [str(ROOT / "src"), str(ROOT / "tests")]
TARGETS = ("tables", "collect_packed")
PHASES = ("training", "packing", "tables")
# The jobs of the last phase run where their logs are there and their records are not.
LOCAL = {
    "logs/collect.log": "results/cells.provenance.json",
    "logs/tables.log": "results/tables/provenance.json",
    "logs/packed.log": "results/packed.provenance.json",
}
# What stays where a run is killed when all its jobs are done, as the next has nothing to do; and
# the times of files.
OF_A_RUN = (".store/orders/", ".store/before/", ".store/seen.json")
# The file of each costly product that is written last.
LAST = ("cells/**/fold*/scores.json", "packed/**/provenance.json", "packed/**/check.*.json")
LONGEST_S = 900.0  # of a run, on a machine with much else to do


def make_projects(folder: Path) -> list[Path]:
    """Make the tiny project as it is before a run, twice, and return the two folders: one has its
    embeddings only; the other also has all that a run of one arm makes, tables included."""
    from conftest import TINY, Project, authors_csv, copy_project

    new, grown = folder / "new", folder / "grown"
    new.mkdir(parents=True)
    project = copy_project(new)
    authors_csv(new / "data/raw/small.csv", clips_per_class=30)
    epochs = {"single": {"epochs": 1}, "mixture": {"epochs": 1}}
    grid = TINY["grid"] | {"curiosity": [{"strategy": "none"}]}
    project.set(**TINY | {"training": epochs, "grid": grid})
    _require(new, "embeddings")
    shutil.copytree(new, grown)
    Project(grown).set(grid=grid | {"expert_sets": grid["expert_sets"][:1]})
    _require(grown, *TARGETS)
    Project(grown).set(grid=grid)
    shutil.rmtree(grown / "logs")  # they tell what is under way
    return [new, grown]


def _require(folder: Path, *targets: str) -> None:
    if run(folder, *targets):
        raise SystemExit(f"A run that nobody disturbed failed:\n{output(folder).read_text()}")


def start(folder: Path, *arguments: str) -> int:
    """Start Snakemake in a project; return the number of its process and group."""
    commands = beside(folder, "bin")
    return preloaded.start(folder, commands, ["-j2", *arguments], output(folder))


def run(folder: Path, *arguments: str) -> int:
    """Run Snakemake in a project; return its exit status."""
    return wait(start(folder, *arguments))


def wait(pid: int) -> int:
    """Wait for the end of a run, and return its exit status. One that hangs is killed."""
    deadline_s = time.monotonic() + LONGEST_S
    while not has_ended(pid):
        if time.monotonic() > deadline_s:
            os.killpg(pid, signal.SIGKILL)
        time.sleep(0.02)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    kill(pid)
    return status


def has_ended(pid: int) -> bool:
    """Say whether a run has ended, which was not waited for yet."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def kill(pid: int) -> None:
    """Kill all processes of a run that are left, and wait until they are gone."""
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)
    while _is_alive(pid):
        time.sleep(0.01)


def _is_alive(group: int) -> bool:
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, its_group = stat.read_text().rpartition(")")[2].split()[:3]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(its_group) == group and state not in "ZX":
            return True
    return False


def output(folder: Path) -> Path:
    """Return the file with what the last run of a project has printed."""
    return beside(folder, "txt")


def under_way(folder: Path) -> set[str]:
    """Return the phases of which a job is running."""
    hit = set()
    for kind, phase in (("train", "training"), ("pack", "packing"), ("check", "packing")):
        for log in (folder / "logs" / kind).glob("*.log"):
            if not (folder / ".store/orders" / f"{log.stem}.done").exists():
                hit.add(phase)
    if any((folder / a).exists() and not (folder / b).exists() for a, b in LOCAL.items()):
        hit.add("tables")
    return hit


def contents(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of results/ and .store, by path, but not `OF_A_RUN`."""
    files = (path for root in ("results", ".store") for path in (folder / root).rglob("*"))
    names = {path: path.relative_to(folder).as_posix() for path in files if path.is_file()}
    return {
        name: sha256(path.read_bytes()).hexdigest()
        for path, name in names.items()
        if not name.startswith(OF_A_RUN)
    }


def finished(folder: Path) -> dict[str, int]:
    """Return the inode of what was written last of each costly product, by path in the store.
    Second names beside the project hold the inodes, so that no new file gets the same."""
    held = beside(folder, "held")
    found = {}
    for path in (path for last in LAST for path in (folder / ".store/results").glob(last)):
        name = str(path.relative_to(folder))
        found[name] = path.stat().st_ino
        held.mkdir(exist_ok=True)
        if not (held / str(found[name])).exists():
            os.link(path, held / str(found[name]))
    return found


def inodes(folder: Path) -> dict[Path, int]:
    """Return the inode of every file of results/."""
    return {path: path.stat().st_ino for path in (folder / "results").rglob("*") if path.is_file()}


def remove(folder: Path) -> None:
    """Remove a project, and what lies beside it."""
    for place in (folder, beside(folder, "bin"), beside(folder, "held")):
        shutil.rmtree(place, ignore_errors=True)


def beside(folder: Path, what: str) -> Path:
    """Return a place beside a project, for what is no part of it."""
    return folder.with_name(f"{folder.name}.{what}")
