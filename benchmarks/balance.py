"""Measure how much sooner two cores finish one arm of a grid than under another version of the
project, for 20 cells (4 seeds of 5 folds) and for 5 (1 seed).

Both versions train the same cells in turn, each in a copy in a temporary folder, on a table of
embeddings that is there already. Nothing else should run on the machine. To compare with what was
there before work orders (its 20 cells were one job):

    git worktree add ../before 1bd1903
    python benchmarks/balance.py ../before
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[1]
BARS = {4: 1.7, 1: 1.4}  # by seeds: how many times sooner at least
COPIED = ("Snakefile", "params.yaml", "notebooks", "papers", "profiles", "src", "workflow")
CLIPS, VALUES, FOLDS = 500, 1280, 5


def main() -> None:
    """Print the medians of the wall times of both versions, and their ratios beside the bars."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("before", type=Path, help="folder of the other version")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=40, help="of each cell")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        projects = [Path(folder, name) for name in ("before", "now")]
        for project, source in zip(projects, (told.before, ROOT), strict=True):
            prepare(project, source, told.epochs)
        for seeds, bar in BARS.items():
            took_s: list[list[float]] = [[], []]
            for _ in range(told.rounds):
                for project, seconds in zip(projects, took_s, strict=True):
                    seconds.append(train(project, seeds))
            before_s, now_s = map(median, took_s)
            print(
                f"{seeds * FOLDS} cells: {before_s:.1f} s before, {now_s:.1f} s now, "
                f"{before_s / now_s:.2f} times sooner (at least {bar}); "
                f"load of the machine {os.getloadavg()[0]:.1f}",
                flush=True,
            )


def prepare(project: Path, source: Path, epochs: int) -> None:
    """Copy a version of the project, and make its table of embeddings."""
    for name in COPIED:
        copy = shutil.copytree if (source / name).is_dir() else shutil.copy
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        copy(source / name, project / name)
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(CLIPS, VALUES)).round(3))
    table.insert(0, "class_id", np.arange(CLIPS) % 5)
    table.insert(0, "name", [f"clip-{i:03d}" for i in range(CLIPS)])
    table.to_csv(project / "clips.csv", index=False)
    fit = {"epochs": epochs, "patience": epochs}
    overlay = {
        "datasets": {"clips": {"kind": "csv", "path": "clips.csv", "folds": FOLDS}},
        "training": {"single": fit, "mixture": fit},
        "grid": {
            "datasets": ["clips"],
            "protocols": ["corrected"],
            "expert_sets": ["BitNet-Q4/8-QMoE"],
            "curiosity": [{"strategy": "none"}],
        },
    }
    for seeds in BARS:
        overlay["grid"]["seeds"] = list(range(seeds))
        (project / f"{seeds}.yaml").write_text(json.dumps(overlay))
    snakemake(project, 1, "embeddings")


def train(project: Path, seeds: int) -> float:
    """Train all cells; return the seconds that it took."""
    for folder in ("results", ".store/results", ".store/seen.json", "logs", ".snakemake"):
        shutil.rmtree(project / folder, ignore_errors=True)
    start_s = time.perf_counter()
    snakemake(project, seeds, "cells")
    seconds = time.perf_counter() - start_s
    made = len(list(project.glob("results/cells/**/scores.json")))
    if made != seeds * FOLDS:
        sys.exit(f"{project} has {made} cells instead of {seeds * FOLDS}")
    return seconds


def snakemake(project: Path, seeds: int, target: str) -> None:
    """Run Snakemake on two cores."""
    command = [sys.executable, "-m", "snakemake", target, "-j2", "--configfile", f"{seeds}.yaml"]
    environment = os.environ | {"PYTHONPATH": f"{project}/src"}
    run = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    if run.returncode:
        sys.exit(f"snakemake failed in {project}:\n{run.stderr}")


if __name__ == "__main__":
    main()
