"""How far a run is, judged by the files that exist: for any executor, from any terminal."""

import sys
import time
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from qmoe.grid import Grid
from qmoe.paths import CHECK


def parts(grid: Grid) -> dict[str, list[Path]]:
    """Return the files with which each part of the work ends, in the order of the work."""
    return {
        "embeddings": [source.table for source in grid.sources.values()],
        "cells": [cell / "scores.json" for cell in grid.cells],
        "packed": [grid.packed(experiment, fold) / CHECK for experiment, fold in grid.runs],
        "measured": [grid.measurements / f"{w}.csv" for w in ("latency", "energy", "memory")],
    }


def watch(files: dict[str, list[Path]], every_s: float = 1.0, to: TextIO = sys.stderr) -> None:
    """Draw a bar for each part, with the time that remains, until every file exists. The time is
    estimated from the files that appear while this function watches."""
    missing = {name: {p for p in paths if not p.exists()} for name, paths in files.items()}
    bars = {}
    for name, paths in files.items():
        total, made = len(paths), len(paths) - len(missing[name])
        bars[name] = tqdm(desc=f"{name:10}", total=total, initial=made, file=to, unit="")
    try:
        while any(missing.values()):
            time.sleep(every_s)
            for name, absent in missing.items():
                arrived = {path for path in absent if path.exists()}
                absent -= arrived
                bars[name].update(len(arrived))
    finally:
        for bar in bars.values():
            bar.close()
