"""Files written whole, and hashed."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path


def write_whole(texts: Mapping[Path, str | bytes]) -> list[Path]:
    """Write each text to its path, so that a reader sees the old or the new file; return the paths.

    Folders are made where they are missing.
    """
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.parent / f".{path.name}.{os.getpid()}"
        draft.write_bytes(text if isinstance(text, bytes) else text.encode())
        draft.replace(path)
    return list(texts)


def sha256(path: Path) -> str:
    """Return the SHA-256 of the bytes of a file, in hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
