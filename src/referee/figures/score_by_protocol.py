"""Scores of the same arms under two protocols."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from referee.figures import panels, style
from referee.figures.frames import CELLS, Frames
from referee.figures.style import GREY, Picture
from referee.paper.figures import Look
from referee.words import listed, spaced


def protocol_means(cells: pd.DataFrame) -> pd.DataFrame:
    """Mean score of every arm under each protocol.

    Returns:
        index (dataset, label), a column a protocol; NaN where the arm was not run under it.

    """
    grouped = cells.groupby(["dataset", "label", "protocol"], sort=False)["score"]
    return grouped.mean().unstack("protocol", sort=False)


def protocols(run: Frames) -> Picture:
    """Draw the marks of each arm, one a protocol, joined; and how its mean changes."""
    title = f"{run.score} {listed(map(spaced, run.paper.protocols))}"
    means = protocol_means(run.cells)
    shown = [protocol for protocol in run.paper.protocols if protocol in means]
    if len(shown) < 2:
        return style.missing(title, _why(run), [CELLS])
    datasets, labels = (list(dict.fromkeys(run.cells[c])) for c in ("dataset", "label"))
    figure = style.new(title, 1.1 + 0.19 * len(labels), max(style.WIDTH, 2.6 + 2.3 * len(datasets)))
    grid = figure.subplots(1, len(datasets), squeeze=False, sharey=True)
    looks = style.looks(run.paper.figures.protocols, shown)
    marks = {name: looks[name] for name in shown}
    change = means[shown[-1]] - means[shown[0]]
    difference = f"{spaced(shown[-1])} −\n{spaced(shown[0])}"
    for axes, dataset in zip(grid[0], datasets, strict=True):
        panels.rows(axes, labels)
        axes.set_title(dataset)
        axes.set_xlabel(run.score_words)
        cells = run.cells[run.cells["dataset"] == dataset]
        for y, label in enumerate(labels):
            if (dataset, label) in means.index:
                arm = cells[cells["label"] == label]
                _arm(axes, y, arm, means.loc[(dataset, label)], marks)
                if pd.notna(change[dataset, label]):
                    panels.beside(axes, y, f"{change[dataset, label]:+.3f}".replace("-", "−"))
        axes.text(1.02, 1.0, difference, va="bottom", fontsize=6.5, transform=axes.transAxes)
    handles = {
        spaced(name): panels.mark(look.color, look.marker, markerfacecolor=look.face)
        for name, look in marks.items()
    }
    panels.legend_below(figure, handles, len(shown))
    return Picture(figure, title, *_words(title, change.dropna(), shown, run), [CELLS])


def _why(run: Frames) -> str:
    if len(run.paper.protocols) < 2:
        return "the paper names one protocol only"
    here = listed(dict.fromkeys(run.cells["protocol"]))
    return f"only {here} in this grid: add the other to grid.protocols in params.yaml"


def _arm(
    axes: Axes, y: int, cells: pd.DataFrame, means: pd.Series, marks: Mapping[str, Look]
) -> None:
    """Draw an arm along row `y`: a line between its means, its means, and its cells beside them."""
    axes.plot(means[list(marks)], [y] * len(marks), color=GREY, linewidth=1.5, zorder=1)
    shifts = style.spread_out(-0.22, 0.22, len(marks))
    for (protocol, look), shift in zip(marks.items(), shifts, strict=True):
        scores = cells.loc[cells["protocol"] == protocol, "score"]
        paint: dict[str, Any] = {"color": look.color, "markerfacecolor": look.face}
        small: dict[str, Any] = {"alpha": 0.5, "markersize": 2.5, "markeredgewidth": 0.5}
        axes.plot(scores, [y + shift] * len(scores), look.marker, **paint, **small)
        axes.plot(means[protocol], y, look.marker, **paint, markersize=5, markeredgewidth=1.1)


def _words(title: str, change: pd.Series, shown: list[str], run: Frames) -> tuple[str, str]:
    caption = (
        f"{title}. Large marks show the mean of the {run.score_words} over the cells of an arm, "
        f"small marks the single cells, {run.count}; the difference of the means stands on the "
        "right. The protocols split the clips differently, so that their cells do not form "
        f"pairs.{run.synthetic}"
    )
    alt = (
        f"Of {len(change)} arms, {int((change < 0).sum())} score lower under the "
        f"{spaced(shown[-1])} protocol; the difference of the means runs from {change.min():+.3f} "
        f"to {change.max():+.3f}."
    )
    return caption, alt
