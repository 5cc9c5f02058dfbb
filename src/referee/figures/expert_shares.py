"""Where mixtures send their clips, and how sure their routers are."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from referee.figures import panels, style
from referee.figures.frames import ARM, CELL, CLIPS, Frames, span
from referee.figures.style import BLACK, PALE, Picture
from referee.paper import Paper
from referee.paper.figures import Look
from referee.words import spaced

NONE = "no mixture in this grid: add one to grid.expert_sets in params.yaml"


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
        return style.missing(title, NONE, [CLIPS])
    table = shares(run.clips)
    figure, drawn = panels.arm_panels(title, table, 0.2, "share of the clips, %")
    shown = table.groupby([*ARM, "expert"], sort=False)["share"].agg(["mean", "std"])
    experts = experts_by_bits(table["expert"], run.paper)
    percents = 100 * shown["mean"].unstack("expert", fill_value=0.0)
    for panel, (axes, labels) in drawn.items():
        arms = [(*panel, name) for name in labels]
        _bars(axes, percents.reindex(arms, fill_value=0.0), experts)
    bars: dict[str, Any] = {"edgecolor": BLACK, "linewidth": 0.4}
    handles = {e: Patch(facecolor=x.color, hatch=x.hatch, **bars) for e, x in experts.items()}
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


def _bars(axes: Axes, percents: pd.DataFrame, experts: Mapping[str, Look]) -> None:
    """Stack the shares of the experts (columns) in each row of the panel."""
    left: np.ndarray | float = 0.0
    box: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
    bar: dict[str, Any] = {"height": 0.7, "edgecolor": BLACK, "linewidth": 0.4}
    for expert, look in experts.items():
        width = percents[expert].to_numpy()
        looks = bar | {"color": look.color, "hatch": look.hatch}
        bars = axes.barh(range(len(width)), width, left=left, **looks)
        texts = [f"{percent:.0f}" if percent >= 9 else "" for percent in width]
        axes.bar_label(bars, texts, label_type="center", fontsize=6, bbox=box)
        left = left + width
    axes.set_xlim(0, 100)
    axes.grid(axis="y", visible=False)


def confidence(run: Frames) -> Picture:
    """Draw the gate of the chosen expert: a dot an expert, a line over its cells."""
    title = "Confidence of the router, by chosen expert"
    if run.clips.empty:
        return style.missing(title, NONE, [CLIPS])
    table = shares(run.clips).dropna(subset="gate")
    if table.empty:
        return style.missing(title, "the predictions hold no gates", [CLIPS])
    x_label = "gate: probability of the chosen expert"
    figure, drawn = panels.arm_panels(title, table, 0.26, x_label)
    experts = experts_by_bits(table["expert"], run.paper)
    grouped = table.groupby([*ARM, "expert"], sort=False)["gate"]
    gates = grouped.agg(["mean", "min", "max", "size"]).reset_index()
    dots = style.edge(0.4)
    for panel, (axes, labels) in drawn.items():
        axes.grid(axis="y", visible=False)
        here = panels.within(gates, panel)
        for y, name in enumerate(labels):
            axes.axhline(y + 0.5, color=PALE, linewidth=0.5)
            arm = here[here["label"] == name].set_index("expert")
            taken = [expert for expert in experts if expert in arm.index]
            for expert, shift in zip(taken, style.spread_out(-0.3, 0.3, len(taken)), strict=True):
                look, gate, rows = experts[expert], arm.loc[expert], [y + shift] * 2
                axes.plot([gate["min"], gate["max"]], rows, color=look.color, linewidth=1)
                axes.plot(gate["mean"], y + shift, look.marker, color=look.color, **dots)
    handles = {e: panels.mark(x.color, x.marker, "-", **dots) for e, x in experts.items()}
    _legend(figure, handles, run.paper)
    caption = f"""{title}. The gate is the routing probability of the expert that a clip is sent
        to, after the curiosity rule, no unit. Dots: its mean over the n = {span(gates["size"])}
        cells that chose the expert; lines: from the least cell to the greatest.{run.synthetic}"""
    low, high = (
        f"{gate['mean']:.2f} ({gate['expert']} in {gate['label']})"
        for gate in (gates.loc[gates["mean"].idxmin()], gates.loc[gates["mean"].idxmax()])
    )
    alt = f"Dots for {len(gates)} pairs of arm and expert; the mean gate runs from {low} to {high}."
    return Picture(figure, title, caption, alt, [CLIPS])


def _legend(figure: Figure, handles: Mapping[str, Artist], paper: Paper) -> None:
    bits = {name: f" ({expert.bits:g} bit)" for name, expert in paper.experts.items()}
    named = {name + bits.get(name, ""): handle for name, handle in handles.items()}
    panels.legend_below(figure, named, 6, handlelength=2.4, handleheight=1.2)
