"""One subcommand a rule. Each can be run by hand, from the project's folder."""

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from qmoe.config import PARAMS, merge, read, read_yaml, schema_table
from qmoe.errors import UserError
from qmoe.grid import AUDIO, CELLS, CHECK, EMBEDDINGS, MEASUREMENTS, PACKED, Grid, Source
from referee import cli as judge
from referee.errors import InputError

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)

Overrides = Annotated[
    str, typer.Option("--set", help="JSON put over params.yaml, as Snakemake's --config is")
]
Overlays = Annotated[
    list[Path] | None, typer.Argument(help="files put over params.yaml: configs/paper.yaml")
]
Name = Annotated[str, typer.Argument(help="a dataset of params.yaml")]


class Measured(StrEnum):
    """What `qmoe measure` can measure: modules of `qmoe.measure`."""

    LATENCY = "latency"
    ENERGY = "energy"
    MEMORY = "memory"


def _json(overrides: str) -> dict[str, Any]:
    try:
        over: dict[str, Any] = json.loads(overrides)
    except json.JSONDecodeError as error:
        raise UserError(f"--set is not JSON: {error}") from None
    return over


def _over(overlays: list[Path] | None, overrides: str) -> dict[str, Any]:
    """What is put over params.yaml: files, the last one on top, and then JSON."""
    over = _json(overrides)
    for path in reversed(overlays or []):
        over = merge(read_yaml(path), over)
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
def export(
    cells: Annotated[list[Path], typer.Argument(help="folders of trained cells")],
    root: Annotated[Path, typer.Option(help="packed models lie below it as the cells do")],
) -> None:
    """Pack trained cells: the files of a model that runs without torch."""
    import torch

    from qmoe.deploy.export import export as pack

    torch.set_num_threads(1)
    for cell in cells:
        inside = cell.is_relative_to(CELLS)
        folder = root / (cell.relative_to(CELLS) if inside else Path(*cell.parts[-2:]))
        pack(cell, folder)
        print(folder, flush=True)


@app.command()
def check(packed: Annotated[list[Path], typer.Argument(help="folders of packed models")]) -> None:
    """Prove that packed models agree with the trained ones on their whole test fold."""
    import torch

    from qmoe.deploy.check import LARGEST_LOGIT_DIFFERENCE, LEAST_ARGMAX_AGREEMENT
    from qmoe.deploy.check import check as compare
    from qmoe.keys import write_atomically

    torch.set_num_threads(1)
    for folder in packed:
        found = compare(folder)
        if not found.holds:
            raise UserError(
                f"{folder} disagrees with the trained model: classes agree on "
                f"{found.bounded_argmax_agreement:.4f} of {found.n_bounded} clips and routes on "
                f"{found.expert_agreement:.4f} of {found.n} (at least {LEAST_ARGMAX_AGREEMENT}), "
                f"logits differ by up to {found.bounded_logit_difference:.3g} (at most "
                f"{LARGEST_LOGIT_DIFFERENCE}); "
                "compare the processor and the versions with those in its manifest.json"
            )
        write_atomically(folder / CHECK, json.dumps(found.as_dict(), indent=1) + "\n")
        print(folder, found.argmax_agreement, found.max_logit_difference, flush=True)


@app.command()
def predict(
    packed: Annotated[Path, typer.Argument(help="folder of a packed model")],
    inputs: Annotated[list[Path], typer.Argument(help="a CSV of embeddings, or audio files")],
) -> None:
    """Classify with a packed model; prints CSV: clip, class, probability, expert, uncertainty."""
    from qmoe.deploy.predict import predict as classify

    classify(packed, inputs).to_csv(sys.stdout, index=False)


@app.command()
def measure(
    what: Annotated[Measured, typer.Argument()],
    table: Annotated[Path, typer.Argument(help="CSV to write; the machine goes into .json beside")],
    overrides: Overrides = "{}",
) -> None:
    """Measure the packed models of the grid. Nothing else should run on the machine meanwhile."""
    from importlib import import_module

    from qmoe.keys import write_atomically
    from qmoe.measure import hardware
    from qmoe.measure.subjects import pin_to_one_thread

    grid = _grid(overrides)
    _same(grid.measurements, table.parent)
    machine = hardware.describe()
    if machine["busy_percent_before"] > hardware.BUSY_PERCENT:
        busy = machine["busy_percent_before"]
        print(f"the machine is {busy:.0f} % busy with other work: do not trust these numbers")
    machine["pinned_to_processor"] = pin_to_one_thread()
    rows = import_module(f"qmoe.measure.{what.value}").measure(grid)
    write_atomically(table.with_suffix(".json"), json.dumps(machine, indent=1) + "\n")
    write_atomically(table, rows.to_csv(index=False))


@app.command()
def collect_packed(
    table: Annotated[Path, typer.Argument(help="the tidy table to write")],
    overrides: Overrides = "{}",
) -> None:
    """Gather bytes and agreement of all packed models into one tidy table."""
    from qmoe import collect as gather
    from qmoe.keys import write_atomically

    write_atomically(table, gather.collect_packed(_grid(overrides)).to_csv(index=False))


@app.command()
def collect(
    table: Annotated[Path, typer.Argument(help="the tidy table to write")],
    key: Annotated[str, typer.Option(help="of the grid, as Snakemake expanded it")] = "",
    overrides: Overrides = "{}",
) -> None:
    """Gather all cells of the grid into one tidy table, and write the summaries."""
    from qmoe import collect as gather
    from qmoe.keys import write_atomically

    grid = _grid(overrides)
    _same(grid.key, key or grid.key)
    cells = gather.collect(grid)
    gather.write_summaries(grid, cells)
    write_atomically(table, cells.to_csv(index=False))


@app.command()
def audit(
    what: Annotated[
        Path, typer.Argument(help="folder of results, or one table of embeddings (.parquet, .csv)")
    ] = Path("results"),
    key: Annotated[str, typer.Option(help="of the grid, as Snakemake expanded it")] = "",
    overrides: Overrides = "{}",
) -> None:
    """Check data, protocol and results: writes audit.json and audit.md into the folder."""
    import pandas as pd

    from qmoe.keys import write_atomically
    from referee.audit import report as checks

    if not what.is_dir():
        print(checks.to_markdown(checks.audit_file(what)))
        return
    grid = _grid(overrides)
    _same(grid.key, key or grid.key)
    if not (what / "cells.csv").exists():
        raise UserError(f"{what / 'cells.csv'} is not here: `snakemake -j8 tables` makes it")
    found = checks.audit(grid, pd.read_csv(what / "cells.csv"))
    write_atomically(what / "audit.json", checks.to_json(found))
    write_atomically(what / "audit.md", checks.to_markdown(found))
    print(checks.to_markdown(found).splitlines()[2])


@app.command()
def prune(
    roots: Annotated[list[str], typer.Argument(help="audio, embeddings, cells, packed...")],
    overrides: Overrides = "{}",
) -> None:
    """Set aside what params.yaml no longer asks for, in results/attic."""
    from qmoe import attic

    folders = {
        "audio": AUDIO,
        "embeddings": EMBEDDINGS,
        "cells": CELLS,
        "packed": PACKED,
        "measurements": MEASUREMENTS,
    }
    grid = _grid(overrides)
    for root in roots:
        for path in attic.prune(grid, folders[root]):
            print(f"set aside: {path}")


@app.command()
def progress(overlays: Overlays = None, overrides: Overrides = "{}") -> None:
    """Show what is done, what remains and for how long, of a run in another terminal."""
    from qmoe.progress import parts, watch

    watch(parts(Grid(read(_over(overlays, overrides)))))


@app.command()
def estimate(overlays: Overlays = None, overrides: Overrides = "{}") -> None:
    """Print how many cells, core hours and gigabytes a grid needs, before anything is made."""
    import pandas as pd

    from qmoe.estimate import estimate as reckon

    grid = Grid(read(_over(overlays, overrides)))
    table, basis = reckon(grid, [grid, Grid(read())])
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


@app.command()
def describe(file: Path = Path("results/run.json"), overrides: Overrides = "{}") -> None:
    """Write what only the method can tell of the run, for whoever judges it."""
    from qmoe.describe import describe as tell
    from qmoe.keys import write_atomically

    write_atomically(file, json.dumps(tell(_grid(overrides)), indent=1) + "\n")


# The judge's commands under their old names.
for name, command in {
    "tables": judge.tables,
    "measured-tables": judge.measured_tables,
    "compare": judge.compare,
    "significance": judge.significance,
    "claims": judge.verdicts,
    "figures": judge.figures,
    "latex": judge.latex,
    "explain": judge.explain,
    "page": judge.page,
    "paper": judge.notebook,
}.items():
    app.command(name)(command)


def main() -> None:
    """Run the command line; a mistake of the user is one line on stderr and exit code 1."""
    try:
        app()
    except (UserError, InputError) as error:
        print(f"qmoe: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
