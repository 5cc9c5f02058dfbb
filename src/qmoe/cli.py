"""Run one step of the pipeline: each rule of the workflow has a command here.

Run the commands from the project's folder."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Annotated, Literal

import typer

import qmoe
from qmoe import rows, store, visible
from qmoe.aliases import alias
from qmoe.config import read, schema_table
from qmoe.data.sources import write_table
from qmoe.errors import UserError
from qmoe.grid import Grid
from qmoe.judge import paper_folder
from qmoe.keys import require_same, write_atomically, write_json
from qmoe.paths import CELLS, EMBEDDINGS, KEPT, RECORD, RESULTS
from records.home import ForeignPackage, require_home
from records.record import Damaged, is_whole, seal
from referee import cli as judge
from referee.errors import InputError

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)

Parameters = Annotated[
    Path, typer.Option("--params", help="params.yaml, or a file that a run wrote to results/params")
]
Overlays = Annotated[
    list[Path],
    typer.Argument(help="params.yaml and files put over it, the last on top: configs/paper.yaml"),
]
Key = Annotated[str, typer.Option(help="of what the files are made from; it is recorded")]
Dataset = Annotated[str, typer.Argument(help="a dataset of params.yaml")]
Table = Annotated[Path, typer.Argument(help="the tidy table to write")]


def _grid(params: Path, key: str = "") -> Grid:
    """The grid of a file of parameters; it must have the key, if one is given."""
    grid = Grid(read(params))
    if key:
        require_same(grid.key, key)
    return grid


def _one_thread() -> None:
    """Compute on one thread, so that as many jobs as cores can run, with the same bytes."""
    import torch

    torch.set_num_threads(1)


@app.command()
def render(dataset: Dataset, folder: Path, params: Parameters) -> None:
    """Render the clips of a synthetic dataset."""
    from qmoe.data.synth import render as synthesise

    grid = _grid(params)
    require_same(grid.source(dataset).audio, folder)
    recipe = grid.params.datasets[dataset].model_dump(exclude={"kind", "folds"})
    sound = grid.params.embedding.model_dump(include={"duration_s", "sample_rate_hz"})
    synthesise(folder, **recipe, **sound)
    store.keep(folder)


@app.command()
def download(archive: Path, params: Parameters) -> None:
    """Download the archive of a public dataset, or the rest of it after an interruption."""
    from qmoe.data.acquire import download as fetch

    remotes = {s.archive: s.remotes for s in _grid(params).sources.values() if s.remotes}
    require_same(archive if archive in remotes else "no such archive", archive)
    fetch(archive, remotes[archive])


@app.command()
def unpack(folder: Path, params: Parameters) -> None:
    """Unpack the archive of a public dataset."""
    from qmoe.data.unpack import unpack as extract

    archives = {s.audio: s.archive for s in _grid(params).sources.values() if s.archive}
    require_same(folder if folder in archives else "no such folder", folder)
    extract(archives[folder], folder)
    store.keep(folder)


@app.command()
def embed(
    dataset: Dataset,
    table: Path,
    params: Parameters,
    workers: Annotated[int, typer.Option(help="threads; the bytes do not depend on it")] = 1,
) -> None:
    """Turn audio, or the CSV file of the paper's authors, into a table of embeddings."""
    grid = _grid(params)
    require_same(grid.source(dataset).table, table)
    record, source = table.with_suffix(f".{RECORD}"), grid.source(dataset)
    if not is_whole(store.stored(record), table.stem):
        write_table(grid.params, dataset, replace(source, table=store.stored(table)), workers)
    store.restore(record)
    store.restore(table)


@app.command()
def work(order: Annotated[Path, typer.Argument(help="a file of .store/orders")]) -> None:
    """Carry out an order of the workflow: train, pack or check the cells that it lists."""
    from qmoe.work import carry_out

    _one_thread()
    for line in carry_out(order):
        print(line, flush=True)


@app.command()
def train(
    spec: Annotated[Path, typer.Argument(help="spec.json of an experiment")],
    folds: Annotated[str, typer.Option(help="numbers of the folds, from 0: 0,1,2")],
    into: Annotated[Path, typer.Option(help="folder for the cells")],
) -> None:
    """Train cells of an experiment into a folder, where they are not there yet."""
    from qmoe import cells
    from qmoe.spec import read as read_spec

    _one_thread()
    for cell, seconds in cells.train(read_spec(spec), [int(f) for f in folds.split(",")], into):
        print(f"{cell} {seconds:.2f} s", flush=True)


@app.command()
def export(
    cells: Annotated[list[Path], typer.Argument(help="folders of trained cells")],
    root: Annotated[Path, typer.Option(help="folder for the packed models, named as the cells")],
) -> None:
    """Pack trained cells: write the files of models that run without torch."""
    from qmoe.work import pack

    _one_thread()
    for cell in cells:
        inside = cell.is_relative_to(CELLS)
        folder = root / (cell.relative_to(CELLS) if inside else Path(*cell.parts[-2:]))
        pack(cell, folder)
        print(folder, flush=True)


@app.command()
def check(packed: Annotated[list[Path], typer.Argument(help="folders of packed models")]) -> None:
    """Prove that packed models agree with the trained ones on their whole test fold."""
    from qmoe.work import check as prove

    _one_thread()
    for folder in packed:
        prove(folder)
        print(folder, flush=True)


@app.command()
def predict(
    packed: Annotated[Path, typer.Argument(help="folder of a packed model")],
    inputs: Annotated[list[Path], typer.Argument(help="a CSV of embeddings, or audio files")],
) -> None:
    """Classify with a packed model; print CSV: clip, class, probability, expert, uncertainty."""
    from qmoe.deploy.predict import predict as classify

    classify(packed, inputs).to_csv(sys.stdout, index=False)


@app.command()
def measure(
    what: Literal["latency", "energy", "memory"],
    table: Annotated[Path, typer.Argument(help="CSV to write; a .json beside it has the machine")],
    params: Parameters,
) -> None:
    """Measure the packed models of the grid. Nothing else should run on the machine meanwhile.
    What the store holds is not measured again."""
    from qmoe.measure import hardware
    from qmoe.measure.subjects import pin_to_one_thread

    grid = _grid(params)
    require_same(grid.measurements, table.parent)
    about, record = table.with_suffix(".json"), table.with_suffix(f".{RECORD}")
    if is_whole(store.stored(record), grid.measurements.name):
        print(f"measured before: to measure anew, remove {store.stored(table)} first")
        for file in (about, record, table):
            store.restore(file)
        return
    machine = hardware.describe()
    busy_percent = machine["busy_percent_before"]
    if busy_percent > hardware.BUSY_PERCENT:
        print(f"other programs use {busy_percent:.0f} % of the machine: do not trust these numbers")
    machine["pinned_to_processor"] = pin_to_one_thread()
    calls = import_module(f"qmoe.measure.{what}").measure(grid)
    write_json(store.stored(about), machine)
    write_atomically(store.stored(table), calls.to_csv(index=False))
    made = [store.stored(about), store.stored(table)]
    seal(store.stored(record), grid.measurements.name, made)
    for file in (about, record, table):
        store.restore(file)


@app.command()
def collect_packed(table: Table, params: Parameters) -> None:
    """Gather the bytes and the agreement of all packed models in one tidy table."""
    from qmoe.collect import collect_packed as gather
    from qmoe.collect import write

    grid = _grid(params)
    write(table, gather(grid), rows.packed_key(grid, rows.checked(grid)))


@app.command()
def collect(table: Table, params: Parameters) -> None:
    """Gather all cells of the grid in one tidy table, and write the summaries."""
    from qmoe import collect as tidy

    grid = _grid(params)
    cells = tidy.collect(grid)
    key = rows.cells_key(grid, rows.cells(grid))
    tidy.write(table, cells, key, tidy.write_summaries(grid, cells))


@app.command()
def audit(
    what: Annotated[
        Path, typer.Argument(help="folder of results, or one table of embeddings (.parquet, .csv)")
    ] = Path("results"),
    params: Annotated[Path | None, typer.Option(help="of a folder: params.yaml")] = None,
) -> None:
    """Describe the run, and check data, protocol and results: writes run.json and audit.*."""
    from qmoe.describe import facts_of_file
    from referee import paper as papers
    from referee.audit.findings import audit_dataset, to_markdown
    from referee.contract.run import DatasetFacts

    if not what.is_dir():
        facts = DatasetFacts.model_validate_json(json.dumps(facts_of_file(what)))
        paper = paper_folder()
        known = papers.read(paper) if paper.exists() else None
        print(to_markdown(audit_dataset(what.stem, facts, known)))
        return
    if params is None:
        raise UserError(f"which parameters made {what}? Name them: --params params.yaml")
    describe(what / "run.json", params)
    judge.audit(what, paper_folder(read(params).paper))


@app.command()
def verify(
    folders: Annotated[
        list[Path] | None, typer.Argument(help="by default results and data/embeddings")
    ] = None,
    repair: Annotated[
        bool, typer.Option("--repair", help="set aside what is damaged: Snakemake makes it again")
    ] = False,
    params: Annotated[
        Path | None, typer.Option(help="params.yaml: also tell what is of another grid than this")
    ] = None,
) -> None:
    """Compare every file with its record. The exit code is 1 where anything is damaged."""
    from qmoe import verify as verifying

    there = [Path(os.path.relpath(folder)) for folder in folders or []]
    there = there or [path for path in (RESULTS, EMBEDDINGS) if path.exists()]
    for folder in there:
        if not folder.is_dir():
            raise UserError(f"{folder} is not a folder")
    damaged = [fault for folder in there for fault in verifying.faults(folder)]
    strange = [] if params is None else list(verifying.strangers(_grid(params)))
    for fault in damaged + strange:
        print(f"{fault.path} {fault.wrong}")
    if repair:
        for path, place in verifying.repair(damaged):
            print(f"{path} is set aside in {place}")
        print("the same command of Snakemake makes again what was set aside or is missing")
    elif damaged:
        number = "1 fault" if len(damaged) == 1 else f"{len(damaged)} faults"
        raise UserError(f"{number}; --repair sets aside what is damaged")
    if strange:
        raise UserError(verifying.advice(len(strange), params))
    if not damaged:
        print(f"every file in {', '.join(map(str, there))} is as its record says")


@app.command()
def keep(params: Parameters) -> None:
    """Link everything that is costly to make into .store, where DVC does not delete it; show what
    the parameters ask for, and nothing else; write that to results/grid.json."""
    for folder in KEPT:
        store.keep_new(folder)
    visible.show_only(_grid(params))


@app.command()
def estimate(files: Overlays) -> None:
    """Print how many cells, core hours and gigabytes a grid needs, before anything is made."""
    from qmoe.estimate import report

    print(report(Grid(read(*files)), Grid(read(files[0]))))


@app.command()
def schema() -> None:
    """Print the configuration table of the documentation."""
    print(schema_table())


@app.command()
def describe(
    file: Annotated[Path, typer.Argument(help="the file to write")],
    params: Parameters,
    key: Key = "",
) -> None:
    """Write what only the method can tell of the run, for the judge: run.json."""
    from qmoe.describe import describe as facts_of

    grid = _grid(params)
    write_json(file, facts_of(grid))
    tables = [source.table for source in grid.sources.values()]
    seal(file.with_suffix(f".{RECORD}"), key, [file], tables)


_OF_THE_JUDGE: list[Callable[..., None]] = [judge.tables, judge.measured_tables, judge.compare]
_OF_THE_JUDGE += [judge.significance, judge.figures, judge.latex, judge.explain, judge.page]
for command in _OF_THE_JUDGE:
    app.command()(alias(command))
app.command("claims")(alias(judge.verdicts))
app.command("paper")(alias(judge.notebook))


def main() -> None:
    """Run the command line; a mistake of the user is one line on stderr and exit code 1."""
    try:
        require_home("qmoe", qmoe.__file__, Path())
        app()
    except (UserError, InputError, Damaged, ForeignPackage) as error:
        print(f"qmoe: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
