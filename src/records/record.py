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
AGAIN = "`qmoe verify --repair` sets it aside, and the same command of Snakemake makes it again"


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
        if not (isinstance(content["key"], str) and isinstance(content["files"], dict)):
            raise ValueError("it is not a record")
    except FileNotFoundError:
        raise Damaged(f"{record} is missing") from None
    except (AttributeError, KeyError, OSError, ValueError, TypeError) as error:
        raise Damaged(f"{record} is damaged ({error})") from None
    return content


def damage(record: Path, content: Mapping[str, Any] | None = None) -> Iterator[tuple[Path, str]]:
    """Yield each file that is not as its record says, with what is wrong with it. Raises Damaged
    where that is the record itself, unless its `content` was read before."""
    for name, expected in (content or read(record))["files"].items():
        path = Path(os.path.normpath(record.parent / name))
        wrong = _wrong(path, expected)
        if wrong:
            yield path, wrong


def fault(record: Path, key: str, files: Iterable[Path] = ()) -> str | None:
    """Return what is wrong with a record or a file that it names, or that it has another key or
    does not name one of some `files`; None where nothing is."""
    try:
        content = read(record)
    except Damaged as damaged:
        return str(damaged)
    for path, wrong in damage(record, content):
        return f"{path.name} {wrong}"
    for path in files:
        if _relative(record, path) not in content["files"]:
            return f"{record.name} does not name {path.name}"
    return None if content["key"] == key else f"it is of {content['key']}"


def is_whole(record: Path, key: str) -> bool:
    """Say whether a record has a key, and every file is as it says."""
    return fault(record, key) is None


def is_current(record: Path, key: str, files: Iterable[Path] = ()) -> bool:
    """Say whether a record names some files, has a key, and all that it names is whole and was made
    from the inputs that are on disk."""
    if fault(record, key, files):
        return False
    for name, hashed in read(record).get("inputs", {}).items():
        path = Path(os.path.normpath(record.parent / name))
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


def require_whole(path: Path, *, recorded: bool = False) -> None:
    """Raise Damaged where a file has a record beside it and is not as that says; where it has to be
    `recorded`, also if there is no record. Raises FileNotFoundError where there is no file."""
    record = record_of(path)
    if not path.exists():
        raise FileNotFoundError(path)
    if record is None and not recorded:
        return
    wrong = _wrong(path, read(record)["files"][path.name]) if record else "is named by no record"
    if wrong:
        raise Damaged(f"{path} {wrong}: {AGAIN}")


def _wrong(path: Path, expected: Mapping[str, Any]) -> str:
    """What is wrong with a file of which the size and the hash are known; empty if nothing is."""
    try:
        size = path.stat().st_size
        if size != expected["bytes"]:
            return f"has {size} bytes instead of {expected['bytes']}"
        return "" if sha256(path) == expected["sha256"] else "has other content than was written"
    except (FileNotFoundError, NotADirectoryError):
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"


def _relative(record: Path, path: Path) -> str:
    return Path(os.path.relpath(path, record.parent)).as_posix()


def _text(content: Mapping[str, Any]) -> str:
    """The bytes of a record: JSON with sorted keys, and the hash of all but that hash."""
    plain = json.dumps(content, sort_keys=True, allow_nan=False)
    whole = {**content, SELF: hashlib.sha256(plain.encode()).hexdigest()}
    return json.dumps(whole, indent=1, sort_keys=True) + "\n"
