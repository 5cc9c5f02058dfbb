"""Where mixtures send their clips, and how sure their routers are."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from referee.figures import style
from referee.figures.frames import ARM, CLIPS, Frames, span
from referee.figures.panels import arm_panels, legend_below, mark, under
from referee.figures.style import BLACK, PALE, Picture
from referee.paper import Paper
from referee.paper.figures import Look, looks
from referee.words import spaced

SECTION = "routing"
NONE = "no mixture in this grid: add one to grid.expert_sets in params.yaml"


def shares(clips: pd.DataFrame) -> pd.DataFrame:
    """Share of the clips, and mean gate, of every expert in every cell of a mixture.

    Returns:
        dataset, protocol, label, seed, fold, expert; share from 0 to 1 (0 where the cell has the
        expert and never took it); gate, its routing probability where it was taken, else NaN.

    """
    cell = [*ARM, "seed", "fold"]
    frames = []
    for keys, part in clips.groupby([*cell, "experts"], sort=False):
        experts = str(keys[-1]).split("+")
        share = part["expert"].value_counts(normalize=True).reindex(experts, fill_value=0.0)
        gate = part.groupby("expert")["gate"].mean().reindex(experts)
        values = {"expert": experts, "share": share.to_numpy(), "gate": gate.to_numpy()}
        frames.append(pd.DataFrame(dict(zip(cell, keys[:-1], strict=True)) | values))
    return pd.concat(frames, ignore_index=True)


def by_bits(names: Iterable[str], paper: Paper) -> dict[str, Look]:
    """Looks of experts, from the fewest bits to the most; those whose bits are unknown last."""
    bits = {name: x.bits for name, x in paper.experts.items()}
    ordered = sorted(set(names), key=lambda name: (bits.get(name, np.inf), name))
    found = looks(paper.figures.experts, ordered)
    return {name: found[name] for name in ordered}


def share(run: Frames) -> Picture:
    """Draw stacked bars, one an arm."""
    title = "Share of the clips that each expert is given"
    if run.clips.empty:
        return style.missing(title, NONE, SECTION, [CLIPS])
    table = shares(run.clips)
    figure, panels = arm_panels(title, table)
    means = table.groupby([*ARM, "expert"], sort=False)["share"].mean()
    experts = by_bits(table["expert"], run.paper)
    for panel, (axes, labels) in panels.items():
        percents = {
            expert: 100 * means.reindex([(*panel, x, expert) for x in labels], fill_value=0.0)
            for expert in experts
        }
        _bars(axes, percents, experts)
    under(figure, "share of the clips, %")
    handles = [
        Patch(facecolor=look.ink, hatch=look.hatch, edgecolor=BLACK, linewidth=0.4)
        for look in experts.values()
    ]
    legend_below(figure, handles, _names(experts, run.paper), 6, handlelength=2.4, handleheight=1.2)
    cells = table.drop_duplicates([*ARM, "seed", "fold"]).groupby(ARM, sort=False).size()
    spread = table.groupby([*ARM, "expert"], sort=False)["share"].std().mean()
    caption = (
        f"{title}, in percent of the test clips: mean over n = {span(cells)} cells (seeds x "
        f"folds) of an arm; the standard deviation over them (ddof 1) is {100 * spread:.0f} points "
        f"on average. Experts are ordered from the fewest bits to the most.{run.synthetic}"
    )
    _, protocol, arm, expert = means.idxmax()
    alt = (
        f"Stacked bars for {len(cells)} arms; the largest share is that of {expert} in {arm} "
        f"({spaced(protocol)}), {100 * means.max():.0f} %."
    )
    return Picture(figure, SECTION, title, caption, alt, [CLIPS])


def _bars(axes: Axes, percents: Mapping[str, pd.Series], experts: Mapping[str, Look]) -> None:
    """Stack the shares of the experts; `percents` holds one for each row of the panel."""
    left: np.ndarray | float = 0.0
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
    for expert, look in experts.items():
        width = percents[expert].to_numpy()
        paint = {"color": look.ink, "hatch": look.hatch, "edgecolor": BLACK, "linewidth": 0.4}
        bars = axes.barh(range(len(width)), width, left=left, height=0.7, **paint)
        texts = [f"{percent:.0f}" if percent >= 9 else "" for percent in width]
        axes.bar_label(bars, texts, label_type="center", fontsize=6, bbox=box)
        left = left + width
    axes.set_xlim(0, 100)
    axes.grid(axis="y", visible=False)


def confidence(run: Frames) -> Picture:
    """Draw the gate of the chosen expert: a dot an expert, a line over its cells."""
    title = "Confidence of the router, by chosen expert"
    if run.clips.empty:
        return style.missing(title, NONE, SECTION, [CLIPS])
    table = shares(run.clips).dropna(subset="gate")
    if table.empty:
        return style.missing(title, "the predictions hold no gates", SECTION, [CLIPS])
    figure, panels = arm_panels(title, table, row=0.26)
    experts = by_bits(table["expert"], run.paper)
    gates = table.groupby([*ARM, "expert"], sort=False)["gate"].agg(["mean", "min", "max", "size"])
    for panel, (axes, labels) in panels.items():
        axes.grid(axis="y", visible=False)
        for y, name in enumerate(labels):
            axes.axhline(y + 0.5, color=PALE, linewidth=0.5)
            arm = {
                x: gates.loc[(*panel, name, x)] for x in experts if (*panel, name, x) in gates.index
            }
            _dots(axes, y, arm, experts)
    under(figure, "gate: probability of the chosen expert")
    looks = {"markeredgecolor": BLACK, "markeredgewidth": 0.4}
    handles = [mark(look.ink, look.marker, "-", **looks) for look in experts.values()]
    legend_below(figure, handles, _names(experts, run.paper), 6, handlelength=2.4, handleheight=1.2)
    caption = (
        f"{title}. The gate is the routing probability of the expert that a clip is sent to, after "
        "the curiosity rule, no unit. Dot: mean of the gate over the clips of a cell, averaged "
        f"over the n = {span(gates['size'])} cells that chose the expert; line: from the least "
        f"cell to the greatest.{run.synthetic}"
    )
    low, high = gates["mean"].idxmin(), gates["mean"].idxmax()
    alt = (
        f"Dots for {len(gates)} pairs of arm and expert; the mean gate runs from "
        f"{gates['mean'].min():.2f} ({low[3]} in {low[2]}) to {gates['mean'].max():.2f} "
        f"({high[3]} in {high[2]})."
    )
    return Picture(figure, SECTION, title, caption, alt, [CLIPS])


def _dots(axes: Axes, y: int, gates: Mapping[str, pd.Series], experts: Mapping[str, Look]) -> None:
    """Draw the mean, least and greatest gate of the experts of an arm, one below the other."""
    edge = {"markeredgecolor": BLACK, "markeredgewidth": 0.4}
    shifts = style.spread_out(-0.3, 0.3, len(gates))
    for (expert, gate), shift in zip(gates.items(), shifts, strict=True):
        look = experts[expert]
        axes.plot([gate["min"], gate["max"]], [y + shift] * 2, color=look.ink, linewidth=1)
        axes.plot(gate["mean"], y + shift, look.marker, color=look.ink, **edge)


def _names(experts: Iterable[str], paper: Paper) -> list[str]:
    return [
        f"{name} ({paper.experts[name].bits:g} bit)" if name in paper.experts else name
        for name in experts
    ]
