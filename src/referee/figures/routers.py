"""Where mixtures send their clips, and how sure or uncertain their routers are."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from referee.claims.precision_routing import rank_correlation
from referee.figures import style
from referee.figures.frames import ARM, CELL, CLIPS, Frames, span
from referee.figures.style import BLACK, BLUE, GREY, PALE, Picture
from referee.paper import Look, Paper
from referee.words import listed, spaced

MEANING = "u: variance of the routing probability over Monte Carlo passes, summed over the experts"
NO_MIXTURE = "no mixture in this grid: add one to grid.expert_sets in params.yaml"
NO_U = (
    "no router of this grid estimates its uncertainty: add a strategy to grid.curiosity in "
    "params.yaml"
)
EDGES = np.logspace(-8, 0, 17)  # two bins a decade; what is outside goes to the outermost bins
TICKS = {1e-8: "≤10⁻⁸", 1e-6: "10⁻⁶", 1e-4: "10⁻⁴", 1e-2: "0.01", 1: "1"}
BOX: dict[str, Any] = {"edgecolor": BLACK, "linewidth": 0.4}  # of a share


def shares(clips: pd.DataFrame) -> pd.DataFrame:
    """Share of the clips, and mean gate, of every expert in every cell of a mixture.

    Columns: dataset, protocol, label, seed, fold, expert; share from 0 to 1 (0 where the cell has
    the expert and never took it); gate, its routing probability where it was taken, else NaN.
    """
    frames = []
    for (*keys, experts), part in clips.groupby([*CELL, "experts"], sort=False):
        taken = part.groupby("expert")["gate"].agg(["size", "mean"]).reindex(experts.split("+"))
        values = {"share": taken["size"].fillna(0) / len(part), "gate": taken["mean"]}
        frames.append(pd.DataFrame(dict(zip(CELL, keys, strict=True)) | values).reset_index())
    return pd.concat(frames, ignore_index=True)


def experts_by_bits(names: Iterable[str], paper: Paper) -> dict[str, Look]:
    """Looks of experts, from the fewest bits to the most; those whose bits are unknown last."""
    bits = {name: x.bits for name, x in paper.experts.items()}
    ordered = sorted(set(names), key=lambda name: (bits.get(name, np.inf), name))
    looks = style.looks(paper.figures.experts, ordered)
    return {name: looks[name] for name in ordered}


def share(run: Frames) -> Picture:
    """Draw stacked bars, one an arm."""
    title = "Share of the clips that each expert is given"
    if run.clips.empty:
        return style.missing(title, NO_MIXTURE, [CLIPS])
    table = shares(run.clips)
    figure, drawn = style.arm_panels(title, table, 0.2, "share of the clips, %")
    shown = table.groupby([*ARM, "expert"], sort=False)["share"].agg(["mean", "std"])
    experts = experts_by_bits(table["expert"], run.paper)
    percents = 100 * shown["mean"].unstack("expert", fill_value=0.0)
    for panel, (axes, labels) in drawn.items():
        arms = [(*panel, name) for name in labels]
        _stack(axes, percents.reindex(arms, fill_value=0.0), experts)
    handles = {e: Patch(facecolor=x.color, hatch=x.hatch, **BOX) for e, x in experts.items()}
    _legend(figure, handles, run.paper)
    cells = table.drop_duplicates(CELL).groupby(ARM, sort=False).size()
    caption = f"""{title}, in percent of the test clips: mean over n = {span(cells)} cells (seeds
        x folds) of an arm; the standard deviation over them (ddof 1) is
        {100 * shown["std"].mean():.0f} points on average. Experts are ordered from the fewest
        bits to the most.{run.synthetic}"""
    _, protocol, arm, expert = shown["mean"].idxmax()
    alt = f"""Stacked bars for {len(cells)} arms; the largest share is that of {expert} in {arm}
        ({spaced(protocol)}), {100 * shown["mean"].max():.0f} %."""
    return Picture(figure, title, caption, alt, [CLIPS])


def _stack(axes: Axes, percents: pd.DataFrame, experts: dict[str, Look]) -> None:
    left: np.ndarray | float = 0.0
    paper: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
    for expert, look in experts.items():
        width = percents[expert].to_numpy()
        looks = BOX | {"color": look.color, "hatch": look.hatch}
        bars = axes.barh(range(len(width)), width, height=0.7, left=left, **looks)
        texts = [f"{percent:.0f}" if percent >= 9 else "" for percent in width]
        axes.bar_label(bars, texts, label_type="center", fontsize=6, bbox=paper)
        left = left + width
    axes.set_xlim(0, 100)
    axes.grid(axis="y", visible=False)


def confidence(run: Frames) -> Picture:
    """Draw the gate of the chosen expert: a dot an expert, a line over its cells."""
    title = "Confidence of the router, by chosen expert"
    if run.clips.empty:
        return style.missing(title, NO_MIXTURE, [CLIPS])
    table = shares(run.clips).dropna(subset="gate")
    if table.empty:
        return style.missing(title, "the predictions hold no gates", [CLIPS])
    figure, drawn = style.arm_panels(title, table, 0.26, "gate: probability of the chosen expert")
    experts = experts_by_bits(table["expert"], run.paper)
    grouped = table.groupby([*ARM, "expert"], sort=False)["gate"]
    gates = grouped.agg(["mean", "min", "max", "size"]).reset_index()
    dots = style.edge(0.4)
    for panel, (axes, labels) in drawn.items():
        axes.grid(axis="y", visible=False)
        for y, name in enumerate(labels):
            axes.axhline(y + 0.5, color=PALE, linewidth=0.5)
            arm = gates[(gates[ARM] == [*panel, name]).all(axis=1)].set_index("expert")
            taken = [expert for expert in experts if expert in arm.index]
            for expert, shift in zip(taken, style.spread_out(-0.3, 0.3, len(taken)), strict=True):
                look, gate, rows = experts[expert], arm.loc[expert], [y + shift] * 2
                axes.plot([gate["min"], gate["max"]], rows, color=look.color, linewidth=1)
                axes.plot(gate["mean"], y + shift, look.marker, color=look.color, **dots)
    handles = {e: style.mark(x.color, x.marker, "-", **dots) for e, x in experts.items()}
    _legend(figure, handles, run.paper)
    caption = f"""{title}. The gate is the routing probability of the expert that a clip is sent
        to, after the curiosity rule, no unit. Dots: its mean over the n = {span(gates["size"])}
        cells that chose the expert; lines: from the least cell to the greatest.{run.synthetic}"""
    ends = gates.loc[[gates["mean"].idxmin(), gates["mean"].idxmax()]]
    low, high = (f"{x['mean']:.2f} ({x['expert']} in {x['label']})" for _, x in ends.iterrows())
    alt = f"Dots for {len(gates)} pairs of arm and expert; the mean gate runs from {low} to {high}."
    return Picture(figure, title, caption, alt, [CLIPS])


def _legend(figure: Figure, handles: dict[str, Any], paper: Paper) -> None:
    bits = {name: f" ({expert.bits:g} bit)" for name, expert in paper.experts.items()}
    named = {name + bits.get(name, ""): handle for name, handle in handles.items()}
    style.legend_below(figure, named, 6, handlelength=2.4, handleheight=1.2)


def shares_by_u(clips: pd.DataFrame) -> pd.DataFrame:
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
        return style.missing(title, NO_U, [CLIPS])
    binned = shares_by_u(clips)
    arms = run.mixtures  # those without uncertainty keep their row, and say so
    figure, drawn = style.arm_panels(title, arms, 0.26, "u of a clip (log scale)")
    there = set(arms[ARM].itertuples(index=False, name=None))
    tallest = binned.to_numpy().max()
    for panel, (axes, labels) in drawn.items():
        axes.set(xscale="log", xlim=(EDGES[0], EDGES[-1]))
        axes.set_xticks(list(TICKS), list(TICKS.values()))
        axes.minorticks_off()
        axes.grid(visible=False)
        for y, name in enumerate(labels):
            if (*panel, name) in binned.index:
                top = y + 0.45 - 0.9 * binned.loc[(*panel, name)] / tallest
                axes.stairs(top, EDGES, baseline=y + 0.45, fill=True, color=BLUE, alpha=0.5)
                axes.stairs(top, EDGES, baseline=y + 0.45, color=BLUE, linewidth=0.7)
            elif (*panel, name) in there:
                axes.text(2e-8, y, "plain router: no u", va="center", color=GREY, fontsize=6)
    arm = clips.groupby(ARM, sort=False)["uncertainty"]
    caption = f"""{title}. {MEANING}, no unit. Rows show the share of the test clips by u, with
        two bins a decade; the tallest bar is {tallest:.0f} % of an arm's clips. Values below
        1e-8 are counted in the first bin. n = {span(arm.size())} clips an arm, from all folds
        and seeds.{run.synthetic}"""
    medians = arm.median()
    ends = (medians.idxmin(), medians.idxmax())
    low, high = (f"{key[2]} ({spaced(key[1])}, {medians[key]:.1e})" for key in ends)
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
        return style.missing(title, NO_U, [CLIPS])
    means = class_means(clips)
    means["text"] = means["mean"].map("{:.3f}".format) + " ± " + means["std"].map("{:.3f}".format)
    pairs = style.split(means)
    counts = [part["label"].nunique() + 1.6 for part in pairs.values()]
    figure = style.new(title, 0.6 + 0.2 * sum(counts))
    grid = figure.subplots(len(pairs), 1, squeeze=False, height_ratios=counts)
    for axes, ((dataset, protocol), part) in zip(grid[:, 0], pairs.items(), strict=True):
        order = sorted(part["class"].unique(), key=lambda name: (len(name.split()), name))
        many = len(order) > 6
        shown = part.assign(text="") if many else part
        _table(axes, shown, "class", dict(zip(order, order, strict=True)), means["mean"].max())
        axes.tick_params(axis="x", rotation=90 if many else 0)
        axes.set_title(f"{dataset}, {spaced(protocol)}")
    caption = f"""{title} of the clip (true class). {MEANING}, no unit; darker is larger. Mean ±
        standard deviation (ddof 1) over {run.count} of the mean over the clips of a class; there
        are {span(means["n"])} clips an arm and class.{run.synthetic}"""
    most = means.loc[means["mean"].idxmax()]
    alt = f"""Table of the mean u of {means["class"].nunique()} classes for
        {means["label"].nunique()} arms; the largest, {most["mean"]:.3f}, is that of
        {most["class"]} with {most["label"]} ({spaced(most["protocol"])})."""
    return Picture(figure, title, caption, alt, [CLIPS])


def _table(axes: Axes, cells: pd.DataFrame, by: str, headings: dict[str, str], top: float) -> None:
    """Draw mean and text of each arm and value of a column; headings by value, in their order."""
    wide = cells.pivot(index="label", columns=by, values=["mean", "text"])
    shape = {"index": list(dict.fromkeys(cells["label"])), "columns": list(headings)}
    means, texts = wide["mean"].reindex(**shape), wide["text"].reindex(**shape).fillna("")
    style.heat(axes, means.set_axis(list(headings.values()), axis=1), texts, top)


def correlations(clips: pd.DataFrame, bits: dict[str, float]) -> pd.DataFrame:
    """Rank correlation of u with the bits of the chosen expert, a row a cell.

    Columns: dataset, protocol, label, seed, fold, rho (0 where one side is constant).
    """
    known = clips.assign(bits=clips["expert"].map(bits))
    rho = known.groupby(CELL, sort=False)[["uncertainty", "bits"]].apply(
        lambda cell: rank_correlation(cell["uncertainty"].to_numpy(), cell["bits"].to_numpy())
    )
    return rho.rename("rho").reset_index()


def by_bits(run: Frames) -> Picture:
    """Draw on the left a table of mean u by expert, on the right the rank correlation."""
    title = "Do uncertain clips go to precise experts?"
    clips = run.uncertain
    if clips.empty:
        return style.missing(title, NO_U, [CLIPS])
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
    pairs = style.split(means.reset_index())
    counts = [part["label"].nunique() + 1.6 for part in pairs.values()]
    figure = style.new(title, 0.8 + 0.22 * sum(counts))
    grid = figure.subplots(len(pairs), 2, squeeze=False, height_ratios=counts)
    for (left, right), (pair, part) in zip(grid, pairs.items(), strict=True):
        _table(left, part, "expert", headings, means["mean"].max())
        left.set_title(f"{pair[0]}, {spaced(pair[1])}: mean u (clips)")
        _correlations(right, style.split(rho)[pair])
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
    style.rows(axes, [""] * len(groups))
    axes.axvline(0, color=BLACK, linewidth=0.6)
    dots: dict[str, Any] = {"color": GREY, "alpha": 0.6, "markersize": 3, "markeredgewidth": 0}
    for y, values in enumerate(groups):
        axes.plot(values, [y] * len(values), "o", **dots)
        axes.plot(values.mean(), y, "D", color=BLUE, markersize=5)
    axes.set(xlim=(-1, 1), xticks=[-1, -0.5, 0, 0.5, 1], title="rank correlation of u and bits")
