"""Makes every picture of a run, and the index of them, `figures.json`."""

import json
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from referee.figures import FIGURES, FORMATS, experiments, style
from referee.figures.results import Results, read
from referee.files import write_whole

INDEX = "figures.json"


def draw(name: str, results: Results) -> style.Picture:
    """One picture of `FIGURES`, drawn."""
    module, function = FIGURES[name].split(".")
    with style.context():
        made = getattr(import_module(f"referee.figures.{module}"), function)(results)
    assert isinstance(made, style.Picture)
    return made


def make(folder: Path, workers: int = 1, **paths: Path | None) -> list[Path]:
    """Write every picture as PNG and PDF, the files of each experiment, and the index.

    Args:
        folder: it all goes there.
        workers: processes; the bytes do not depend on it.
        paths: of `results.read`.

    Returns:
        the pictures that every grid has, and the index.

    """
    given = tuple(sorted(paths.items()))
    groups = _experiments(_read(given).cells)
    tasks = [partial(_figure, folder, name, given) for name in FIGURES]
    tasks += [partial(_experiment, folder, name, own) for name, own in groups.items()]
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            entries = [job.result() for job in [pool.submit(task) for task in tasks]]
    else:
        entries = [task() for task in tasks]
    write_whole({folder / INDEX: json.dumps(entries, indent=1, ensure_ascii=False) + "\n"})
    fixed = [folder / f"{name}.{suffix}" for name in FIGURES for suffix in FORMATS]
    return [*fixed, folder / INDEX]


@cache
def _read(paths: tuple[tuple[str, Any], ...]) -> Results:
    return read(**dict(paths))


def _experiments(cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    names = [experiments.name(cell) for _, cell in cells.iterrows()]
    return {str(name): own for name, own in cells.groupby(pd.Index(names), sort=False)}


def _figure(folder: Path, name: str, paths: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    return _write(folder, name, draw(name, _read(paths)))


def _experiment(folder: Path, name: str, cells: pd.DataFrame) -> dict[str, Any]:
    with style.context():
        entry = _write(folder, name, experiments.picture(cells))
        for _, cell in cells.iterrows():
            for file, content in experiments.fold_files(cell):
                path = f"{name}/fold{cell['fold']}/{file}"
                write_whole({folder / path: content})
                entry["files"].append(path)
    return entry


def _write(folder: Path, name: str, picture: style.Picture) -> dict[str, Any]:
    files = [f"{name}.{suffix}" for suffix in FORMATS]
    with style.context():
        style.settle(picture.figure)
        for file, suffix in zip(files, FORMATS, strict=True):
            write_whole({folder / file: style.encode(picture.figure, suffix)})
    return {
        "name": name,
        "title": picture.title,
        "caption": picture.caption,
        "alt": picture.alt,
        "section": picture.section,
        "inputs": picture.inputs,
        "files": files,
    }
