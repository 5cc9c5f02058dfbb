"""How the names of a paper look in figures, as its `figures.yaml` says. Imports no matplotlib."""

from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import AfterValidator, Field

from referee.paper.claims import Part

# Okabe and Ito (2008), and two greys: told apart with any colour vision.
PALETTE = {
    "black": "#000000",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "green": "#009E73",
    "yellow": "#F0E442",
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "purple": "#CC79A7",
    "grey": "#7F7F7F",
    "pale": "#D9D9D9",
}
# Of names that a paper does not list: four lists of different lengths, so that they repeat late.
_COLORS = ("blue", "orange", "green", "vermilion", "sky", "purple", "yellow")
_HATCHES = ("", "////", "....", "xxxx", "\\\\\\\\", "++", "oo", "||")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_LINES = ("-", "--", "-.", ":")


def _known(color: str) -> str:
    if color not in PALETTE:
        raise ValueError(f"{color!r} is not one of the colours {', '.join(PALETTE)}")
    return color


class Look(Part):
    """How an expert, a protocol or a strategy is drawn.

    Attributes:
        color: a name in `PALETTE`.
        hatch: of bars, as in matplotlib; it tells them apart in grey print.
        marker: of points, as in matplotlib.
        line: of lines, as in matplotlib.
        hollow: whether markers are white inside.

    """

    color: Annotated[str, AfterValidator(_known)]
    hatch: str = ""
    marker: str = "o"
    line: str = "-"
    hollow: bool = False

    @property
    def ink(self) -> str:
        """The colour as #RRGGBB."""
        return PALETTE[self.color]

    @property
    def face(self) -> str:
        """The colour inside markers."""
        return "white" if self.hollow else self.ink


class Figures(Part):
    """What the figures of a paper need to know beside its claims and names.

    Attributes:
        score: the score in titles; without it `Score.words`.
        folds: over how many folds the paper compares arms.
        variances: the significance file that holds `variance_reduction_percent`, without suffix.
        differences: the significance file that holds the effects `d_z`, without suffix.
        family: how the families in `differences` begin whose effects are shown.
        experts: looks of experts, by name.
        protocols: looks of protocols, by name.
        strategies: looks of strategies by name, in the order in which they are drawn.

    """

    score: str = ""
    folds: int = Field(default=5, ge=2)
    variances: str = ""
    differences: str = ""
    family: str = ""
    experts: dict[str, Look] = Field(default={})
    protocols: dict[str, Look] = Field(default={})
    strategies: dict[str, Look] = Field(default={})


def looks(listed: Mapping[str, Look], names: Iterable[str]) -> dict[str, Look]:
    """Find the look of each name; names that a paper does not list take the next of a palette.

    Args:
        listed: the looks that the paper gives.
        names: what is drawn; doubles are allowed.

    Returns:
        first the names that are listed, in the order of the list, then the others as they come.

    """
    shown = dict.fromkeys(names)
    others = [name for name in shown if name not in listed]
    return {name: look for name, look in listed.items() if name in shown} | {
        name: _default(i) for i, name in enumerate(others, len(listed))
    }


def _default(i: int) -> Look:
    color, hatch, marker, line = (
        values[i % len(values)] for values in (_COLORS, _HATCHES, _MARKERS, _LINES)
    )
    return Look(color=color, hatch=hatch, marker=marker, line=line)
