"""Scores of mixtures by the strength of their curiosity."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from referee.figures import panels, style
from referee.figures.frames import CELLS, PLAIN, Frames
from referee.figures.style import BLACK, Picture
from referee.paper.figures import Look
from referee.words import spaced

DASHES = (0, (4, 3))
ONE_EACH = "one strength a strategy in this grid: add alphas to grid.curiosity in params.yaml"


def strengths(run: Frames) -> pd.DataFrame:
    """Cells of mixtures by the strength of their curiosity; alpha 0 is the plain router.

    Returns:
        dataset, protocol, mixture (the model without the suffix of varied models), strategy, alpha
        and score; the cells of the plain router stand once, with the strategy `none`.

    """
    cells = run.mixtures
    alpha = cells["alpha"].where(cells["strategy"] != PLAIN, 0.0)
    mixture = cells["model"].str.removesuffix(run.paper.varied_suffix)
    columns = ["dataset", "protocol", "mixture", "strategy", "alpha", "score"]
    return cells.assign(mixture=mixture, alpha=alpha)[columns].dropna(subset="alpha")


def by_strength(run: Frames) -> Picture:
    """Draw a panel a mixture, dataset and protocol; a line a strategy, from the plain router on."""
    title = f"{run.score} by the strength α of curiosity"
    cells = strengths(run)
    curious = cells[cells["strategy"] != PLAIN]
    if curious.empty:
        why = (
            "no curiosity in this grid: add strategies with alphas to grid.curiosity in params.yaml"
        )
        return style.missing(title, why, [CELLS])
    mixtures, pairs = list(dict.fromkeys(cells["mixture"])), panels.panels_of(cells)
    width = max(style.WIDTH, 0.6 + 1.65 * len(mixtures))
    figure = style.new(title, 0.9 + 1.55 * len(pairs), width)
    grid = figure.subplots(len(pairs), len(mixtures), squeeze=False, sharex=True, sharey="row")
    strategies = style.looks(run.paper.figures.strategies, curious["strategy"])
    top = float(curious["alpha"].max())
    for line, panel in zip(grid, pairs, strict=True):
        here = panels.within(cells, panel)
        for axes, mixture in zip(line, mixtures, strict=True):
            _panel(axes, here[here["mixture"] == mixture], strategies, 0.015 * top)
        line[0].set_ylabel(f"{panel[0]},\n{spaced(panel[1])}\n{run.score_words}")
    for axes, mixture in zip(grid[0], mixtures, strict=True):
        axes.set_title(mixture)
    for axes in grid[-1]:
        axes.set_xlabel("α")
    grid[0, 0].set_xlim(-0.08 * top, 1.08 * top)
    grid[0, 0].xaxis.set_major_locator(MaxNLocator(4))
    note = ONE_EACH if curious.groupby("strategy")["alpha"].nunique().max() == 1 else ""
    handles = {
        name: panels.mark(look.color, look.marker, look.line, **style.edge(0.5))
        for name, look in strategies.items()
    }
    handles["plain router (α = 0), its mean"] = panels.mark(BLACK, "", DASHES, linewidth=0.6)
    panels.legend_below(figure, handles, 5, title=note or None, title_fontsize=7)
    return Picture(figure, title, *_words(title, cells, note, run), [CELLS])


def _panel(
    axes: Axes, cells: pd.DataFrame, strategies: Mapping[str, Look], farthest: float
) -> None:
    """Draw a mixture; the marks of strategies are set apart by at most `farthest` either way."""
    axes.grid(axis="y")
    plain = cells.loc[cells["strategy"] == PLAIN, "score"]
    axes.plot([0] * len(plain), plain, "_", color=BLACK, markersize=7, alpha=0.5)
    if len(plain):
        axes.axhline(plain.mean(), color=BLACK, linewidth=0.6, linestyle=DASHES)
    start = pd.Series({0.0: plain.mean()}) if len(plain) else pd.Series(dtype=float)
    shifts = style.spread_out(-farthest, farthest, len(strategies))
    for (name, look), shift in zip(strategies.items(), shifts, strict=True):
        varied = cells[cells["strategy"] == name]
        if varied.empty:
            continue
        means = varied.groupby("alpha")["score"].mean()
        path = pd.concat([start, means])
        small: dict[str, Any] = {"alpha": 0.45, "markersize": 3, "markeredgewidth": 0}
        axes.plot(varied["alpha"] + shift, varied["score"], look.marker, color=look.color, **small)
        axes.plot(path.index, path, look.line, color=look.color, linewidth=1)
        axes.plot(
            means.index + shift,
            means,
            look.marker,
            color=look.color,
            markersize=5,
            **style.edge(0.5),
        )


def _words(title: str, cells: pd.DataFrame, note: str, run: Frames) -> tuple[str, str]:
    mixture = ["dataset", "protocol", "mixture"]
    curious = cells[cells["strategy"] != PLAIN]
    means = curious.groupby([*mixture, "strategy", "alpha"], sort=False)["score"].mean()
    plain = cells[cells["strategy"] == PLAIN].groupby(mixture)["score"].mean()
    above = int((means.to_numpy() > plain.reindex(means.index.droplevel([3, 4])).to_numpy()).sum())
    caption = (
        f"{title}. Large marks show the mean of the {run.score_words} over the cells of an arm, "
        f"small marks the single cells, {run.count}; dashes at 0 are the cells of the plain "
        "router. The marks of different strategies are shifted sideways so that none hides "
        f"another.{f' There is {note}.' if note else ''}{run.synthetic}"
    )
    alt = (
        f"{run.score} of {len(means)} curious arms; the mean lies above that of the plain router "
        f"in {above} of them."
    )
    return caption, alt
