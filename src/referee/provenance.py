"""What files were made from, so that a stale or edited one is noticed."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from referee.files import sha256, write_whole


def write(record: Path, key: str, files: Iterable[Path], measurements: Path | None = None) -> None:
    """Record the key of what the files were made from, their hashes, and the measurements' folder.

    Paths are relative to the record.
    """
    hashes = {os.path.relpath(path, record.parent): sha256(path) for path in files}
    written: dict[str, object] = {"grid": key, "files": hashes}
    if measurements is not None:
        written["measurements"] = Path(os.path.relpath(measurements, record.parent)).as_posix()
    write_whole({record: json.dumps(written, indent=1, sort_keys=True) + "\n"})


def is_current(record: Path, key: str, files: Iterable[Path]) -> bool:
    """Say whether the files are those of the key, unchanged; True where there are none at all.

    Times of files say nothing after `git checkout` or `dvc checkout`; this does.
    """
    try:
        written = json.loads(record.read_text(encoding="utf-8"))
        hashes = {name: sha256(record.parent / name) for name in written.get("files", {})}
        return bool(written["grid"] == key and written.get("files", {}) == hashes)
    except FileNotFoundError:
        return not any(path.exists() for path in [record, *files])
    except (json.JSONDecodeError, KeyError):
        return False
