"""Orders: every missing cell is in exactly one, and they keep all workers busy to the end."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT, TINY, authors_csv
from hypothesis import given
from hypothesis import strategies as st

from qmoe import orders, spec
from qmoe.config import load, merge
from qmoe.grid import Grid
from qmoe.orders import Order, Runs, divide
from qmoe.paths import CELL_FILES, MANIFEST, RECORD
from qmoe.workflow import WorkflowRun
from records import record

PARAMS = merge(yaml.safe_load((ROOT / "params.yaml").read_text()), TINY)

COSTS_S = st.lists(st.floats(0, 20_000), max_size=300)
WORKERS = st.integers(1, 64)


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    """Two folds of three arms with four seeds: 24 cells."""
    monkeypatch.chdir(tmp_path)
    authors_csv(tmp_path / "data/raw/small.csv")
    return Grid(load(merge(PARAMS, {"grid": {"seeds": [0, 1, 2, 3]}})))


@given(COSTS_S, WORKERS, st.booleans())
def test_every_piece_is_in_one_order_and_the_loads_are_even(
    costs_s: list[float], workers: int, cluster: bool
) -> None:
    made = divide(costs_s, workers, cluster=cluster)
    assert sorted(piece for order in made for piece in order) == list(range(len(costs_s)))
    assert all(order == sorted(order) for order in made)
    assert made == divide(costs_s, workers, cluster=cluster)
    loads_s = [sum(costs_s[piece] for piece in order) for order in made]
    if made:
        assert max(loads_s) - min(loads_s) <= max(costs_s) * (1 + 1e-9) + 1e-6


@given(COSTS_S, WORKERS)
def test_no_worker_of_one_machine_is_idle(costs_s: list[float], workers: int) -> None:
    made = divide(costs_s, workers, cluster=False)
    assert len(made) == len(costs_s) or (len(made) >= workers and len(made) % workers == 0)
    if all(costs_s):
        assert all(made)


@pytest.mark.parametrize(
    ("cells", "seconds", "workers", "cluster", "number"),
    [
        (5, 1.0, 2, False, 2),
        (20, 1.0, 2, False, 2),
        (20, 600.0, 2, False, 20),  # a cell is longer than an order has to be
        (170, 1.9, 2, False, 6),  # of about a minute
        (100_000, 1.9, 2, False, 52),  # of an hour
        (100_000, 1.9, 16, False, 256),  # the sixteenth part of what a worker has to do
        (20, 1.0, 100, True, 1),  # two minutes are worth a place in the queue
        (100_000, 1.9, 100, True, 1584),
    ],
)
def test_orders_are_neither_short_nor_too_many(
    cells: int, seconds: float, workers: int, cluster: bool, number: int
) -> None:
    assert len(divide([seconds] * cells, workers, cluster=cluster)) == number


def made(grid: Grid, kind: str, runs: Runs, before: list[Order], cost_s: float) -> list[Order]:
    costs_s, root = [cost_s] * len(runs), grid.packed_root
    return orders.make("0", kind, runs, costs_s, root, before, workers=2, cluster=False)


def test_an_order_waits_for_those_that_make_its_cells(grid: Grid) -> None:
    train = made(grid, "train", grid.runs[:20], [], 12.0)
    pack = made(grid, "pack", grid.runs, train, 40.0)
    makers = {(e.path, fold): order.done for order in train for e, fold in order.runs}
    for order in pack:
        needed = {makers[e.path, fold] for e, fold in order.runs if (e.path, fold) in makers}
        assert set(order.after) == needed
    assert len(pack) > 2
    waits = Counter(done for order in pack for done in order.after)
    assert set(waits) == {order.done for order in train}
    assert set(waits.values()) == {1}  # what is trained together is packed together
    check = made(grid, "check", grid.runs, pack, 40.0)
    assert [order.after for order in check if len(order.after) != 1] == []


def finish(folder: Path, names: tuple[str, ...], key: str) -> str:
    """Write files with a record, and return the hash of that."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(name)
    record.seal(folder / RECORD, key, [folder / name for name in names])
    return str(record.read(folder / RECORD)[record.SELF])


def run_of(grid: Grid) -> dict[str, Any]:
    """The cells of the orders of a new run, by kind."""
    run = WorkflowRun(grid, lambda: (3, False))
    orders_of = {kind: run.orders(kind) for kind in orders.KINDS}
    cells = {k: [e.cell(f) for o in of for e, f in o.runs] for k, of in orders_of.items()}
    assert all(len(set(made)) == len(made) for made in cells.values())  # no cell in two orders
    return {kind: set(made) for kind, made in cells.items()}


def test_a_run_makes_what_is_missing_and_nothing_else(grid: Grid) -> None:
    every = set(grid.cells)
    assert run_of(grid) == dict.fromkeys(orders.KINDS, every)
    trained, packed, broken = grid.runs[:9], grid.runs[:4], grid.runs[2]
    for experiment, fold in trained:
        spec.write(experiment.spec, experiment.path)
        key = f"{experiment.key}/fold{fold}"
        content = finish(experiment.cell(fold), CELL_FILES, key)
        if (experiment, fold) in packed:
            finish(grid.packed(experiment, fold), (MANIFEST,), content)
    assert run_of(grid) == {
        "train": every - {e.cell(fold) for e, fold in trained},
        "pack": every - {e.cell(fold) for e, fold in packed},
        "check": every,
    }
    experiment, fold = broken
    (experiment.cell(fold) / CELL_FILES[1]).write_text("damaged")  # and, by a link, in the store
    again = run_of(grid)
    assert experiment.cell(fold) in again["train"] & again["pack"]
