"""Measure how long Snakemake takes to plan a grid of very many cells, and how much memory it needs:
a dry run where everything is missing, and a run where everything is finished.

It gives the figures for large grids in docs/cluster.md. The finished files are fakes of a few bytes
with true records, in a copy of the project in a temporary folder. The processor's time does not
depend on what else the machine does; the wall time, for which the bars are, does.
Run `python benchmarks/dag.py`, or `python benchmarks/dag.py 10000` for one size.
"""

import csv
import io
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from qmoe import rows, spec, store
from qmoe.config import read
from qmoe.grid import Grid
from qmoe.paths import CELL_FILES, CHECK, CHECK_RECORD, GRID, MANIFEST, RECORD
from qmoe.workflow import CELLS_RECORD, DERIVED, PACKED_RECORD
from records import record

ROOT = Path(__file__).parents[1]
BARS = {10_000: (4, 0.3), 100_000: (30, 1.5)}  # seconds and gigabytes
MOST_RULES = 40
OVERLAY = Path("many.yaml")
COPIED = ("Snakefile", "params.yaml", "notebooks", "papers", "profiles", "src", "workflow")
ROW = b"0" * 300 + b"\n"  # as long as a row of cells.csv


def main() -> None:
    """Print the figures for each size that the command line names, or for all of them."""
    os.fsync = lambda _: None  # type: ignore[assignment]  # the fakes need not survive a power cut
    for cells in map(int, sys.argv[1:] or BARS):
        with tempfile.TemporaryDirectory() as folder:
            for name in COPIED:
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                copy(ROOT / name, Path(folder, name))
            os.chdir(folder)
            os.environ["PYTHONPATH"] = f"{folder}/src"
            measure(cells)
            os.chdir(ROOT)


def measure(cells: int) -> None:
    """Print the figures for a grid of about so many cells."""
    seeds = -(-cells // len(Grid(read(Path("params.yaml"))).cells))
    OVERLAY.write_text(json.dumps({"grid": {"seeds": list(range(seeds))}}))
    rules = len(re.findall(r"^\w+ \(", snakemake("--list-rules")[0], re.MULTILINE))
    print(f"{cells} cells; {rules} rules (at most {MOST_RULES})")
    report("dry run, all is missing", cells, "all", "-n")
    finish(Grid(read(Path("params.yaml"), OVERLAY)))
    report("first look at what is finished", 0, "all")
    report("nothing to do for all", cells, "all")
    report("nothing to do for cells.csv", cells, "results/cells.csv")


def report(what: str, cells: int, *arguments: str) -> None:
    """Run Snakemake; print how long it took and how much memory it held, beside the bars."""
    start_s = time.perf_counter()
    said, usage = snakemake(*arguments, "--quiet", "all")
    wall_s, processor_s = time.perf_counter() - start_s, usage.ru_utime + usage.ru_stime
    if GRID.exists():  # it is written before the first job
        sys.exit(f"snakemake found something to do: {said}")
    longest_s, largest_gb = BARS.get(cells, (float("inf"), float("inf")))
    print(
        f"  {what}: {wall_s:.1f} s (at most {longest_s}), of the processor {processor_s:.1f} s, "
        f"{usage.ru_maxrss / 1024**2:.2f} GB (at most {largest_gb})",
        flush=True,
    )


def snakemake(*arguments: str) -> "tuple[str, resource.struct_rusage]":
    """Run Snakemake in the current folder; return what it prints, and what it used."""
    command = [sys.executable, "-m", "snakemake", *arguments, "-j2", "--configfile", str(OVERLAY)]
    with tempfile.TemporaryFile("w+") as out:
        run = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(run.pid, 0)
        out.seek(0)
        said = out.read()
    if status:
        sys.exit(f"snakemake failed: {said}")
    return said, usage


def finish(grid: Grid) -> None:
    """Write fakes of everything that the target `all` makes, with true records."""
    for source in grid.sources.values():
        fake([source.table], source.table.with_suffix(f".{RECORD}"), source.table.stem)
    for what in ("latency", "energy", "memory"):
        place = grid.measurements / what
        files = [place.with_suffix(suffix) for suffix in (".csv", ".json")]
        fake(files, place.with_suffix(f".{RECORD}"), grid.measurements.name)
    cells, checks = {}, {}
    for experiment in grid.experiments:
        spec.write(experiment.spec, experiment.path)
    for experiment, fold in grid.runs:
        cell, packed = experiment.cell(fold), grid.packed(experiment, fold)
        made = fake([cell / f for f in CELL_FILES], cell / RECORD, f"{experiment.key}/fold{fold}")
        cells[str(cell)] = made
        made = fake([packed / MANIFEST], packed / RECORD, made)
        checks[str(packed)] = fake([packed / CHECK], packed / CHECK_RECORD, made)
    for folder in ("data/embeddings", "results/cells", "results/packed", "results/measurements"):
        store.keep(Path(folder))
    keys = {name: str(getattr(grid, key)) for name, key in DERIVED.items()}
    keys[CELLS_RECORD] = rows.cells_key(grid, cells)
    keys[PACKED_RECORD] = rows.packed_key(grid, checks)
    finish_derived(keys, len(grid.runs), [experiment.summary for experiment in grid.experiments])


def finish_derived(keys: dict[str, str], cells: int, summaries: list[Path]) -> None:
    """Write fakes of the files that are made from all cells; tables of cells have a true size."""
    table = io.StringIO(snakemake("all", "--detailed-summary")[0])
    rules: dict[str, list[Path]] = {}
    lines = [line for line in table if "\t" in line]
    for row in csv.DictReader(lines, delimiter="\t"):
        rules.setdefault(row["rule"], []).append(Path(row["output_file"]))
    for outputs in rules.values():
        for record_file in [path for path in outputs if str(path) in keys]:
            files = [path for path in outputs if path != record_file and path.suffix]
            inputs = []
            if str(record_file) == CELLS_RECORD:
                files += summaries
            elif str(record_file) != PACKED_RECORD:
                inputs = [Path("results/cells.csv"), Path("results/packed.csv")]
            fake(files, record_file, keys[str(record_file)], inputs, cells)
    for folder in [path for outputs in rules.values() for path in outputs if not path.suffix]:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".snakemake_timestamp").touch()
    now = time.time()
    for path in [path for outputs in rules.values() for path in outputs if path.exists()]:
        os.utime(path, (now, now))
    for stamp in Path("results").glob("*/.snakemake_timestamp"):
        os.utime(stamp, (now, now))


def fake(
    files: list[Path], record_file: Path, key: str, inputs: Iterable[Path] = (), cells: int = 0
) -> str:
    """Write files and their record; return the hash of the record."""
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        large = file.name in ("cells.csv", "packed.csv")
        file.write_bytes(ROW * cells if large else file.name.encode())
    record.seal(record_file, key, files, inputs)
    return str(record.read(record_file)[record.SELF])


if __name__ == "__main__":
    main()
