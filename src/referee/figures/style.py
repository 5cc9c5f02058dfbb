"""How every picture looks, and how it is encoded: the same results give the same bytes."""

import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from PIL import Image

from referee.paper.figures import Look

# Okabe and Ito (2008): told apart with any colour vision. Hatches and markers do it in grey print.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, PALE = "#7F7F7F", "#D9D9D9"
# Of names to which the paper gives no look: the numbers of entries differ, to repeat late.
COLORS = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, YELLOW)
HATCHES, MARKERS = ("", "////", "....", "xxxx", "++", "oo", "||", "--"), "os^DvPX<>"
LINES = ("-", "--", "-.", ":")

WIDTH = 7.2  # inches: the two columns of a paper
TALLEST = 24  # inches: a picture that would be taller has thinner rows

# Sets the style of all figures, whatever matplotlibrc the user has.
context = partial(mpl.rc_context, fname=Path(__file__).with_name("referee.mplstyle"))


@dataclass
class Picture:
    """A drawn figure with its words, in one line each; `inputs` are the files behind it."""

    figure: Figure
    title: str
    caption: str
    alt: str
    inputs: list[str]

    def __post_init__(self) -> None:
        """Join the lines over which the words are spread in the code."""
        self.caption, self.alt = (" ".join(words.split()) for words in (self.caption, self.alt))


def looks(listed: Mapping[str, Look], names: Iterable[str]) -> dict[str, Look]:
    """The look of each name: those that are listed first, in that order, then the others."""
    shown = dict.fromkeys(names)
    others = [name for name in shown if name not in listed]
    cycles = zip(*map(cycle, (COLORS, HATCHES, MARKERS, LINES)), strict=True)
    given = zip(others, islice(cycles, len(listed), len(listed) + len(others)), strict=True)
    return {name: look for name, look in listed.items() if name in shown} | {
        name: Look(color=color, hatch=hatch, marker=marker, line=line)
        for name, (color, hatch, marker, line) in given
    }


def edge(width: float) -> dict[str, Any]:
    """A black edge around a marker, `width` points wide, for `Axes.plot` and `Line2D`."""
    return {"markeredgecolor": BLACK, "markeredgewidth": width}


def new(title: str, height: float, width: float = WIDTH) -> Figure:
    """Make an empty figure, `height` by `width` inches, with its title on the left."""
    figure = Figure(figsize=(width, min(height, TALLEST)))
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def small(title: str) -> tuple[Figure, Axes]:
    """Make a figure of one panel with fixed margins, for the many files of the folds."""
    figure = new(title, 2.6, 4.2)
    figure.set_layout_engine("none")
    return figure, figure.add_axes((0.14, 0.16, 0.83, 0.72))


def encode(figure: Figure, suffix: str) -> bytes:
    """Encode a figure as png or pdf, without date or version: equal pictures have equal bytes.

    It calls the canvases directly, because `savefig` would draw everything twice. 256 colours
    suffice for all pictures and need a third of the bytes.
    """
    buffer = io.BytesIO()
    if suffix == "png":
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        pixels = pixels.quantize(256, dither=Image.Dither.NONE)
        pixels.save(buffer, "png", dpi=(figure.dpi, figure.dpi))
    else:
        undated = {"CreationDate": None, "Creator": None, "Producer": None}
        FigureCanvasPdf(figure).print_pdf(buffer, metadata=undated)
    return buffer.getvalue()


def missing(title: str, why: str, inputs: list[str]) -> Picture:
    """Make a picture that says in words what the run lacks."""
    figure = new(title, 1.2)
    figure.text(0.5, 0.4, why, ha="center", va="center", wrap=True, color=GREY, fontsize=9)
    caption = f"{title}{'' if title.endswith('?') else '.'} Not drawn: {why}."
    return Picture(figure, title, caption, f"An empty figure: {why}.", inputs)


def spread_out(low: float, high: float, count: int) -> list[float]:
    """Space `count` positions evenly between two; unlike jitter, they are always the same."""
    if count < 2:
        return [(low + high) / 2] * count
    return [low + (high - low) * i / (count - 1) for i in range(count)]


def settle(figure: Figure) -> None:
    """Lay the figure out now and for good, so that texts can be placed by what they cover."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
