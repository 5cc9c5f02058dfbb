"""Commands of the judge under the command line of the method, which knows two of their options."""

import functools
from collections.abc import Callable
from typing import Any

from qmoe.grid import training_source
from qmoe.judge import paper_folder


def alias(command: Callable[..., None]) -> Callable[..., None]:
    """Return a command of the judge that is told, where the user does not say otherwise, the folder
    of the paper that this project reproduces, and the key of its training code."""
    told: dict[str, Callable[[], object]] = {
        "paper": paper_folder,
        "training_source": training_source,
    }

    @functools.wraps(command)
    def run(**arguments: Any) -> None:
        for name in told.keys() & arguments.keys():
            arguments[name] = arguments[name] or told[name]()
        command(**arguments)

    return run
