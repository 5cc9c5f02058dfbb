"""What the score costs: energy, latency and bytes of the packed models."""

from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from referee.contract import NO_RULE, is_mixture
from referee.figures import panels, style
from referee.figures.frames import CELLS, Frames
from referee.figures.point_names import name_points
from referee.figures.style import BLACK, BLUE, GREY, ORANGE, VERMILION, Picture
from referee.tables.measured import per_arm
from referee.tables.sheet import ROW
from referee.words import listed, spaced

COSTS = {  # column of `per_arm`: factor, heading
    "energy_batch1_j": (1e6, "energy of a clip, µJ"),
    "latency_batch1_ms": (1e3, "latency of one clip, µs"),
    "disk_bytes": (1e-6, "bytes on disk, MB"),
}
KINDS = {"single network": (GREY, "o"), "plain router": (ORANGE, "^"), "curiosity": (BLUE, "s")}


def front(cost: ArrayLike, score: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other beats.

    A point beats another if it costs at most as much, scores at least as much, and one of the two
    is better. NaN is never on the front. Returns a flag a point, (n,) like `cost` and `score`.
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

    Columns: dataset, protocol, label, kind, score_mean, score_std (ddof 1), n and those of
    `per_arm`.
    """
    measured = run.measured
    tables = (measured.latency, measured.energy, measured.memory, run.packed)
    if any(table is None for table in tables):
        return None
    grouped = run.cells.groupby(list(ROW), sort=False, dropna=False)
    scores = grouped["score"].agg(n="count", score_mean="mean", score_std="std")
    about = grouped[["label", "experts"]].first()
    joined = about.join(scores).reset_index().merge(per_arm(*tables), on=list(ROW), how="inner")
    single, plain, varied = KINDS
    mixture = np.where(joined["strategy"] == NO_RULE, plain, varied)
    kind = np.where(is_mixture(joined), mixture, single)
    return joined.assign(kind=kind)


def points(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """What is drawn of a cost: the arms with x (the cost), y (the score) and on_front (a flag)."""
    x = table[column] * COSTS[column][0]
    on_front = front(x, table["score_mean"])
    return table.assign(x=x, y=table["score_mean"], on_front=on_front)


def pareto(run: Frames) -> Picture:
    """Draw a panel a cost for each dataset and protocol; the front joined and named."""
    title = f"{run.score} against energy, latency and bytes"
    table = costs(run)
    if table is None or table.empty:
        why = "nothing was measured: `snakemake -j8 measurements` measures the packed models"
        return style.missing(title, why, [CELLS])
    shown, rows = [column for column in COSTS if column in table], panels.split(table)
    figure = style.new(title, 1.2 + 2.3 * len(rows))
    grid = figure.subplots(len(rows), len(shown), squeeze=False, sharey="row", sharex="col")
    drawn = [[points(arms, column) for column in shown] for arms in rows.values()]
    for line, (dataset, protocol) in zip(grid, rows, strict=True):
        line[0].set_ylabel(f"{dataset},\n{spaced(protocol)}\n{run.score_words}, mean of cells")
    for axes, column in zip(grid[-1], shown, strict=True):
        axes.set_xlabel(COSTS[column][1])
    flat = list(zip(grid.flat, chain(*drawn), strict=True))
    for axes, arms in flat:
        _panel(axes, arms)
    on_front = {name for _, arms in flat for name in arms.loc[arms["on_front"], "label"]}
    names = [name for name in table["label"].unique() if name in on_front]
    numbers = {name: str(i) for i, name in enumerate(names, 1)}
    _legends(figure, numbers)
    style.settle(figure)
    for axes, arms in flat:
        best = arms[arms["on_front"]].sort_values("x")
        name_points(axes, arms, best.assign(name=best["label"].map(numbers)))
    sizes = "; ".join(
        f"{COSTS[c][1].partition(',')[0]}: {listed(str(arms['on_front'].sum()) for arms in of)}"
        for c, of in zip(shown, zip(*drawn, strict=True), strict=True)
    )
    alt = f"Arms on the Pareto front, by panel from the top ({sizes}), of {len(table)} arms."
    caption, inputs = _caption(title, table, run), [CELLS, *run.measured_files]
    return Picture(figure, title, caption, alt, inputs)


def _panel(axes: Axes, arms: pd.DataFrame) -> None:
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(True)
    best = arms[arms["on_front"]].sort_values("x")
    axes.step(best["x"], best["y"], where="post", color=VERMILION, linewidth=0.9)
    beaten = {"alpha": 0.75, "markeredgewidth": 0}
    on_front = {"markersize": 5.5} | style.edge(0.8)
    for kind, (color, marker) in KINDS.items():
        for is_on, looks in ((False, beaten), (True, on_front)):
            part = arms[(arms["kind"] == kind) & (arms["on_front"] == is_on)]
            axes.plot(part["x"], part["y"], marker, color=color, **looks)


def _legends(figure: Figure, numbers: dict[str, str]) -> None:
    handles = [panels.mark(color, marker) for color, marker in KINDS.values()]
    handles.append(panels.mark(VERMILION, "", "-", linewidth=0.9))
    figure.legend(handles, [*KINDS, "Pareto front"], loc="outside upper right", ncols=4)
    key = {f"{number}  {name}": panels.mark(BLACK, "") for name, number in numbers.items()}
    looks: dict[str, Any] = {"handlelength": 0, "handletextpad": 0, "title_fontsize": 7}
    panels.legend_below(figure, key, 3, title="on a front", **looks)


def _caption(title: str, table: pd.DataFrame, run: Frames) -> str:
    energy, source = run.measured.energy, ""
    if energy is not None and "source" in energy:
        source = f" ({listed(sorted(energy['source'].unique()))}, codecarbon)"
    machine = run.measured.processors.get("latency", "an unnamed processor")
    return (
        f"{title} of the packed models. Each mark is an arm: the mean of its {run.score_words} "
        f"over {run.count}. The standard deviation over the cells (ddof 1) is "
        f"{table['score_std'].mean():.2f} on average; judge the steps of a front by it. Energy: "
        f"per clip, mean over the measured folds, idle power subtracted{source}. Latency: median "
        f"over all calls with one clip, one thread, on {machine}. Bytes: all files of the model, "
        "the largest fold. Costs are on log scales. Arms whose energy lies below the resolution of "
        f"the meter are left out of its panels.{run.synthetic}"
    )
