"""Run one step of the pipeline: each rule of the workflow has a command here.

Run the commands from the project's folder."""

import functools
import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from qmoe.attic import prune as set_aside
from qmoe.config import merge, read, read_yaml, schema_table
from qmoe.data.sources import write_table
from qmoe.errors import UserError
from qmoe.grid import Grid, training_source
from qmoe.judge import paper_folder
from qmoe.keys import require_same, write_atomically, write_json
from qmoe.paths import CELLS, CHECK
from referee import cli as judge
from referee.errors import InputError

app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)

Overrides = Annotated[str, typer.Option("--set", help="JSON that replaces values of params.yaml")]
Overlays = Annotated[
    list[Path] | None,
    typer.Argument(help="files whose values replace those of params.yaml: configs/paper.yaml"),
]
Key = Annotated[str, typer.Option(help="stop unless the grid has this key")]
Dataset = Annotated[str, typer.Argument(help="a dataset of params.yaml")]
Table = Annotated[Path, typer.Argument(help="the tidy table to write")]


def _grid(overrides: str, overlays: list[Path] | None = None, key: str = "") -> Grid:
    """The grid of params.yaml under files, the last one on top, and JSON; it must have the key."""
    try:
        over: dict[str, Any] = json.loads(overrides)
    except json.JSONDecodeError as error:
        raise UserError(f"--set is not JSON: {error}") from None
    for path in reversed(overlays or []):
        over = merge(read_yaml(path), over)
    grid = Grid(read(over))
    if key:
        require_same(grid.key, key)
    return grid


def _one_thread() -> None:
    """Compute on one thread, so that as many jobs as cores can run, with the same bytes."""
    import torch

    torch.set_num_threads(1)


@app.command()
def render(dataset: Dataset, folder: Path, overrides: Overrides = "{}") -> None:
    """Render the clips of a synthetic dataset."""
    from qmoe.data.synth import render as synthesise

    grid = _grid(overrides)
    require_same(grid.source(dataset).audio, folder)
    recipe = grid.params.datasets[dataset].model_dump(exclude={"kind", "folds"})
    sound = grid.params.embedding.model_dump(include={"duration_s", "sample_rate_hz"})
    synthesise(folder, **recipe, **sound)


@app.command()
def download(archive: Path, overrides: Overrides = "{}") -> None:
    """Download the archive of a public dataset, or the rest of it after an interruption."""
    from qmoe.data.acquire import download as fetch

    remotes = {s.archive: s.remotes for s in _grid(overrides).sources.values() if s.remotes}
    require_same(archive if archive in remotes else "no such archive", archive)
    fetch(archive, remotes[archive])


@app.command()
def unpack(folder: Path, overrides: Overrides = "{}") -> None:
    """Unpack the archive of a public dataset."""
    from qmoe.data.unpack import unpack as extract

    archives = {s.audio: s.archive for s in _grid(overrides).sources.values() if s.archive}
    require_same(folder if folder in archives else "no such folder", folder)
    extract(archives[folder], folder)


@app.command()
def embed(
    dataset: Dataset,
    table: Path,
    workers: Annotated[int, typer.Option(help="threads; the bytes do not depend on it")] = 1,
    overrides: Overrides = "{}",
) -> None:
    """Turn audio, or the CSV file of the paper's authors, into a table of embeddings."""
    grid = _grid(overrides)
    require_same(grid.source(dataset).table, table)
    write_table(grid.params, dataset, grid.source(dataset), workers)


@app.command()
def plan(key: Key = "", overrides: Overrides = "{}") -> None:
    """Write the specification of every experiment of the grid that has none yet."""
    _grid(overrides, key=key).write_specs()


@app.command()
def train(
    specs: Annotated[list[Path], typer.Argument(help="files spec.json of experiments")],
    folds: Annotated[str, typer.Option(help="numbers of the folds, from 0: 0,1,2")],
) -> None:
    """Train the cells of experiments that are not there yet."""
    from qmoe import cells

    _one_thread()
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
    root: Annotated[Path, typer.Option(help="folder for the packed models, named as the cells")],
) -> None:
    """Pack trained cells: write the files of models that run without torch."""
    from qmoe.deploy.export import export as pack

    _one_thread()
    for cell in cells:
        inside = cell.is_relative_to(CELLS)
        folder = root / (cell.relative_to(CELLS) if inside else Path(*cell.parts[-2:]))
        pack(cell, folder)
        print(folder, flush=True)


@app.command()
def check(packed: Annotated[list[Path], typer.Argument(help="folders of packed models")]) -> None:
    """Prove that packed models agree with the trained ones on their whole test fold."""
    from qmoe.deploy import check as checks

    _one_thread()
    for folder in packed:
        agreement = checks.check(folder)
        if not agreement.holds:
            raise UserError(
                f"{folder} disagrees with the trained model: classes agree on "
                f"{agreement.bounded_argmax_agreement:.4f} of {agreement.n_bounded} clips and "
                f"routes on {agreement.expert_agreement:.4f} of {agreement.n} (at least "
                f"{checks.LEAST_ARGMAX_AGREEMENT}), logits differ by up to "
                f"{agreement.bounded_logit_difference:.3g} (at most "
                f"{checks.LARGEST_LOGIT_DIFFERENCE}); compare the processor and the versions "
                "with those in its manifest.json"
            )
        write_json(folder / CHECK, agreement.as_dict())
        print(folder, agreement.argmax_agreement, agreement.max_logit_difference, flush=True)


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
    overrides: Overrides = "{}",
) -> None:
    """Measure the packed models of the grid. Nothing else should run on the machine meanwhile."""
    from qmoe.measure import hardware
    from qmoe.measure.subjects import pin_to_one_thread

    grid = _grid(overrides)
    require_same(grid.measurements, table.parent)
    machine = hardware.describe()
    busy_percent = machine["busy_percent_before"]
    if busy_percent > hardware.BUSY_PERCENT:
        print(f"other programs use {busy_percent:.0f} % of the machine: do not trust these numbers")
    machine["pinned_to_processor"] = pin_to_one_thread()
    rows = import_module(f"qmoe.measure.{what}").measure(grid)
    write_json(table.with_suffix(".json"), machine)
    write_atomically(table, rows.to_csv(index=False))


@app.command()
def collect_packed(table: Table, overrides: Overrides = "{}") -> None:
    """Gather the bytes and the agreement of all packed models in one tidy table."""
    from qmoe.collect import collect_packed as gather

    write_atomically(table, gather(_grid(overrides)).to_csv(index=False))


@app.command()
def collect(table: Table, key: Key = "", overrides: Overrides = "{}") -> None:
    """Gather all cells of the grid in one tidy table, and write the summaries."""
    from qmoe.collect import write

    write(_grid(overrides, key=key), table)


@app.command()
def audit(
    what: Annotated[
        Path, typer.Argument(help="folder of results, or one table of embeddings (.parquet, .csv)")
    ] = Path("results"),
    key: Key = "",
    overrides: Overrides = "{}",
) -> None:
    """Describe the run, and check data, protocol and results: writes run.json and audit.*."""
    from qmoe.describe import facts_of_file
    from referee import paper as papers
    from referee.audit.findings import audit_dataset, to_markdown
    from referee.contract.run import DatasetFacts

    paper = paper_folder()
    if not what.is_dir():
        facts = DatasetFacts.model_validate_json(json.dumps(facts_of_file(what)))
        known = papers.read(paper) if paper.exists() else None
        print(to_markdown(audit_dataset(what.stem, facts, known)))
        return
    describe(what / "run.json", key, overrides)
    judge.audit(what, paper)


@app.command()
def prune(
    roots: Annotated[list[str], typer.Argument(help="audio, embeddings, cells, packed...")],
    overrides: Overrides = "{}",
) -> None:
    """Set aside in results/attic what params.yaml no longer asks for."""
    for path in set_aside(_grid(overrides), roots):
        print(f"set aside: {path}")


@app.command()
def estimate(overlays: Overlays = None, overrides: Overrides = "{}") -> None:
    """Print how many cells, core hours and gigabytes a grid needs, before anything is made."""
    from qmoe.estimate import report

    print(report(_grid(overrides, overlays), _grid("{}")))


@app.command()
def schema() -> None:
    """Print the configuration table of the documentation."""
    print(schema_table())


@app.command()
def describe(
    file: Annotated[Path, typer.Argument(help="the file to write")] = Path("results/run.json"),
    key: Key = "",
    overrides: Overrides = "{}",
) -> None:
    """Write what only the method can tell of the run, for the judge: run.json."""
    from qmoe.describe import describe as facts_of

    write_json(file, facts_of(_grid(overrides, key=key)))


def _alias(command: Callable[..., None]) -> Callable[..., None]:
    """A command of the judge, told the paper of params.yaml and the key of the training code."""
    told: dict[str, Any] = {"paper": paper_folder, "training_source": training_source}

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        for name in told.keys() & arguments.keys():
            arguments[name] = arguments[name] or told[name]()
        command(**arguments)

    return run


_ALIASES: list[Callable[..., None]] = [judge.tables, judge.measured_tables, judge.compare]
_ALIASES += [judge.significance, judge.figures, judge.latex, judge.explain, judge.page]
for alias in _ALIASES:
    app.command()(_alias(alias))
app.command("claims")(_alias(judge.verdicts))
app.command("paper")(_alias(judge.notebook))


def main() -> None:
    """Run the command line; a mistake of the user is one line on stderr and exit code 1."""
    try:
        app()
    except (UserError, InputError) as error:
        print(f"qmoe: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
