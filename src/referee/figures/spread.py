"""What five folds can show: spreads that shrink by chance, and the power of the tests."""

from math import sqrt

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from referee.figures import style
from referee.figures.results import Results, label
from referee.figures.style import BLACK, BLUE, GREY, PALE, PROTOCOLS, VERMILION, Picture
from referee.paper import read as read_paper
from referee.stats.power import POWER, detectable_sd_ratio, detectable_t, f_power, t_power
from referee.stats.spread import null_probability
from referee.words import spaced

SECTION = "statistics"
TABLE5, TABLE1, PAPER = (
    "results/significance/table5.csv",
    "results/significance/table1_f1.csv",
    "papers/curious_qmoe/claims.yaml",
)
FOLDS = 5  # of the paper
PAPER_PROTOCOL = "the paper prints"


def null_density(log_ratio: ArrayLike, n: int) -> NDArray[np.float64]:
    """Density of ln(variance / variance) of n against n normal values of one true variance.

    The ratio is F(n - 1, n - 1); its density times the ratio is that of its logarithm.
    """
    ratio = np.exp(np.asarray(log_ratio, dtype=float))
    return np.asarray(ratio * stats.f.pdf(ratio, n - 1, n - 1))


def observed(table5: pd.DataFrame | None) -> pd.DataFrame:
    """Variance ratios of this run, from the significance file of Table 5, and of the paper.

    Returns:
        source (protocol, or the paper), dataset, label, n, ratio (variance with curiosity over
        that without), chance: P(at most this ratio | no effect). Arms without spread are left out.

    """
    rows = []
    if table5 is not None and len(table5):
        for row in table5.itertuples():
            name = label(row.model, row.strategy, row.alpha)
            dataset = str(row.dataset).replace("_synthetic", " (synthetic)")
            rows.append((row.protocol, dataset, name, row.n, row.variance_reduction_percent))
    for dataset, strength, printed in read_paper().printed_reductions:
        rows.append((PAPER_PROTOCOL, dataset, f"α {strength}", FOLDS, printed.value))
    found = pd.DataFrame(rows, columns=["source", "dataset", "label", "n", "reduction_percent"])
    found = found[found["reduction_percent"] < 100].reset_index(drop=True)
    chance = [
        null_probability(r, int(n), int(n))
        for r, n in zip(found["reduction_percent"], found["n"], strict=True)
    ]
    return found.assign(ratio=1 - found["reduction_percent"] / 100, chance=chance)


def reductions(results: Results) -> Picture:
    """Above the null distribution, below it every ratio of this run and of the paper."""
    title = "Variance with curiosity over variance without, against no effect at all"
    found = observed(results.significance.get("table5"))
    own = found[found["source"] != PAPER_PROTOCOL]
    n = int(own["n"].mode().max()) if len(own) else FOLDS
    groups = list(found[["source", "dataset"]].drop_duplicates().itertuples(index=False, name=None))
    figure = style.new(title, 2.4 + 0.27 * len(groups))
    top, bottom = figure.subplots(
        2, 1, sharex=True, height_ratios=[1.5, 0.27 * max(len(groups), 2)]
    )
    edge = max(np.abs(np.log(found["ratio"])).max() * 1.1, np.log(30))
    x = np.linspace(-edge, edge, 801)
    low, high = np.log(stats.f.ppf([0.025, 0.975], n - 1, n - 1))
    top.plot(x, null_density(x, n), color=BLACK)
    factor = np.exp(high)
    inner = x[(x >= low) & (x <= high)]
    top.fill_between(inner, null_density(inner, n), color=PALE)
    top.text(
        0.99,
        0.8,
        f"grey: 95 % of no effects,\n÷ {factor:.1f} to × {factor:.1f}",
        ha="right",
        va="top",
        transform=top.transAxes,
    )
    for percent in (50, 80, 94):
        at = np.log(1 - percent / 100)
        chance = null_probability(percent, n, n)
        height = float(null_density(at, n))
        top.plot([at, at], [0, height], color=BLUE, linewidth=0.8)
        top.annotate(
            f"≥ {percent} %:\nP = {chance:.2g}",
            (at, height),
            xytext=(-4, 5),
            textcoords="offset points",
            ha="right",
            va="bottom",
            color=BLUE,
        )
    top.set_ylim(0, 1.3 * float(null_density(0.0, n)))
    top.set_yticks([])
    top.spines["left"].set_visible(False)
    top.set_title(f"null distribution at {n} against {n} folds: log of F({n - 1}, {n - 1})")
    style.rows(bottom, [f"{spaced(s)}: {d}" for s, d in groups])
    bottom.axvline(0, color=BLACK, linewidth=0.6)
    bottom.axvspan(low, high, color=PALE, zorder=0, linewidth=0)
    marks = PROTOCOLS | {PAPER_PROTOCOL: (BLACK, "D", BLACK)}
    for y, (source, dataset) in enumerate(groups):
        here = found[(found["source"] == source) & (found["dataset"] == dataset)]
        color, marker, face = marks[source]
        bottom.plot(
            np.log(here["ratio"]),
            [y] * len(here),
            marker,
            color=color,
            alpha=0.8,
            markerfacecolor=face,
            markersize=5,
        )
        least = here.loc[here["ratio"].idxmin()]
        bottom.text(
            1.01,
            y,
            f"lowest: {_change(least.reduction_percent)}, P = {least.chance:.2g}",
            va="center",
            fontsize=6.5,
            transform=bottom.get_yaxis_transform(),
        )
    ticks = [1 / 64, 1 / 16, 0.2, 0.5, 1, 2, 5, 16, 64]
    ticks = [t for t in ticks if abs(np.log(t)) <= edge]
    bottom.set_xticks(np.log(ticks), [f"{_change(100 * (1 - t))}" for t in ticks])
    bottom.set_xlim(-edge, edge)
    bottom.set_xlabel("change of the variance of F1 over folds (log scale of the ratio)")
    if own.empty:
        bottom.text(
            0.99,
            0.04,
            "no curiosity beside its plain router in this grid",
            ha="right",
            transform=bottom.transAxes,
            color=GREY,
        )
    beyond = int((own["ratio"] < np.exp(low)).sum())
    paper = found[found["source"] == PAPER_PROTOCOL]
    caption = (
        f"{title}. Top: density of the ratio of two variances of F1 over n = {n} folds each where "
        f"curiosity does nothing (normal values, F({n - 1}, {n - 1})); grey: its central 95 %. "
        f"Bottom: a mark a comparison of an arm with the same experts without curiosity: "
        f"{len(own)} of this run (ddof 1, mean over seeds) and {len(paper)} that the paper "
        f"prints; P: chance of at least this reduction without any effect.{results.synthetic}"
    )
    alt = (
        f"Without any effect a reduction of at least 50 % has a chance of "
        f"{null_probability(50, n, n):.2f}; {beyond} of {len(own)} comparisons of this run and "
        f"{int((paper['ratio'] < np.exp(low)).sum())} of the paper's {len(paper)} lie below the "
        "central 95 %."
    )
    return Picture(figure, SECTION, title, caption, alt, [TABLE5, PAPER])


def _change(percent: float) -> str:
    """Change of a variance: `−50 %`, `0`, `+100 %`."""
    return f"{-percent:+.0f} %".replace("-", "−") if round(percent) else "0"


def power_of_means(effects: ArrayLike, n: int, ratio: float) -> pd.DataFrame:
    """Power of the naive and the corrected paired t test, two-sided at 5 %.

    Args:
        effects: true differences in standard deviations of the differences of folds.
        n: folds.
        ratio: n_test / n_train, 1 / (n - 1) for n folds.

    Returns:
        effect, naive (takes folds for independent), corrected (Nadeau and Bengio 2003).

    """
    values = np.asarray(effects, dtype=float)
    columns = {
        name: [t_power(effect / sqrt(1 / n + extra), n - 1) for effect in values]
        for name, extra in {"naive": 0.0, "corrected": ratio}.items()
    }
    return pd.DataFrame({"effect": values, **columns})


def power(results: Results) -> Picture:
    """Power against the effect: of a difference of means, and of a ratio of spreads."""
    n = FOLDS
    ratio = 1 / (n - 1)
    title = f"What {n} folds can show"
    figure = style.new(title, 2.9)
    left, right = figure.subplots(1, 2, sharey=True)
    curve = power_of_means(np.linspace(0, 4, 161), n, ratio)
    naive, corrected = detectable_t(n), detectable_t(n, test_train_ratio=ratio)
    left.plot(curve["effect"], curve["naive"], color=VERMILION, linestyle="--")
    left.plot(curve["effect"], curve["corrected"], color=BLUE)
    for at, color, side in ((naive, VERMILION, "right"), (corrected, BLUE, "left")):
        left.plot([at, at], [0, POWER], color=color, linewidth=0.6, linestyle=":")
        left.plot(at, POWER, "o", color=color)
        left.annotate(
            f"{at:.2f}",
            (at, POWER),
            xytext=(-4 if side == "right" else 4, 4 if side == "right" else -4),
            textcoords="offset points",
            ha=side,
            va="bottom" if side == "right" else "top",
            color=color,
        )
    left.text(0.0, 1.0, "naive t: folds taken\nfor independent", va="top", color=VERMILION)
    left.text(corrected + 0.1, 0.62, "corrected\nresampled t", va="top", color=BLUE)
    left.set_xlabel("true difference of F1,\nin standard deviations of the fold differences")
    left.set_ylabel("power, two-sided 5 %")
    left.set_title("a difference of two arms")
    seen = _effects(results.significance.get("table1_f1"))
    if len(seen):
        left.vlines(np.minimum(seen, 4), 0, 0.035, color=BLACK, linewidth=0.9)
        left.text(2.62, 0.07, f"ticks: {len(seen)} effects\nseen in this run", fontsize=6.5)
    ratios = np.exp(np.linspace(0, np.log(16), 161))
    right.plot(ratios, [f_power(r, n, n) for r in ratios], color=BLUE)
    found = detectable_sd_ratio(n, n)
    right.plot([found, found], [0, POWER], color=BLUE, linewidth=0.6, linestyle=":")
    right.plot(found, POWER, "o", color=BLUE)
    right.annotate(
        f"{found:.1f}",
        (found, POWER),
        xytext=(5, -2),
        textcoords="offset points",
        va="top",
        color=BLUE,
    )
    largest = max(printed.value for _, _, printed in read_paper().printed_reductions)
    there = sqrt(1 / (1 - largest / 100))
    reached = f_power(there, n, n)
    right.plot([there, there], [0, reached], color=BLACK, linewidth=0.6, linestyle=":")
    right.plot(there, reached, "D", color=BLACK)
    right.annotate(
        f"{reached:.2f} if the paper's\nlargest reduction,\n{largest:g} %, were true",
        (there, reached),
        xytext=(0.02, 0.98),
        textcoords="axes fraction",
        va="top",
        arrowprops={"arrowstyle": "-", "linewidth": 0.5, "shrinkB": 4},
    )
    right.set_xscale("log")
    right.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
    right.minorticks_off()
    right.set_xlabel("true ratio of the standard deviations of F1\n(log scale)")
    right.set_title("a spread that shrinks, F test")
    for axes in (left, right):
        axes.axhline(POWER, color=GREY, linewidth=0.6)
        axes.axhline(0.05, color=GREY, linewidth=0.6, linestyle=":")
        axes.set_ylim(0, 1.02)
        axes.set_yticks(
            [0, 0.05, 0.2, 0.4, 0.6, 0.8, 1], ["0", "0.05", "0.2", "0.4", "0.6", "0.8", "1"]
        )
    caption = (
        f"{title}: power of two-sided tests at 5 %, by the true effect. Left: paired t test of "
        f"n = {n} folds; the naive one holds only for independent folds, the corrected one (Nadeau "
        f"and Bengio 2003, n_test / n_train = {ratio:g}) allows for shared training clips. Dots: "
        f"effect found with a power of {POWER:g}. Ticks: |difference| / standard deviation "
        f"of the {len(seen)} comparisons of curiosity with the plain router in this run. Right: F "
        f"test of {n} against {n} normal values. No sampling error: computed, not simulated."
    )
    alt = (
        f"With {n} folds a difference must be {corrected:.2f} standard deviations of the fold "
        f"differences to be found with a power of {POWER:g} (naive test: {naive:.2f}), and a "
        f"standard deviation must shrink by a factor of {found:.1f}."
    )
    return Picture(figure, SECTION, title, caption, alt, [TABLE1, PAPER])


def _effects(table1: pd.DataFrame | None) -> NDArray[np.float64]:
    if table1 is None or "d_z" not in table1:
        return np.empty(0)
    own = table1[table1["family"].str.startswith("curiosity") & (table1["n"] == FOLDS)]
    return own["d_z"].abs().dropna().to_numpy()
