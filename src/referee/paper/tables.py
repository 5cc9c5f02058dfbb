"""The tables of a paper, as its `tables.yaml` describes them."""

from typing import Literal

from referee.paper.claims import Part


class TableLayout(Part):
    """One table: the folder of the results in which it lies, and its title."""

    folder: Literal["tables", "significance"]
    title: str
