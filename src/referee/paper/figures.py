"""How the names of a paper look in figures, as its `figures.yaml` says."""

from typing import Any

from pydantic import Field

from referee.paper.claims import Part


class Look(Part):
    """How an expert, a protocol or a strategy is drawn, in matplotlib's terms."""

    color: str
    hatch: str = ""  # of bars: tells them apart in grey print
    marker: str = "o"
    line: str = "-"
    hollow: bool = False  # whether markers are white inside

    @property
    def paint(self) -> dict[str, Any]:
        """The colours of markers, for `Axes.plot` and `Line2D`."""
        return {"color": self.color, "markerfacecolor": "white" if self.hollow else self.color}


class Figures(Part):
    """What figures need to know of a paper beside its claims; names without a look are given one.

    Significance files are named without their suffix.
    """

    files: dict[str, str] = Field(default={})  # of figures, where they have other names
    score: str = ""  # in titles; without it `Score.words`
    folds: int = Field(default=5, ge=2)  # over which the paper compares arms
    variances: str = ""  # the significance file with `variance_reduction_percent`
    differences: str = ""  # the significance file with the effects `d_z`
    family: str = ""  # how the families of these effects begin that are shown
    experts: dict[str, Look] = Field(default={})
    protocols: dict[str, Look] = Field(default={})
    strategies: dict[str, Look] = Field(default={})  # in the order in which they are drawn
