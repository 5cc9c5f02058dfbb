"""The one exception that is meant for the user."""


class UserError(Exception):
    """A mistake the user can mend; the CLI prints its one-line message and exits 1."""
