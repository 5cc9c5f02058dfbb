"""Files written whole, and what they were made from, so that a stale or edited one is noticed."""

import csv
import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path


def write_whole(texts: Mapping[Path, str | bytes]) -> list[Path]:
    """Write files so that a reader sees the old or the new one, with their folders; return them."""
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.parent / f".{path.name}.{os.getpid()}"
        draft.write_bytes(text if isinstance(text, bytes) else text.encode())
        draft.replace(path)
    return list(texts)


def sha256(path: Path) -> str:
    """Return the SHA-256 of the bytes of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def write(record: Path, key: str, files: Iterable[Path], measurements: Path | None = None) -> None:
    """Record the key, the files' hashes and the measurements, by paths relative to the record."""
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


def holds(table: Path, rows: list[dict[str, str]]) -> bool:
    """Whether a CSV file has exactly these rows, as far as they go. True where there is no file."""
    if not table.exists():
        return True
    with table.open(encoding="utf-8", newline="") as file:
        written = list(csv.DictReader(file))
    return len(written) == len(rows) and all(
        row.items() <= line.items() for row, line in zip(rows, written, strict=True)
    )
