"""Verification of what is on disk: files against their records, and records against a grid."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from qmoe import rows, store
from qmoe.collect import disagreement
from qmoe.grid import Grid
from qmoe.keys import key
from qmoe.paths import (
    CELLS,
    CHECK_RECORD,
    DAMAGED,
    EMBEDDINGS,
    GRID,
    MEASUREMENTS,
    PACKED,
    PARAMETERS,
    RECORD,
    SCORES,
    SPEC,
)
from qmoe.run import CELLS_RECORD, DERIVED, PACKED_RECORD
from records import record as records


class Fault(NamedTuple):
    """A file that is not as it should be, what is wrong, and what is set aside to repair it."""

    path: Path
    wrong: str
    unit: Path  # the file itself, or the folder of a cell, which is made again whole


def faults(folder: Path) -> Iterator[Fault]:
    """Yield every file in a folder and below it that is not as its record says, every damaged
    record, every costly file that no record names, and every cell whose scores do not follow from
    its predictions. The folder is relative to the project's."""
    named = set[Path]()
    for record in sorted(folder.rglob(f"*{records.SUFFIX}")):
        if record.is_relative_to(DAMAGED) or record.name.startswith("."):
            continue
        unit, damaged = _unit(record), False
        try:
            named |= {record, *(record.parent / name for name in records.read(record)["files"])}
            for path, wrong in records.damage(record):
                damaged = True
                yield Fault(path, wrong, unit or path)
            wrong = "" if damaged else _foreign(record)
        except records.Damaged as damage:
            yield Fault(record, str(damage).removeprefix(f"{record} "), unit or record)
            continue
        if wrong:
            yield Fault(record, wrong, unit or record)
    for path in sorted(folder.rglob("*")):
        costly = any(map(path.is_relative_to, (CELLS, PACKED, EMBEDDINGS, MEASUREMENTS)))
        if costly and path.is_file() and path.name[0] != "." and path not in named:
            yield Fault(path, "is named by no record", _unit(path) or path)
    for path in sorted(folder.rglob(f"{PARAMETERS.name}/*.json")):
        if key(_json(path)) != path.stem:
            yield Fault(path, "is not the content that it is named after", path)


def _json(path: Path) -> Any:
    """The content of a JSON file; None where it cannot be read."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def _unit(path: Path) -> Path | None:
    """The folder that is made whole, if the file lies in that of a cell or packed model."""
    inside = path.is_relative_to(CELLS) or path.is_relative_to(PACKED)
    return path.parent if inside and path.parent.name.startswith("fold") else None


def _foreign(record: Path) -> str:
    """What is wrong with the place or the meaning of whole files; empty if nothing is."""
    made, folder = records.read(record)["key"], record.parent
    if record.is_relative_to(CELLS):
        of_cell = folder.name.startswith("fold")
        place = (folder.parent if of_cell else folder).name.rpartition("-")[2]
        expected = f"{place}/{folder.name}" if of_cell else place
        if not of_cell and made == expected and key(_json(folder / SPEC)) != made:
            return f"is of a {SPEC} that was changed with it"
        if made == expected and of_cell:
            wrong = disagreement(folder)
            return wrong and f"is of a cell whose {SCORES} {wrong}"
    elif record.is_relative_to(PACKED):
        cell = CELLS / Path(*folder.relative_to(PACKED).parts[1:])
        source = folder / RECORD if record.name == CHECK_RECORD else cell / RECORD
        try:
            expected = records.read(source)[records.SELF]
        except records.Damaged:
            return ""  # which is said of that record; and a packed model may outlive its cell
    elif record.is_relative_to(EMBEDDINGS):
        expected = record.name.removesuffix(f".{RECORD}")
    else:
        expected = folder.name if record.is_relative_to(MEASUREMENTS) else made
    return "" if made == expected else f"is of {made}, not of {expected}"


def repair(found: Iterable[Fault]) -> Iterator[tuple[Path, Path]]:
    """Set aside what is damaged, here and in the store; yield each path and its new place."""
    for unit in sorted({fault.unit for fault in found}):
        if unit.exists():
            yield unit, store.set_aside(unit)
        store.forget(unit)


def strangers(grid: Grid) -> Iterator[Fault]:
    """Yield the records of derived files on disk that are of another grid, or of other cells, and
    the cells of the grid that are not there."""
    keys = {name: getattr(grid, of_grid) for name, of_grid in DERIVED.items()}
    keys[CELLS_RECORD] = rows.cells_key(grid, rows.cells(grid))
    keys[PACKED_RECORD] = rows.packed_key(grid, rows.checked(grid))
    for name, expected in keys.items():
        record = Path(name)
        try:
            made = records.read(record)["key"] if record.exists() else expected
        except records.Damaged:
            continue
        if made != expected:
            yield Fault(record, "is of another grid than these parameters", record)
    if GRID.exists() and _json(GRID) != grid.method:
        yield Fault(GRID, "is not what these parameters ask for", GRID)
