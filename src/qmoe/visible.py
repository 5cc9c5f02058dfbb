"""What data/ and results/ show of the costly products: those of one grid. DVC records whole
folders, so anything else in them would be recorded as if the parameters had asked for it."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from qmoe import store
from qmoe.grid import Grid
from qmoe.paths import AUDIO, DATASETS, GRID, KEPT, RECORD, SPEC
from records import files

KEYED = re.compile(r"(?:^|[-.])[0-9a-f]{10}(?:\.|$)")  # a name that the pipeline has given


def listings(grid: Grid) -> dict[Path, str]:
    """Return the files that name what a grid is of, with their contents: its experiments, and the
    clips and tables of embeddings that they need. Stages of DVC depend on these files."""
    data = {
        name: {"audio": source.audio and str(source.audio), "table": str(source.table)}
        for name, source in grid.sources.items()
    }
    experiments = ",\n ".join(json.dumps(line) for line in grid.content)
    return {GRID: f"[{experiments}]\n", DATASETS: json.dumps(data, indent=1) + "\n"}


def show_only(grid: Grid) -> None:
    """Move from its place to the store what is not of the grid, and write the listings. DVC wants
    the folder of clips even where no dataset has any."""
    AUDIO.mkdir(parents=True, exist_ok=True)
    for path in list(others(grid)):
        store.keep_new(path)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    for path, content in listings(grid).items():
        if not path.exists() or path.read_text(encoding="utf-8") != content:
            files.write(path, content)


def others(grid: Grid) -> Iterator[Path]:
    """Yield the costly files and folders in their places that are not of the grid."""
    wanted, above = set[str](), set[str]()
    for path in _places(grid):
        wanted.add(path)
        parent = path.rpartition("/")[0]  # a Path for every cell would be slow
        while parent and parent not in above:
            above.add(parent)
            parent = parent.rpartition("/")[0]
    for folder in KEPT:
        if folder.is_dir():
            yield from _others(str(folder), wanted, above, keyed=False)


def _places(grid: Grid) -> Iterator[str]:
    """The paths of all costly files and folders of the grid."""
    for source in grid.sources.values():
        yield str(source.audio)
        yield from (str(source.table), str(source.table.with_suffix(f".{RECORD}")))
    for experiment in grid.experiments:
        path, packed = str(experiment.path), str(grid.packed(experiment, 0).parent)
        yield from (f"{path}/{SPEC}", f"{path}/{RECORD}")
        for fold in experiment.folds:
            yield from (f"{path}/fold{fold}", f"{packed}/fold{fold}")
    yield str(grid.measurements)


def _is_ours(path: Path, *, below: bool) -> bool:
    """Whether the pipeline made a file with a key in its name, or one in a folder with a key: there
    it writes specifications and their records alone, and elsewhere a record beside each file."""
    if below:
        return path.name in (SPEC, RECORD)
    return path.name.endswith(RECORD) or path.with_suffix(f".{RECORD}").exists()


def _others(folder: str, wanted: set[str], above: set[str], *, keyed: bool) -> Iterator[Path]:
    """Below a name with a key everything else is of another grid. A name without one is perhaps a
    file of the user, and stays."""
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith(".") or entry.path in wanted or entry.is_symlink():
            continue
        has_key = keyed or bool(KEYED.search(entry.name))
        if has_key and entry.path not in above:
            if entry.is_dir() or _is_ours(Path(entry.path), below=keyed):
                yield Path(entry.path)
        elif entry.is_dir():
            yield from _others(entry.path, wanted, above, keyed=has_key)
