"""Verification of what is on disk: files against their records, and records against a grid."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from qmoe import rows, store, visible
from qmoe.collect import disagreement
from qmoe.grid import Grid
from qmoe.keys import key
from qmoe.paths import (
    CELLS,
    CHECK_RECORD,
    DAMAGED,
    EMBEDDINGS,
    MEASUREMENTS,
    PACKED,
    PARAMETERS,
    RECORD,
    SCORES,
    SPEC,
)
from qmoe.workflow import CELLS_RECORD, DERIVED, MEASURED_RECORD, PACKED_RECORD
from records import record as records

OTHER = "is of another grid than these parameters"


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
            alone = (path.parent / RECORD).exists()
            yield Fault(path, "is named by no record", path if alone else _unit(path) or path)
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
    """Set aside what is damaged; yield each path and its new place. The store forgets it where it
    holds the same file; a copy there that is whole comes back with the next run."""
    units: dict[Path, bool] = {}  # whether the file in the store is the damaged one
    for fault in found:
        units[fault.unit] = units.get(fault.unit, False) or store.is_same(fault.path)
    for unit, is_same in sorted(units.items()):
        if is_same:
            store.forget(unit)
        if unit.exists():
            yield unit, store.set_aside(unit)


def strangers(grid: Grid) -> Iterator[Fault]:
    """Yield what keeps results/ and data/ from being exactly those of a grid: costly files that are
    missing, or of another grid; records of derived files that are of another grid, or of other
    cells. Files that were not asked for yet are not missed."""
    for path, content in visible.listings(grid).items():
        if not path.is_file() or path.read_text(encoding="utf-8") != content:
            yield _fault(path, OTHER)
    yield from (_fault(path, OTHER) for path in visible.others(grid))
    cells = rows.cells(grid)
    yield from _missing(grid, cells)
    keys = {name: getattr(grid, of_grid) for name, of_grid in DERIVED.items()}
    keys[CELLS_RECORD] = rows.cells_key(grid, cells)
    keys[PACKED_RECORD] = rows.packed_key(grid, rows.checked(grid))
    yield from (
        _fault(Path(name), OTHER)
        for name, expected in keys.items()
        if Path(name).exists() and _key(Path(name)) not in (expected, None)
    )


def advice(number: int, params: Path | None) -> str:
    """Return what to do about a number of strangers."""
    return (
        f"{number} files are missing, or are not those of {params}: `snakemake -j8 all` makes "
        f"them, and `qmoe keep --params {params}` moves the others to .store"
    )


def _missing(grid: Grid, cells: rows.Contents) -> Iterator[Fault]:
    """Tables of embeddings and cells of a grid that are not there; packed models that were not made
    from the cells, and measurements, where there are tables of them."""
    records_ = {source.table.with_suffix(f".{RECORD}") for source in grid.sources.values()}
    yield from (_fault(r, "is missing") for r in sorted(records_) if _key(r) is None)
    yield from (_fault(cell, "is missing") for cell in grid.cells if str(cell) not in cells)
    if Path(PACKED_RECORD).exists():
        for experiment, fold in grid.runs:
            packed = grid.packed(experiment, fold)
            if _key(packed / RECORD) != cells.get(str(experiment.cell(fold))):
                yield _fault(packed, "is not made from the cell")
    if Path(MEASURED_RECORD).exists():
        for what in ("latency", "energy", "memory"):
            measured = grid.measurements / f"{what}.{RECORD}"
            if _key(measured) is None:
                yield _fault(measured, "is missing")


def _fault(path: Path, wrong: str) -> Fault:
    return Fault(path, wrong, path)


def _key(record: Path) -> str | None:
    """The key of a record; None where it is missing or damaged, which `faults` tells of."""
    try:
        return str(records.read(record)["key"])
    except records.Damaged:
        return None
