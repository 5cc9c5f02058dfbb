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
from qmoe.grid import (
    AUDIO,
    CELLS,
    CHECK,
    EMBEDDINGS,
    MEASUREMENTS,
    PACKED,
    Grid,
    Source,
)

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
def check(
    packed: Annotated[list[Path], typer.Argument(help="folders of packed models")],
) -> None:
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
    from qmoe.analysis import collect as gather
    from qmoe.keys import write_atomically

    write_atomically(table, gather.collect_packed(_grid(overrides)).to_csv(index=False))


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
    """Write Table 1 as CSV, Markdown and LaTeX, and its numbers for `dvc metrics`."""
    import pandas as pd

    from qmoe.analysis import provenance
    from qmoe.analysis import tables as make
    from qmoe.keys import write_atomically

    frame = pd.read_csv(cells)
    table = make.table1(frame)
    caption = "Table 1. F1 across datasets." + make.scope(frame)
    files = make.write(table, folder / "table1", caption)
    metrics = folder.parent / "metrics.json"
    write_atomically(metrics, json.dumps(make.metrics(table), indent=1) + "\n")
    provenance.write(folder / "provenance.json", key, [*files, metrics])


@app.command()
def measured_tables(
    cells: Annotated[Path, typer.Argument(help="the tidy table")],
    packed: Annotated[Path, typer.Argument(help="the tidy table of packed models")],
    measurements: Annotated[Path, typer.Argument(help="folder of the measurements")],
    folder: Path,
    key: Annotated[str, typer.Option(help="of the grid that the tidy table holds")] = "",
) -> None:
    """Write Tables 2, 3, 4 and the carbon table as CSV, Markdown and LaTeX."""
    import pandas as pd

    from qmoe.analysis import measured as make
    from qmoe.analysis import provenance
    from qmoe.analysis.tables import marked, write

    latency, energy, memory = (
        marked(pd.read_csv(measurements / f"{what.value}.csv"))
        for what in (Measured.LATENCY, Measured.ENERGY, Measured.MEMORY)
    )
    scores, sizes = pd.read_csv(cells), marked(pd.read_csv(packed))
    captions = make.captions(scores, latency, energy, make.processors(measurements))
    scores = marked(scores)
    by_arm = make.per_arm(latency, energy, memory, sizes)
    made = {
        "table2": make.table2(scores, by_arm),
        "table3": make.table3(scores, by_arm),
        "table4": make.table4(scores, latency, by_arm),
        "carbon": make.carbon(energy),
    }
    files = [f for name in made for f in write(made[name], folder / name, captions[name])]
    provenance.write(folder / "measured.json", key, files, measurements)


@app.command()
def compare(
    scores: Annotated[Path, typer.Argument(help="CSV: dataset, arm, seed, fold, score")],
    baseline: Annotated[str, typer.Option(help="the arm that the others are compared with")],
    margin: Annotated[float, typer.Option(help="of equivalence, in units of the score")] = 0.01,
    out: Annotated[
        Path | None, typer.Option(help="file to write, .csv or .md; without it CSV is printed")
    ] = None,
) -> None:
    """Compare every arm of any tidy CSV with a baseline, on each dataset and over them."""
    import pandas as pd

    from qmoe.keys import write_atomically
    from qmoe.stats import compare as made

    if out is not None and out.suffix not in (".csv", ".md"):
        raise UserError(f"{out}: name it .csv or .md")
    if not margin > 0:
        raise UserError(f"--margin is {margin}: it must be above 0")
    try:
        frame = pd.read_csv(scores)
    except (OSError, ValueError) as error:
        raise UserError(f"{scores} cannot be read as CSV: {error}") from None
    table = made.compare(frame, baseline, margin=margin)
    csv = table.to_csv(index=False)
    if out is None:
        print(csv, end="")
    else:
        write_atomically(out, csv if out.suffix == ".csv" else made.markdown(table) + "\n")


@app.command()
def significance(
    cells: Annotated[Path, typer.Argument(help="the tidy table")],
    folder: Path,
    measurements: Annotated[
        Path | None, typer.Option(help="their folder; without it no tables of time and energy")
    ] = None,
    key: Annotated[str, typer.Option(help="of the grid that the tidy table holds")] = "",
) -> None:
    """Write the significance files: each test as published beside the corrected one."""
    import pandas as pd

    from qmoe.analysis import provenance
    from qmoe.analysis import significance as made

    def read(what: Measured) -> pd.DataFrame | None:
        return measurements and pd.read_csv(measurements / f"{what.value}.csv")

    tables = made.tables(pd.read_csv(cells), read(Measured.LATENCY), read(Measured.ENERGY))
    files = made.write(tables, folder)
    provenance.write(folder / "provenance.json", key, files, measurements)


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

    from qmoe.audit import report as checks
    from qmoe.keys import write_atomically

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
def claims(
    cells: Annotated[Path, typer.Argument(help="the tidy table")],
    folder: Path,
    packed: Annotated[
        Path | None, typer.Option(help="tidy table of packed models; without it no sizes")
    ] = None,
    measurements: Annotated[
        Path | None, typer.Option(help="their folder; without it nothing about hardware")
    ] = None,
    key: Annotated[str, typer.Option(help="of the grid that the tidy table holds")] = "",
) -> None:
    """Judge every claim of the paper: claims.csv, .json and .md."""
    from qmoe.analysis import provenance
    from qmoe.claims import ledger
    from qmoe.claims import page as ledger_page
    from qmoe.claims.paper import read as read_claims

    inputs = ledger.read_inputs(cells, packed, measurements)
    entries = ledger.ledger(read_claims(), inputs)
    files = ledger_page.write(entries, inputs, folder)
    provenance.write(folder / "claims.provenance.json", key, files)
    print(", ".join(f"{n} {verdict}" for verdict, n in ledger_page.counts(entries).items()))


@app.command()
def page(
    results: Annotated[Path, typer.Argument(help="folder of a finished run")] = Path("results"),
    key: Annotated[str, typer.Option(help="of the grid, as Snakemake expanded it")] = "",
    overrides: Overrides = "{}",
) -> None:
    """Write index.html, all of a run on one page that needs no network; pages/, each table."""
    from qmoe.analysis import provenance
    from qmoe.keys import write_atomically
    from qmoe.report import page as results_page

    grid = _grid(overrides)
    _same(grid.report_key, key or grid.report_key)
    params = grid.params.model_dump(mode="json", exclude_unset=True)
    texts = results_page.render(results, params, grid.key)
    for name, text in texts.items():
        write_atomically(results / name, text)
    files = [results / name for name in texts]
    provenance.write(results / "index.provenance.json", grid.report_key, files)


@app.command()
def paper(
    notebook: Annotated[Path, typer.Argument(help="to run; it gets the folder as `results`")],
    results: Annotated[Path, typer.Argument(help="folder of a finished run")] = Path("results"),
    key: Annotated[str, typer.Option(help="of the grid that the results are of")] = "",
) -> None:
    """Run the notebook on a finished run: its .ipynb with outputs and .html into the folder."""
    import nbformat

    from qmoe.analysis import provenance
    from qmoe.keys import write_atomically
    from qmoe.report import paper as story

    run = story.run(notebook, results)
    files = [results / notebook.with_suffix(suffix).name for suffix in (".ipynb", ".html")]
    for file, text in zip(files, (nbformat.writes(run), story.to_html(run)), strict=True):
        write_atomically(file, text)
    provenance.write(results / "notebook.provenance.json", key, files)


@app.command()
def figures(
    cells: Annotated[Path, typer.Argument(help="the tidy table")],
    folder: Path,
    packed: Annotated[
        Path | None, typer.Option(help="tidy table of packed models; without it no costs")
    ] = None,
    measurements: Annotated[
        Path | None, typer.Option(help="their folder; without it no costs")
    ] = None,
    significance: Annotated[
        Path | None, typer.Option(help="folder of its files; without it no comparisons")
    ] = None,
    claims: Annotated[Path | None, typer.Option(help="claims.csv; without it no verdicts")] = None,
    workers: Annotated[int, typer.Option(help="processes; the bytes do not depend on it")] = 1,
    key: Annotated[str, typer.Option(help="of the grid and of what draws it")] = "",
) -> None:
    """Draw every figure as PNG and PDF, the files of each experiment, and figures.json."""
    from qmoe.analysis import provenance
    from qmoe.figures import book

    files = book.make(
        folder,
        min(workers, os.cpu_count() or 1),
        cells=cells,
        packed=packed,
        measurements=measurements,
        significance=significance,
        claims=claims,
    )
    provenance.write(folder / "provenance.json", key, files, measurements)


@app.command()
def latex(
    tables: Annotated[list[Path], typer.Argument(help="the tables, .tex")],
    figures: Annotated[Path, typer.Option(help="figures.json")],
    out: Annotated[Path, typer.Option(help="the document; compile it in its folder")],
    key: Annotated[str, typer.Option(help="of the figures' grid")] = "",
) -> None:
    """Write a LaTeX document that shows the tables and figures with their captions."""
    from qmoe.analysis import latex as make
    from qmoe.analysis import provenance
    from qmoe.keys import write_atomically

    write_atomically(out, make.document(tables, figures, out.parent))
    provenance.write(out.with_suffix(".provenance.json"), key, [out])


@app.command()
def explain(
    what: Annotated[str, typer.Argument(help="table1, a table's CSV, or the folder of a cell")],
    row: Annotated[str, typer.Argument(help="its number from 1, or words of its arm")] = "",
    column: Annotated[str, typer.Argument(help="its heading in the CSV")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
) -> None:
    """Say what a number came from: cells, parameters, data, code, and the commands to make it."""
    from dataclasses import asdict

    from qmoe.analysis import explain as why

    cell = Path(what).is_dir()
    found = why.explain_cell(Path(what)) if cell else why.explain(what, row, column)
    print(json.dumps(asdict(found), indent=1) if as_json else why.explanation_markdown(found))


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


def main() -> None:
    """Run the command line; a mistake of the user is one line on stderr and exit code 1."""
    try:
        app()
    except UserError as error:
        print(f"qmoe: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
