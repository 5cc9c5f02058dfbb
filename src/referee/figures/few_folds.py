"""What a few folds can show: variances that shrink by chance, and the power of the tests."""

from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from referee.figures import panels, style
from referee.figures.frames import SYNTHETIC, Frames, label
from referee.figures.style import BLACK, BLUE, GREY, PALE, VERMILION, Picture
from referee.paper import Paper
from referee.paper.figures import Look
from referee.stats.power import POWER, detectable_sd_ratio, detectable_t, f_power, t_power
from referee.stats.spread import null_probability
from referee.words import spaced

PRINTED = "the paper prints"  # in the place of a protocol
TICKS = (1 / 64, 1 / 16, 0.2, 0.5, 1, 2, 5, 16, 64)  # ratios
LEVELS = (0, 0.05, 0.2, 0.4, 0.6, 0.8, 1)  # of the power, on its axis


def null_density(log_ratio: ArrayLike, n: int) -> NDArray[np.float64]:
    """Density of ln(variance / variance) of n against n normal values of one true variance.

    The ratio is F(n - 1, n - 1); its density times the ratio is that of its logarithm. Returns the
    densities in the shape of `log_ratio`.
    """
    ratio = np.exp(np.asarray(log_ratio, dtype=float))
    return np.asarray(ratio * stats.f.pdf(ratio, n - 1, n - 1))


def _inputs(paper: Paper, name: str) -> list[str]:
    """A significance file, where the paper names one, and what the paper prints."""
    significance = [f"results/significance/{name}.csv"] if name else []
    return [*significance, (paper.folder / "claims.yaml").as_posix()]


def observed(table: pd.DataFrame | None, paper: Paper) -> pd.DataFrame:
    """Variance ratios of this run, from a significance file, and of the paper.

    Columns: source (protocol, or `PRINTED`), dataset, label, n, reduction_percent, ratio (variance
    with curiosity over that without), chance: P(at most this ratio | no effect). Arms without
    spread are left out.
    """
    records = [
        (
            row.protocol,
            str(row.dataset).replace("_synthetic", SYNTHETIC),
            label(paper, row.model, row.strategy, row.alpha),
            row.n,
            row.variance_reduction_percent,
        )
        for row in (() if table is None else table.itertuples())
    ]
    records += [
        (PRINTED, dataset, f"α {strength}", paper.figures.folds, percent.value)
        for dataset, strength, percent in paper.printed_reductions
    ]
    frame = pd.DataFrame(records, columns=["source", "dataset", "label", "n", "reduction_percent"])
    frame = frame[frame["reduction_percent"] < 100].reset_index(drop=True)
    pairs = zip(frame["reduction_percent"], frame["n"], strict=True)
    chance = [null_probability(percent, int(n), int(n)) for percent, n in pairs]
    return frame.assign(ratio=1 - frame["reduction_percent"] / 100, chance=chance)


def reductions(run: Frames) -> Picture:
    """Draw the null distribution, and below it every ratio of this run and of the paper."""
    title = "Variance with curiosity over variance without, against no effect at all"
    name = run.paper.figures.variances
    inputs = _inputs(run.paper, name)
    ratios = observed(run.significance.get(name), run.paper)
    if ratios.empty:
        return style.missing(title, "neither this run nor the paper compares variances", inputs)
    ours = ratios[ratios["source"] != PRINTED]
    n = int(ours["n"].mode().max()) if len(ours) else run.paper.figures.folds
    rows = 0.27 * len(ratios.groupby(["source", "dataset"]))
    figure = style.new(title, 2.4 + rows)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[1.5, max(rows, 0.54)])
    edge = max(np.abs(np.log(ratios["ratio"])).max() * 1.1, np.log(30))
    low, high = np.log(stats.f.ppf([0.025, 0.975], n - 1, n - 1))
    _null(top, n, edge, (low, high))
    _observed(bottom, ratios, run.paper)
    bottom.axvspan(low, high, color=PALE, zorder=0, linewidth=0)
    ticks = [t for t in TICKS if abs(np.log(t)) <= edge]
    bottom.set_xticks(np.log(ticks), [_change(100 * (1 - t)) for t in ticks])
    bottom.set_xlim(-edge, edge)
    bottom.set_xlabel(f"change of the variance of {run.score} over folds (log scale of the ratio)")
    if ours.empty:
        none = "no curiosity beside its plain router in this grid"
        bottom.text(0.99, 0.04, none, ha="right", transform=bottom.transAxes, color=GREY)
    return Picture(figure, title, *_words_of_ratios(title, ratios, n, low, run), inputs)


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


def _observed(axes: Axes, ratios: pd.DataFrame, paper: Paper) -> None:
    """Draw a row a source and dataset, and name the lowest ratio of each."""
    groups = dict(iter(ratios.groupby(["source", "dataset"], sort=False)))
    panels.rows(axes, [f"{spaced(source)}: {dataset}" for source, dataset in groups])
    axes.axvline(0, color=BLACK, linewidth=0.6)
    listed = paper.figures.protocols | {PRINTED: Look(color=BLACK, marker="D")}
    marks = style.looks(listed, ratios["source"])
    for y, ((source, _), here) in enumerate(groups.items()):
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


def _words_of_ratios(
    title: str, ratios: pd.DataFrame, n: int, low: float, run: Frames
) -> tuple[str, str]:
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


def power_of_means(effects: ArrayLike, n: int, ratio: float) -> pd.DataFrame:
    """Power of two paired t tests over n folds, two-sided at 5 %.

    `effects` are true differences, in standard deviations of the differences of folds; `ratio` is
    n_test / n_train, 1 / (n - 1) for n folds. Columns: effect, naive_t (takes folds for
    independent), corrected_t (Nadeau and Bengio 2003).
    """
    values = np.asarray(effects, dtype=float)
    columns = {
        name: [t_power(effect / sqrt(1 / n + extra), n - 1) for effect in values]
        for name, extra in {"naive_t": 0.0, "corrected_t": ratio}.items()
    }
    return pd.DataFrame({"effect": values, **columns})


def effects(run: Frames) -> NDArray[np.float64]:
    """Effects of this run: |mean / standard deviation| of the differences over the folds."""
    names = run.paper.figures
    table = run.significance.get(names.differences)
    if table is None or "d_z" not in table:
        return np.empty(0)
    shown = table["family"].str.startswith(names.family) & (table["n"] == names.folds)
    return table.loc[shown, "d_z"].abs().dropna().to_numpy()


def power(run: Frames) -> Picture:
    """Draw the power against the effect: of a difference of means, and of a ratio of spreads."""
    n = run.paper.figures.folds
    title = f"What {n} folds can show"
    figure = style.new(title, 2.9)
    left, right = figure.subplots(1, 2, sharey=True)
    seen = effects(run)
    _means(left, n, seen, run.score)
    printed = [percent.value for *_, percent in run.paper.printed_reductions]
    _spreads(right, n, max(printed, default=0))
    right.set_xlabel(f"true ratio of the standard deviations of {run.score}\n(log scale)")
    for axes in (left, right):
        axes.axhline(POWER, color=GREY, linewidth=0.6)
        axes.axhline(0.05, color=GREY, linewidth=0.6, linestyle=":")
        axes.set_ylim(0, 1.02)
        axes.set_yticks(LEVELS, [f"{level:g}" for level in LEVELS])
    inputs = _inputs(run.paper, run.paper.figures.differences)
    return Picture(figure, title, *_words_of_power(title, n, len(seen)), inputs)


def _means(axes: Axes, n: int, seen: NDArray[np.float64], score: str) -> None:
    """Draw both t tests of a difference of means, and a tick for each effect of this run."""
    ratio = 1 / (n - 1)
    curve = power_of_means(np.linspace(0, 4, 161), n, ratio)
    naive, corrected = detectable_t(n), detectable_t(n, test_train_ratio=ratio)
    axes.plot(curve["effect"], curve["naive_t"], color=VERMILION, linestyle="--")
    axes.plot(curve["effect"], curve["corrected_t"], color=BLUE)
    place: dict[str, Any] = {"xytext": (-4, 4), "ha": "right", "va": "bottom"}
    _point(axes, naive, POWER, f"{naive:.2f}", color=VERMILION, **place)
    place = {"xytext": (4, -4), "ha": "left", "va": "top"}
    _point(axes, corrected, POWER, f"{corrected:.2f}", color=BLUE, **place)
    axes.text(0.0, 1.0, "naive t: folds taken\nfor independent", va="top", color=VERMILION)
    axes.text(corrected + 0.1, 0.62, "corrected\nresampled t", va="top", color=BLUE)
    axes.set_xlabel(f"true difference of {score},\nin standard deviations of the fold differences")
    axes.set_ylabel("power, two-sided 5 %")
    axes.set_title("a difference of two arms")
    if len(seen):
        axes.vlines(np.minimum(seen, 4), 0, 0.035, color=BLACK, linewidth=0.9)
        axes.text(2.62, 0.07, f"ticks: {len(seen)} effects\nseen in this run", fontsize=6.5)


def _spreads(axes: Axes, n: int, largest: float) -> None:
    """Draw the F test of a ratio of spreads; `largest` is the paper's reduction, percent, or 0."""
    ratios = np.exp(np.linspace(0, np.log(16), 161))
    axes.plot(ratios, [f_power(ratio, n, n) for ratio in ratios], color=BLUE)
    detectable = detectable_sd_ratio(n, n)
    _point(axes, detectable, POWER, f"{detectable:.1f}", color=BLUE, xytext=(5, -2), va="top")
    if largest:
        claimed = sqrt(1 / (1 - largest / 100))
        reached = f_power(claimed, n, n)
        text = f"{reached:.2f} if the paper's\nlargest reduction,\n{largest:g} %, were true"
        arrow = {"arrowstyle": "-", "linewidth": 0.5, "shrinkB": 4}
        place: dict[str, Any] = {"xytext": (0.02, 0.98), "va": "top", "arrowprops": arrow}
        _point(axes, claimed, reached, text, "D", textcoords="axes fraction", **place)
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
    axes.minorticks_off()
    axes.set_title("a spread that shrinks, F test")


def _point(
    axes: Axes, at: float, power: float, text: str, marker: str = "o", color: str = BLACK,
    textcoords: str = "offset points", **place: Any,
) -> None:  # fmt: skip
    """Mark a point with a text, and a dotted line down to its effect."""
    axes.plot([at, at], [0, power], color=color, linewidth=0.6, linestyle=":")
    axes.plot(at, power, marker, color=color)
    axes.annotate(text, (at, power), color=color, textcoords=textcoords, **place)


def _words_of_power(title: str, n: int, seen: int) -> tuple[str, str]:
    ratio = 1 / (n - 1)
    caption = (
        f"{title}: power of two-sided tests at 5 %, by the true effect. Left: paired t test of n = "
        f"{n} folds. The naive test holds only for independent folds; the corrected test (Nadeau "
        f"and Bengio 2003, n_test / n_train = {ratio:g}) allows for the clips that training sets "
        f"share. Dots: the effect that is found with a power of {POWER:g}. Ticks: |difference| / "
        f"standard deviation of the {seen} comparisons of curiosity with the plain router in this "
        f"run. Right: F test of {n} against {n} normal values. The curves are computed, not "
        "simulated, and have no sampling error."
    )
    alt = (
        f"With {n} folds, a difference must be {detectable_t(n, test_train_ratio=ratio):.2f} "
        f"standard deviations of the fold differences to be found with a power of {POWER:g} (naive "
        f"test: {detectable_t(n):.2f}), and a standard deviation must shrink by a factor of "
        f"{detectable_sd_ratio(n, n):.1f}."
    )
    return caption, alt
