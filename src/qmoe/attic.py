"""The attic: files that the grid no longer asks for, kept until it asks for them again."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from qmoe.errors import UserError
from qmoe.grid import Grid
from qmoe.paths import ATTIC, AUDIO, CELLS, EMBEDDINGS, MEASUREMENTS, PACKED, SUMMARIES


def _wanted(grid: Grid) -> dict[Path, set[Path]]:
    """What the grid asks for, by the folder that it lies in."""
    return {
        AUDIO: {s.audio for s in grid.sources.values() if s.audio and s.made},
        EMBEDDINGS: {source.table for source in grid.sources.values()},
        CELLS: {e.spec_file for e in grid.experiments} | set(grid.cells),
        PACKED: {grid.packed(experiment, fold) for experiment, fold in grid.runs},
        MEASUREMENTS: {grid.measurements},
        SUMMARIES: {e.summary for e in grid.experiments},
    }


def prune(grid: Grid, names: Iterable[str]) -> list[Path]:
    """Move what the grid does not ask for to the attic, and return what was moved. `names` are
    audio, embeddings, cells, packed or measurements; another name raises UserError."""
    wanted = _wanted(grid)
    folders = {folder.name: folder for folder in wanted if folder != SUMMARIES}
    moved: list[Path] = []
    for name in names:
        if name not in folders:
            raise UserError(f"{name!r} is none of {', '.join(folders)}")
        folders[name].mkdir(parents=True, exist_ok=True)
        moved += _unwanted(folders[name], wanted[folders[name]])
    for path in moved:
        _move(path, ATTIC / path)
    return moved


def restore(grid: Grid) -> None:
    """Move what the grid asks for and only the attic has back to its place."""
    for path in sorted(set().union(*_wanted(grid).values())):
        if (ATTIC / path).exists() and not path.exists():
            _move(ATTIC / path, path)


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
