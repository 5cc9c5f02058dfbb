"""How uncertain the routers are: values u of each clip, and their means by class."""

import numpy as np
import pandas as pd

from referee.figures import style
from referee.figures.results import CLIPS, Results, span
from referee.figures.style import BLUE, GREY, Picture
from referee.words import spaced

SECTION = "curiosity"
MEANING = (
    "u: sum over the experts of the variance of the routing probability in the Monte Carlo passes"
)
NONE = (
    "no router of this grid estimates its uncertainty: add a strategy to grid.curiosity in "
    "params.yaml"
)
EDGES = np.logspace(-8, 0, 17)  # two bins a decade; what is outside goes to the outermost bins


def shares(clips: pd.DataFrame) -> pd.DataFrame:
    """Percent of the clips of each arm in each bin of u.

    Returns:
        index (dataset, protocol, label) in the order of the clips, a column a bin.

    """
    grouped = clips.groupby(["dataset", "protocol", "label"], sort=False)["uncertainty"]
    inside = grouped.apply(
        lambda u: pd.Series(100 * np.histogram(np.clip(u, EDGES[0], EDGES[-1]), EDGES)[0] / len(u))
    )
    return inside.unstack(sort=False)


def histogram(results: Results) -> Picture:
    """One histogram an arm, under each other."""
    title = "Uncertainty of the router, by arm"
    clips = results.uncertain
    if clips.empty:
        return style.missing(title, NONE, SECTION, [CLIPS])
    binned = shares(clips)
    arms = results.mixtures  # those without uncertainty keep their row, and say so
    figure, panels = style.arm_panels(title, arms, row=0.26)
    tall = binned.to_numpy().max()
    for (dataset, protocol), (axes, labels) in panels.items():
        axes.set_xscale("log")
        axes.minorticks_off()
        axes.grid(visible=False)
        axes.set_xlim(EDGES[0], EDGES[-1])
        axes.set_xticks([1e-8, 1e-6, 1e-4, 1e-2, 1], ["≤10⁻⁸", "10⁻⁶", "10⁻⁴", "0.01", "1"])
        own = arms[(arms["dataset"] == dataset) & (arms["protocol"] == protocol)]
        for y, name in enumerate(labels):
            if (dataset, protocol, name) in binned.index:
                top = y + 0.45 - 0.9 * binned.loc[(dataset, protocol, name)] / tall
                axes.stairs(top, EDGES, baseline=y + 0.45, fill=True, color=BLUE, alpha=0.5)
                axes.stairs(top, EDGES, baseline=y + 0.45, color=BLUE, linewidth=0.7)
            elif (own["label"] == name).any():
                axes.text(2e-8, y, "plain router: no u", va="center", color=GREY, fontsize=6)
    style.under(figure, "u of a clip (log scale)")
    size = clips.groupby(["dataset", "protocol", "label"], sort=False).size()
    median = clips.groupby(["dataset", "protocol", "label"], sort=False)["uncertainty"].median()
    low, high = median.idxmin(), median.idxmax()
    caption = (
        f"{title}. {MEANING}, no unit. Rows: share of the test clips by u, two bins a decade, the "
        f"tallest bar is {tall:.0f} % of an arm's clips; values below 1e-8 stand in the first bin. "
        f"n = {span(size)} clips an arm, all folds and seeds.{results.synthetic}"
    )
    alt = (
        f"Histograms of u for {len(binned)} arms; the median is lowest for {low[2]} "
        f"({spaced(low[1])}, {median.min():.1e}) and highest for {high[2]} "
        f"({spaced(high[1])}, {median.max():.1e})."
    )
    return Picture(figure, SECTION, title, caption, alt, [CLIPS])


def class_means(clips: pd.DataFrame) -> pd.DataFrame:
    """Mean of u by arm and true class.

    Returns:
        dataset, protocol, label, class; n clips; mean and std (ddof 1) over the cells' own means.

    """
    keys = ["dataset", "protocol", "label", "class"]
    cells = clips.groupby([*keys, "seed", "fold"], sort=False)["uncertainty"].agg(["size", "mean"])
    grouped = cells.groupby(keys, sort=False)
    return pd.DataFrame(
        {"n": grouped["size"].sum(), "mean": grouped["mean"].mean(), "std": grouped["mean"].std()}
    ).reset_index()


def by_class(results: Results) -> Picture:
    """A table of arms and classes, the darker the more uncertain."""
    title = "Uncertainty of the router, by class"
    clips = results.uncertain
    if clips.empty:
        return style.missing(title, NONE, SECTION, [CLIPS])
    means = class_means(clips)
    panels = means[["dataset", "protocol"]].drop_duplicates().itertuples(index=False, name=None)
    tables = {}
    for dataset, protocol in panels:
        own = means[(means["dataset"] == dataset) & (means["protocol"] == protocol)]
        order = sorted(own["class"].unique(), key=lambda name: (len(name.split()), name))
        wide = own.pivot(index="label", columns="class", values=["mean", "std"])
        rows = list(dict.fromkeys(own["label"]))
        tables[dataset, protocol] = tuple(
            wide[what].reindex(index=rows, columns=order) for what in ("mean", "std")
        )
    heights = [len(mean) + 1.6 for mean, _ in tables.values()]
    figure = style.new(title, 0.6 + 0.2 * sum(heights))
    grid = figure.subplots(len(tables), 1, squeeze=False, height_ratios=heights)
    top = means["mean"].max()
    for axes, ((dataset, protocol), (mean, std)) in zip(grid[:, 0], tables.items(), strict=True):
        texts = mean.map("{:.3f}".format) + " ± " + std.map("{:.3f}".format)
        many = mean.shape[1] > 6
        style.heat(axes, mean, texts if not many else texts.map(lambda _: ""), top)
        if many:
            axes.tick_params(axis="x", rotation=90)
        axes.set_title(f"{dataset}, {spaced(protocol)}")
    most = means.loc[means["mean"].idxmax()]
    caption = (
        f"{title} of the clip (true class). {MEANING}, no unit; darker: larger. Mean ± standard "
        f"deviation (ddof 1) over {results.count} of the mean over the clips of a class; "
        f"{span(means['n'])} clips an arm and class.{results.synthetic}"
    )
    alt = (
        f"Table of the mean u of {means['class'].nunique()} classes for "
        f"{means['label'].nunique()} arms; the largest, {most['mean']:.3f}, is that of "
        f"{most['class']} with {most['label']} ({spaced(most['protocol'])})."
    )
    return Picture(figure, SECTION, title, caption, alt, [CLIPS])
