"""One subcommand a rule. Each can be run by hand, from the project's folder."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from qmoe.config import PARAMS, merge, read, read_yaml, schema_table
from qmoe.errors import UserError
from qmoe.grid import AUDIO, CELLS, EMBEDDINGS, Grid, Source

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)

Overrides = Annotated[
    str, typer.Option("--set", help="JSON put over params.yaml, as Snakemake's --config is")
]
Name = Annotated[str, typer.Argument(help="a dataset of params.yaml")]


def _json(overrides: str) -> dict[str, Any]:
    try:
        over: dict[str, Any] = json.loads(overrides)
    except json.JSONDecodeError as error:
        raise UserError(f"--set is not JSON: {error}") from None
    return over


def _grid(overrides: str) -> Grid:
    return Grid(read(_json(overrides)))


def _source(grid: Grid, dataset: str) -> Source:
    if dataset not in grid.sources:
        known = ", ".join(grid.sources)
        raise UserError(f"dataset {dataset!r} is not in grid.datasets; these are: {known}")
    return grid.sources[dataset]


def _same(made: object, asked: object) -> None:
    if str(made) != str(asked):
        raise UserError(
            f"{PARAMS} or the data now ask for {made}, not {asked}: they changed while the "
            "workflow ran; start it again"
        )


@app.command()
def render(dataset: Name, folder: Path, overrides: Overrides = "{}") -> None:
    """Render the clips of a synthetic dataset."""
    from qmoe.data import synth

    grid = _grid(overrides)
    params = grid.params
    _same(_source(grid, dataset).audio, folder)
    recipe = params.datasets[dataset].model_dump(exclude={"kind", "folds"})
    synth.render(
        folder,
        **recipe,
        duration_s=params.embedding.duration_s,
        sample_rate_hz=params.embedding.sample_rate_hz,
    )


@app.command()
def download(archive: Path, overrides: Overrides = "{}") -> None:
    """Download the archive of a public dataset; goes on where an earlier try was cut."""
    from qmoe.data import acquire

    sources = _grid(overrides).sources.values()
    remotes = next((s.remotes for s in sources if s.archive == archive and s.remotes), None)
    _same(archive if remotes else "no such archive", archive)
    acquire.download(archive, remotes or ())


@app.command()
def unpack(folder: Path, overrides: Overrides = "{}") -> None:
    """Unpack the archive of a public dataset."""
    from qmoe.data.unpack import unpack as extract

    sources = _grid(overrides).sources.values()
    archive = next((s.archive for s in sources if s.audio == folder), None)
    _same(folder if archive else "no such folder", folder)
    if archive:
        extract(archive, folder)


@app.command()
def embed(
    dataset: Name,
    table: Path,
    workers: Annotated[int, typer.Option(help="processes; the bytes do not depend on it")] = 1,
    overrides: Overrides = "{}",
) -> None:
    """Turn audio, or the authors' CSV, into a table of embeddings."""
    from qmoe.data import source

    grid = _grid(overrides)
    _same(_source(grid, dataset).table, table)
    workers = min(workers, os.cpu_count() or 1)
    source.write_table(grid.params, dataset, grid.sources[dataset], workers)


@app.command()
def plan(
    key: Annotated[str, typer.Option(help="of the grid, as Snakemake expanded it")] = "",
    overrides: Overrides = "{}",
) -> None:
    """Write the specification of every experiment of the grid that has none yet."""
    from qmoe.keys import write_atomically

    grid = _grid(overrides)
    _same(grid.key, key or grid.key)
    for experiment in grid.experiments:
        if not experiment.spec_file.exists():
            write_atomically(experiment.spec_file, experiment.spec_text)
    print(f"{len(grid.experiments)} experiments, {len(grid.cells)} cells")


@app.command()
def train(
    specs: Annotated[list[Path], typer.Argument(help="spec.json of experiments")],
    folds: Annotated[str, typer.Option(help="numbers of the folds, from 0: 0,1,2")],
) -> None:
    """Train cells: the folds of experiments that are not there yet."""
    import torch

    from qmoe import cells

    torch.set_num_threads(1)  # one thread a cell: as many jobs as cores, and the same bytes
    for spec in specs:
        trained = 0
        for cell in cells.train(spec, [int(fold) for fold in folds.split(",")]):
            print(cell, flush=True)
            trained += 1
        if not trained:
            print(f"{spec.parent}: every fold is there already")


@app.command()
def collect(
    table: Annotated[Path, typer.Argument(help="the tidy table to write")],
    key: Annotated[str, typer.Option(help="of the grid, as Snakemake expanded it")] = "",
    overrides: Overrides = "{}",
) -> None:
    """Gather all cells of the grid into one tidy table, and write the summaries."""
    from qmoe.analysis import collect as gather
    from qmoe.keys import write_atomically

    grid = _grid(overrides)
    _same(grid.key, key or grid.key)
    cells = gather.collect(grid)
    gather.write_summaries(grid, cells)
    write_atomically(table, cells.to_csv(index=False))


@app.command()
def tables(
    cells: Annotated[Path, typer.Argument(help="the tidy table")],
    folder: Path,
    key: Annotated[str, typer.Option(help="of the grid that the tidy table holds")] = "",
) -> None:
    """Write the paper's tables as CSV, Markdown and LaTeX, and their numbers for `dvc metrics`."""
    import pandas as pd

    from qmoe.analysis import provenance
    from qmoe.analysis import tables as make
    from qmoe.keys import write_atomically

    frame = pd.read_csv(cells)
    captions = make.captions(frame)
    made = {"table1": make.table1(frame), "table3": make.table3(frame)}
    for name, table in made.items():
        make.write(table, folder / name, captions[name])
    metrics = json.dumps(make.metrics(made["table1"]), indent=1)
    write_atomically(folder / "metrics.json", metrics + "\n")
    provenance.write(folder, key)


@app.command()
def prune(
    roots: Annotated[list[str], typer.Argument(help="audio, embeddings or cells")],
    overrides: Overrides = "{}",
) -> None:
    """Set aside what params.yaml no longer asks for, in results/attic."""
    from qmoe import attic

    folders = {"audio": AUDIO, "embeddings": EMBEDDINGS, "cells": CELLS}
    grid = _grid(overrides)
    for root in roots:
        for path in attic.prune(grid, folders[root]):
            print(f"set aside: {path}")


@app.command()
def estimate(
    overlays: Annotated[
        list[Path] | None, typer.Argument(help="files put over params.yaml: configs/paper.yaml")
    ] = None,
    overrides: Overrides = "{}",
) -> None:
    """Print how many cells, core hours and gigabytes a grid needs, before anything is made."""
    import pandas as pd

    from qmoe.estimate import estimate as reckon

    over = _json(overrides)
    for path in reversed(overlays or []):
        over = merge(read_yaml(path), over)
    table, basis = reckon(grid := Grid(read(over)), [grid, Grid(read())])
    total = table.sum(numeric_only=True).to_frame().T.assign(dataset="total")
    rows = pd.concat([table, total]).astype({"clips": int, "cells": int})
    print(rows.to_markdown(index=False, floatfmt=".2f", intfmt="d"))
    core_h = total["train_core_h"].item() + total["embed_core_h"].item()
    gb = total.filter(like="_gb").sum(axis=1).item()
    print(f"{int(total['cells'].item())} cells, {core_h:.1f} core hours, {gb:.1f} GB; {basis}")


@app.command()
def schema() -> None:
    """Print the configuration table of the README."""
    print(schema_table())


def main() -> None:
    """Run the command line; a mistake of the user is one line on stderr and exit code 1."""
    try:
        app()
    except UserError as error:
        print(f"qmoe: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
