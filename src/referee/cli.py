"""Judge the results of a paper's experiments; each command reads files and writes files."""

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

import referee
from records.files import write_files
from records.home import ForeignPackage, require_home
from records.record import Damaged, seal
from referee.errors import InputError
from referee.paper import read

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)

Cells = Annotated[Path, typer.Argument(help="the tidy table of scores")]
Results = Annotated[Path, typer.Argument(help="folder of a finished run")]
Folder = Annotated[Path, typer.Argument(help="folder to write to")]
PaperFolder = Annotated[Path | None, typer.Option(help="by default the only one below papers/")]
Packed = Annotated[Path | None, typer.Option(help="table of packed models; without it no sizes")]
Measurements = Annotated[Path | None, typer.Option(help="a folder; without it nothing measured")]
Key = Annotated[str, typer.Option(help="of what the files are made from; it is recorded")]


@app.command()
def tables(cells: Cells, folder: Folder, paper: PaperFolder = None, key: Key = "") -> None:
    """Write the tables of scores as CSV, Markdown and LaTeX, and numbers for `dvc metrics`."""
    _write_tables("scores", folder / "provenance.json", key, paper, cells)


@app.command()
def measured_tables(
    cells: Cells,
    packed: Annotated[Path, typer.Argument(help="the tidy table of packed models")],
    measurements: Annotated[Path, typer.Argument(help="folder of the measurements")],
    folder: Folder,
    paper: PaperFolder = None,
    key: Key = "",
) -> None:
    """Write the tables of what was measured as CSV, Markdown and LaTeX."""
    record = folder / "measured.provenance.json"
    _write_tables("measured", record, key, paper, cells, packed, measurements)


@app.command()
def significance(
    cells: Cells,
    folder: Folder,
    measurements: Measurements = None,
    paper: PaperFolder = None,
    key: Key = "",
) -> None:
    """Write the significance files: each test as published beside the corrected one."""
    _write_tables("tests", folder / "provenance.json", key, paper, cells, None, measurements)


def _write_tables(
    chosen: str, record: Path, key: str, paper: Path | None, cells: Path, *measured: Path | None
) -> None:
    """Write the `scores`, `measured` tables or `tests` of a paper, and a record of their origin."""
    from referee.tables import write
    from referee.tables.tidy import TableFiles

    inputs, folder = TableFiles(read(paper), cells, *measured), record.parent
    names = [name for name, t in inputs.paper.tables.items() if t.group == chosen]
    made = write.write_all(names, inputs, folder)
    files = write.files(made, inputs.paper, folder)
    if chosen == "scores":
        numbers = json.dumps(write.metrics(made, inputs), indent=1) + "\n"
        files += write_files({folder.parent / "metrics.json": numbers})
    _seal(record, key, files, [cells, *measured], inputs.measurements)


def _seal(
    record: Path,
    key: str,
    files: list[Path],
    inputs: Iterable[Path | None],
    measurements: Path | None = None,
) -> None:
    """Write the record of files, of what they were read from (files, or all files of a folder), and
    of the folder of measurements that `referee explain` looks into."""
    found = [path for path in inputs if path is not None]
    read_from = [file for p in found for file in ([p] if p.is_file() else sorted(p.glob("*.*")))]
    about = {"measurements": os.path.relpath(measurements, record.parent)} if measurements else {}
    seal(record, key, files, read_from, **about)


@app.command()
def compare(
    scores: Annotated[Path, typer.Argument(help="CSV: dataset, arm, seed, fold, score")],
    baseline: Annotated[str, typer.Option(help="the arm that the others are compared with")],
    margin: Annotated[float, typer.Option(help="of equivalence, in units of the score")] = 0.01,
    out: Annotated[Path | None, typer.Option(help=".csv or .md; without it CSV is printed")] = None,
) -> None:
    """Compare every arm of any tidy CSV with a baseline, on each dataset and over them."""
    import pandas as pd

    from referee.tables import comparison, people

    if out is not None and out.suffix not in (".csv", ".md"):
        raise InputError(f"{out}: name it .csv or .md")
    if not margin > 0:
        raise InputError(f"--margin is {margin}: it must be above 0")
    try:
        frame = pd.read_csv(scores)
    except (OSError, ValueError) as error:
        raise InputError(f"{scores} cannot be read as CSV: {error}") from None
    table = comparison.compare_all(frame, baseline, margin=margin)
    is_markdown = out is not None and out.suffix == ".md"
    text = people.comparisons_markdown(table) + "\n" if is_markdown else table.to_csv(index=False)
    if out:
        write_files({out: text})
    else:
        print(text, end="")


@app.command()
def audit(
    results: Annotated[Path, typer.Argument(help="folder, or a table of scores")] = Path("results"),
    paper: PaperFolder = None,
    key: Key = "",
) -> None:
    """Check data, protocol and results: audit.json and audit.md of a folder; prints a table's."""
    from referee.audit import findings as checks
    from referee.contract import read_run, read_scores

    about, is_folder, run = read(paper), results.is_dir(), results / "run.json"
    cells = read_scores(results / "cells.csv" if is_folder else results, about)
    made = checks.audit(cells, read_run(run) if run.exists() else None, about)
    if not is_folder:
        print(checks.to_markdown(made.findings))
    else:
        texts = {"json": checks.to_json(made.findings), "md": checks.to_markdown(made.findings)}
        files = write_files({results / f"audit.{suffix}": text for suffix, text in texts.items()})
        _seal(results / "audit.provenance.json", key, files, [results / "cells.csv", run])
        print(checks.summary(made.findings))
    for sentence in made.unchecked:
        print(sentence)


@app.command()
def contract() -> None:
    """Print the contract as Markdown: every file that referee reads, its columns and keys."""
    from referee.contract.columns import markdown

    print(markdown(), end="")


@app.command()
def verdicts(
    cells: Cells,
    folder: Folder,
    packed: Packed = None,
    measurements: Measurements = None,
    paper: PaperFolder = None,
    key: Key = "",
) -> None:
    """Judge every claim of the paper: claims.csv, .json and .md."""
    from referee.claims import ledger, output

    claims = read(paper)
    inputs = ledger.read_inputs(claims, cells, packed, measurements)
    entries = ledger.ledger(claims, inputs)
    files = output.write(entries, claims, inputs, folder)
    _seal(folder / "claims.provenance.json", key, files, [cells, packed, measurements])
    print(", ".join(f"{n} {verdict}" for verdict, n in output.counts(entries).items()))


@app.command()
def figures(
    cells: Cells,
    folder: Folder,
    packed: Packed = None,
    measurements: Measurements = None,
    significance: Annotated[Path | None, typer.Option(help="folder; without it no tests")] = None,
    claims: Annotated[Path | None, typer.Option(help="claims.csv; without it no verdicts")] = None,
    workers: Annotated[int, typer.Option(help="processes; the bytes do not depend on it")] = 1,
    paper: PaperFolder = None,
    key: Key = "",
) -> None:
    """Draw every figure as PNG and PDF, the files of each experiment, and figures.json."""
    from referee.figures import book
    from referee.figures.frames import RunFiles

    run = RunFiles(cells, packed, measurements, significance, claims, paper)
    files = book.make(folder, run, min(workers, os.cpu_count() or 1))
    read_from = [cells, packed, measurements, significance, claims]
    _seal(folder / "provenance.json", key, files, read_from, measurements)


@app.command()
def latex(
    tables: Annotated[list[Path], typer.Argument(help="the tables, .tex")],
    figures: Annotated[Path, typer.Option(help="figures.json")],
    out: Annotated[Path, typer.Option(help="the document; compile it in its folder")],
    key: Key = "",
) -> None:
    """Write a LaTeX document that shows the tables and figures with their captions."""
    from referee.tables import latex as make

    files = write_files({out: make.document(tables, figures, out.parent)})
    _seal(out.with_suffix(".provenance.json"), key, files, [*tables, figures])


@app.command()
def explain(
    what: Annotated[str, typer.Argument(help="table1, a table's CSV, or the folder of a cell")],
    row: Annotated[str, typer.Argument(help="its number from 1, or words of its arm")] = "",
    column: Annotated[str, typer.Argument(help="its heading in the CSV")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="for machines")] = False,
    paper: PaperFolder = None,
    training_source: Annotated[
        str | None, typer.Option(help="key of the training code here; without it that of the run")
    ] = None,
) -> None:
    """Say what a number came from: cells, parameters, data, code, and the commands to make it."""
    from referee.explain import explain as explaining

    about, folder = read(paper), Path(what)
    if folder.is_dir():
        origin = explaining.explain_cell(folder, about, training_source)
    else:
        origin = explaining.explain(what, row, column, about, training_source)
    print(json.dumps(asdict(origin), indent=1) if as_json else explaining.markdown(origin))


@app.command()
def page(results: Results = Path("results"), paper: PaperFolder = None, key: Key = "") -> None:
    """Write index.html, all of a run on one page that needs no network; pages/, each table."""
    from referee.report import results_page

    texts = results_page.render(results, read(paper))
    files = write_files({results / name: text for name, text in texts.items()})
    _seal(results / "index.provenance.json", key, files, results_page.inputs(results))


@app.command()
def notebook(
    notebook: Annotated[Path, typer.Argument(help="gets the folders as `results`, `paper_folder`")],
    results: Results = Path("results"),
    paper: PaperFolder = None,
    key: Key = "",
) -> None:
    """Run the notebook on a finished run: its .ipynb with outputs and .html into the folder."""
    import nbformat

    from referee.report import notebook as story
    from referee.report import results_page

    folders = {"results": str(results)} | ({"paper_folder": str(paper)} if paper else {})
    made = story.run(notebook, folders)
    texts = {".ipynb": nbformat.writes(made), ".html": story.to_html(made)}
    stem = results / notebook.name
    files = write_files({stem.with_suffix(suffix): text for suffix, text in texts.items()})
    read_from = [notebook, *results_page.inputs(results)]
    _seal(results / "notebook.provenance.json", key, files, read_from)


def main() -> None:
    """Run the command line; a mistake of the user is one line on stderr and exit code 1."""
    try:
        require_home("referee", referee.__file__, Path())
        app()
    except (InputError, Damaged, ForeignPackage) as error:
        print(f"referee: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
