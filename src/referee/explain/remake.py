"""The experiments behind some cells: what made them, and the commands that make them again."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd

from referee.contract import read_run
from referee.errors import InputError


def spec_of(experiment: Path) -> dict[str, Any]:
    """The specification of an experiment; raises InputError where it is not on disk."""
    path = experiment / "spec.json"
    try:
        spec: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} is not here: `qmoe plan` writes it") from None
    return spec


def training_source_of(inside: Path) -> str | None:
    """The key of the training code, as the `run.json` of a run tells it; None without that file.

    `inside` is a file or folder of the run.
    """
    runs = (folder / "run.json" for folder in inside.parents)
    run = next((path for path in runs if path.exists()), None)
    return None if run is None else read_run(run).training_source


def experiments(cells: pd.DataFrame, source: str | None) -> list[dict[str, Any]]:
    """The experiments of some cells, which have `cell`, `fold` and `embeddings_sha256`.

    `source` is the key of the training code that is here, None where it cannot be told. Returns
    for each experiment its folder, specification (`spec`), the hash of its embeddings, whether the
    training code here is that of the cells (`same_training_code`, None where it cannot be told),
    and the commands that make its cells. Raises InputError where a specification is not on disk.
    """
    made: list[dict[str, Any]] = []
    folders = cells["cell"].map(lambda cell: Path(cell).parent.as_posix())
    for folder, rows in cells.groupby(folders, sort=False):
        spec = spec_of(Path(folder))
        folds = ",".join(map(str, sorted(rows["fold"])))
        targets = " ".join(f"{cell}/scores.json" for cell in rows["cell"])
        train = f"qmoe train {folder}/spec.json --folds {folds}"
        made.append(
            {
                "folder": folder,
                "spec": spec,
                "embeddings_sha256": rows["embeddings_sha256"].iloc[0],
                "same_training_code": None if source is None else spec["source"] == source,
                "commands": [f"snakemake -j1 {targets}", train],
            }
        )
    return made


def code() -> dict[str, Any]:
    """The commit that is checked out, and whether files differ from it; None outside of git."""

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(["git", *arguments], capture_output=True, text=True)
        except FileNotFoundError:
            return None
        return None if done.returncode else done.stdout.strip()

    status = git("status", "--porcelain")
    return {"commit": git("rev-parse", "HEAD"), "dirty": None if status is None else bool(status)}
