"""How much of the work orders of a run is done, and how long the rest will take."""

import json
from dataclasses import dataclass
from pathlib import Path

ORDERS = Path(".store/orders")

# Of each kind of order: what it makes, and the file that appears last of each.
KINDS = {
    "train": ("cells", "scores.json"),
    "pack": ("packed models", "manifest.json"),
    "check": ("checks", "check.json"),
}


@dataclass
class Units:
    """The files that a job makes, how many of them are there, and the predicted time in seconds."""

    kind: str
    files: list[Path]
    cost_s: float
    made: int = 0
    running: bool = False


def read(name: str) -> Units:
    """Read an order. Packed models lie below `packed_root` as the cells do below results/cells."""
    order = json.loads((ORDERS / f"{name}.json").read_text())
    kind, last = order["kind"], KINDS[order["kind"]][1]
    roots = [Path(experiment["path"]) for experiment in order["experiments"]]
    if kind != "train":
        roots = [Path(order["packed_root"]) / root.relative_to("results/cells") for root in roots]
    files = [
        root / f"fold{fold}" / last
        for root, experiment in zip(roots, order["experiments"], strict=True)
        for fold in experiment["folds"]
    ]
    return Units(kind, files, order.get("cost_s") or len(files))


def names() -> set[str]:
    """The names of all orders that lie in this folder."""
    return {path.stem for path in ORDERS.glob("*.json")}


class Work:
    """The orders of one run, by name."""

    def __init__(self, orders: dict[str, Units]) -> None:
        self.orders = orders
        self.begun_s: float | None = None  # when the first order began

    def start(self, name: str | None, now_s: float) -> None:
        """Note that a job runs. Jobs without an order have no name here and do not count."""
        if order := self.orders.get(name or ""):
            order.running = True
            self.begun_s = self.begun_s or now_s

    def stop(self, name: str | None, finished: bool) -> None:
        """Note that a job ended."""
        if order := self.orders.get(name or ""):
            order.running = False
            order.made = len(order.files) if finished else order.made

    def look(self) -> None:
        """Count what the running orders have made."""
        for order in self.orders.values():
            if order.running:
                order.made = sum(file.exists() for file in order.files)

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return how many units of each kind are made, and of how many."""
        found = {}
        for kind in KINDS:
            orders = [order for order in self.orders.values() if order.kind == kind]
            if orders:
                found[kind] = sum(o.made for o in orders), sum(len(o.files) for o in orders)
        return found

    def remaining_s(self, now_s: float) -> float | None:
        """Return the seconds until all orders are done, at the pace of this run so far."""
        total = sum(order.cost_s for order in self.orders.values())
        done = sum(o.cost_s * o.made / max(1, len(o.files)) for o in self.orders.values())
        if self.begun_s is None or not done:
            return None
        return (now_s - self.begun_s) * (total - done) / done
