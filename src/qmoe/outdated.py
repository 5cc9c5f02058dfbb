"""Derived files: those that are made from all cells, and are cheap to make again. A rule makes them
again where their record does not fit the key or the inputs of this run; their times say nothing."""

import os
import shutil
import stat
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from qmoe import store
from qmoe.paths import STORE
from records import record as records
from records.files import draft_of

BEFORE = STORE / "before"  # what the outputs of a run were before it
LONG_AGO_NS = 10**9


class Derived:
    """The derived files of a run. `newer` is a folder that is there in every clone: Snakemake runs
    a job again only for an input that exists and is newer than its outputs, and it looks through
    the new time of a file whose content it knows, but not through that of a folder."""

    def __init__(self, newer: str) -> None:
        self.newer = newer
        self._outputs: list[Path] = []
        self._answers: dict[str, list[str]] = {}

    def outdated(
        self, record: str, key: str, outputs: Iterable[str], inputs: Iterable[str] = ()
    ) -> list[str]:
        """Return what a rule lists as one more input: nothing where its outputs have the key and
        were made from the inputs on disk. Else they are dated long ago, and the input is newer.
        Files that were changed since they were written are set aside."""
        if record not in self._answers:
            files = [Path(output) for output in outputs]
            owned = [*files, Path(record), *_named(Path(record))]
            self._outputs += owned
            for path in owned:
                own(path)
            latest_ns = max((_mtime_ns(Path(self.dated(p))) for p in inputs), default=0)
            self._set_changed_aside(Path(record))
            self._answers[record] = self._answer(Path(record), key, files, latest_ns)
        return self._answers[record]

    def _answer(self, record: Path, key: str, files: list[Path], latest_ns: int) -> list[str]:
        there = [path for path in (*files, record) if path.exists()]
        if records.is_current(record, key, filter(Path.is_file, files)):
            for path in there:
                if _mtime_ns(path) < latest_ns:
                    _date(path, latest_ns)
            return []
        for path in there:
            _date(path, LONG_AGO_NS)
        return [self.dated(self.newer)] if there else []

    def dated(self, path: str | Path) -> str:
        """Return a path after dating it now if it is dated in the future, which Snakemake takes for
        a fault of the clock."""
        now_ns = time.time_ns()
        if _mtime_ns(Path(path)) > now_ns:
            _date(Path(path), now_ns)
        return str(path)

    def _set_changed_aside(self, record: Path) -> None:
        try:
            changed = [(path, wrong) for path, wrong in records.damage(record) if path.exists()]
        except records.Damaged:
            return
        for path, wrong in changed:
            place = store.set_aside(path)
            print(f"{path} {wrong}. It is set aside in {place} and made again.", file=sys.stderr)

    def begin(self) -> None:
        """Remember the outputs as they are: Snakemake removes those of a job before it runs."""
        self.end()
        for path in filter(Path.is_file, self._outputs):
            store.link(path, BEFORE / path)

    def end(self) -> None:
        """Bring back what a job removed and did not make again: all files of a record that is no
        longer there, also those that the job had already written anew. Forget the others."""
        kept = [path for path in BEFORE.rglob("*") if path.is_file()]
        for record in (path for path in kept if path.name.endswith(records.SUFFIX)):
            place = record.relative_to(BEFORE)
            for file in [] if place.exists() else [*_named(record), record]:
                if file.exists():
                    store.link(file, file.relative_to(BEFORE))
        shutil.rmtree(BEFORE, ignore_errors=True)


def _named(record: Path) -> list[Path]:
    """The files that a record names, of which a rule may make more than it is asked for."""
    try:
        return [Path(os.path.normpath(record.parent / n)) for n in records.read(record)["files"]]
    except records.Damaged:
        return []


def own(path: Path) -> None:
    """Put a copy in place of a link into DVC's cache, which nobody may write, nor date: such a link
    is symbolic, or a file that its owner may not write. One that leads nowhere is removed."""
    if path.is_symlink() and not path.exists():
        path.unlink()
    elif path.is_symlink() or (path.is_file() and not path.stat().st_mode & stat.S_IWUSR):
        draft = draft_of(path)
        shutil.copyfile(path, draft)
        shutil.copystat(path, draft)
        draft.chmod(0o644)
        draft.replace(path)


def _mtime_ns(path: Path) -> int:
    """The time of a file, or that which Snakemake gives a folder; 0 where there is none."""
    stamp = path / ".snakemake_timestamp"
    try:
        return (stamp if stamp.exists() else path).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _date(path: Path, time_ns: int) -> None:
    for file in (path, path / ".snakemake_timestamp"):
        if file.exists():
            own(file)
            try:
                os.utime(file, ns=(time_ns, time_ns))
            except OSError:  # of somebody else, or read-only: made again at worst
                return
