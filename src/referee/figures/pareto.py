"""What the score costs: energy, latency and bytes of the packed models."""

from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, NullLocator
from matplotlib.transforms import Bbox, BboxBase
from numpy.typing import ArrayLike, NDArray

from referee.contract import NO_RULE, is_mixture
from referee.figures import style
from referee.figures.frames import CELLS, Frames
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

Pixels = NDArray[np.float64]  # x and y
RADII = (4, 12, 22, 34)  # points, between a mark and its name
PLACES = [(1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0)]


def front(cost: ArrayLike, score: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other beats; a flag a point, (n,) like `cost` and `score`.

    A point beats another if it costs at most as much, scores at least as much, and one of the two
    is better. NaN is never on the front.
    """
    c, s = np.asarray(cost, dtype=float), np.asarray(score, dtype=float)
    as_good = (c <= c[:, None]) & (s >= s[:, None])  # the point of a column, as that of a row
    better = (c < c[:, None]) | (s > s[:, None])
    return ~np.isnan(c) & ~np.isnan(s) & ~(as_good & better).any(axis=1)


def costs(run: Frames) -> pd.DataFrame | None:
    """Scores and costs of every measured arm; None where something was not measured.

    Columns: dataset, protocol, label, kind, score_mean, score_std (ddof 1), n and those of
    `per_arm`.
    """
    measured = run.measured
    tables = (measured.latency, measured.energy, measured.memory, run.packed)
    if any(table is None for table in tables):
        return None
    arms = run.cells.groupby(list(ROW), sort=False, dropna=False)
    known = {"label": ("label", "first"), "experts": ("experts", "first"), "n": ("score", "count")}
    known |= {"score_mean": ("score", "mean"), "score_std": ("score", "std")}
    joined = arms.agg(**known).reset_index().merge(per_arm(*tables), on=list(ROW), how="inner")
    single, plain, varied = KINDS
    mixture = np.where(joined["strategy"] == NO_RULE, plain, varied)
    return joined.assign(kind=np.where(is_mixture(joined), mixture, single))


def pareto(run: Frames) -> Picture:
    """Draw a panel a cost for each dataset and protocol; the front joined and named."""
    title = f"{run.score} against energy, latency and bytes"
    table = costs(run)
    if table is None or table.empty:
        why = "nothing was measured: `snakemake -j8 measurements` measures the packed models"
        return style.missing(title, why, [CELLS])
    shown, rows = [column for column in COSTS if column in table], style.split(table)
    figure = style.new(title, 1.2 + 2.3 * len(rows))
    grid = figure.subplots(len(rows), len(shown), squeeze=False, sharey="row", sharex="col")
    drawn: list[tuple[Axes, pd.DataFrame]] = []
    for axes, (dataset, protocol) in zip(grid[:, 0], rows, strict=True):
        axes.set_ylabel(f"{dataset},\n{spaced(protocol)}\n{run.score_words}, mean of cells")
    for column, below in zip(shown, grid.T, strict=True):
        for axes, arms in zip(below, rows.values(), strict=True):
            x, y = arms[column] * COSTS[column][0], arms["score_mean"]
            drawn.append((axes, arms.assign(cost=column, x=x, y=y, on_front=front(x, y))))
            _panel(*drawn[-1])
        below[-1].set_xlabel(COSTS[column][1])
    points = pd.concat([points for _, points in drawn])
    is_named = table["label"].isin(points.loc[points["on_front"], "label"])
    numbers = {name: str(i) for i, name in enumerate(table.loc[is_named, "label"].unique(), 1)}
    handles = [style.mark(color, marker) for color, marker in KINDS.values()]
    handles.append(style.mark(VERMILION, "", "-", linewidth=0.9))
    figure.legend(handles, [*KINDS, "Pareto front"], loc="outside upper right", ncols=4)
    key = {f"{number}  {name}": style.mark(BLACK, "") for name, number in numbers.items()}
    looks: dict[str, Any] = {"handlelength": 0, "handletextpad": 0, "title_fontsize": 7}
    style.legend_below(figure, key, 3, title="on a front", **looks)
    style.settle(figure)
    for axes, arms in drawn:
        _name_points(axes, arms, numbers)
    on_front = points.groupby(["cost", "dataset", "protocol"], sort=False)["on_front"].sum()
    sizes = "; ".join(
        f"{COSTS[column][1].partition(',')[0]}: {listed(map(str, on_front[column]))}"
        for column in shown
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


def _caption(title: str, table: pd.DataFrame, run: Frames) -> str:
    energy, source = run.measured.energy, ""
    if energy is not None and "source" in energy:
        source = f" ({listed(sorted(energy['source'].unique()))}, codecarbon)"
    machine = run.measured.processors.get("latency", "an unnamed processor")
    return f"""{title} of the packed models. Each mark is an arm: the mean of its
        {run.score_words} over {run.count}. The standard deviation over the cells (ddof 1) is
        {table["score_std"].mean():.2f} on average; judge the steps of a front by it. Energy: per
        clip, mean over the measured folds, idle power subtracted{source}. Latency: median over
        all calls with one clip, one thread, on {machine}. Bytes: all files of the model, the
        largest fold. Costs are on log scales. Arms whose energy lies below the resolution of the
        meter are left out of its panels.{run.synthetic}"""


def _name_points(axes: Axes, arms: pd.DataFrame, numbers: dict[str, str]) -> None:
    """Number the front where it covers least; a line joins a number that lies far from its arm."""
    pixels = axes.figure.dpi / 72  # in a point
    centres = axes.transData.transform(arms[["x", "y"]].dropna().to_numpy())
    taken = [Bbox.from_bounds(x - 6, y - 6, 12, 12) for x, y in centres]
    text: dict[str, Any] = {"textcoords": "offset points", "fontsize": 6, "zorder": 5}
    best = arms[arms["on_front"]].sort_values("x")
    for x, y, label in best[["x", "y", "label"]].itertuples(index=False):
        note = axes.annotate(numbers[label], (x, y), (0, 0), **text)
        note.set_path_effects([withStroke(linewidth=2, foreground="white")])
        at, size = np.array(axes.transData.transform((x, y))), note.get_window_extent().size
        taken.append(box := _freest(at, size, pixels, taken, axes.bbox))
        note.xyann = tuple((box.p0 - at) / pixels)
        if np.hypot(*(np.clip(at, box.p0, box.p1) - at)) > 12 * pixels:
            middle = axes.transData.inverted().transform((box.p0 + box.p1) / 2)
            axes.plot(*zip((x, y), middle, strict=True), color=BLACK, linewidth=0.4, zorder=4)


def _freest(at: Pixels, size: Any, pixels: float, taken: list[Bbox], frame: BboxBase) -> Bbox:
    """The box of a size, near a position, that covers least of others; all in pixels."""
    tried: list[tuple[float, Bbox]] = []
    for radius, place in product(RADII, PLACES):
        corner = at + pixels * radius * np.array(place) + (np.array(place) - 1) / 2 * size
        box = Bbox([corner, corner + size])
        outside = size[0] * size[1] - _common(box, frame)
        covered = sum(_common(box, other) for other in taken)
        tried.append((covered + 2 * outside + radius, box))
    return min(tried, key=lambda place: place[0])[1]


def _common(a: Bbox, b: BboxBase) -> float:
    """Area that two boxes share."""
    both = Bbox.intersection(a, b)
    return both.width * both.height if both else 0.0
