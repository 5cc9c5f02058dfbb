"""The store: hard links to everything that is costly to make, in a folder that no tool empties.

DVC deletes what a stage makes before it runs the stage, and Snakemake deletes the outputs of a job
that fails. Both only remove names from results/ and data/; the same files keep their names below
`.store`, at the same relative paths. The store may be deleted: what is missing is made again.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from qmoe.paths import CHECK, DAMAGED, MANIFEST, RECORD, SCORES, STORE
from records.files import clear_drafts, draft_of


def stored(path: Path) -> Path:
    """Return the place of a file or folder in the store."""
    return STORE / path


def keep(path: Path) -> None:
    """Link a file, or all files of a folder, into the store."""
    link(path, stored(path))


def keep_new(folder: Path) -> None:
    """Link a file, or the files of a folder, into the store where it has none of their names."""
    for file, place in _pairs(folder, stored(folder)):
        if not place.exists():
            link(file, place)


def restore(path: Path) -> None:
    """Link a file, or all files of a folder, from the store to their place."""
    link(stored(path), path)


def set_aside(path: Path) -> Path:
    """Move a damaged file or folder to results/damaged, and return its place there, which is a new
    one each time."""
    place = DAMAGED / path
    number = 1
    while place.exists():
        number += 1
        place = DAMAGED / path.with_name(f"{path.name}.{number}")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(path, place)
    return place


def is_same(path: Path) -> bool:
    """Say whether a file and its place in the store are the same file, under two names."""
    return path.exists() and stored(path).exists() and path.samefile(stored(path))


def forget(path: Path) -> None:
    """Remove a file or folder from the store."""
    place = stored(path)
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def link(source: Path, target: Path) -> None:
    """Give every file of `source` a second name in `target`, in place of any other file there; a
    copy where links cannot be made."""
    for file, place in _pairs(source, target):
        if place.exists() and place.samefile(file):
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        draft = draft_of(place)
        try:
            os.link(file.resolve(), draft)
        except OSError:  # another file system, or one without hard links
            shutil.copy2(file, draft)
        draft.replace(place)
        draft.unlink(missing_ok=True)  # it stays where another process has linked the same file


def _pairs(source: Path, target: Path) -> Iterator[tuple[Path, Path]]:
    """Each file of a file or folder, with its place below `target`. Last come the files without
    which a folder is not finished, and before them the records, so that a kill leaves no folder
    that looks finished and is not."""
    if source.is_file():
        yield source, target
    files = sorted(path for path in source.rglob("*") if path.is_file() and path.suffix != ".draft")
    lasts = (SCORES, MANIFEST, CHECK)
    for file in sorted(files, key=lambda p: (p.name in lasts, p.name.endswith(RECORD))):
        yield file, target / file.relative_to(source)


def clear(folder: Path) -> None:
    """Remove the drafts of jobs that died from a folder, and from its place in the store."""
    for place in (folder, stored(folder)):
        if place.is_dir():
            clear_drafts(place)
