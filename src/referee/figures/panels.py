"""Parts that several figures share: grids of panels, labelled rows, tables in colour, legends."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from referee.figures import style
from referee.words import spaced

Panel = tuple[str, str]  # dataset and protocol


def split(frame: pd.DataFrame) -> dict[Panel, pd.DataFrame]:
    """The rows of each dataset and protocol, as they come."""
    return dict(iter(frame.groupby(["dataset", "protocol"], sort=False)))


def within(frame: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    """The rows of a dataset and protocol."""
    return split(frame).get(panel, frame[:0])


def heading(panel: Panel) -> str:
    """A dataset and protocol in words: `sounds, main`."""
    return f"{panel[0]}, {spaced(panel[1])}"


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
    figure = style.new(title, 0.9 + row * sum(counts))
    shared: dict[str, Any] = {"sharex": True, "sharey": "row", "height_ratios": counts}
    grid = figure.subplots(len(datasets), len(protocols), squeeze=False, **shared)
    panels = {}
    for dataset, line in zip(datasets, grid, strict=True):
        for protocol, axes in zip(protocols, line, strict=True):
            axes.set_title(heading((dataset, protocol)))
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
    """Draw texts on cells that are the darker the larger the value, from 0 to `top`; NaN is blank.

    The darker part of the map is left out, so that black is read on every cell.
    """
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
