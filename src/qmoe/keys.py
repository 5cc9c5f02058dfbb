"""Keys: short hashes of everything that determines a file, so that its path identifies it."""

import ast
import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from qmoe.errors import UserError
from records import files

SOURCE = Path(__file__).parent
MEMO = Path("data/.fingerprints.json")
# Code that was rewritten, and proved to make the same bytes, keeps the key of the code before it.
# An entry maps the new key to the old one; any other change to that code makes the entry void.
REWRITTEN = {
    "b2f2489281": "cf604a1c9a",  # training of a cell
    "05ebcaaa2f": "645c5d0b7e",  # reading of the authors' CSV files
    "e07b789e52": "e928dc8d78",  # embedding of audio
    "e4a3502ff5": "427f33fc86",  # packing
    "218554e99b": "4f418b0f56",  # measuring: the same calls in the same order
}
write_atomically, sha256 = files.write, files.sha256
LENGTH = 10  # hexadecimal digits: among 5,000 keys two are equal with a probability of 1e-5


def key(value: Any) -> str:
    """Return the hash of plain data; the order of dictionary keys does not change it."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


def source_key(*patterns: str, root: Path | None = None) -> str:
    """Return the hash of the code in the modules below `root` (or qmoe) that match the patterns.
    Comments, docstrings and layout do not change it, nor does a rewriting in `REWRITTEN`."""
    root = root or SOURCE
    files = sorted({path for pattern in patterns for path in root.glob(pattern)})
    texts = {p.relative_to(root).as_posix(): p.read_text(encoding="utf-8") for p in files}
    content = json.dumps([texts, Path(__file__).read_text(encoding="utf-8")])
    name, memo = f"source {hashlib.sha256(content.encode()).hexdigest()}", _memo()
    if name not in memo:
        memo[name] = key({path: _shape(ast.parse(text)) for path, text in texts.items()})
        if MEMO.parent.is_dir():  # elsewhere than in a project nothing is left behind
            with suppress(PermissionError):
                write_atomically(MEMO, json.dumps(memo))
    return REWRITTEN.get(memo[name], memo[name])


def _memo() -> dict[str, Any]:
    """What is remembered of the content of files, because parsing code and hashing audio is slow:
    keys of code by the hash of its text, and hashes of other files by path, size and time."""
    try:
        memo: dict[str, Any] = json.loads(MEMO.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return memo if isinstance(memo, dict) else {}


def _shape(node: Any) -> Any:
    """A syntax tree as nested lists without empty fields: the same under every Python version."""
    if isinstance(node, list):
        return [_shape(item) for item in node if not _is_docstring(item)]
    if not isinstance(node, ast.AST):
        return node if isinstance(node, str | int | bool) else repr(node)
    fields = [(name, value) for name, value in ast.iter_fields(node) if value not in (None, [])]
    return [type(node).__name__, *([name, _shape(value)] for name, value in fields)]


def _is_docstring(node: Any) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def versions(*packages: str) -> dict[str, str]:
    """Return the installed version of each package, without its local part (`2.13.0+cpu`).
    Raises UserError where a package is not installed."""
    try:
        return {package: version(package).partition("+")[0] for package in packages}
    except PackageNotFoundError as error:
        raise UserError(f"package {error.name} is not installed: `make env` installs it") from None


def fingerprint(path: Path) -> str:
    """Return the hash of a file, or of the names and bytes of all files in a folder. Files are read
    again only once their size or time changes. Raises UserError where `path` does not exist."""
    if not path.exists():
        raise UserError(f"{path} does not exist: correct the path in params.yaml, or put it there")
    below = (p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
    files = [path] if path.is_file() else sorted(below)
    memo = _memo()
    seen: dict[str, list[Any]] = {}
    for file in files:
        stat, name = file.stat(), str(file.resolve())
        stamp = [stat.st_size, stat.st_mtime_ns]
        known = memo.get(name)
        seen[name] = known if known and known[:2] == stamp else [*stamp, sha256(file)]
    if any(memo.get(name) != value for name, value in seen.items()):
        write_atomically(MEMO, json.dumps(memo | seen))
    hashes = {f.relative_to(path).as_posix(): str(seen[str(f.resolve())][2]) for f in files}
    return hashes["."] if path.is_file() else key(hashes)


def write_json(path: Path, content: Any) -> None:
    """Write plain data as indented JSON, whole or not at all."""
    write_atomically(path, json.dumps(content, indent=1) + "\n")


def named(paths: Iterable[Path], most: int = 5) -> str:
    """Return the first few paths for a message, and how many more there are."""
    names = list(map(str, paths))
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if names[most:] else "")


def require_same(made: object, asked: object) -> None:
    """Raise UserError where a job is to make something else than params.yaml now asks for."""
    if str(made) != str(asked):
        raise UserError(
            f"params.yaml or the data now ask for {made}, not {asked}: they changed while the "
            "workflow ran; start it again"
        )
