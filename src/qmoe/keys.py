"""Keys: short hashes of everything that determines a file, so that a path says what is in it."""

import ast
import hashlib
import json
import os
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from qmoe.errors import UserError

SOURCE = Path(__file__).parent
MEMO = Path("data/.fingerprints.json")
LENGTH = 10  # hexadecimal digits: 5,000 keys collide with a chance of 1e-5


def key(value: Any) -> str:
    """Hash of plain data, independent of the order of dictionary keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


def source_key(*patterns: str, root: Path = SOURCE) -> str:
    """Hash of what the modules under `root` that match the patterns do.

    Comments, docstrings and layout do not count: mending a sentence retrains nothing.
    """
    files = sorted({path for pattern in patterns for path in root.glob(pattern)})
    return key({path.relative_to(root).as_posix(): _shape(_parse(path)) for path in files})


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _shape(node: Any) -> Any:
    """A syntax tree as nested lists without empty fields: the same under every Python version."""
    if isinstance(node, list):
        return [_shape(item) for item in node if not _is_docstring(item)]
    if not isinstance(node, ast.AST):
        return node if isinstance(node, str | int | bool) else repr(node)
    fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
    return [type(node).__name__, *([name, _shape(value)] for name, value in fields)]


def _is_docstring(node: Any) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def versions(*packages: str) -> dict[str, str]:
    """Installed versions, without the local part that tells builds apart (`2.13.0+cpu`).

    Raises:
        UserError: one is not installed.

    """
    try:
        return {package: version(package).partition("+")[0] for package in packages}
    except PackageNotFoundError as error:
        raise UserError(f"package {error.name} is not installed: `make env` installs it") from None


def sha256(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(path: Path) -> str:
    """Hash of a file, or of the names and bytes of all files in a folder.

    A file whose size and time have not changed since its last reading is not read again.

    Raises:
        UserError: nothing is at `path`.

    """
    if not path.exists():
        raise UserError(f"{path} does not exist: correct the path in params.yaml, or put it there")
    root, files = (path.parent, [path]) if path.is_file() else (path, _files_below(path))
    try:
        memo: dict[str, Any] = json.loads(MEMO.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        memo = {}
    seen = {}
    for file in files:
        stat, name = file.stat(), str(file.resolve())
        stamp = [stat.st_size, stat.st_mtime_ns]
        known = memo.get(name)
        seen[name] = known if known and known[:2] == stamp else [*stamp, sha256(file)]
    if any(memo.get(name) != value for name, value in seen.items()):
        write_atomically(MEMO, json.dumps(memo | seen))
    if path.is_file():
        return str(seen[str(path.resolve())][2])
    return key({f.relative_to(root).as_posix(): seen[str(f.resolve())][2] for f in files})


def _files_below(folder: Path) -> list[Path]:
    hidden = (p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    return sorted(hidden)


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file so that a reader sees the old one or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content.encode() if isinstance(content, str) else content)
    draft.replace(path)


def named(paths: Iterable[Path], most: int = 5) -> str:
    """The first few paths for a message, and how many more there are."""
    listed = list(paths)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(map(str, listed[:most])) + more
