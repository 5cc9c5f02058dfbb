"""Makes every picture of a run, and the index of them, `figures.json`."""

import json
import shutil
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd

from records.files import write_files
from referee.figures import EXPERIMENTS, FIGURES, FORMATS, experiments, file_names, frames, style
from referee.figures.frames import Frames, RunFiles


def draw(name: str, run: Frames) -> style.Picture:
    """Draw one picture of `FIGURES`."""
    module, function = FIGURES[name][1].split(".")
    with style.context():
        return getattr(import_module(f"referee.figures.{module}"), function)(run)


def make(folder: Path, files: RunFiles, workers: int = 1) -> list[Path]:
    """Write every picture as PNG and PDF, the files of each experiment, and the index.

    The bytes do not depend on the number of worker processes. The files of experiments that were
    there before are removed. Returns all files. Raises InputError where a file that is named is
    missing, or not as the contract says.
    """
    run = _read(files)
    shutil.rmtree(folder / EXPERIMENTS, ignore_errors=True)
    tasks = [partial(_figure, folder, name, files) for name in FIGURES]
    groups = experiments.experiments(run.cells).items()
    tasks += [partial(_experiment, folder, name, files, cells) for name, cells in groups]
    if workers > 1:
        with ProcessPoolExecutor(workers) as pool:
            entries = [job.result() for job in [pool.submit(task) for task in tasks]]
    else:
        entries = [task() for task in tasks]
    index = folder / "figures.json"
    write_files({index: json.dumps(entries, indent=1, ensure_ascii=False) + "\n"})
    return [*(folder / file for entry in entries for file in entry["files"]), index]


_read = cache(frames.read)  # once a process


def _figure(folder: Path, name: str, files: RunFiles) -> dict[str, Any]:
    run = _read(files)
    file = file_names(run.paper.folder)[name]
    return _write(folder, file, FIGURES[name][0], draw(name, run))


def _experiment(folder: Path, name: str, files: RunFiles, cells: pd.DataFrame) -> dict[str, Any]:
    clips = {cell["fold"]: frames.predictions(Path(cell["cell"])) for _, cell in cells.iterrows()}
    with style.context():
        picture = experiments.picture(_read(files), cells, clips)
        entry = _write(folder, name, EXPERIMENTS, picture)
        for _, cell in cells.iterrows():
            for file, content in experiments.fold_files(cell, clips[cell["fold"]]):
                path = f"{name}/fold{cell['fold']}/{file}"
                write_files({folder / path: content})
                entry["files"].append(path)
    return entry


def _write(folder: Path, name: str, section: str, picture: style.Picture) -> dict[str, Any]:
    files = [f"{name}.{suffix}" for suffix in FORMATS]
    with style.context():
        style.settle(picture.figure)
        for file, suffix in zip(files, FORMATS, strict=True):
            write_files({folder / file: style.encode(picture.figure, suffix)})
    words = {"title": picture.title, "caption": picture.caption, "alt": picture.alt}
    return {"name": name} | words | {"section": section, "inputs": picture.inputs, "files": files}
