"""What the score costs: energy, latency and bytes of the packed models."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from referee.figures import style
from referee.figures.frames import CELLS, PLAIN, Frames
from referee.figures.panels import legend_below, mark, panels_of, within
from referee.figures.point_names import name_points
from referee.figures.style import BLACK, BLUE, GREY, ORANGE, VERMILION, Picture
from referee.tables.measured import ROW, per_arm
from referee.words import listed, spaced

SECTION = "cost"
COSTS = {  # column of `per_arm`: factor, heading
    "energy_batch1_j": (1e6, "energy of a clip, µJ"),
    "latency_batch1_ms": (1e3, "latency of one clip, µs"),
    "disk_bytes": (1e-6, "bytes on disk, MB"),
}
KINDS = {
    "single network": (GREY, "o"),
    "plain router": (ORANGE, "^"),
    "curiosity": (BLUE, "s"),
}


@dataclass(frozen=True)
class CostPanel:
    """A panel: its axes, the column of the cost, and points x, y, kind, label, on_front."""

    axes: Axes
    column: str
    points: pd.DataFrame

    @property
    def front(self) -> pd.DataFrame:
        """The points on the front, from the cheapest."""
        return self.points[self.points["on_front"]].sort_values("x")


def front(cost: ArrayLike, score: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other beats.

    A point beats another if it costs at most as much, scores at least as much, and one of the two
    is better. NaN is never on the front.

    Returns:
        A flag for each point, in the shape of `cost` and `score`, (n,).

    """
    c, s = np.asarray(cost, dtype=float), np.asarray(score, dtype=float)
    known = ~np.isnan(c) & ~np.isnan(s)
    beaten = [
        bool(np.any(known & (c <= ci) & (s >= si) & ((c < ci) | (s > si))))
        for ci, si in zip(c, s, strict=True)
    ]
    return known & ~np.array(beaten, dtype=bool)


def costs(run: Frames) -> pd.DataFrame | None:
    """Scores and costs of every measured arm; None where something was not measured.

    Returns:
        dataset, protocol, label, kind, score_mean, score_std (ddof 1), n and the columns of
        `per_arm`.

    """
    measured = run.measured
    tables = (measured.latency, measured.energy, measured.memory, run.packed)
    if any(table is None for table in tables):
        return None
    grouped = run.cells.groupby(ROW, sort=False, dropna=False)
    scores = grouped["score"].agg(n="count", score_mean="mean", score_std="std")
    about = grouped[["label", "experts"]].first()
    joined = about.join(scores).reset_index().merge(per_arm(*tables), on=ROW, how="inner")
    is_mixture = joined["experts"].str.contains("+", regex=False)
    single, plain, varied = KINDS
    kind = np.where(~is_mixture, single, np.where(joined["strategy"] == PLAIN, plain, varied))
    return joined.assign(kind=kind)


def pareto(run: Frames) -> Picture:
    """Draw a panel a cost for each dataset and protocol; the front joined and named."""
    title = f"{run.score} against energy, latency and bytes"
    table = costs(run)
    if table is None or table.empty:
        why = "nothing was measured: `snakemake -j8 measurements` measures the packed models"
        return style.missing(title, why, SECTION, [CELLS])
    shown, rows = [column for column in COSTS if column in table], panels_of(table)
    figure = style.new(title, 1.2 + 2.3 * len(rows))
    grid = figure.subplots(len(rows), len(shown), squeeze=False, sharey="row", sharex="col")
    panels = []
    for line, (dataset, protocol) in zip(grid, rows, strict=True):
        arms = within(table, (dataset, protocol))
        panels += [
            CostPanel(axes, column, _points(arms, column))
            for axes, column in zip(line, shown, strict=True)
        ]
        line[0].set_ylabel(f"{dataset},\n{spaced(protocol)}\n{run.score_words}, mean of cells")
    for panel in panels:
        _panel(panel)
    for axes, column in zip(grid[-1], shown, strict=True):
        axes.set_xlabel(COSTS[column][1])
    numbers = _numbers(panels, table["label"].unique())
    _legends(figure, numbers)
    style.settle(figure)
    for panel in panels:
        best = panel.front
        name_points(
            panel.axes, panel.points[["x", "y"]], best.assign(name=best["label"].map(numbers))
        )
    inputs = [CELLS, *run.measured_files]
    return Picture(figure, SECTION, title, *_words(title, table, panels, run), inputs)


def _points(arms: pd.DataFrame, column: str) -> pd.DataFrame:
    cost = arms[column] * COSTS[column][0]
    on_front = front(cost, arms["score_mean"])
    points = {"x": cost, "y": arms["score_mean"], "kind": arms["kind"], "label": arms["label"]}
    return pd.DataFrame(points).assign(on_front=on_front)


def _panel(panel: CostPanel) -> None:
    axes, points, best = panel.axes, panel.points, panel.front
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(True)
    axes.step(best["x"], best["y"], where="post", color=VERMILION, linewidth=0.9)
    beaten = {"alpha": 0.75, "markeredgewidth": 0}
    on_front = {"markersize": 5.5, "markeredgecolor": BLACK, "markeredgewidth": 0.8}
    for kind, (color, marker) in KINDS.items():
        for is_on, looks in ((False, beaten), (True, on_front)):
            part = points[(points["kind"] == kind) & (points["on_front"] == is_on)]
            axes.plot(part["x"], part["y"], marker, color=color, **looks)


def _numbers(panels: Iterable[CostPanel], labels: Iterable[str]) -> dict[str, str]:
    """A number for each arm on a front, in the order of `labels`."""
    on_front = {label for panel in panels for label in panel.front["label"]}
    return {name: str(i) for i, name in enumerate((x for x in labels if x in on_front), 1)}


def _legends(figure: Figure, numbers: dict[str, str]) -> None:
    handles = [mark(color, marker) for color, marker in KINDS.values()]
    handles.append(mark(VERMILION, "", "-", linewidth=0.9))
    figure.legend(handles, [*KINDS, "Pareto front"], loc="outside upper right", ncols=4)
    key = [f"{number}  {name}" for name, number in numbers.items()]
    looks = {"handlelength": 0, "handletextpad": 0, "title": "on a front", "title_fontsize": 7}
    legend_below(figure, [mark(BLACK, "")] * len(key), key, 3, **looks)


def _words(
    title: str, table: pd.DataFrame, panels: list[CostPanel], run: Frames
) -> tuple[str, str]:
    """The caption, and the text for those who do not see the picture."""
    energy = run.measured.energy
    has_source = energy is not None and "source" in energy
    source = f" ({listed(sorted(energy['source'].unique()))}, codecarbon)" if has_source else ""
    machine = run.measured.processors.get("latency", "an unnamed processor")
    caption = (
        f"{title} of the packed models. Each mark is an arm: the mean of its {run.score_words} "
        f"over {run.count}. The standard deviation over the cells (ddof 1) is "
        f"{table['score_std'].mean():.2f} on average; judge the steps of a front by it. Energy: per "
        f"clip, mean over the measured folds, idle power subtracted{source}. Latency: median over "
        f"all calls with one clip, one thread, on {machine}. Bytes: all files of the model, the "
        "largest fold. Costs are on log scales. Arms whose energy lies below the resolution of the "
        f"meter are left out of its panels.{run.synthetic}"
    )
    sizes = "; ".join(
        f"{heading.partition(',')[0]}: "
        + listed(str(len(panel.front)) for panel in panels if panel.column == column)
        for column, (_, heading) in COSTS.items()
        if column in table
    )
    alt = f"Arms on the Pareto front, by panel from the top ({sizes}), of {len(table)} arms."
    return caption, alt
