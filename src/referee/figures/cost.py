"""What F1 costs: energy, latency and bytes of the packed models."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import ArrayLike, NDArray

from referee.figures import style
from referee.figures.results import CELLS, Results
from referee.figures.style import BLACK, BLUE, GREY, ORANGE, VERMILION, Picture
from referee.tables.definition import ROW
from referee.tables.measured import per_arm
from referee.words import listed, spaced

SECTION = "cost"
COSTS = {  # column of `per_arm`, factor, heading
    "energy_batch1_j": (1e6, "energy of a clip, µJ"),
    "latency_batch1_ms": (1e3, "latency of one clip, µs"),
    "disk_bytes": (1e-6, "bytes on disk, MB"),
}
KINDS = {
    "single network": (GREY, "o"),
    "plain router": (ORANGE, "^"),
    "curiosity": (BLUE, "s"),
}


def front(cost: ArrayLike, score: ArrayLike) -> NDArray[np.bool_]:
    """Which points no other beats: none costs at most as much and scores at least as much.

    One of the two must be better. NaN is never on the front.
    """
    c, s = np.asarray(cost, dtype=float), np.asarray(score, dtype=float)
    known = ~np.isnan(c) & ~np.isnan(s)
    beaten = [
        bool(np.any(known & (c <= ci) & (s >= si) & ((c < ci) | (s > si))))
        for ci, si in zip(c, s, strict=True)
    ]
    return known & ~np.array(beaten, dtype=bool)


def costs(results: Results) -> pd.DataFrame | None:
    """F1 and costs of every measured arm; None where nothing was measured.

    Returns:
        dataset, protocol, label, kind, f1_mean, f1_std (ddof 1), n and the columns of `per_arm`.

    """
    tables = (results.latency, results.energy, results.memory, results.packed)
    if any(table is None for table in tables):
        return None
    measured = per_arm(*tables)
    grouped = results.cells.groupby(list(ROW), sort=False, dropna=False)
    scores = grouped["f1_weighted"].agg(n="count", f1_mean="mean", f1_std="std")
    about = grouped[["label", "experts"]].first()
    joined = about.join(scores).reset_index().merge(measured, on=list(ROW), how="inner")
    kind = np.where(
        ~joined["experts"].str.contains("+", regex=False),
        "single network",
        np.where(joined["strategy"] == "none", "plain router", "curiosity"),
    )
    return joined.assign(kind=kind)


def pareto(results: Results) -> Picture:
    """Three panels a dataset and protocol; the front joined and named."""
    title = "F1 against energy, latency and bytes"
    found = costs(results)
    if found is None or found.empty:
        why = "nothing was measured: `snakemake -j8 measurements` measures the packed models"
        return style.missing(title, why, SECTION, [CELLS])
    shown = {c: about for c, about in COSTS.items() if c in found}
    panels = list(
        found[["dataset", "protocol"]].drop_duplicates().itertuples(index=False, name=None)
    )
    figure = style.new(title, 1.2 + 2.3 * len(panels))
    grid = figure.subplots(len(panels), len(shown), squeeze=False, sharey="row", sharex="col")
    fronts: dict[str, list[int]] = {column: [] for column in shown}
    named = []
    for i, (dataset, protocol) in enumerate(panels):
        own = found[(found["dataset"] == dataset) & (found["protocol"] == protocol)]
        for axes, (column, (factor, heading)) in zip(grid[i], shown.items(), strict=True):
            cost = own[column] * factor
            on = front(cost, own["f1_mean"])
            fronts[column].append(int(on.sum()))
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_locator(NullLocator())
            axes.grid(True)
            best = own[on].assign(cost=cost[on]).sort_values("cost")
            axes.step(best["cost"], best["f1_mean"], where="post", color=VERMILION, linewidth=0.9)
            for kind, (color, marker) in KINDS.items():
                of = (own["kind"] == kind).to_numpy()
                axes.plot(
                    cost[of & ~on],
                    own["f1_mean"][of & ~on],
                    marker,
                    color=color,
                    alpha=0.75,
                    markeredgewidth=0,
                )
                axes.plot(
                    cost[of & on],
                    own["f1_mean"][of & on],
                    marker,
                    color=color,
                    markersize=5.5,
                    markeredgecolor=BLACK,
                    markeredgewidth=0.8,
                )
            points = pd.DataFrame({"x": cost, "y": own["f1_mean"]})
            best = best.rename(columns={"cost": "x", "f1_mean": "y"})
            named.append((axes, points, best))
            if i == len(panels) - 1:
                axes.set_xlabel(heading)
        grid[i, 0].set_ylabel(f"{dataset},\n{spaced(protocol)}\nweighted F1, mean of cells")
    handles = [
        Line2D([], [], color=color, marker=marker, linestyle="") for color, marker in KINDS.values()
    ]
    handles.append(Line2D([], [], color=VERMILION, linewidth=0.9))
    on_front = set().union(*(best["label"] for _, _, best in named))
    numbers = {
        name: str(i)
        for i, name in enumerate((n for n in found["label"].unique() if n in on_front), 1)
    }
    key = [f"{number}  {name}" for name, number in numbers.items()]
    blank = [Line2D([], [], linestyle="")] * len(key)
    figure.legend(handles, [*KINDS, "Pareto front"], loc="outside upper right", ncols=4)
    figure.legend(
        blank,
        key,
        loc="outside lower center",
        ncols=3,
        handlelength=0,
        handletextpad=0,
        title="on a front",
        title_fontsize=7,
    )
    style.settle(figure)
    for axes, points, best in named:
        style.name_points(axes, points, best.assign(name=best["label"].map(numbers)))
    spread = found["f1_std"].mean()
    sizes = "; ".join(
        f"{heading.partition(',')[0]}: {listed(list(map(str, fronts[column])))}"
        for column, (_, heading) in shown.items()
    )
    source = listed(sorted(results.energy["source"].unique())) if results.energy is not None else ""
    caption = (
        f"{title} of the packed models. A mark is an arm: mean of the weighted F1 over "
        f"{results.count}; their standard deviation (ddof 1) is {spread:.2f} on average, by which "
        "to judge the steps of a front; energy per clip, mean over the measured folds, idle power "
        f"subtracted ({source}, codecarbon); latency: median over all calls with one clip, one "
        f"thread, on {results.machine or 'an unnamed processor'}; bytes: all files of the model, "
        "largest fold. Costs are on log scales. "
        f"Arms below the resolution of the meter are left out of the energy.{results.synthetic}"
    )
    alt = f"Arms on the Pareto front, by panel from the top ({sizes}), of {len(found)} arms."
    return Picture(figure, SECTION, title, caption, alt, [CELLS, *results.measured])
