"""Whether precision follows uncertainty: u of clips by the bits of the expert that takes them."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from referee.claims.precision_routing import rank_correlation
from referee.figures import panels, style
from referee.figures.expert_shares import by_bits
from referee.figures.frames import ARM, CLIPS, Frames, span
from referee.figures.style import BLACK, BLUE, GREY, Picture
from referee.figures.uncertainty import NONE
from referee.words import listed, spaced


def correlations(clips: pd.DataFrame, bits: Mapping[str, float]) -> pd.DataFrame:
    """Rank correlation of u with the bits of the chosen expert, a row a cell.

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
        return style.missing(title, NONE, [CLIPS])
    experts = list(by_bits(clips["expert"], run.paper))
    unknown = [name for name in experts if name not in run.paper.experts]
    if unknown:
        why = f"the paper does not state the bits of {listed(unknown)}"
        return style.missing(title, why, [CLIPS])
    bits = {name: run.paper.experts[name].bits for name in experts}
    means = clips.groupby([*ARM, "expert"], sort=False)["uncertainty"].agg(["mean", "size"])
    table, rho = means.reset_index(), correlations(clips, bits)
    pairs = panels.panels_of(table)
    counts = [panels.within(table, pair)["label"].nunique() + 1.6 for pair in pairs]
    figure, grid = panels.stack(title, counts, 2, 0.8, 0.22)
    for (left, right), pair in zip(grid, pairs, strict=True):
        _means(left, panels.within(table, pair), bits, table["mean"].max())
        left.set_title(f"{panels.heading(pair)}: mean u (clips)")
        _correlations(right, panels.within(rho, pair))
    grid[-1, 0].set_xlabel("chosen expert and its bits")
    grid[-1, 1].set_xlabel("← uncertain to few bits      ρ      to many bits →")
    return Picture(figure, title, *_words(title, rho, run), [CLIPS])


def _means(axes: Axes, table: pd.DataFrame, bits: Mapping[str, float], top: float) -> None:
    shape = {"index": list(dict.fromkeys(table["label"])), "columns": list(bits)}
    wide = table.pivot(index="label", columns="expert", values=["mean", "size"])
    u, clips = wide["mean"].reindex(**shape), wide["size"].reindex(**shape)
    texts = u.map("{:.3f}".format) + clips.map(" ({:.0f})".format)
    columns = [f"{name}\n{count:g}" for name, count in bits.items()]
    panels.heat(axes, u.set_axis(columns, axis=1), texts.where(u.notna(), ""), top)


def _correlations(axes: Axes, rho: pd.DataFrame) -> None:
    groups = [values for _, values in rho.groupby("label", sort=False)["rho"]]
    panels.rows(axes, [""] * len(groups))
    axes.axvline(0, color=BLACK, linewidth=0.6)
    dots: dict[str, Any] = {"color": GREY, "alpha": 0.6, "markersize": 3, "markeredgewidth": 0}
    for y, values in enumerate(groups):
        axes.plot(values, [y] * len(values), "o", **dots)
        axes.plot(values.mean(), y, "D", color=BLUE, markersize=5)
    axes.set_xlim(-1, 1)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])
    axes.set_title("rank correlation of u and bits")


def _words(title: str, rho: pd.DataFrame, run: Frames) -> tuple[str, str]:
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
