"""Writing files so that a reader, a kill or a power cut sees the old one or the new one, whole."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path


def write(path: Path, content: str | bytes) -> None:
    """Write a file whole or not at all, with its folder: a synced draft, renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_of(path)
    draft.write_bytes(content if isinstance(content, bytes) else content.encode())
    sync(draft)
    draft.replace(path)


def draft_of(path: Path) -> Path:
    """Return a new name beside a file or folder, to write it under. It is random, because processes
    of two machines that share a disk may have the same number."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.draft")


def sync(path: Path) -> None:
    """Wait until the content of a file is on the disk."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


def write_files(contents: Mapping[Path, str | bytes]) -> list[Path]:
    """Write each file whole or not at all; return their paths."""
    for path, content in contents.items():
        write(path, content)
    return list(contents)


def clear_drafts(folder: Path) -> None:
    """Remove the drafts that jobs which died have left in a folder and below it."""
    for draft in list(folder.rglob(".*.draft")):
        if draft.is_dir():
            shutil.rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
