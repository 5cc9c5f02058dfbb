"""The work of single jobs: train, pack, check or measure what the command line names.

Each job computes on one thread, so that as many jobs as cores can run, with the same bytes. What
is slow to import, torch above all, is imported by the job that needs it.
"""

from collections.abc import Iterable
from pathlib import Path

from qmoe.errors import UserError
from qmoe.grid import Grid
from qmoe.keys import require_same, write_atomically, write_json
from qmoe.paths import CELLS, CHECK


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)


def train(specs: Iterable[Path], folds: str) -> None:
    """Train the cells that are missing, and print their folders.

    Args:
        specs: files `spec.json` of experiments.
        folds: numbers of the folds, from 0, separated by commas.

    Raises:
        UserError: a specification or its embeddings are missing, or a fold does not exist.
    """
    from qmoe import cells

    _one_thread()
    for spec in specs:
        trained = 0
        for cell in cells.train(spec, [int(fold) for fold in folds.split(",")]):
            print(cell, flush=True)
            trained += 1
        if not trained:
            print(f"{spec.parent}: every fold is there already")


def pack(cells: Iterable[Path], root: Path) -> None:
    """Pack trained cells to folders below `root` that are named like theirs, and print them.

    Raises:
        UserError: a cell is missing.
    """
    from qmoe.deploy.export import export

    _one_thread()
    for cell in cells:
        inside = cell.is_relative_to(CELLS)
        folder = root / (cell.relative_to(CELLS) if inside else Path(*cell.parts[-2:]))
        export(cell, folder)
        print(folder, flush=True)


def check(packed: Iterable[Path]) -> None:
    """Compare packed models with the trained ones on their test folds; write `check.json`.

    Raises:
        UserError: a packed model is missing, or disagrees by more than the documented bounds.
    """
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


def measure(what: str, grid: Grid, table: Path) -> None:
    """Measure the packed models of the grid, alone on the machine, pinned to one thread.

    Args:
        what: a module of `qmoe.measure`: latency, energy or memory.
        grid: what is measured.
        table: CSV file to write; a JSON file beside it describes the machine.

    Raises:
        UserError: the measurements of the grid do not belong into the folder of `table`.
    """
    from importlib import import_module

    from qmoe.measure import hardware
    from qmoe.measure.subjects import pin_to_one_thread

    require_same(grid.measurements, table.parent)
    machine = hardware.describe()
    busy_percent = machine["busy_percent_before"]
    if busy_percent > hardware.BUSY_PERCENT:
        print(f"other work keeps the machine {busy_percent:.0f} % busy: do not trust these numbers")
    machine["pinned_to_processor"] = pin_to_one_thread()
    rows = import_module(f"qmoe.measure.{what}").measure(grid)
    write_json(table.with_suffix(".json"), machine)
    write_atomically(table, rows.to_csv(index=False))
