"""What a folder of tables was made from, so that a stale or edited table is noticed."""

import json
from pathlib import Path

from qmoe.keys import sha256, write_atomically

FILE = "provenance.json"


def write(folder: Path, grid_key: str) -> None:
    """Record the key of the grid and the hash of every file beside it."""
    files = {p.name: sha256(p) for p in sorted(folder.iterdir()) if p.name != FILE}
    text = json.dumps({"grid": grid_key, "files": files}, indent=1, sort_keys=True)
    write_atomically(folder / FILE, text + "\n")


def is_current(folder: Path, grid_key: str) -> bool:
    """Whether the tables in `folder` are those of the grid, unchanged. True where there are none.

    Times of files say nothing after `git checkout` or `dvc checkout`; this does.
    """
    try:
        record = json.loads((folder / FILE).read_text(encoding="utf-8"))
        files = {name: sha256(folder / name) for name in record["files"]}
    except FileNotFoundError:
        return not folder.exists()
    except (json.JSONDecodeError, KeyError):
        return False
    return bool(record["grid"] == grid_key and record["files"] == files)
