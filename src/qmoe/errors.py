"""The exception that is meant for the user."""


class UserError(Exception):
    """A mistake that the user can correct; the command line prints the message and exits with 1."""
