"""One run of the workflow, as its main process sees it: what is finished, what is missing, and in
which orders it will be made. Nothing here trusts the time of a file."""

import fcntl
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import IO

from qmoe import orders, rows, spec, store, visible
from qmoe.errors import UserError
from qmoe.estimate import cost_s
from qmoe.finished import MISSING, Finished
from qmoe.grid import Experiment, Grid
from qmoe.keys import key, write_json
from qmoe.orders import Order, Runs
from qmoe.outdated import Derived
from qmoe.paths import (
    CELLS,
    CHECK,
    CHECK_RECORD,
    DAMAGED,
    MANIFEST,
    ORDERS,
    PACKED,
    PARAMETERS,
    RECORD,
    RESULTS,
    SCORES,
    SPEC,
    STORE,
)
from qmoe.rows import Contents
from records import files
from records import record as records

CELLS_RECORD, PACKED_RECORD = "results/cells.provenance.json", "results/packed.provenance.json"
MEASURED_RECORD = "results/tables/measured.provenance.json"
# The records of the other derived files, and the key of the grid that each has.
DERIVED = {
    "results/run.provenance.json": "key",
    "results/tables/provenance.json": "key",
    MEASURED_RECORD: "key",
    "results/significance/provenance.json": "key",
    "results/audit.provenance.json": "key",
    "results/claims.provenance.json": "key",
    "results/figures/provenance.json": "figures_key",
    "results/paper.provenance.json": "figures_key",
    "results/index.provenance.json": "report_key",
    "results/notebook.provenance.json": "report_key",
}
PACK_S = CHECK_S = 0.4  # predicted seconds of packing, and of checking, a cell
_BEFORE = {"pack": "train", "check": "pack"}  # the orders that make what those of a kind need


class WorkflowRun:
    """What a run finds on disk for a grid, and what it has to make. Everything is found out when a
    rule first asks for it, so that a target that needs no cell inspects none. `slots` tells how
    many jobs run at a time, and whether they run on a cluster."""

    def __init__(
        self, grid: Grid, slots: Callable[[], tuple[int, bool]], newer: str = "workflow"
    ) -> None:
        self.grid, self._slots = grid, slots
        self.name = secrets.token_hex(4)
        self.derived = Derived(newer)
        self._orders: dict[str, list[Order]] = {}
        self._files: dict[Path, str] = {}

    @cached_property
    def parameters(self) -> Path:
        """The file with all parameters of the run, named after its content."""
        return PARAMETERS / f"{key(self.grid.params.model_dump(mode='json'))}.json"

    @cached_property
    def _finished(self) -> Finished:
        return Finished()

    # What is finished: the hash of the record, which stands for the content, by folder.

    @cached_property
    def cells(self) -> Contents:
        """The finished cells."""
        found: Contents = {}
        for experiment in self.grid.experiments:
            whole = {}
            for fold in experiment.folds:
                folder = experiment.cell_name(fold)
                content = self._take(folder, RECORD, f"{experiment.key}/fold{fold}", SCORES)
                if content:
                    whole[folder] = content
            if whole:
                self._take_spec(experiment)
            found |= whole
        self._finished.remember()  # at once: where nothing is to be done, no run begins
        return found

    def _take_spec(self, experiment: Experiment) -> None:
        """Put the specification of an experiment in its place, unless it is there."""
        paths = [experiment.path / SPEC, experiment.path / RECORD]
        found = self._take(str(experiment.path), RECORD, experiment.key, SPEC)
        if found != spec.hash_of(experiment.spec):
            if found:
                _set_aside(paths, f"it is not the one of {experiment.key}", restored=False)
            spec.write(experiment.spec, store.stored(experiment.path))
            for path in paths:
                store.restore(path)

    @property
    def packed(self) -> Contents:
        """The packed models of finished cells."""
        return self._packed_and_checked[0]

    @property
    def checked(self) -> Contents:
        """The checks of finished packed models."""
        return self._packed_and_checked[1]

    @cached_property
    def _packed_and_checked(self) -> tuple[Contents, Contents]:
        packed: Contents = {}
        checked: Contents = {}
        for experiment, fold in self.grid.runs:
            content = self.cells.get(experiment.cell_name(fold))
            folder = self.grid.packed_name(experiment, fold)
            for found, record, last in (
                (packed, RECORD, MANIFEST),
                (checked, CHECK_RECORD, CHECK),
            ):
                content = content and self._take(folder, record, content, last)
                if content:
                    found[folder] = content
        self._finished.remember()
        return packed, checked

    def _take(self, folder: str, record: str, key_: str, last: str) -> str | None:
        """Return the hash of the record of a folder, from its place or else from the store; None
        where neither is whole. What is damaged is set aside: the folder, but of a check or a
        specification only that file and its record."""
        place, kept = f"{folder}/{record}", f"{STORE}/{folder}/{record}"
        fault = self._finished.fault(place, key_, last)
        if fault is None:
            if not os.path.exists(f"{STORE}/{folder}/{last}"):  # noqa: PTH110
                store.keep(Path(folder))
            return self._finished.content(place)
        kept_fault = self._finished.fault(kept, key_, last)
        paths = [Path(folder, last), Path(place)] if last in (CHECK, SPEC) else [Path(folder)]
        self._finished.changed()
        if fault != MISSING:
            _set_aside(paths, fault, restored=kept_fault is None)
        for path in paths:
            if kept_fault is None:
                store.clear(path)
                store.restore(path)
            elif kept_fault != MISSING and fault != MISSING:
                store.forget(path)  # most often the same file, which was set aside just now
            elif kept_fault != MISSING:
                _set_aside([store.stored(path)], kept_fault, restored=False)
        return None if kept_fault else self._finished.content(kept)

    # What is to be made.

    def orders(self, kind: str) -> list[Order]:
        """Return the orders of a kind that this run carries out."""
        if kind not in self._orders:
            runs = [run for run in self.grid.runs if not self._is_made(kind, *run)]
            workers, cluster = self._slots()
            self._orders[kind] = orders.make(
                self.name,
                kind,
                runs,
                self._costs_s(kind, runs),
                self.grid.packed_root,
                self.orders(_BEFORE[kind]) if kind in _BEFORE else [],
                workers=workers,
                cluster=cluster,
            )
        return self._orders[kind]

    def _is_made(self, kind: str, experiment: Experiment, fold: int) -> bool:
        if kind == "train":
            return experiment.cell_name(fold) in self.cells
        made = self.packed if kind == "pack" else self.checked
        return self.grid.packed_name(experiment, fold) in made

    def _costs_s(self, kind: str, runs: Runs) -> Sequence[float]:
        if kind == "train" and runs:
            return cost_s(self.grid, runs)
        return [{"pack": PACK_S, "check": CHECK_S}.get(kind, 0.0)] * len(runs)

    def done(self, kind: str) -> list[str]:
        """Return the files that say that all orders of a kind were carried out."""
        return [order.done for order in self.orders(kind)]

    def needs(self, name: str) -> list[str]:
        """Return the files that an order needs before it can be carried out."""
        order = next(o for o in self.orders(name.split("-")[1]) if o.name == name)
        datasets = dict.fromkeys(e.dataset for e, _ in order.runs) if order.kind != "pack" else []
        return order.after + [self.table(dataset) for dataset in datasets]

    def table(self, dataset: str) -> str:
        """Return the table of embeddings of a dataset, restored from the store if it is there."""
        table = self.grid.sources[dataset].table
        return self._take_file(table, table.stem)

    def tables(self) -> list[str]:
        """Return the tables of embeddings of all datasets."""
        return [self.table(dataset) for dataset in self.grid.sources]

    def clips(self) -> list[str]:
        """Return the folders of clips that rules make."""
        folders = [s.audio for s in self.grid.sources.values() if s.audio and s.made]
        for folder in folders:
            store.restore(folder)
        return [self.derived.dated(folder) for folder in folders]

    def audio(self, dataset: str) -> list[str]:
        """Return the clips that the table of a dataset is made from, where a rule makes them and
        the table is not there yet."""
        source = self.grid.sources[dataset]
        if Path(self.table(dataset)).exists() or not source.audio or not source.made:
            return []
        store.restore(source.audio)
        return [self.derived.dated(source.audio)]

    def measurement(self, what: str) -> list[str]:
        """Return what is needed to measure something: nothing where that was done."""
        folder = self.grid.measurements
        table = self._take_file(folder / f"{what}.csv", folder.name)
        return [] if Path(table).exists() else self.done("check")

    def _take_file(self, path: Path, key_: str) -> str:
        """Return a file, from its place or else from the store; where neither is as its record
        says, it is no longer there afterwards, and has to be made."""
        if path not in self._files:
            self._files[path] = self._find_file(path, key_)
        return self._files[path]

    def _find_file(self, path: Path, key_: str) -> str:
        record = path.with_suffix(f".{RECORD}")
        fault = records.fault(record, key_, [path])
        if fault:
            kept = records.is_whole(store.stored(record), key_)
            _set_aside(sorted(path.parent.glob(f"{path.stem}.*")), fault, restored=kept)
            if kept:
                for name in records.read(store.stored(record))["files"]:
                    store.restore(path.with_name(name))
                store.restore(record)
        if path.exists():
            for name in (*records.read(record)["files"], record.name):
                store.keep(path.with_name(name))
            self.derived.dated(path)
        return str(path)

    # The files that are made from all cells.

    def key_of(self, record: str) -> str:
        """Return the key that a record of derived files has in this run."""
        if record == CELLS_RECORD:
            return rows.cells_key(self.grid, self.cells)
        if record == PACKED_RECORD:
            return rows.packed_key(self.grid, self.checked)
        return str(getattr(self.grid, DERIVED[record]))

    def outdated(
        self, record: str, outputs: Iterable[str], inputs: Iterable[str] = ()
    ) -> list[str]:
        """Return one more input for a rule whose outputs are outdated; see `Derived.outdated`."""
        return self.derived.outdated(record, self.key_of(record), outputs, inputs)

    # The beginning and the end of a run.

    def begin(self) -> None:
        """Write the orders and the parameters, and clear what earlier runs have left. Raises
        UserError where another run is under way in this folder."""
        self._lock = _locked(STORE / "run.lock")
        for old in (*ORDERS.glob("*"), *PARAMETERS.glob("*"), *STORE.glob("*.draft")):
            old.unlink()
        write_json(self.parameters, self.grid.params.model_dump(mode="json"))
        visible.show_only(self.grid)
        for order in chain.from_iterable(self._orders.values()):
            files.write(ORDERS / f"{order.name}.json", order.text())
            for experiment, fold in order.runs:
                store.clear(experiment.cell(fold))
                store.clear(self.grid.packed(experiment, fold).parent)
        for folder in set(RESULTS.iterdir()) - {CELLS, PACKED, DAMAGED}:
            files.clear_drafts(folder)  # of the many cells, those that are made or restored
        for draft in RESULTS.glob(".*.draft"):
            draft.unlink()
        self.derived.begin()
        self._finished.remember()

    def end(self) -> None:
        """Bring back what failed jobs took away, and remember what the others made."""
        self.derived.end()
        for order in chain.from_iterable(self._orders.values()):
            for experiment, fold in order.runs:
                cell, packed = experiment.cell(fold), self.grid.packed(experiment, fold)
                for folder, record, last in (
                    (cell, RECORD, SCORES),
                    (packed, RECORD, MANIFEST),
                    (packed, CHECK_RECORD, CHECK),
                ):
                    self._finished.trust(f"{folder}/{record}", last)
        self._finished.remember()
        if not any(ORDERS.glob("*.json")) or all(
            Path(order.done).exists() for order in chain.from_iterable(self._orders.values())
        ):
            shutil.rmtree(ORDERS, ignore_errors=True)


def _locked(path: Path) -> IO[str]:
    """Take a lock that ends with this process; raises UserError where another one has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            "another run of Snakemake is under way in this folder: wait until it has ended"
        ) from None
    except OSError:  # a file system without locks
        pass
    return file


def _set_aside(paths: Iterable[Path], fault: str, *, restored: bool) -> None:
    """Move what is damaged away, and say so."""
    for path in filter(Path.exists, paths):
        place = store.set_aside(path)
        then = f"restored from {STORE}" if restored else "made again"
        print(f"{path}: {fault}. It is set aside in {place}, and {then}.", file=sys.stderr)
