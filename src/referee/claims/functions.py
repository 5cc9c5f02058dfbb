"""Functions that a claim names: referee's own, or those of the paper's checks.py."""

from collections.abc import Callable, Mapping
from functools import partial
from inspect import signature
from typing import Any

from referee.errors import InputError
from referee.paper import Paper
from referee.paper.claims import Claim, FunctionCall
from referee.words import listed


def named(
    call: FunctionCall, known: Mapping[str, Callable[..., Any]], claim: Claim, paper: Paper
) -> Callable[..., Any]:
    """Return the function that a claim names, with its arguments bound.

    Args:
        call: the name with its arguments; two positional arguments are left to the caller.
        known: referee's functions by their names.
        claim: that names it.
        paper: whose checks.py may have further functions.

    Raises:
        InputError: there is no such function, or it does not take these arguments.

    """
    ((name, arguments),) = call.items()
    function = known.get(name) or getattr(paper.checks, name, None)
    if function is None:
        raise InputError(
            f"claim {claim.id!r} names the function {name!r}, which neither referee nor the "
            f"paper's checks.py has; those of referee are {listed(known)}"
        )
    try:
        signature(function).bind(claim, paper, **arguments)
    except TypeError as error:
        raise InputError(f"claim {claim.id!r}: {name}: {error}") from None
    return partial(function, **arguments)
