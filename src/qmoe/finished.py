"""Which costly files are finished: those that are as their records say. Folders whose files have
kept their sizes and times since they were read are not read again."""

import json
import os
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path

from qmoe.paths import STORE
from records import record as records
from records.files import write

MISSING = "is missing"


class Finished:
    """Inspects folders, and remembers between runs of the workflow what it has read."""

    def __init__(self, memory: Path = STORE / "seen.json") -> None:
        self._memory = memory
        try:
            self._seen: dict[str, list[str]] = json.loads(memory.read_bytes())
            self._seen = dict(self._seen)
        except (OSError, ValueError, TypeError):  # it only saves time
            self._seen = {}
        self._known = dict(self._seen)
        self._folder = ""  # the one that was looked at last, in which records may lie side by side
        self._files: dict[str, os.stat_result] = {}

    def fault(self, record: str, key: str, last: str) -> str | None:
        """Return what is wrong with the files of a record: None where they are whole and have the
        key, `MISSING` where it or `last`, the file that is written last, is not there."""
        folder, name = os.path.split(record)  # a Path a cell would be slow
        if folder != self._folder:
            self._folder, self._files = folder, _files(folder)
        stamp = _stamp(self._files, name, last)
        if stamp is None:
            return MISSING
        if self._seen.get(record, [])[:2] == [stamp, key]:
            return None
        path = Path(record)
        fault = records.fault(path, key)
        if fault is None:
            self._seen[record] = [stamp, key, records.read(path)[records.SELF]]
        return fault

    def changed(self) -> None:
        """Look again at a folder whose files were moved."""
        self._folder = ""

    def trust(self, record: str, last: str) -> None:
        """Take the files of a record, which a job of this run has just written, as whole."""
        folder, name = os.path.split(record)
        found = _files(folder)
        stamp = _stamp(found, name, last)
        if stamp and record not in self._seen:
            content = records.read(Path(record))
            sizes = {file: about["bytes"] for file, about in content["files"].items()}
            if any(file not in found or found[file].st_size != sizes[file] for file in sizes):
                return  # changed since: the next run reads it
            self._seen[record] = [stamp, content["key"], content[records.SELF]]

    def content(self, record: str) -> str:
        """Return the hash of a record whose files were found whole; it stands for their content."""
        return self._seen[record][2]

    def remember(self) -> None:
        """Write down what was read, if that was anything new."""
        if self._seen != self._known:
            with suppress(OSError):  # a full disk: it only saves time
                write(self._memory, json.dumps(self._seen))
            self._known = dict(self._seen)


def _files(folder: str) -> dict[str, os.stat_result]:
    """The files in a folder, if it is there."""
    try:
        with os.scandir(folder) as entries:
            return {e.name: e.stat() for e in entries if e.name[0] != "."}
    except (FileNotFoundError, NotADirectoryError):
        return {}


def _stamp(files: dict[str, os.stat_result], record: str, last: str) -> str | None:
    """Names, sizes and times of files, hashed; None where the record is not among them, or the file
    that is written `last`."""
    if record not in files or last not in files:
        return None
    text = "".join(f"{n}/{s.st_size}/{s.st_mtime_ns}\n" for n, s in sorted(files.items()))
    return blake2b(text.encode(), digest_size=8).hexdigest()
