"""Judge the results of a paper's experiments; each command reads files and writes files."""

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from referee.errors import InputError

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)

Cells = Annotated[Path, typer.Argument(help="the tidy table of scores")]
Results = Annotated[Path, typer.Argument(help="folder of a finished run")]
Folder = Annotated[Path, typer.Argument(help="folder to write to")]
PaperFolder = Annotated[
    Path | None,
    typer.Option("--paper", help="folder of the paper; without it the only one below papers/"),
]
Packed = Annotated[
    Path | None, typer.Option(help="tidy table of packed models; without it no sizes")
]
Measurements = Annotated[
    Path | None, typer.Option(help="folder of the measurements; without it nothing measured")
]
Key = Annotated[str, typer.Option(help="of what the files are made from; it is recorded")]
Workers = Annotated[int, typer.Option(help="processes; the bytes do not depend on it")]


@app.command()
def tables(cells: Cells, folder: Folder, paper: PaperFolder = None, key: Key = "") -> None:
    """Write the tables of scores as CSV, Markdown and LaTeX, and numbers for `dvc metrics`."""
    from referee import provenance
    from referee.files import write_whole
    from referee.paper import read
    from referee.tables import write as make
    from referee.tables.tidy import TableFiles

    about = read(paper)
    inputs = TableFiles(about, cells)
    names = [n for n, t in about.tables.items() if (t.folder, t.kind) == ("tables", "scores")]
    made = make.write_all(names, inputs, folder)
    metrics = folder.parent / "metrics.json"
    numbers = make.metrics(made, inputs)
    write_whole({metrics: json.dumps(numbers, indent=1) + "\n"})
    files = make.files(made, about, folder)
    provenance.write(folder / "provenance.json", key, [*files, metrics])


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
    from referee import provenance
    from referee.paper import read
    from referee.tables import write as make
    from referee.tables.tidy import TableFiles

    about = read(paper)
    inputs = TableFiles(about, cells, packed, measurements)
    names = [n for n, t in about.tables.items() if t.folder == "tables" and t.kind != "scores"]
    made = make.write_all(names, inputs, folder)
    files = make.files(made, about, folder)
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

    from referee.files import write_whole
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
    csv = table.to_csv(index=False)
    if out is None:
        print(csv, end="")
    else:
        write_whole(
            {out: csv if out.suffix == ".csv" else people.comparisons_markdown(table) + "\n"}
        )


@app.command()
def significance(
    cells: Cells,
    folder: Folder,
    measurements: Measurements = None,
    paper: PaperFolder = None,
    key: Key = "",
) -> None:
    """Write the significance files: each test as published beside the corrected one."""
    from referee import provenance
    from referee.paper import read
    from referee.tables import write as make
    from referee.tables.tidy import TableFiles

    about = read(paper)
    inputs = TableFiles(about, cells, None, measurements)
    names = [name for name, t in about.tables.items() if t.folder == "significance"]
    made = make.write_all(names, inputs, folder)
    files = make.files(made, about, folder)
    provenance.write(folder / "provenance.json", key, files, measurements)


@app.command()
def audit(
    results: Annotated[
        Path, typer.Argument(help="folder of a finished run, or anybody's tidy table of scores")
    ] = Path("results"),
    paper: PaperFolder = None,
) -> None:
    """Check data, protocol and results: audit.json and audit.md of a folder; prints a table's."""
    from referee.audit import findings as checks
    from referee.contract import read_run, read_scores
    from referee.files import write_whole
    from referee.paper import read

    about = read(paper)
    if not results.is_dir():
        made = checks.audit(read_scores(results, about), None, about)
        print(checks.to_markdown(made.findings))
    else:
        run = read_run(results / "run.json") if (results / "run.json").exists() else None
        made = checks.audit(read_scores(results / "cells.csv", about), run, about)
        texts = {"json": checks.to_json(made.findings), "md": checks.to_markdown(made.findings)}
        write_whole({results / f"audit.{suffix}": text for suffix, text in texts.items()})
        print(checks.summary(made.findings))
    for sentence in made.unchecked:
        print(sentence)


@app.command()
def contract() -> None:
    """Print the contract as Markdown: every file that referee reads, its columns and keys."""
    from referee.contract.markdown import markdown

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
    from referee import provenance
    from referee.claims import ledger, output
    from referee.paper import read

    claims = read(paper)
    inputs = ledger.read_inputs(claims, cells, packed, measurements)
    entries = ledger.ledger(claims, inputs)
    files = output.write(entries, claims, inputs, folder)
    provenance.write(folder / "claims.provenance.json", key, files)
    print(", ".join(f"{n} {verdict}" for verdict, n in output.counts(entries).items()))


@app.command()
def figures(
    cells: Cells,
    folder: Folder,
    packed: Packed = None,
    measurements: Measurements = None,
    significance: Annotated[
        Path | None, typer.Option(help="folder of its files; without it no comparisons")
    ] = None,
    claims: Annotated[Path | None, typer.Option(help="claims.csv; without it no verdicts")] = None,
    workers: Workers = 1,
    paper: PaperFolder = None,
    key: Key = "",
) -> None:
    """Draw every figure as PNG and PDF, the files of each experiment, and figures.json."""
    from referee import provenance
    from referee.figures import book
    from referee.figures.frames import Files

    run = Files(cells, packed, measurements, significance, claims, paper)
    files = book.make(folder, run, min(workers, os.cpu_count() or 1))
    provenance.write(folder / "provenance.json", key, files, measurements)


@app.command()
def latex(
    tables: Annotated[list[Path], typer.Argument(help="the tables, .tex")],
    figures: Annotated[Path, typer.Option(help="figures.json")],
    out: Annotated[Path, typer.Option(help="the document; compile it in its folder")],
    key: Key = "",
) -> None:
    """Write a LaTeX document that shows the tables and figures with their captions."""
    from referee import provenance
    from referee.files import write_whole
    from referee.tables import latex as make

    write_whole({out: make.document(tables, figures, out.parent)})
    provenance.write(out.with_suffix(".provenance.json"), key, [out])


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
    from referee.explain.explain import explain as explain_number
    from referee.explain.explain import explain_cell
    from referee.explain.printed import explanation_markdown
    from referee.paper import read

    about = read(paper)
    if Path(what).is_dir():
        found = explain_cell(Path(what), about, training_source=training_source)
    else:
        found = explain_number(what, row, column, about, training_source=training_source)
    print(json.dumps(asdict(found), indent=1) if as_json else explanation_markdown(found))


@app.command()
def page(results: Results = Path("results"), paper: PaperFolder = None, key: Key = "") -> None:
    """Write index.html, all of a run on one page that needs no network; pages/, each table."""
    from referee import provenance
    from referee.files import write_whole
    from referee.paper import read
    from referee.report import results_page

    texts = results_page.render(results, read(paper))
    files = write_whole({results / name: text for name, text in texts.items()})
    provenance.write(results / "index.provenance.json", key, files)


@app.command()
def notebook(
    notebook: Annotated[Path, typer.Argument(help="gets the folders as `results`, `paper_folder`")],
    results: Results = Path("results"),
    paper: PaperFolder = None,
    key: Key = "",
) -> None:
    """Run the notebook on a finished run: its .ipynb with outputs and .html into the folder."""
    import nbformat

    from referee import provenance
    from referee.files import write_whole
    from referee.report import notebook as story

    folders = {"results": results} | ({"paper_folder": paper} if paper else {})
    made = story.run(notebook, {name: str(folder) for name, folder in folders.items()})
    files = [results / notebook.with_suffix(suffix).name for suffix in (".ipynb", ".html")]
    texts = (nbformat.writes(made), story.to_html(made))
    write_whole(dict(zip(files, texts, strict=True)))
    provenance.write(results / "notebook.provenance.json", key, files)


def main() -> None:
    """Run the command line; a mistake of the user is one line on stderr and exit code 1."""
    try:
        app()
    except InputError as error:
        print(f"referee: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
