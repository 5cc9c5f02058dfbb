"""The one exception that is meant for the user."""


class InputError(Exception):
    """A file or an argument is not as it must be; the command line prints the message, exits 1."""
