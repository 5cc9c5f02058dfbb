"""Whether precision follows uncertainty: u of the clips by the bits of the expert they are sent to."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from referee.claims.precision_routing import rank_correlation
from referee.figures import style
from referee.figures.expert_shares import SECTION, by_bits
from referee.figures.frames import ARM, CLIPS, Frames, span
from referee.figures.panels import heading, heat, panels_of, rows, stack, within
from referee.figures.style import BLACK, BLUE, GREY, Picture
from referee.figures.uncertainty import NONE
from referee.words import listed, spaced


def correlations(clips: pd.DataFrame, bits: Mapping[str, float]) -> pd.DataFrame:
    """Rank correlation of u with the bits of the chosen expert, a row a cell.

    Args:
        clips: of `Frames.uncertain`.
        bits: of each expert.

    Returns:
        dataset, protocol, label, seed, fold, rho (0 where one side is constant).

    """
    cell = [*ARM, "seed", "fold"]
    records = [
        (
            *keys,
            rank_correlation(part["uncertainty"].to_numpy(), part["expert"].map(bits).to_numpy()),
        )
        for keys, part in clips.groupby(cell, sort=False)
    ]
    return pd.DataFrame(records, columns=[*cell, "rho"])


def uncertainty_by_bits(run: Frames) -> Picture:
    """Draw on the left a table of mean u by expert, on the right the rank correlation."""
    title = "Do uncertain clips go to precise experts?"
    clips = run.uncertain
    if clips.empty:
        return style.missing(title, NONE, SECTION, [CLIPS])
    experts = list(by_bits(clips["expert"], run.paper))
    unknown = [name for name in experts if name not in run.paper.experts]
    if unknown:
        why = f"the paper does not state the bits of {listed(unknown)}"
        return style.missing(title, why, SECTION, [CLIPS])
    bits = {name: run.paper.experts[name].bits for name in experts}
    means = clips.groupby([*ARM, "expert"], sort=False)["uncertainty"].agg(["mean", "size"])
    table, rho = means.reset_index(), correlations(clips, bits)
    panels = panels_of(table)
    counts = [within(table, panel)["label"].nunique() + 1.6 for panel in panels]
    figure, grid = stack(title, counts, 2, 0.8, 0.22)
    for (left, right), panel in zip(grid, panels, strict=True):
        _means(left, within(table, panel), bits, table["mean"].max())
        left.set_title(f"{heading(panel)}: mean u (clips)")
        _correlations(right, within(rho, panel))
    grid[-1, 0].set_xlabel("chosen expert and its bits")
    grid[-1, 1].set_xlabel("← uncertain to few bits      ρ      to many bits →")
    return Picture(figure, SECTION, title, *_words(title, rho, run), [CLIPS])


def _means(axes: Axes, table: pd.DataFrame, bits: Mapping[str, float], top: float) -> None:
    shape = {"index": list(dict.fromkeys(table["label"])), "columns": list(bits)}
    wide = table.pivot(index="label", columns="expert", values=["mean", "size"])
    u, clips = wide["mean"].reindex(**shape), wide["size"].reindex(**shape)
    texts = u.map("{:.3f}".format) + clips.map(" ({:.0f})".format)
    columns = [f"{name}\n{count:g}" for name, count in bits.items()]
    heat(axes, u.set_axis(columns, axis=1), texts.where(u.notna(), ""), top)


def _correlations(axes: Axes, rho: pd.DataFrame) -> None:
    groups = [values for _, values in rho.groupby("label", sort=False)["rho"]]
    rows(axes, [""] * len(groups))
    axes.axvline(0, color=BLACK, linewidth=0.6)
    dots = {"color": GREY, "alpha": 0.6, "markersize": 3, "markeredgewidth": 0}
    for y, values in enumerate(groups):
        axes.plot(values, [y] * len(values), "o", **dots)
        axes.plot(values.mean(), y, "D", color=BLUE, markersize=5)
    axes.set_xlim(-1, 1)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])
    axes.set_title("rank correlation of u and bits")


def _words(title: str, rho: pd.DataFrame, run: Frames) -> tuple[str, str]:
    """The caption, and the text for those who do not see the picture."""
    arms = rho.groupby(ARM, sort=False)["rho"].agg(["mean", "size"])
    mean = arms["mean"]
    caption = (
        f"{title} Left: mean of u (sum over the experts of the variance of the routing "
        "probability, no unit) over all clips that an expert took, their number in brackets; "
        "darker is larger. Right: Spearman's rank correlation ρ of u with the bits of the chosen "
        f"expert; a dot is a cell (n = {span(arms['size'])}, seeds x folds), the diamond their "
        f"mean; ρ is 0 where a cell uses one expert only.{run.synthetic}"
    )
    _, protocol, best = mean.idxmax()
    alt = (
        f"Mean u by bits for {len(arms)} arms; the mean rank correlation is positive in "
        f"{int((mean > 0).sum())} of them and runs from {mean.min():+.2f} to {mean.max():+.2f} "
        f"({best}, {spaced(protocol)})."
    )
    return caption, alt
