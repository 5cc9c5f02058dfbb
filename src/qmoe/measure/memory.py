"""Peak resident memory of a new process that loads a packed model and classifies one clip."""

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd

from qmoe.grid import Grid

PROGRAM = """
import sys
import numpy as np
from pathlib import Path
from qmoe.deploy.packed import PackedModel
model = PackedModel(Path(sys.argv[1]))
model.predict(np.zeros((1, len(model.offset)), dtype=np.float32))
print(Path("/proc/self/status").read_text())
"""


def peak_rss_bytes(packed: Path) -> int | None:
    """Return the largest resident memory of the process, or None on a system without /proc."""
    if not Path("/proc/self/status").exists():
        return None
    status = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(packed)], check=True, capture_output=True, text=True
    ).stdout
    match = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(match.group(1)) * 1024 if match else None


def measure(grid: Grid) -> pd.DataFrame:
    """Return a row for each measured arm, on its first fold: cell and peak_rss_bytes."""
    rows = []
    for experiment in grid.measured:
        fold = experiment.folds[0]
        peak = peak_rss_bytes(grid.packed(experiment, fold))
        rows.append(experiment.columns | {"fold": fold, "peak_rss_bytes": peak})
    return pd.DataFrame(rows)
