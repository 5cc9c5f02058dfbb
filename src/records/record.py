"""Records: what files were made from, and the size and SHA-256 of each, so that a damaged, foreign
or outdated file is noticed by its content, whatever its time says.

A record lies beside its files. It is `NAME.provenance.json` or `provenance.json`, and names them by
paths relative to itself. A record ends with a hash of itself.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from records.files import sha256, write

SUFFIX = "provenance.json"
SELF = "record_sha256"


class Damaged(Exception):
    """A file that is not what its record says; the message says what to do."""


def text(key: str, contents: Mapping[str, bytes], **about: Any) -> str:
    """Return the record of files that are still in memory, by name; see `seal`."""
    files = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in contents.items()
    }
    return _text({"key": key, "files": files, **about})


def seal(
    record: Path, key: str, files: Iterable[Path], inputs: Iterable[Path] = (), **about: Any
) -> None:
    """Write the record of files on disk: the key of what they were made from, their sizes and
    hashes, the hashes of the files that were read, and whatever else is said `about` them."""
    name = partial(_relative, record)
    sizes = {name(p): {"bytes": p.stat().st_size, "sha256": sha256(p)} for p in files}
    read_from = {name(path): sha256(path) for path in inputs if path.is_file()}
    content = {"key": key, "files": sizes, "inputs": read_from, **about}
    write(record, _text(content))


def read(record: Path) -> dict[str, Any]:
    """Return the content of a record. Raises Damaged where it is missing, or is not as written."""
    try:
        written = record.read_bytes()
        content: dict[str, Any] = json.loads(written)
        if written.decode() != _text({k: v for k, v in content.items() if k != SELF}):
            raise ValueError("its hash of itself differs")
    except FileNotFoundError:
        raise Damaged(f"{record} is missing") from None
    except (AttributeError, ValueError, TypeError) as error:
        raise Damaged(f"{record} is damaged ({error})") from None
    return content


def damage(record: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file that is not as its record says, with what is wrong with it. Raises Damaged
    where that is the record itself."""
    for name, expected in read(record)["files"].items():
        path = Path(os.path.normpath(record.parent / name))
        try:
            size = path.stat().st_size
        except (FileNotFoundError, NotADirectoryError):
            yield path, "is missing"
            continue
        if size != expected["bytes"]:
            yield path, f"has {size} bytes instead of {expected['bytes']}"
        elif sha256(path) != expected["sha256"]:
            yield path, "has other content than was written"


def is_whole(record: Path, key: str) -> bool:
    """Say whether a record has a key, and every file is as it says."""
    try:
        return bool(read(record)["key"] == key) and not any(damage(record))
    except Damaged:
        return False


def is_current(record: Path, key: str) -> bool:
    """Say whether files are whole, have a key, and were made from the inputs that are on disk."""
    if not is_whole(record, key):
        return False
    for name, hashed in read(record).get("inputs", {}).items():
        path = record.parent / name
        if not path.is_file() or sha256(path) != hashed:
            return False
    return True


def record_of(path: Path) -> Path | None:
    """Return the record that names a file, or None where there is none beside it. Raises Damaged
    where the record of that very file, or that of its folder, is damaged."""
    own = [path.with_suffix(f".{SUFFIX}"), path.with_name(SUFFIX)]
    others = (record for record in sorted(path.parent.glob(f"*.{SUFFIX}")) if record not in own)
    for record in filter(Path.exists, [*own, *others]):
        try:
            if path.name in read(record)["files"]:
                return record
        except Damaged:
            if record in own:
                raise
    return None


def require_whole(path: Path) -> None:
    """Raise Damaged where a file has a record beside it and is not as that says."""
    record = record_of(path)
    if record is None:
        return
    expected = read(record)["files"][path.name]
    if path.stat().st_size != expected["bytes"] or sha256(path) != expected["sha256"]:
        raise Damaged(
            f"{path} is not the file that was written, says {record}: `qmoe verify --repair` sets "
            "it aside, and the same command makes it again"
        )


def _relative(record: Path, path: Path) -> str:
    return Path(os.path.relpath(path, record.parent)).as_posix()


def _text(content: Mapping[str, Any]) -> str:
    """The bytes of a record: JSON with sorted keys, and the hash of all but that hash."""
    plain = json.dumps(content, sort_keys=True, allow_nan=False)
    whole = {**content, SELF: hashlib.sha256(plain.encode()).hexdigest()}
    return json.dumps(whole, indent=1, sort_keys=True) + "\n"
