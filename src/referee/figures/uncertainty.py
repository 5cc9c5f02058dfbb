"""How uncertain the routers are: u of each clip, and its mean by class."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from referee.figures import panels, style
from referee.figures.frames import ARM, CLIPS, Frames, span
from referee.figures.style import BLUE, GREY, Picture
from referee.words import spaced

MEANING = (
    "u is the sum over the experts of the variance of the routing probability in the Monte Carlo "
    "passes, no unit"
)
NONE = (
    "no router of this grid estimates its uncertainty: add a strategy to grid.curiosity in "
    "params.yaml"
)
EDGES = np.logspace(-8, 0, 17)  # two bins a decade; what is outside goes to the outermost bins
TICKS = {1e-8: "≤10⁻⁸", 1e-6: "10⁻⁶", 1e-4: "10⁻⁴", 1e-2: "0.01", 1: "1"}


def shares(clips: pd.DataFrame) -> pd.DataFrame:
    """Percent of the clips of each arm in each bin of u.

    Returns:
        index (dataset, protocol, label) in the order of the clips, a column a bin.

    """
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
    figure, drawn = panels.arm_panels(title, arms, row=0.26)
    tallest = binned.to_numpy().max()
    for panel, (axes, labels) in drawn.items():
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.grid(visible=False)
        axes.set_xlim(EDGES[0], EDGES[-1])
        axes.set_xticks(list(TICKS), list(TICKS.values()))
        there = set(panels.within(arms, panel)["label"])
        for y, name in enumerate(labels):
            if (*panel, name) in binned.index:
                top = y + 0.45 - 0.9 * binned.loc[(*panel, name)] / tallest
                axes.stairs(top, EDGES, baseline=y + 0.45, fill=True, color=BLUE, alpha=0.5)
                axes.stairs(top, EDGES, baseline=y + 0.45, color=BLUE, linewidth=0.7)
            elif name in there:
                axes.text(2e-8, y, "plain router: no u", va="center", color=GREY, fontsize=6)
    panels.under(figure, "u of a clip (log scale)")
    arm = clips.groupby(ARM, sort=False)["uncertainty"]
    caption = (
        f"{title}. {MEANING}. Rows show the share of the test clips by u, with two bins a decade; "
        f"the tallest bar is {tallest:.0f} % of an arm's clips. Values below 1e-8 are counted in "
        f"the first bin. n = {span(arm.size())} clips an arm, from all folds and "
        f"seeds.{run.synthetic}"
    )
    medians = arm.median()
    extremes = [
        f"{name} ({spaced(protocol)}, {medians[dataset, protocol, name]:.1e})"
        for dataset, protocol, name in (medians.idxmin(), medians.idxmax())
    ]
    alt = (
        f"Histograms of u for {len(binned)} arms; the median is lowest for {extremes[0]} and "
        f"highest for {extremes[1]}."
    )
    return Picture(figure, title, caption, alt, [CLIPS])


def class_means(clips: pd.DataFrame) -> pd.DataFrame:
    """Mean of u by arm and true class.

    Returns:
        dataset, protocol, label, class; n clips; mean and std (ddof 1) over the means of the cells.

    """
    keys = [*ARM, "class"]
    cells = clips.groupby([*keys, "seed", "fold"], sort=False)["uncertainty"].agg(["size", "mean"])
    grouped = cells.groupby(keys, sort=False)
    return pd.DataFrame(
        {"n": grouped["size"].sum(), "mean": grouped["mean"].mean(), "std": grouped["mean"].std()}
    ).reset_index()


def by_class(run: Frames) -> Picture:
    """Draw a table of arms and classes, the darker the more uncertain."""
    title = "Uncertainty of the router, by class"
    clips = run.uncertain
    if clips.empty:
        return style.missing(title, NONE, [CLIPS])
    means = class_means(clips)
    pairs = panels.panels_of(means)
    counts = [panels.within(means, pair)["label"].nunique() + 1.6 for pair in pairs]
    figure, grid = panels.stack(title, counts, 1, 0.6, 0.2)
    for axes, pair in zip(grid[:, 0], pairs, strict=True):
        _classes(axes, panels.within(means, pair), means["mean"].max())
        axes.set_title(panels.heading(pair))
    caption = (
        f"{title} of the clip (true class). {MEANING}; darker is larger. Mean ± standard deviation "
        f"(ddof 1) over {run.count} of the mean over the clips of a class; there are "
        f"{span(means['n'])} clips an arm and class.{run.synthetic}"
    )
    most = means.loc[means["mean"].idxmax()]
    alt = (
        f"Table of the mean u of {means['class'].nunique()} classes for {means['label'].nunique()} "
        f"arms; the largest, {most['mean']:.3f}, is that of {most['class']} with {most['label']} "
        f"({spaced(most['protocol'])})."
    )
    return Picture(figure, title, caption, alt, [CLIPS])


def _classes(axes: Axes, means: pd.DataFrame, top: float) -> None:
    order = sorted(means["class"].unique(), key=lambda name: (len(name.split()), name))
    shape = {"index": list(dict.fromkeys(means["label"])), "columns": order}
    wide = means.pivot(index="label", columns="class", values=["mean", "std"])
    mean, std = wide["mean"].reindex(**shape), wide["std"].reindex(**shape)
    texts = mean.map("{:.3f}".format) + " ± " + std.map("{:.3f}".format)
    many = len(order) > 6
    panels.heat(axes, mean, texts.map(lambda _: "") if many else texts, top)
    if many:
        axes.tick_params(axis="x", rotation=90)
