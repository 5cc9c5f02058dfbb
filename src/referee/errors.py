"""The one exception that is meant for the user, and mistakes in files in words."""

from pydantic import ValidationError


class InputError(Exception):
    """A file or an argument is not as it must be; the command line prints the message, exits 1."""


def first_mistake(error: ValidationError) -> str:
    """Say in one line where a file first departs from its schema, and how."""
    first = error.errors()[0]
    where, message = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
