"""Work orders: lists of cells that one job each trains, packs or checks.

The main process of the workflow knows what is missing before the first job runs. It divides the
missing cells into orders of about equal cost and writes each into a file, so that a job reads what
it is to make and nothing else. A job that is started again makes what its order still lacks.
"""

import heapq
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from qmoe.errors import UserError
from qmoe.grid import Experiment
from qmoe.paths import ORDERS

KINDS = ("train", "pack", "check")
Runs = list[tuple[Experiment, int]]
# A job first imports torch, which takes two seconds, and on a cluster waits in a queue. Orders of
# this many seconds make that cheap, and are short enough to be finished at about the same time.
LOCAL_S, CLUSTER_S = 60.0, 120.0
# In a large grid each worker carries out this many orders in turn, which keeps all workers busy to
# the end and the number of jobs small; but no order is longer than an hour.
ROUNDS, LONGEST_S = 16, 3600.0


def divide(costs_s: Sequence[float], workers: int, *, cluster: bool) -> list[list[int]]:
    """Divide pieces of work into orders of about equal cost; return the indices of each order, in
    increasing order. `costs_s` are the predicted seconds of the pieces. On one machine every one of
    the `workers` gets an order as long as there are pieces."""
    if not costs_s:
        return []
    total_s = sum(costs_s)
    shortest_s = CLUSTER_S if cluster else LOCAL_S
    order_s = min(max(total_s / workers / ROUNDS, shortest_s), LONGEST_S)
    of_size = math.ceil(total_s / order_s)
    rounds = max(1, round(of_size / workers))
    number = min(len(costs_s), max(1, of_size) if cluster else workers * rounds)
    loads = [(0.0, order) for order in range(number)]
    orders: list[list[int]] = [[] for _ in loads]
    for piece in sorted(range(len(costs_s)), key=lambda piece: -costs_s[piece]):
        load, order = heapq.heappop(loads)  # the longest piece goes to the order with least work
        orders[order].append(piece)
        heapq.heappush(loads, (load + costs_s[piece], order))
    return [sorted(order) for order in orders]


@dataclass(frozen=True)
class Order:
    """What one job makes: cells of experiments, of which it trains, packs or checks each fold."""

    name: str
    kind: str
    runs: Runs
    cost_s: float
    packed_root: Path
    after: list[str]  # the files that say that the orders before it were carried out

    @property
    def done(self) -> str:
        """The file that says that the order was carried out."""
        return (ORDERS / f"{self.name}.done").as_posix()

    def text(self) -> str:
        """Return the content of the order's file."""
        experiments = [
            {"path": e.path.as_posix(), "folds": [fold for _, fold in runs], "spec": e.spec}
            for e, runs in groupby(self.runs, key=lambda run: run[0])
        ]
        return json.dumps(
            {
                "kind": self.kind,
                "cost_s": round(self.cost_s, 1),
                "packed_root": self.packed_root.as_posix(),
                "experiments": experiments,
            }
        )


def make(
    run: str,
    kind: str,
    runs: Runs,
    costs_s: Sequence[float],
    packed_root: Path,
    before: Iterable[Order] = (),
    *,
    workers: int,
    cluster: bool,
) -> list[Order]:
    """Return the orders of a kind for some cells; their names begin with the name of the `run`, so
    that no order of another run is ever taken for done. Cells that an order `before` makes stay
    together, so that few orders wait for each other."""
    maker = {e.cell_name(fold): order.done for order in before for e, fold in order.runs}
    pieces: dict[str, list[int]] = {}
    for index, (experiment, fold) in enumerate(runs):
        cell = experiment.cell_name(fold)
        pieces.setdefault(maker.get(cell, cell), []).append(index)
    names, members, done = list(pieces), list(pieces.values()), set(maker.values())
    pieces_s = [sum(costs_s[i] for i in piece) for piece in members]
    return [
        Order(
            f"{run}-{kind}-{number:04d}",
            kind,
            [runs[i] for piece in chosen for i in members[piece]],
            sum(pieces_s[piece] for piece in chosen),
            packed_root,
            [names[piece] for piece in chosen if names[piece] in done],
        )
        for number, chosen in enumerate(divide(pieces_s, workers, cluster=cluster))
    ]


def read(file: Path) -> Mapping[str, Any]:
    """Read an order. Raises UserError where it is not there or is none."""
    try:
        order: dict[str, Any] = json.loads(file.read_bytes())
        if order["kind"] not in KINDS:
            raise ValueError(order["kind"])
    except FileNotFoundError:
        raise UserError(f"{file} is not here: a run of Snakemake writes its own orders") from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is not an order ({error}): start Snakemake again") from None
    return order
