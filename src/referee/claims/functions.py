"""Functions that a paper names: referee's own, or those of the paper's checks.py."""

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from typing import Any

from referee.errors import InputError
from referee.paper import Paper
from referee.paper.claims import FunctionCall
from referee.words import listed


def named(
    call: FunctionCall, known: Mapping[str, Callable[..., Any]], paper: Paper, whose: str
) -> Callable[..., Any]:
    """Return the function that a paper names, with its arguments bound.

    Args:
        call: the name and the arguments; two positional arguments are left to the caller.
        known: referee's functions by their names.
        paper: the paper, whose checks.py may have further ones.
        whose: who names it, for messages: `claim 'x'`.

    Raises:
        InputError: there is no such function, or it does not take these arguments.

    """
    function = known.get(call.name) or getattr(paper.checks, call.name, None)
    if function is None:
        raise InputError(
            f"{whose} names the function {call.name!r}, which neither referee nor the paper's "
            f"checks.py has; those of referee are {listed(known)}"
        )
    try:
        signature(function).bind(None, None, **call.arguments)
    except TypeError as error:
        raise InputError(f"{whose}: {call.name}: {error}") from None
    return partial(function, **call.arguments)
