"""How far a run is, told from the files that exist: for any executor, from any terminal."""

import sys
import time
from pathlib import Path
from typing import TextIO

from tqdm import tqdm

from qmoe.grid import CHECK, Grid


def parts(grid: Grid) -> dict[str, list[Path]]:
    """The files that each part of the work ends with, in the order of the work."""
    cells = [(e, fold) for e in grid.experiments for fold in e.folds]
    return {
        "embeddings": [source.table for source in grid.sources.values()],
        "cells": [e.cell(fold) / "scores.json" for e, fold in cells],
        "packed": [grid.packed(e, fold) / CHECK for e, fold in cells],
        "measured": [grid.measurements / f"{w}.csv" for w in ("latency", "energy", "memory")],
    }


def watch(files: dict[str, list[Path]], every_s: float = 1.0, to: TextIO = sys.stderr) -> None:
    """Draw a bar a part with the time that remains, until every file is there.

    The time is reckoned from what was made since the start of the watch.
    """
    missing = {name: {path for path in own if not path.exists()} for name, own in files.items()}
    bars = {
        name: tqdm(
            desc=f"{name:10}",
            total=len(own),
            initial=len(own) - len(missing[name]),
            position=position,
            file=to,
            unit="",
        )
        for position, (name, own) in enumerate(files.items())
    }
    try:
        while any(missing.values()):
            time.sleep(every_s)
            for name, own in missing.items():
                made = {path for path in own if path.exists()}
                own -= made
                bars[name].update(len(made))
    finally:
        for bar in bars.values():
            bar.close()
