"""What the grid no longer asks for is set aside, not deleted, and comes back when asked again."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from qmoe.grid import AUDIO, CELLS, EMBEDDINGS, MEASUREMENTS, PACKED, SUMMARIES, Grid

ATTIC = Path("results/attic")


def _wanted(grid: Grid) -> dict[Path, set[Path]]:
    audio = {source.audio for source in grid.sources.values() if source.made}
    return {
        AUDIO: {path for path in audio if path},
        EMBEDDINGS: {source.table for source in grid.sources.values()},
        CELLS: {e.spec_file for e in grid.experiments} | set(grid.cells),
        PACKED: {grid.packed(e, fold) for e in grid.experiments for fold in e.folds},
        MEASUREMENTS: {grid.measurements},
        SUMMARIES: {e.summary for e in grid.experiments},
    }


def prune(grid: Grid, root: Path) -> list[Path]:
    """Move what lies under `root` and is not of the grid to the attic; return what was moved."""
    root.mkdir(parents=True, exist_ok=True)
    moved = list(_unwanted(root, _wanted(grid)[root]))
    for path in moved:
        _move(path, ATTIC / path)
    return moved


def restore(grid: Grid) -> list[Path]:
    """Move what the grid asks for, and is only in the attic, back to its place."""
    wanted = set().union(*_wanted(grid).values())
    found = [path for path in sorted(wanted) if (ATTIC / path).exists() and not path.exists()]
    for path in found:
        _move(ATTIC / path, path)
    return found


def _unwanted(folder: Path, wanted: set[Path]) -> Iterable[Path]:
    above = {parent for path in wanted for parent in path.parents}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path in above:
            yield from _unwanted(path, wanted)
        elif path not in wanted and path.name != ".gitignore":
            yield path


def _move(source: Path, target: Path) -> None:
    if target.is_dir():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(source, target)
