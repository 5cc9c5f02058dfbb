"""Where a mixture sends its clips, how sure it is, and whether precision follows uncertainty."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from referee.audit.routing import BITS
from referee.claims.precision_routing import rank_correlation
from referee.figures import style
from referee.figures.curiosity import NONE as UNAWARE
from referee.figures.results import CLIPS, Results, span
from referee.figures.style import BLACK, BLUE, EXPERTS, GREY, PALE, Picture
from referee.words import spaced

SECTION = "routing"
NONE = "no mixture in this grid: add one to grid.expert_sets in params.yaml"
ARM = ["dataset", "protocol", "label"]


def shares(clips: pd.DataFrame) -> pd.DataFrame:
    """Share of the clips, and mean gate, of every expert in every cell of a mixture.

    Returns:
        dataset, protocol, label, seed, fold, expert; share from 0 to 1 (0 where the cell has the
        expert and never took it); gate, its routing probability where it was taken, else NaN.

    """
    cell = [*ARM, "seed", "fold"]
    found = []
    for keys, own in clips.groupby([*cell, "experts"], sort=False):
        experts = str(keys[-1]).split("+")
        share = own["expert"].value_counts(normalize=True).reindex(experts, fill_value=0.0)
        gate = own.groupby("expert")["gate"].mean().reindex(experts)
        about = dict(zip(cell, keys[:-1], strict=True))
        found.append(
            pd.DataFrame(
                {**about, "expert": experts, "share": share.to_numpy(), "gate": gate.to_numpy()}
            )
        )
    return pd.concat(found, ignore_index=True)


def _experts(found: pd.DataFrame) -> list[str]:
    return sorted(found["expert"].unique(), key=lambda expert: (BITS[expert], expert))


def share(results: Results) -> Picture:
    """Stacked bars, one an arm."""
    title = "Share of the clips that each expert is given"
    if results.clips.empty:
        return style.missing(title, NONE, SECTION, [CLIPS])
    found = shares(results.clips)
    figure, panels = style.arm_panels(title, found)
    means = found.groupby([*ARM, "expert"], sort=False)["share"].mean()
    experts = _experts(found)
    for (dataset, protocol), (axes, labels) in panels.items():
        left = np.zeros(len(labels))
        for expert in experts:
            arms = [(dataset, protocol, name, expert) for name in labels]
            width = 100 * means.reindex(arms, fill_value=0.0).to_numpy()
            color, hatch, _ = EXPERTS[expert]
            bars = axes.barh(
                range(len(labels)),
                width,
                left=left,
                height=0.7,
                color=color,
                hatch=hatch,
                edgecolor=BLACK,
                linewidth=0.4,
            )
            axes.bar_label(
                bars,
                [f"{percent:.0f}" if percent >= 9 else "" for percent in width],
                label_type="center",
                fontsize=6,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
            )
            left += width
        axes.set_xlim(0, 100)
        axes.grid(axis="y", visible=False)
    style.under(figure, "share of the clips, %")
    _legend(figure, experts, bars=True)
    cells = found.drop_duplicates([*ARM, "seed", "fold"]).groupby(ARM, sort=False).size()
    spread = found.groupby([*ARM, "expert"], sort=False)["share"].std().mean()
    top = means.idxmax()
    caption = (
        f"{title}, in percent of the test clips: mean over n = {span(cells)} cells (seeds x "
        f"folds) of an arm; the standard deviation over them (ddof 1) is {100 * spread:.0f} points "
        f"on average. Experts from the fewest bits to the most.{results.synthetic}"
    )
    alt = (
        f"Stacked bars for {len(cells)} arms; the largest share is that of {top[3]} in {top[2]} "
        f"({spaced(top[1])}), {100 * means.max():.0f} %."
    )
    return Picture(figure, SECTION, title, caption, alt, [CLIPS])


def confidence(results: Results) -> Picture:
    """The gate of the chosen expert: a dot an expert, a line over its cells."""
    title = "Confidence of the router, by chosen expert"
    if results.clips.empty:
        return style.missing(title, NONE, SECTION, [CLIPS])
    found = shares(results.clips).dropna(subset="gate")
    figure, panels = style.arm_panels(title, found, row=0.26)
    experts = _experts(found)
    grouped = found.groupby([*ARM, "expert"], sort=False)["gate"]
    gates = grouped.agg(["mean", "min", "max"])
    for (dataset, protocol), (axes, labels) in panels.items():
        axes.grid(axis="y", visible=False)
        for y, name in enumerate(labels):
            axes.axhline(y + 0.5, color=PALE, linewidth=0.5)
            arm = (dataset, protocol, name)
            own = [expert for expert in experts if (*arm, expert) in gates.index]
            for expert, shift in zip(own, style.spread_out(-0.3, 0.3, len(own)), strict=True):
                mean, low, high = gates.loc[(*arm, expert)]
                color, _, marker = EXPERTS[expert]
                axes.plot([low, high], [y + shift] * 2, color=color, linewidth=1)
                axes.plot(
                    mean, y + shift, marker, color=color, markeredgecolor=BLACK, markeredgewidth=0.4
                )
    style.under(figure, "gate: probability of the chosen expert")
    _legend(figure, experts, bars=False)
    cells = grouped.size()
    low, high = gates["mean"].idxmin(), gates["mean"].idxmax()
    caption = (
        f"{title}. Gate: routing probability of the expert that a clip is sent to, after the "
        f"curiosity rule, no unit. Dot: mean over n = {span(cells)} cells that took the expert of "
        f"the mean over its clips; line: least to greatest cell.{results.synthetic}"
    )
    alt = (
        f"Dots for {len(gates)} pairs of arm and expert; the mean gate runs from "
        f"{gates['mean'].min():.2f} ({low[3]} in {low[2]}) to {gates['mean'].max():.2f} "
        f"({high[3]} in {high[2]})."
    )
    return Picture(figure, SECTION, title, caption, alt, [CLIPS])


def _legend(figure: Figure, experts: list[str], *, bars: bool) -> None:
    handles = [
        Patch(facecolor=EXPERTS[e][0], hatch=EXPERTS[e][1], edgecolor=BLACK, linewidth=0.4)
        if bars
        else Line2D(
            [],
            [],
            color=EXPERTS[e][0],
            marker=EXPERTS[e][2],
            markeredgecolor=BLACK,
            markeredgewidth=0.4,
        )
        for e in experts
    ]
    names = [f"{e} ({BITS[e]:g} bit)" for e in experts]
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=min(len(experts), 6),
        handlelength=2.4,
        handleheight=1.2,
    )


def correlations(clips: pd.DataFrame) -> pd.DataFrame:
    """Rank correlation of u with the bits of the chosen expert, a row a cell.

    Returns:
        dataset, protocol, label, seed, fold, rho (0 where one side is constant).

    """
    cell = [*ARM, "seed", "fold"]
    rows = [
        (*keys, rank_correlation(own["uncertainty"].to_numpy(), own["expert"].map(BITS).to_numpy()))
        for keys, own in clips.groupby(cell, sort=False)
    ]
    return pd.DataFrame(rows, columns=[*cell, "rho"])


def uncertainty_by_bits(results: Results) -> Picture:
    """Left a table of mean u by bits of the chosen expert, right the rank correlation."""
    title = "Do uncertain clips go to precise experts?"
    clips = results.uncertain
    if clips.empty:
        return style.missing(title, UNAWARE, SECTION, [CLIPS])
    means = clips.groupby([*ARM, "expert"], sort=False)["uncertainty"].agg(["mean", "size"])
    rho = correlations(clips)
    experts = sorted(clips["expert"].unique(), key=lambda expert: (BITS[expert], expert))
    columns = [f"{expert}\n{BITS[expert]:g}" for expert in experts]
    panels = list(dict.fromkeys(index[:2] for index in means.index))
    heights = [len(means.loc[panel].index.unique("label")) + 1.6 for panel in panels]
    figure = style.new(title, 0.8 + 0.22 * sum(heights))
    grid = figure.subplots(
        len(panels), 2, squeeze=False, height_ratios=heights, width_ratios=[1, 1]
    )
    top = means["mean"].max()
    for (left, right), panel in zip(grid, panels, strict=True):
        own = means.loc[panel]
        labels = list(dict.fromkeys(own.index.get_level_values("label")))
        wide = own["mean"].unstack("expert").reindex(index=labels, columns=experts)
        counts = own["size"].unstack("expert").reindex(index=labels, columns=experts)
        texts = pd.DataFrame(
            [
                [
                    "" if pd.isna(u) else f"{u:.3f} ({n:.0f})"
                    for u, n in zip(wide.loc[name], counts.loc[name], strict=True)
                ]
                for name in labels
            ],
            index=labels,
            columns=experts,
        )
        style.heat(left, wide.set_axis(columns, axis=1), texts, top)
        left.set_title(f"{panel[0]}, {spaced(panel[1])}: mean u (clips)")
        style.rows(right, [""] * len(labels))
        right.axvline(0, color=BLACK, linewidth=0.6)
        for y, name in enumerate(labels):
            here = (rho["dataset"] == panel[0]) & (rho["protocol"] == panel[1])
            values = rho.loc[here & (rho["label"] == name), "rho"].to_numpy()
            right.plot(
                values,
                [y] * len(values),
                "o",
                color=GREY,
                alpha=0.6,
                markersize=3,
                markeredgewidth=0,
            )
            right.plot(values.mean(), y, "D", color=BLUE, markersize=5)
        right.set_xlim(-1, 1)
        right.set_xticks([-1, -0.5, 0, 0.5, 1])
        right.set_title("rank correlation of u and bits")
    grid[-1, 0].set_xlabel("chosen expert and its bits")
    grid[-1, 1].set_xlabel("← uncertain to few bits      ρ      to many bits →")
    arms = rho.groupby(ARM, sort=False)["rho"].agg(["mean", "size"])
    caption = (
        f"{title} Left: mean over all clips of u (sum over the experts of the variance of the "
        "routing probability, no unit) by the expert that took them, their number in brackets, "
        "darker: larger. Right: Spearman's rank correlation ρ of u with the bits of the chosen "
        f"expert; a dot a cell (n = {span(arms['size'])}, seeds x folds), the diamond their mean; "
        f"0 where a cell has one expert only.{results.synthetic}"
    )
    best = arms["mean"].idxmax()
    alt = (
        f"Mean u by bits for {len(arms)} arms; the mean rank correlation is positive in "
        f"{int((arms['mean'] > 0).sum())} of them and runs from {arms['mean'].min():+.2f} to "
        f"{arms['mean'].max():+.2f} ({best[2]}, {spaced(best[1])})."
    )
    return Picture(figure, SECTION, title, caption, alt, [CLIPS])
