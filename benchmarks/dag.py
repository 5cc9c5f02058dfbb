"""Measure how long Snakemake takes to plan a grid of 10,000 cells, and how much memory it needs.

It gives the figures for large grids in docs/cluster.md. Run `python benchmarks/dag.py`.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from qmoe.config import read
from qmoe.grid import Grid

ROOT = Path(__file__).parents[1]
CELLS = 10_000
LONGEST_S, LARGEST_GB = 30, 2


def main() -> None:
    """Print the wall time and the peak memory of a dry run of the whole workflow."""
    os.chdir(ROOT)
    seeds = -(-CELLS // len(Grid(read()).cells))
    many_seeds = {"grid": {"seeds": list(range(seeds))}}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as overlay:
        overlay.write(json.dumps(many_seeds))
        overlay.flush()
        start = time.perf_counter()
        command = ["-n", "--quiet", "all", "all", "--configfile", overlay.name]
        run = subprocess.Popen(
            [sys.executable, "-m", "snakemake", *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(run.pid, 0)
    if status:
        sys.exit("snakemake failed: run `snakemake -n` to see its message")
    print(
        f"{len(Grid(read(many_seeds)).cells)} cells: {time.perf_counter() - start:.1f} s "
        f"(at most {LONGEST_S}), {usage.ru_maxrss / 1024**2:.2f} GB (at most {LARGEST_GB})"
    )


if __name__ == "__main__":
    main()
