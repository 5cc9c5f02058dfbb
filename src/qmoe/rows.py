"""Keys of the tables with a row for each cell: of what the rows say of the experiments, and of the
content of every cell or packed model, for which the hash of its record stands."""

from collections.abc import Callable, Iterable
from pathlib import Path

from qmoe.grid import Experiment, Grid
from qmoe.keys import key, source_key
from qmoe.paths import CHECK_RECORD, RECORD
from records import record

Contents = dict[str, str]  # the hash of a record, by the folder that it is in


def cells(grid: Grid) -> Contents:
    """Return the contents of the cells that are on disk, as their records say."""
    return _contents((e.cell_name(fold) for e, fold in grid.runs), RECORD)


def checked(grid: Grid) -> Contents:
    """Return the contents of the checks of packed models that are on disk."""
    return _contents((grid.packed_name(*run) for run in grid.runs), CHECK_RECORD)


def cells_key(grid: Grid, contents: Contents) -> str:
    """Return the key of `cells.csv` and the summaries."""
    return _key(grid, Experiment.cell_name, contents)


def packed_key(grid: Grid, contents: Contents) -> str:
    """Return the key of `packed.csv`."""
    return _key(grid, grid.packed_name, contents)


def _contents(folders: Iterable[str], name: str) -> Contents:
    found = {}
    for folder in folders:
        try:
            found[folder] = record.read(Path(folder, name))[record.SELF]
        except record.Damaged:
            continue
    return found


def _key(grid: Grid, place: Callable[[Experiment, int], str], contents: Contents) -> str:
    rows = [
        [e.columns, [(folder := place(e, fold), contents.get(folder)) for fold in e.folds]]
        for e in grid.experiments
    ]
    return key([rows, source_key("collect.py", "nominal.py")])
