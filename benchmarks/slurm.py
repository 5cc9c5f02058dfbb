"""Measure what SLURM adds: the same small cells run locally, in one allocation, and as jobs.

    eval "$(workflow/slurm/cluster start)"; python benchmarks/slurm.py [ROUNDS]

It gives the times in docs/cluster.md. The three ways run in turns.
"""

import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
from conftest import TINY, authors_csv, copy_project  # noqa: E402

CORES = str(os.cpu_count())
TARGET = "cells"
SEEDS = 8  # of 3 arms in 2 folds: 48 cells
# So many epochs are expected to take 15 s a cell, for about 6 jobs; two without a gain end a cell.
TRAINING = {of: {"epochs": 1_250_000, "patience": 2} for of in ("single", "mixture")}
WAYS = {
    "local": ["snakemake", "-j", CORES, TARGET],
    "one allocation": ["sbatch", "--wait", "-c", CORES, "workflow/slurm/allocation.sh", TARGET],
    "jobs": ["snakemake", "--profile", "workflow/profiles/slurm", "-j", CORES, TARGET],
}


def seconds_of(command: list[str], folder: str, environment: dict[str, str]) -> float:
    """Return the wall time of a command in seconds.

    A batch job is timed by SLURM, from its submission to its end: `sbatch --wait` notices the end
    late.
    """
    start = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    batch = re.search(r"Submitted batch job (\d+)", done.stdout)
    if not batch:
        return time.perf_counter() - start
    job = subprocess.check_output(["scontrol", "show", "job", batch[1]], text=True)
    submitted, ended = (
        datetime.fromisoformat(re.search(rf"{name}Time=(\S+)", job)[1])
        for name in ("Submit", "End")
    )
    return (ended - submitted).total_seconds()


def main(rounds: int = 3) -> None:
    """Print the median time of each way over the rounds, and its ratio to the local one."""
    if "QMOE_SLURM" not in os.environ:
        sys.exit('SLURM is not running: eval "$(workflow/slurm/cluster start)" as root starts it')
    with tempfile.TemporaryDirectory() as folder:
        project = copy_project(Path(folder))
        project.set(**TINY)
        project.set(grid={"seeds": list(range(SEEDS))}, training=TRAINING)
        authors_csv(project.folder / "data/raw/small.csv")
        project.snakemake("embeddings")
        taken_s: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, command in WAYS.items():
                for made in ("results/cells", ".store/results", "logs"):
                    shutil.rmtree(project.folder / made, ignore_errors=True)
                taken_s[way].append(seconds_of(command, folder, project.environment))
        cells = len(list((project.folder / "results/cells").rglob("scores.json")))
        jobs = len(list((project.folder / "logs/train").glob("*.log")))
    local_s = statistics.median(taken_s["local"])
    print(f"{cells} cells in {jobs} jobs on {CORES} processors, median of {rounds} rounds")
    for way, seconds in taken_s.items():
        ratio = statistics.median(
            s / local for s, local in zip(seconds, taken_s["local"], strict=True)
        )
        median_s = statistics.median(seconds)
        more_s = (median_s - local_s) / cells
        print(f"{way:15} {median_s:6.1f} s, {ratio:5.2f} x local, {more_s:+.2f} s a cell")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
