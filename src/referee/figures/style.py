"""What all pictures share: looks, panels, and the encoding that gives equal results equal bytes."""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from referee.paper import Look
from referee.words import spaced

# Okabe and Ito (2008): told apart with any colour vision. Hatches and markers do it in grey print.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, PALE = "#7F7F7F", "#D9D9D9"
# Of names to which the paper gives no look: the numbers of entries differ, to repeat late.
UNLISTED = {
    "color": (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, YELLOW),
    "hatch": ("", "////", "....", "xxxx", "++", "oo", "||", "--"),
    "marker": "os^DvPX<>",
    "line": ("-", "--", "-.", ":"),
}

Panel = tuple[str, str]  # dataset and protocol
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
    found = {name: look for name, look in listed.items() if name in shown}
    others = (name for name in shown if name not in listed)
    for i, name in enumerate(others, len(listed)):
        given: dict[str, Any] = {key: values[i % len(values)] for key, values in UNLISTED.items()}
        found[name] = Look(**given)
    return found


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


def split(frame: pd.DataFrame) -> dict[Panel, pd.DataFrame]:
    """The rows of each dataset and protocol, as they come."""
    return dict(iter(frame.groupby(["dataset", "protocol"], sort=False)))


def arm_panels(
    title: str, arms: pd.DataFrame, row: float, x_label: str
) -> tuple[Figure, dict[Panel, tuple[Axes, list[str]]]]:
    """Make a panel a dataset (down) and protocol (across), with a row an arm, `row` inches high.

    `arms` has dataset, protocol and label; order and doubles as they come. Returns the figure, and
    of each panel its axes and the labels of its rows from the top down.
    """
    datasets, protocols = (list(dict.fromkeys(arms[c])) for c in ("dataset", "protocol"))
    labels = {d: list(dict.fromkeys(arms.loc[arms["dataset"] == d, "label"])) for d in datasets}
    counts = [len(names) + 1.5 for names in labels.values()]
    figure = new(title, 0.9 + row * sum(counts))
    shared: dict[str, Any] = {"sharex": True, "sharey": "row", "height_ratios": counts}
    grid = figure.subplots(len(datasets), len(protocols), squeeze=False, **shared)
    panels = {}
    for dataset, line in zip(datasets, grid, strict=True):
        for protocol, axes in zip(protocols, line, strict=True):
            axes.set_title(f"{dataset}, {spaced(protocol)}")
            rows(axes, labels[dataset])
            panels[dataset, protocol] = (axes, labels[dataset])
    for axes in grid[-1]:
        axes.set_xlabel(x_label)
    return figure, panels


def rows(axes: Axes, labels: Sequence[str]) -> None:
    """Label the rows of a plot from the top down, with a faint line along each."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)


def beside(axes: Axes, y: float, text: str, x: float = 1.02) -> None:
    """Write a text on the right of a row."""
    axes.text(x, y, text, va="center", fontsize=6.5, transform=axes.get_yaxis_transform())


def heat(axes: Axes, values: pd.DataFrame, texts: pd.DataFrame, top: float) -> None:
    """Draw texts on cells, the darker the larger the value, from 0 to `top`; NaN is blank."""
    # 1.6: the darker part of the map is left out, so that black is read on every cell.
    axes.imshow(values.to_numpy(dtype=float), cmap="Blues", vmin=0, vmax=1.6 * top, aspect="auto")
    for set_ticks, names in ((axes.set_yticks, values.index), (axes.set_xticks, values.columns)):
        set_ticks(range(len(names)), list(names))
        set_ticks([i + 0.5 for i in range(len(names) - 1)], minor=True)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.grid(which="minor", color="white", linewidth=1.5 if values.size < 300 else 0.3)
    for (y, x), text in np.ndenumerate(texts.to_numpy(dtype=object)):
        # It lies within its cell: the layout need not ask for its size.
        axes.text(x, y, text, ha="center", va="center", fontsize=6, in_layout=False)


def mark(color: str, marker: str, line: Any = "", **looks: Any) -> Line2D:
    """A marker, with or without a line, for a legend."""
    return Line2D([], [], color=color, marker=marker, linestyle=line, **looks)


def legend_below(figure: Figure, handles: Mapping[str, Artist], columns: int, **looks: Any) -> None:
    """Put the legend of a figure, handles by name, below its panels, in so many columns at most."""
    place: dict[str, Any] = {"loc": "outside lower center", "ncols": min(len(handles), columns)}
    figure.legend(list(handles.values()), list(handles), **place, **looks)
