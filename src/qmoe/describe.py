"""What only the method can tell of a run, as a file for whoever judges it: `run.json`."""

from typing import Any

from qmoe.grid import Grid, training_source


def describe(grid: Grid) -> dict[str, Any]:
    """The content of `run.json`, see `referee.contract.Run`."""
    return {
        "grid": grid.key,
        "params": grid.params.model_dump(mode="json", exclude_unset=True),
        "training_source": training_source(),
    }
