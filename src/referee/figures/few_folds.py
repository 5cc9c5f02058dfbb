"""What a few folds can show: variances that shrink by chance, and the power of the tests."""

from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from referee.figures import style
from referee.figures.frames import SYNTHETIC, Frames, label
from referee.figures.style import BLACK, BLUE, GREY, PALE, VERMILION, Picture
from referee.paper import Look, Paper
from referee.stats.power import POWER, detectable_sd_ratio, detectable_t, f_power, t_power
from referee.stats.spread import null_probability
from referee.words import spaced

PRINTED = "the paper prints"  # in the place of a protocol
TICKS = (1 / 64, 1 / 16, 0.2, 0.5, 1, 2, 5, 16, 64)  # ratios
Floats = NDArray[np.float64]
LEVELS = (0, 0.05, 0.2, 0.4, 0.6, 0.8, 1)  # of the power, on its axis


def null_density(log_ratio: ArrayLike, n: int) -> Floats:
    """Density of ln(ratio) of the variances of n and n normal values: the ratio is F(n-1, n-1)."""
    ratio = np.exp(np.asarray(log_ratio, dtype=float))
    return np.asarray(ratio * stats.f.pdf(ratio, n - 1, n - 1))


def _inputs(paper: Paper, name: str) -> list[str]:
    """A significance file, where the paper names one, and what the paper prints."""
    files = [f"results/significance/{name}.csv"] if name else []
    return [*files, (paper.folder / "claims.yaml").as_posix()]


def observed(table: pd.DataFrame | None, paper: Paper) -> pd.DataFrame:
    """Variance ratios of this run, from a significance file, and of the paper, where arms spread.

    Columns: source (protocol, or `PRINTED`), dataset, label, n, reduction_percent, ratio (variance
    with curiosity over that without), chance: P(at most this ratio | no effect).
    """
    folds, printed = paper.figures.folds, paper.printed_reductions
    records = [(PRINTED, data, f"α {alpha}", folds, x.value) for data, alpha, x in printed]
    columns = ["source", "dataset", "label", "n", "reduction_percent"]
    frame = pd.DataFrame(records, columns=columns)
    if table is not None:
        arms = table[["model", "strategy", "alpha"]].itertuples(index=False)
        ours = table.assign(
            dataset=table["dataset"].str.replace("_synthetic", SYNTHETIC),
            label=[label(paper, *arm) for arm in arms],
        ).rename(columns={"protocol": "source", "variance_reduction_percent": columns[-1]})
        frame = pd.concat([ours[columns], frame]) if len(frame) else ours[columns]
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
    is_printed = ratios["source"] == PRINTED
    ours = ratios[~is_printed]
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
    x_label = f"change of the variance of {run.score} over folds (log scale of the ratio)"
    bottom.set(xlim=(-edge, edge), xlabel=x_label)
    if ours.empty:
        none = "no curiosity beside its plain router in this grid"
        bottom.text(0.99, 0.04, none, ha="right", transform=bottom.transAxes, color=GREY)
    below = ratios["ratio"] < np.exp(low)
    caption = f"""{title}. Top: density of the ratio of two variances of {run.score} over n = {n}
        folds each, if curiosity does nothing (normal values, F({n - 1}, {n - 1})); grey: its
        central 95 %. Bottom: each mark compares an arm with the same experts without curiosity:
        {len(ours)} of this run (ddof 1, mean over seeds) and {is_printed.sum()} that the paper
        prints; P is the chance of at least this reduction without any effect.{run.synthetic}"""
    alt = f"""Without any effect, a reduction of at least 50 % has a chance of
        {null_probability(50, n, n):.2f}; {(below & ~is_printed).sum()} of {len(ours)} comparisons
        of this run and {(below & is_printed).sum()} of the paper's {is_printed.sum()} lie below
        the central 95 %."""
    return Picture(figure, title, caption, alt, inputs)


def _null(axes: Axes, n: int, edge: float, inner: tuple[float, float]) -> None:
    x = np.linspace(-edge, edge, 801)
    axes.plot(x, null_density(x, n), color=BLACK)
    within = x[(x >= inner[0]) & (x <= inner[1])]
    axes.fill_between(within, null_density(within, n), color=PALE)
    factor = np.exp(inner[1])
    about = f"grey: 95 % of no effects,\n÷ {factor:.1f} to × {factor:.1f}"
    axes.text(0.99, 0.8, about, ha="right", va="top", transform=axes.transAxes)
    place: dict[str, Any] = {"textcoords": "offset points", "ha": "right", "va": "bottom"}
    for percent in (50, 80, 94):
        at = np.log(1 - percent / 100)
        height = float(null_density(at, n))
        text = f"≥ {percent} %:\nP = {null_probability(percent, n, n):.2g}"
        axes.plot([at, at], [0, height], color=BLUE, linewidth=0.8)
        axes.annotate(text, (at, height), (-4, 5), color=BLUE, **place)
    axes.set(ylim=(0, 1.3 * float(null_density(0.0, n))), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.set_title(f"null distribution at {n} against {n} folds: log of F({n - 1}, {n - 1})")


def _observed(axes: Axes, ratios: pd.DataFrame, paper: Paper) -> None:
    groups = dict(iter(ratios.groupby(["source", "dataset"], sort=False)))
    style.rows(axes, [f"{spaced(source)}: {dataset}" for source, dataset in groups])
    axes.axvline(0, color=BLACK, linewidth=0.6)
    listed = paper.figures.protocols | {PRINTED: Look(color=BLACK, marker="D")}
    marks = style.looks(listed, ratios["source"])
    for y, ((source, _), here) in enumerate(groups.items()):
        paint = marks[source].paint | {"alpha": 0.8, "markersize": 5}
        axes.plot(np.log(here["ratio"]), [y] * len(here), marks[source].marker, **paint)
        least = here.loc[here["ratio"].idxmin()]
        text = f"lowest: {_change(least['reduction_percent'])}, P = {least['chance']:.2g}"
        style.beside(axes, y, text, x=1.01)


def _change(percent: float) -> str:
    """Change of a variance: `−50 %`, `0`, `+100 %`."""
    return f"{-percent:+.0f} %".replace("-", "−") if round(percent) else "0"


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


def power(run: Frames) -> Picture:
    """Draw the power against the effect: of a difference of means, and of a ratio of spreads."""
    paper = run.paper.figures
    n = paper.folds
    title = f"What {n} folds can show"
    figure = style.new(title, 2.9)
    left, right = figure.subplots(1, 2, sharey=True)
    table, seen = run.significance.get(paper.differences), np.empty(0)
    if table is not None and "d_z" in table:
        shown = table["family"].str.startswith(paper.family) & (table["n"] == n)
        seen = table.loc[shown, "d_z"].abs().dropna().to_numpy()
    naive, corrected = detectable_t(n), detectable_t(n, test_train_ratio=1 / (n - 1))
    smallest = detectable_sd_ratio(n, n)
    _means(left, n, seen, run.score, naive, corrected)
    _spreads(right, n, smallest, run)
    for axes in (left, right):
        axes.axhline(POWER, color=GREY, linewidth=0.6)
        axes.axhline(0.05, color=GREY, linewidth=0.6, linestyle=":")
        axes.set(ylim=(0, 1.02), yticks=LEVELS, yticklabels=[f"{level:g}" for level in LEVELS])
    caption = f"""{title}: power of two-sided tests at 5 %, by the true effect. Left: paired t
        test of n = {n} folds. The naive test holds only for independent folds; the corrected
        test (Nadeau and Bengio 2003, n_test / n_train = {1 / (n - 1):g}) allows for the clips
        that training sets share. Dots: the effect that is found with a power of {POWER:g}.
        Ticks: |difference| / standard deviation of the {len(seen)} comparisons of curiosity with
        the plain router in this run. Right: F test of {n} against {n} normal values. The curves
        are computed, not simulated, and have no sampling error."""
    alt = f"""With {n} folds, a difference must be {corrected:.2f} standard deviations of the fold
        differences to be found with a power of {POWER:g} (naive test: {naive:.2f}), and a
        standard deviation must shrink by a factor of {smallest:.1f}."""
    return Picture(figure, title, caption, alt, _inputs(run.paper, paper.differences))


def _means(axes: Axes, n: int, seen: Floats, score: str, naive: float, corrected: float) -> None:
    curve = power_of_means(np.linspace(0, 4, 161), n, 1 / (n - 1))
    axes.plot(curve["effect"], curve["naive_t"], color=VERMILION, linestyle="--")
    axes.plot(curve["effect"], curve["corrected_t"], color=BLUE)
    above = {"xytext": (-4, 4), "ha": "right", "va": "bottom", "color": VERMILION}
    _point(axes, naive, POWER, f"{naive:.2f}", "o", **above)
    below = {"xytext": (4, -4), "ha": "left", "va": "top", "color": BLUE}
    _point(axes, corrected, POWER, f"{corrected:.2f}", "o", **below)
    axes.text(0.0, 1.0, "naive t: folds taken\nfor independent", va="top", color=VERMILION)
    axes.text(corrected + 0.1, 0.62, "corrected\nresampled t", va="top", color=BLUE)
    x_label = f"true difference of {score},\nin standard deviations of the fold differences"
    axes.set(xlabel=x_label, ylabel="power, two-sided 5 %", title="a difference of two arms")
    if len(seen):
        axes.vlines(np.minimum(seen, 4), 0, 0.035, color=BLACK, linewidth=0.9)
        axes.text(2.62, 0.07, f"ticks: {len(seen)} effects\nseen in this run", fontsize=6.5)


def _spreads(axes: Axes, n: int, detectable: float, run: Frames) -> None:
    ratios = np.exp(np.linspace(0, np.log(16), 161))
    axes.plot(ratios, [f_power(ratio, n, n) for ratio in ratios], color=BLUE)
    _point(axes, detectable, POWER, f"{detectable:.1f}", "o", color=BLUE, xytext=(5, -2), va="top")
    largest = max((percent.value for *_, percent in run.paper.printed_reductions), default=0)
    if largest:
        claimed = sqrt(1 / (1 - largest / 100))
        reached = f_power(claimed, n, n)
        text = f"{reached:.2f} if the paper's\nlargest reduction,\n{largest:g} %, were true"
        arrow = {"arrowstyle": "-", "linewidth": 0.5, "shrinkB": 4}
        place = {"xytext": (0.02, 0.98), "textcoords": "axes fraction", "va": "top"}
        _point(axes, claimed, reached, text, "D", color=BLACK, arrowprops=arrow, **place)
    x_label = f"true ratio of the standard deviations of {run.score}\n(log scale)"
    axes.set(xscale="log", xlabel=x_label, title="a spread that shrinks, F test")
    axes.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
    axes.minorticks_off()


def _point(axes: Axes, at: float, power: float, text: str, marker: str, **looks: Any) -> None:
    axes.plot([at, at], [0, power], color=looks["color"], linewidth=0.6, linestyle=":")
    axes.plot(at, power, marker, color=looks["color"])
    axes.annotate(text, (at, power), **{"textcoords": "offset points"} | looks)
