"""How uncertain the routers are: u by arm, by class, and by the bits of the chosen expert."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from referee.claims.precision_routing import rank_correlation
from referee.figures import panels, style
from referee.figures.expert_shares import experts_by_bits
from referee.figures.frames import ARM, CELL, CLIPS, Frames, span
from referee.figures.style import BLACK, BLUE, GREY, Picture
from referee.words import listed, spaced

MEANING = "u: variance of the routing probability over Monte Carlo passes, summed over the experts"
NONE = (
    "no router of this grid estimates its uncertainty: add a strategy to grid.curiosity in "
    "params.yaml"
)
EDGES = np.logspace(-8, 0, 17)  # two bins a decade; what is outside goes to the outermost bins
TICKS = {1e-8: "≤10⁻⁸", 1e-6: "10⁻⁶", 1e-4: "10⁻⁴", 1e-2: "0.01", 1: "1"}


def shares(clips: pd.DataFrame) -> pd.DataFrame:
    """Percent of the clips of each arm, (dataset, protocol, label), in each bin of u."""
    grouped = clips.groupby(ARM, sort=False)["uncertainty"]
    inside = grouped.apply(
        lambda u: pd.Series(100 * np.histogram(np.clip(u, EDGES[0], EDGES[-1]), EDGES)[0] / len(u))
    )
    return inside.unstack(sort=False)


def histogram(run: Frames) -> Picture:
    """Draw one histogram an arm, below each other."""
    title = "Uncertainty of the router, by arm"
    clips = run.uncertain
    if clips.empty:
        return style.missing(title, NONE, [CLIPS])
    binned = shares(clips)
    arms = run.mixtures  # those without uncertainty keep their row, and say so
    figure, drawn = panels.arm_panels(title, arms, 0.26, "u of a clip (log scale)")
    tallest = binned.to_numpy().max()
    for panel, (axes, labels) in drawn.items():
        axes.set(xscale="log", xlim=(EDGES[0], EDGES[-1]))
        axes.set_xticks(list(TICKS), list(TICKS.values()))
        axes.minorticks_off()
        axes.grid(visible=False)
        there = set(panels.within(arms, panel)["label"])
        for y, name in enumerate(labels):
            if (*panel, name) in binned.index:
                top = y + 0.45 - 0.9 * binned.loc[(*panel, name)] / tallest
                axes.stairs(top, EDGES, baseline=y + 0.45, fill=True, color=BLUE, alpha=0.5)
                axes.stairs(top, EDGES, baseline=y + 0.45, color=BLUE, linewidth=0.7)
            elif name in there:
                axes.text(2e-8, y, "plain router: no u", va="center", color=GREY, fontsize=6)
    arm = clips.groupby(ARM, sort=False)["uncertainty"]
    caption = f"""{title}. {MEANING}, no unit. Rows show the share of the test clips by u, with
        two bins a decade; the tallest bar is {tallest:.0f} % of an arm's clips. Values below
        1e-8 are counted in the first bin. n = {span(arm.size())} clips an arm, from all folds
        and seeds.{run.synthetic}"""
    medians = arm.median()
    low, high = (
        f"{key[2]} ({spaced(key[1])}, {medians[key]:.1e})"
        for key in (medians.idxmin(), medians.idxmax())
    )
    alt = f"""Histograms of u for {len(binned)} arms; the median is lowest for {low} and highest
        for {high}."""
    return Picture(figure, title, caption, alt, [CLIPS])


def class_means(clips: pd.DataFrame) -> pd.DataFrame:
    """Mean of u by arm and true class.

    Columns: dataset, protocol, label, class; n clips; mean and std (ddof 1) over the means of the
    cells.
    """
    keys = [*ARM, "class"]
    cells = clips.groupby([*keys, "seed", "fold"], sort=False)["uncertainty"].agg(["size", "mean"])
    values = {"n": ("size", "sum"), "mean": ("mean", "mean"), "std": ("mean", "std")}
    return cells.groupby(keys, sort=False).agg(**values).reset_index()


def by_class(run: Frames) -> Picture:
    """Draw a table of arms and classes, the darker the more uncertain."""
    title = "Uncertainty of the router, by class"
    clips = run.uncertain
    if clips.empty:
        return style.missing(title, NONE, [CLIPS])
    means = class_means(clips)
    means["text"] = means["mean"].map("{:.3f}".format) + " ± " + means["std"].map("{:.3f}".format)
    pairs = panels.split(means)
    counts = [part["label"].nunique() + 1.6 for part in pairs.values()]
    figure = style.new(title, 0.6 + 0.2 * sum(counts))
    grid = figure.subplots(len(pairs), 1, squeeze=False, height_ratios=counts)
    for axes, (pair, part) in zip(grid[:, 0], pairs.items(), strict=True):
        order = sorted(part["class"].unique(), key=lambda name: (len(name.split()), name))
        many = len(order) > 6
        shown = part.assign(text="") if many else part
        _table(axes, shown, "class", {name: name for name in order}, means["mean"].max())
        axes.tick_params(axis="x", rotation=90 if many else 0)
        axes.set_title(panels.heading(pair))
    caption = f"""{title} of the clip (true class). {MEANING}, no unit; darker is larger. Mean ±
        standard deviation (ddof 1) over {run.count} of the mean over the clips of a class; there
        are {span(means["n"])} clips an arm and class.{run.synthetic}"""
    most = means.loc[means["mean"].idxmax()]
    alt = f"""Table of the mean u of {means["class"].nunique()} classes for
        {means["label"].nunique()} arms; the largest, {most["mean"]:.3f}, is that of
        {most["class"]} with {most["label"]} ({spaced(most["protocol"])})."""
    return Picture(figure, title, caption, alt, [CLIPS])


def _table(
    axes: Axes, cells: pd.DataFrame, column: str, headings: Mapping[str, str], top: float
) -> None:
    """Draw mean and text of each arm and value of a column; headings by value, in their order."""
    wide = cells.pivot(index="label", columns=column, values=["mean", "text"])
    shape = {"index": list(dict.fromkeys(cells["label"])), "columns": list(headings)}
    means, texts = wide["mean"].reindex(**shape), wide["text"].reindex(**shape).fillna("")
    panels.heat(axes, means.set_axis(list(headings.values()), axis=1), texts, top)


def correlations(clips: pd.DataFrame, bits: Mapping[str, float]) -> pd.DataFrame:
    """Rank correlation of u with the bits of the chosen expert, a row a cell.

    Columns: dataset, protocol, label, seed, fold, rho (0 where one side is constant).
    """
    known = clips.assign(bits=clips["expert"].map(bits))
    records = [
        (*keys, rank_correlation(part["uncertainty"].to_numpy(), part["bits"].to_numpy()))
        for keys, part in known.groupby(CELL, sort=False)
    ]
    return pd.DataFrame(records, columns=[*CELL, "rho"])


def by_bits(run: Frames) -> Picture:
    """Draw on the left a table of mean u by expert, on the right the rank correlation."""
    title = "Do uncertain clips go to precise experts?"
    clips = run.uncertain
    if clips.empty:
        return style.missing(title, NONE, [CLIPS])
    experts = list(experts_by_bits(clips["expert"], run.paper))
    unknown = [name for name in experts if name not in run.paper.experts]
    if unknown:
        why = f"the paper does not state the bits of {listed(unknown)}"
        return style.missing(title, why, [CLIPS])
    bits = {name: run.paper.experts[name].bits for name in experts}
    means = clips.groupby([*ARM, "expert"], sort=False)["uncertainty"].agg(["mean", "size"])
    means["text"] = means["mean"].map("{:.3f}".format) + means["size"].map(" ({:.0f})".format)
    headings = {name: f"{name}\n{count:g}" for name, count in bits.items()}
    rho = correlations(clips, bits)
    pairs = panels.split(means.reset_index())
    counts = [part["label"].nunique() + 1.6 for part in pairs.values()]
    figure = style.new(title, 0.8 + 0.22 * sum(counts))
    grid = figure.subplots(len(pairs), 2, squeeze=False, height_ratios=counts)
    for (left, right), (pair, part) in zip(grid, pairs.items(), strict=True):
        _table(left, part, "expert", headings, means["mean"].max())
        left.set_title(f"{panels.heading(pair)}: mean u (clips)")
        _correlations(right, panels.within(rho, pair))
    grid[-1, 0].set_xlabel("chosen expert and its bits")
    grid[-1, 1].set_xlabel("← uncertain to few bits      ρ      to many bits →")
    arms = rho.groupby(ARM, sort=False)["rho"].agg(["mean", "size"])
    mean = arms["mean"]
    caption = f"""{title} {MEANING}, no unit. Left: its mean over all clips that an expert took,
        whose number stands in brackets; darker is larger. Right: Spearman's rank correlation ρ
        of u with the bits of the chosen expert; a dot is a cell (n = {span(arms["size"])}, seeds
        x folds), the diamond their mean; ρ is 0 where a cell uses one expert
        only.{run.synthetic}"""
    _, protocol, best = mean.idxmax()
    alt = f"""Mean u by bits for {len(arms)} arms; the mean rank correlation is positive in
        {int((mean > 0).sum())} of them and runs from {mean.min():+.2f} to {mean.max():+.2f}
        ({best}, {spaced(protocol)})."""
    return Picture(figure, title, caption, alt, [CLIPS])


def _correlations(axes: Axes, rho: pd.DataFrame) -> None:
    groups = [values for _, values in rho.groupby("label", sort=False)["rho"]]
    panels.rows(axes, [""] * len(groups))
    axes.axvline(0, color=BLACK, linewidth=0.6)
    dots: dict[str, Any] = {"color": GREY, "alpha": 0.6, "markersize": 3, "markeredgewidth": 0}
    for y, values in enumerate(groups):
        axes.plot(values, [y] * len(values), "o", **dots)
        axes.plot(values.mean(), y, "D", color=BLUE, markersize=5)
    axes.set(xlim=(-1, 1), xticks=[-1, -0.5, 0, 0.5, 1], title="rank correlation of u and bits")
