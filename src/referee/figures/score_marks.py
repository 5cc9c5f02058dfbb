"""Scores of arms: by the strength of curiosity, and under each protocol."""

from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from referee.contract import NO_RULE
from referee.figures import style
from referee.figures.frames import CELLS, Frames
from referee.figures.style import BLACK, GREY, Picture
from referee.paper import Look
from referee.words import listed, spaced

NONE = "no curiosity in this grid: add strategies with alphas to grid.curiosity in params.yaml"
DASHES = (0, (4, 3))
ONE_EACH = "one strength a strategy in this grid: add alphas to grid.curiosity in params.yaml"


def strengths(run: Frames) -> pd.DataFrame:
    """Cells of mixtures by the strength of their curiosity; alpha 0 is the plain router.

    Columns: dataset, protocol, mixture (the model without the suffix of varied models), strategy,
    alpha and score; the cells of the plain router stand once, with the strategy `none`.
    """
    cells = run.mixtures
    alpha = cells["alpha"].where(cells["strategy"] != NO_RULE, 0.0)
    mixture = cells["model"].str.removesuffix(run.paper.varied_suffix)
    columns = ["dataset", "protocol", "mixture", "strategy", "alpha", "score"]
    return cells.assign(mixture=mixture, alpha=alpha)[columns].dropna(subset="alpha")


def by_strength(run: Frames) -> Picture:
    """Draw a panel a mixture, dataset and protocol; a line a strategy, from the plain router on."""
    title = f"{run.score} by the strength α of curiosity"
    cells = strengths(run)
    curious = cells[cells["strategy"] != NO_RULE]
    if curious.empty:
        return style.missing(title, NONE, [CELLS])
    mixtures, pairs = list(dict.fromkeys(cells["mixture"])), style.split(cells)
    width = max(style.WIDTH, 0.6 + 1.65 * len(mixtures))
    figure = style.new(title, 0.9 + 1.55 * len(pairs), width)
    grid = figure.subplots(len(pairs), len(mixtures), squeeze=False, sharex=True, sharey="row")
    strategies = style.looks(run.paper.figures.strategies, curious["strategy"])
    top = float(curious["alpha"].max())
    for line, (panel, here) in zip(grid, pairs.items(), strict=True):
        for axes, name in zip(line, mixtures, strict=True):
            _mixture(axes, here[here["mixture"] == name], strategies, 0.015 * top)
        line[0].set_ylabel(f"{panel[0]},\n{spaced(panel[1])}\n{run.score_words}")
    for first, last, name in zip(grid[0], grid[-1], mixtures, strict=True):
        first.set_title(name)
        last.set_xlabel("α")
    grid[0, 0].set_xlim(-0.08 * top, 1.08 * top)
    grid[0, 0].xaxis.set_major_locator(MaxNLocator(4))
    note = ONE_EACH if curious.groupby("strategy")["alpha"].nunique().max() == 1 else ""
    dots = style.edge(0.5)
    handles = {k: style.mark(x.color, x.marker, x.line, **dots) for k, x in strategies.items()}
    handles["plain router (α = 0), its mean"] = style.mark(BLACK, "", DASHES, linewidth=0.6)
    style.legend_below(figure, handles, 5, title=note or None, title_fontsize=7)
    caption = f"""{title}. Large marks show the mean of the {run.score_words} over the cells of
        an arm, small marks the single cells, {run.count}; dashes at 0 are the cells of the plain
        router. Strategies are shifted sideways so that no mark hides
        another.{f" There is {note}." if note else ""}{run.synthetic}"""
    mixture = ["dataset", "protocol", "mixture"]
    arms = cells.groupby([*mixture, "strategy", "alpha"], sort=False)["score"].mean().reset_index()
    is_plain = arms["strategy"] == NO_RULE
    both = arms[~is_plain].merge(arms[is_plain], "left", mixture, suffixes=("", "_plain"))
    alt = f"""{run.score} of {len(both)} curious arms; the mean lies above that of the plain
        router in {(both["score"] > both["score_plain"]).sum()} of them."""
    return Picture(figure, title, caption, alt, [CELLS])


def _mixture(axes: Axes, cells: pd.DataFrame, strategies: dict[str, Look], farthest: float) -> None:
    """Draw a mixture; the marks of strategies are set apart by at most `farthest` either way."""
    axes.grid(axis="y")
    plain = cells[cells["strategy"] == NO_RULE]
    start = plain.groupby("alpha")["score"].mean()  # one, if any: that of alpha 0
    axes.plot(plain["alpha"], plain["score"], "_", color=BLACK, markersize=7, alpha=0.5)
    for score in start:
        axes.axhline(score, color=BLACK, linewidth=0.6, linestyle=DASHES)
    small: dict[str, Any] = {"alpha": 0.45, "markersize": 3, "markeredgewidth": 0}
    large: dict[str, Any] = {"markersize": 5} | style.edge(0.5)
    shifts = style.spread_out(-farthest, farthest, len(strategies))
    for (name, look), shift in zip(strategies.items(), shifts, strict=True):
        varied = cells[cells["strategy"] == name]
        means = varied.groupby("alpha")["score"].mean()
        if len(means):
            path = pd.concat([start, means])
            axes.plot(varied["alpha"] + shift, varied["score"], look.marker, **look.paint, **small)
            axes.plot(path.index, path, look.line, color=look.color, linewidth=1)
            axes.plot(means.index + shift, means, look.marker, **look.paint, **large)


def protocol_means(cells: pd.DataFrame) -> pd.DataFrame:
    """Mean score of every arm, (dataset, label), by protocol; NaN where it was not run."""
    grouped = cells.groupby(["dataset", "label", "protocol"], sort=False)["score"]
    return grouped.mean().unstack("protocol", sort=False)


def protocols(run: Frames) -> Picture:
    """Draw the marks of each arm, one a protocol, joined; and how its mean changes."""
    title = f"{run.score} {listed(map(spaced, run.paper.protocols))}"
    means = protocol_means(run.cells)
    shown = [protocol for protocol in run.paper.protocols if protocol in means]
    if len(shown) < 2:
        here = listed(dict.fromkeys(run.cells["protocol"]))
        why = f"only {here} in this grid: add the other to grid.protocols in params.yaml"
        alone = len(run.paper.protocols) < 2 and "the paper names one protocol only"
        return style.missing(title, alone or why, [CELLS])
    first, last = spaced(shown[0]), spaced(shown[-1])
    change = means[shown[-1]] - means[shown[0]]
    datasets, labels = (list(dict.fromkeys(run.cells[c])) for c in ("dataset", "label"))
    figure = style.new(title, 1.1 + 0.19 * len(labels), max(style.WIDTH, 2.6 + 2.3 * len(datasets)))
    grid = figure.subplots(1, len(datasets), squeeze=False, sharey=True)
    looks = style.looks(run.paper.figures.protocols, shown)
    marks = {name: looks[name] for name in shown}
    for axes, dataset in zip(grid[0], datasets, strict=True):
        style.rows(axes, labels)
        axes.set(title=dataset, xlabel=run.score_words)
        arms = dict(iter(run.cells[run.cells["dataset"] == dataset].groupby("label")))
        for y, label in enumerate(labels):
            if label in arms:
                _arm(axes, y, arms[label], means.loc[(dataset, label)], marks)
                if pd.notna(change[dataset, label]):
                    style.beside(axes, y, f"{change[dataset, label]:+.3f}".replace("-", "−"))
        place: dict[str, Any] = {"va": "bottom", "fontsize": 6.5, "transform": axes.transAxes}
        axes.text(1.02, 1.0, f"{last} −\n{first}", **place)
    handles = {spaced(k): style.mark(marker=x.marker, **x.paint) for k, x in marks.items()}
    style.legend_below(figure, handles, len(shown))
    caption = f"""{title}. Large marks show the mean of the {run.score_words} over the cells of
        an arm, small marks the single cells, {run.count}; the difference of the means stands on
        the right. The protocols split the clips differently, so that their cells do not form
        pairs.{run.synthetic}"""
    alt = f"""Of {change.count()} arms, {(change < 0).sum()} score lower under the {last}
        protocol; the difference of the means runs from {change.min():+.3f} to
        {change.max():+.3f}."""
    return Picture(figure, title, caption, alt, [CELLS])


def _arm(axes: Axes, y: int, cells: pd.DataFrame, means: pd.Series, marks: dict[str, Look]) -> None:
    """Draw an arm along row `y`: a line between its means, its means, and its cells beside them."""
    axes.plot(means[list(marks)], [y] * len(marks), color=GREY, linewidth=1.5, zorder=1)
    small: dict[str, Any] = {"alpha": 0.5, "markersize": 2.5, "markeredgewidth": 0.5}
    large: dict[str, Any] = {"markersize": 5, "markeredgewidth": 1.1}
    shifts = style.spread_out(-0.22, 0.22, len(marks))
    for (protocol, look), shift in zip(marks.items(), shifts, strict=True):
        scores = cells.loc[cells["protocol"] == protocol, "score"]
        axes.plot(scores, [y + shift] * len(scores), look.marker, **look.paint, **small)
        axes.plot(means[protocol], y, look.marker, **look.paint, **large)
