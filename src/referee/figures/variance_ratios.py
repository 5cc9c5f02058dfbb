"""Variances that shrink: those of this run and of the paper, against what chance alone yields."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from referee.figures import panels, style
from referee.figures.frames import SYNTHETIC, Frames, label
from referee.figures.style import BLACK, BLUE, GREY, PALE, Picture
from referee.paper import Paper
from referee.paper.figures import Look
from referee.stats.spread import null_probability
from referee.words import spaced

PRINTED = "the paper prints"  # in the place of a protocol
TICKS = (1 / 64, 1 / 16, 0.2, 0.5, 1, 2, 5, 16, 64)  # ratios
Group = tuple[str, str]  # source and dataset


def null_density(log_ratio: ArrayLike, n: int) -> NDArray[np.float64]:
    """Density of ln(variance / variance) of n against n normal values of one true variance.

    The ratio is F(n - 1, n - 1); its density times the ratio is that of its logarithm. Returns the
    densities in the shape of `log_ratio`.
    """
    ratio = np.exp(np.asarray(log_ratio, dtype=float))
    return np.asarray(ratio * stats.f.pdf(ratio, n - 1, n - 1))


def printed_reductions(paper: Paper) -> list[tuple[str, str, float]]:
    """What the paper prints: dataset, strength of curiosity, reduction of the variance, percent."""
    return [
        (dataset, strength, curious.reduction.value)
        for dataset, ablation in paper.table5.datasets.items()
        for strength, curious in ablation.curiosity.items()
    ]


def observed(table: pd.DataFrame | None, paper: Paper) -> pd.DataFrame:
    """Variance ratios of this run, from a significance file, and of the paper.

    Arms without spread are left out.

    Returns:
        source (protocol, or `PRINTED`), dataset, label, n, reduction_percent, ratio (variance with
        curiosity over that without), chance: P(at most this ratio | no effect).

    """
    ours = [] if table is None else table.itertuples()
    records = [
        (
            row.protocol,
            str(row.dataset).replace("_synthetic", SYNTHETIC),
            label(paper, row.model, row.strategy, row.alpha),
            row.n,
            row.variance_reduction_percent,
        )
        for row in ours
    ]
    records += [
        (PRINTED, dataset, f"α {strength}", paper.figures.folds, percent)
        for dataset, strength, percent in printed_reductions(paper)
    ]
    frame = pd.DataFrame(records, columns=["source", "dataset", "label", "n", "reduction_percent"])
    frame = frame[frame["reduction_percent"] < 100].reset_index(drop=True)
    chance = [
        null_probability(percent, int(n), int(n))
        for percent, n in zip(frame["reduction_percent"], frame["n"], strict=True)
    ]
    return frame.assign(ratio=1 - frame["reduction_percent"] / 100, chance=chance)


def reductions(run: Frames) -> Picture:
    """Draw the null distribution, and below it every ratio of this run and of the paper."""
    title = "Variance with curiosity over variance without, against no effect at all"
    name = run.paper.figures.variances
    inputs = [f"results/significance/{name}.csv", (run.paper.folder / "claims.yaml").as_posix()]
    ratios = observed(run.significance.get(name), run.paper)
    if ratios.empty:
        why = "neither this run nor the paper compares variances"
        return style.missing(title, why, inputs)
    ours = ratios[ratios["source"] != PRINTED]
    n = int(ours["n"].mode().max()) if len(ours) else run.paper.figures.folds
    groups = list(
        ratios[["source", "dataset"]].drop_duplicates().itertuples(index=False, name=None)
    )
    figure = style.new(title, 2.4 + 0.27 * len(groups))
    heights = [1.5, 0.27 * max(len(groups), 2)]
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=heights)
    edge = max(np.abs(np.log(ratios["ratio"])).max() * 1.1, np.log(30))
    low, high = np.log(stats.f.ppf([0.025, 0.975], n - 1, n - 1))
    _null(top, n, edge, (low, high))
    _observed(bottom, ratios, groups, run.paper)
    bottom.axvspan(low, high, color=PALE, zorder=0, linewidth=0)
    ticks = [t for t in TICKS if abs(np.log(t)) <= edge]
    bottom.set_xticks(np.log(ticks), [_change(100 * (1 - t)) for t in ticks])
    bottom.set_xlim(-edge, edge)
    bottom.set_xlabel(f"change of the variance of {run.score} over folds (log scale of the ratio)")
    if ours.empty:
        none = "no curiosity beside its plain router in this grid"
        bottom.text(0.99, 0.04, none, ha="right", transform=bottom.transAxes, color=GREY)
    return Picture(figure, title, *_words(title, ratios, n, low, run), inputs)


def _null(axes: Axes, n: int, edge: float, inner: tuple[float, float]) -> None:
    """Draw the density of no effect from -edge to edge, with its central 95 % in grey."""
    x = np.linspace(-edge, edge, 801)
    axes.plot(x, null_density(x, n), color=BLACK)
    within = x[(x >= inner[0]) & (x <= inner[1])]
    axes.fill_between(within, null_density(within, n), color=PALE)
    factor = np.exp(inner[1])
    about = f"grey: 95 % of no effects,\n÷ {factor:.1f} to × {factor:.1f}"
    axes.text(0.99, 0.8, about, ha="right", va="top", transform=axes.transAxes)
    for percent in (50, 80, 94):
        at = np.log(1 - percent / 100)
        height = float(null_density(at, n))
        axes.plot([at, at], [0, height], color=BLUE, linewidth=0.8)
        axes.annotate(
            f"≥ {percent} %:\nP = {null_probability(percent, n, n):.2g}", (at, height),
            xytext=(-4, 5), textcoords="offset points", ha="right", va="bottom", color=BLUE,
        )  # fmt: skip
    axes.set_ylim(0, 1.3 * float(null_density(0.0, n)))
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_title(f"null distribution at {n} against {n} folds: log of F({n - 1}, {n - 1})")


def _observed(axes: Axes, ratios: pd.DataFrame, groups: Sequence[Group], paper: Paper) -> None:
    """Draw a row a source and dataset, and name the lowest ratio of each."""
    panels.rows(axes, [f"{spaced(source)}: {dataset}" for source, dataset in groups])
    axes.axvline(0, color=BLACK, linewidth=0.6)
    listed = paper.figures.protocols | {PRINTED: Look(color=BLACK, marker="D")}
    marks = style.looks(listed, ratios["source"])
    for y, (source, dataset) in enumerate(groups):
        here = ratios[(ratios["source"] == source) & (ratios["dataset"] == dataset)]
        look = marks[source]
        axes.plot(
            np.log(here["ratio"]), [y] * len(here), look.marker, color=look.color, alpha=0.8,
            markerfacecolor=look.face, markersize=5,
        )  # fmt: skip
        least = here.loc[here["ratio"].idxmin()]
        text = f"lowest: {_change(least['reduction_percent'])}, P = {least['chance']:.2g}"
        panels.beside(axes, y, text, x=1.01)


def _change(percent: float) -> str:
    """Change of a variance: `−50 %`, `0`, `+100 %`."""
    return f"{-percent:+.0f} %".replace("-", "−") if round(percent) else "0"


def _words(title: str, ratios: pd.DataFrame, n: int, low: float, run: Frames) -> tuple[str, str]:
    is_printed = ratios["source"] == PRINTED
    below = ratios["ratio"] < np.exp(low)
    ours, printed = int((~is_printed).sum()), int(is_printed.sum())
    caption = (
        f"{title}. Top: density of the ratio of two variances of {run.score} over n = {n} folds "
        f"each, if curiosity does nothing (normal values, F({n - 1}, {n - 1})); grey: its central "
        f"95 %. Bottom: each mark compares an arm with the same experts without curiosity: {ours} "
        f"of this run (ddof 1, mean over seeds) and {printed} that the paper prints; P is the "
        f"chance of at least this reduction without any effect.{run.synthetic}"
    )
    alt = (
        "Without any effect, a reduction of at least 50 % has a chance of "
        f"{null_probability(50, n, n):.2f}; {int((below & ~is_printed).sum())} of {ours} "
        f"comparisons of this run and {int((below & is_printed).sum())} of the paper's {printed} "
        "lie below the central 95 %."
    )
    return caption, alt
