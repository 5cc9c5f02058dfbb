"""How every picture looks, and how it is written: the same bytes from the same results."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.transforms import Bbox
from PIL import Image

from referee.words import spaced

# Okabe and Ito (2008): told apart with any colour vision. Hatches and markers do it in grey print.
BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
YELLOW, BLUE, VERMILION, PURPLE = "#F0E442", "#0072B2", "#D55E00", "#CC79A7"
GREY, PALE = "#7F7F7F", "#D9D9D9"

WIDTH = 7.2  # inches: the two columns of a paper; 720 px at README size
DPI = 150
MOST = 24  # inches: a picture that would be taller has thinner rows

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.titlelocation": "left",
    "axes.labelsize": 7.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.axisbelow": True,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": PALE,
    "grid.linewidth": 0.5,
    "hatch.linewidth": 0.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "figure.titlesize": 10,
    "figure.titleweight": "normal",  # bold would be a second font in every PDF
    "figure.constrained_layout.use": True,
    "pdf.fonttype": 42,  # TrueType, as journals ask
    "figure.dpi": DPI,
}

# colour, hatch, marker
EXPERTS = {
    "bitnet": (ORANGE, "", "o"),
    "popcount": (YELLOW, "++", "P"),
    "q1": (PALE, "oo", "<"),
    "q2": (PURPLE, "--", ">"),
    "q4": (SKY, "////", "s"),
    "q8": (GREEN, "....", "^"),
    "ptq8": (VERMILION, "\\\\\\\\", "v"),
    "q16": (BLUE, "xxxx", "D"),
    "fp32": (GREY, "||", "*"),
}
PROTOCOLS = {"as_published": (VERMILION, "o", "white"), "corrected": (BLUE, "s", BLUE)}
# colour, marker, line
STRATEGIES: dict[str, tuple[str, str, Any]] = {
    "kl_global": (GREY, "v", ":"),
    "kl_divergence": (BLUE, "o", "-"),
    "entropy_regularization": (YELLOW, "<", ":"),
    "precision_prior": (VERMILION, "s", "-"),
    "precision_sharp": (ORANGE, "D", "--"),
    "escalation": (GREEN, "^", "-"),
    "soft_escalation": (SKY, "P", "--"),
    "information_gain": (PURPLE, "X", "-."),
}


@dataclass(frozen=True)
class Picture:
    """A drawn figure with its words; `inputs` are the files behind it."""

    figure: Figure
    section: str
    title: str
    caption: str
    alt: str
    inputs: list[str] = field(default_factory=list)


@contextmanager
def context() -> Iterator[None]:
    """The style, whatever matplotlibrc the user has."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(RC)  # type: ignore[arg-type]
        yield


def new(title: str, height: float, width: float = WIDTH) -> Figure:
    """An empty figure of so many inches, its title on the left."""
    figure = Figure(figsize=(width, min(height, MOST)))
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left")
    return figure


def small(title: str) -> tuple[Figure, Axes]:
    """A figure of one panel with fixed margins, for the many files of the folds."""
    figure = new(title, 2.6, 4.2)
    figure.set_layout_engine("none")
    return figure, figure.add_axes((0.14, 0.16, 0.83, 0.72))


def encode(figure: Figure, suffix: str) -> bytes:
    """The figure as png or pdf, without date or version: equal pictures are equal bytes.

    The canvases are asked directly, as `savefig` would draw everything twice. 256 colours are
    enough for all pictures and make a third of the bytes.
    """
    buffer = io.BytesIO()
    if suffix == "png":
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        pixels.quantize(256, dither=Image.Dither.NONE).save(buffer, "png", dpi=(DPI, DPI))
    else:
        FigureCanvasPdf(figure).print_pdf(
            buffer, metadata={"CreationDate": None, "Creator": None, "Producer": None}
        )
    return buffer.getvalue()


def missing(title: str, why: str, section: str, inputs: Sequence[str]) -> Picture:
    """A picture that says in words what this run lacks."""
    figure = new(title, 1.2)
    figure.text(0.5, 0.4, why, ha="center", va="center", wrap=True, color=GREY, fontsize=9)
    caption = f"{title}. Not drawn: {why}."
    return Picture(figure, section, title, caption, f"An empty figure: {why}.", list(inputs))


def rows(axes: Axes, labels: Sequence[str]) -> None:
    """Label the rows of a plot from the top down, with a faint line along each."""
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y")
    axes.spines["left"].set_visible(False)


def arm_panels(
    title: str, arms: pd.DataFrame, row: float = 0.2, **shared: Any
) -> tuple[Figure, dict[tuple[str, str], tuple[Axes, list[str]]]]:
    """A panel a dataset (down) and protocol (across), with the labels of its rows: the arms.

    Args:
        title: of the figure.
        arms: dataset, protocol, label; order and doubles as they come.
        row: height of a row in inches.
        shared: how the panels share their x axes, for `Figure.subplots`.

    """
    datasets, protocols = (list(dict.fromkeys(arms[c])) for c in ("dataset", "protocol"))
    labels = {d: list(dict.fromkeys(arms.loc[arms["dataset"] == d, "label"])) for d in datasets}
    heights = [len(own) + 1.5 for own in labels.values()]
    figure = new(title, 0.9 + row * sum(heights))
    grid = figure.subplots(
        len(datasets),
        len(protocols),
        squeeze=False,
        sharex=True,
        sharey="row",
        height_ratios=heights,
        **shared,
    )
    panels = {}
    for (i, dataset), (j, protocol) in product(enumerate(datasets), enumerate(protocols)):
        axes = grid[i, j]
        axes.set_title(f"{dataset}, {spaced(protocol)}")
        rows(axes, labels[dataset])
        panels[dataset, protocol] = (axes, labels[dataset])
    return figure, panels


def under(figure: Figure, label: str) -> None:
    """Label the x axes of the lowest panels."""
    for axes in figure.axes:
        spec = axes.get_subplotspec()
        if spec is not None and spec.is_last_row():
            axes.set_xlabel(label)


def heat(axes: Axes, values: pd.DataFrame, texts: pd.DataFrame, top: float) -> None:
    """A table whose cells are the darker the larger the value, from 0 to `top`; NaN stays blank."""
    # The darker part of the map is left out, so that black is read on every cell.
    axes.imshow(values.to_numpy(dtype=float), cmap="Blues", vmin=0, vmax=1.6 * top, aspect="auto")
    axes.set_yticks(range(len(values.index)), list(values.index))
    axes.set_xticks(range(len(values.columns)), list(values.columns))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_yticks([i + 0.5 for i in range(len(values.index) - 1)], minor=True)
    axes.set_xticks([i + 0.5 for i in range(len(values.columns) - 1)], minor=True)
    axes.grid(which="minor", color="white", linewidth=1.5 if values.size < 300 else 0.3)
    axes.tick_params(which="minor", length=0)
    for y, x in [(y, x) for y in range(len(values.index)) for x in range(len(values.columns))]:
        axes.text(
            x,
            y,
            texts.iloc[y, x],
            ha="center",
            va="center",
            fontsize=6,
            in_layout=False,  # it lies within the cell: no need to ask
        )


def spread_out(low: float, high: float, count: int) -> list[float]:
    """So many positions between two, evenly apart, the same at every call: instead of jitter."""
    if count < 2:
        return [(low + high) / 2] * count
    return [low + (high - low) * i / (count - 1) for i in range(count)]


def settle(figure: Figure) -> None:
    """Lay the figure out now, for good, so that texts can be placed by what they cover."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")


_PLACES = [(1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0)]


def name_points(axes: Axes, points: pd.DataFrame, named: pd.DataFrame) -> None:
    """Write names beside some of the points, where they cover neither points nor other names.

    Each name takes, of a fixed list of places, the one that covers least.

    Args:
        axes: laid out already.
        points: x and y of all marks.
        named: x, y and name.

    """
    figure = axes.get_figure(root=True)
    assert figure is not None
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    known = points.dropna()
    centres = axes.transData.transform(known[["x", "y"]].to_numpy())
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in centres]
    frame = axes.get_window_extent(renderer)
    for x, y, name in named[["x", "y", "name"]].itertuples(index=False):
        note = axes.annotate(
            name, (x, y), xytext=(0, 0), textcoords="offset points", fontsize=6, zorder=5
        )
        note.set_path_effects([withStroke(linewidth=2, foreground="white")])
        size = note.get_window_extent(renderer)
        at = axes.transData.transform((x, y))
        tried: list[tuple[float, int, Bbox]] = []
        for radius, (dx, dy) in product((4, 12, 22, 34), _PLACES):
            corner = at + figure.dpi / 72 * radius * np.array([dx, dy])
            corner += (np.array([dx, dy]) - 1) / 2 * size.size
            box = Bbox([corner, corner + size.size])
            covered = sum(_common(box, other) for other in taken)
            outside = size.width * size.height - _common(box, frame)
            tried.append((covered + 2 * outside + radius, len(tried), box))
        best = min(tried, key=lambda place: place[:2])[2]
        taken.append(best)
        note.xyann = tuple((best.p0 - at) * 72 / figure.dpi)
        if np.hypot(*(np.clip(at, best.p0, best.p1) - at)) > 12 / 72 * figure.dpi:
            middle = axes.transData.inverted().transform((best.p0 + best.p1) / 2)
            axes.plot(*zip((x, y), middle, strict=True), color=BLACK, linewidth=0.4, zorder=4)


def _common(a: Bbox, b: Bbox) -> float:
    """Area that two boxes share."""
    width, height = min(a.x1, b.x1) - max(a.x0, b.x0), min(a.y1, b.y1) - max(a.y0, b.y0)
    return float(max(width, 0) * max(height, 0))
