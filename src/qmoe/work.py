"""What a job does with its order: it trains, packs or checks the cells that are still missing. Each
is made in the store first, where no tool deletes it, and then linked to its place."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from qmoe import orders, store
from qmoe.errors import UserError
from qmoe.grid import packing_key, training_code
from qmoe.keys import key, write_json
from qmoe.paths import CELLS, CHECK, CHECK_RECORD, RECORD
from qmoe.spec import write as write_spec
from records import record
from records.files import sync


def carry_out(file: Path) -> Iterator[str]:
    """Carry out the order in a file; yield a line for each cell that was made. Raises UserError
    where another run of Snakemake has replaced the order meanwhile: what this job would tell
    Snakemake concerns a run that is over, and what it made stays."""
    yield from work(orders.read(file))
    if not file.exists():
        raise UserError(f"another run of Snakemake has replaced {file}; what was made stays")


def work(order: Mapping[str, Any]) -> Iterator[str]:
    """Carry out an order (see `qmoe.orders`); yield a line for each cell that was made."""
    make = {"train": _train, "pack": _pack, "check": _check}[order["kind"]]
    _require_code(order)
    for experiment in order["experiments"]:
        path, spec = Path(experiment["path"]), experiment["spec"]
        if key(spec) != path.name.rpartition("-")[2]:
            raise UserError(
                f"{path} is not named after the specification that it was ordered with: "
                "start Snakemake again, which writes new orders"
            )
        yield from make(path, spec, experiment["folds"], Path(order["packed_root"]))


def _require_code(order: Mapping[str, Any]) -> None:
    """Raise UserError where the code here is not that of the keys under which cells are kept. The
    code is imported before it is looked at, so that no later change of it goes unnoticed."""
    if order["kind"] == "train":
        import qmoe.cells

        made = training_code()
        specs = [experiment["spec"] for experiment in order["experiments"]]
        same = all(spec[name] == value for spec in specs for name, value in made.items())
    else:
        import qmoe.deploy.check
        import qmoe.deploy.export  # noqa: F401

        same = Path(order["packed_root"]).name == packing_key()
    if not same:
        raise UserError(
            "the code or a library was changed while the workflow ran: start Snakemake again, "
            "which finds out what has to be made with the code that is here now"
        )


def _train(path: Path, spec: dict[str, Any], folds: list[int], _: Path) -> Iterator[str]:
    from qmoe import cells  # torch is slow to import, and ONNX, below, is no faster

    if not record.is_whole(store.stored(path) / RECORD, key(spec)):
        write_spec(spec, store.stored(path))
    for cell, seconds in cells.train(spec, folds, store.stored(path)):
        store.restore(path)
        yield f"{path / cell.name} {seconds:.2f} s"


def _pack(path: Path, _: dict[str, Any], folds: list[int], root: Path) -> Iterator[str]:
    for fold in folds:
        cell, folder = path / f"fold{fold}", _packed(root, path, fold)
        if not _is_made(store.stored(folder) / RECORD, cell / RECORD):
            pack(cell, store.stored(folder))
            store.restore(folder)
            yield str(folder)


def pack(cell: Path, folder: Path) -> None:
    """Pack a cell into a folder, with a record that names what it was packed from. Raises UserError
    where there is no cell, Damaged where it is not as it was written."""
    from qmoe.deploy.export import export

    export(cell, folder)
    files = sorted(folder.iterdir())
    for file in files:
        sync(file)
    record.seal(folder / RECORD, record.read(cell / RECORD)[record.SELF], files)


def _check(path: Path, _: dict[str, Any], folds: list[int], root: Path) -> Iterator[str]:
    for fold in folds:
        folder = _packed(root, path, fold)
        kept = store.stored(folder)
        if not _is_made(kept / CHECK_RECORD, kept / RECORD):
            check(kept)
            store.restore(folder)
            yield str(folder)


def check(folder: Path) -> None:
    """Prove that a packed model agrees with its cell, and write down how. Raises UserError where it
    does not, Damaged where one of its files, or of the cell, is not as it was written."""
    from qmoe.deploy import check as checks

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
    record.seal(folder / CHECK_RECORD, record.read(folder / RECORD)[record.SELF], [folder / CHECK])


def _packed(root: Path, experiment: Path, fold: int) -> Path:
    return root / experiment.relative_to(CELLS) / f"fold{fold}"


def _is_made(made: Path, source: Path) -> bool:
    """Whether the files of a record are whole, and were made from those of another record."""
    return made.exists() and record.is_whole(made, record.read(source)[record.SELF])
