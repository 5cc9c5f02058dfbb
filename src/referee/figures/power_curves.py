"""What a comparison over a few folds can show: the power of its tests."""

from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from referee.figures import style
from referee.figures.frames import Frames
from referee.figures.style import BLACK, BLUE, GREY, VERMILION, Picture
from referee.figures.variance_ratios import printed_reductions
from referee.stats.power import POWER, detectable_sd_ratio, detectable_t, f_power, t_power

LEVELS = (0, 0.05, 0.2, 0.4, 0.6, 0.8, 1)  # of the power, on its axis


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
    _spreads(right, n, max((percent for *_, percent in printed_reductions(run.paper)), default=0))
    right.set_xlabel(f"true ratio of the standard deviations of {run.score}\n(log scale)")
    for axes in (left, right):
        axes.axhline(POWER, color=GREY, linewidth=0.6)
        axes.axhline(0.05, color=GREY, linewidth=0.6, linestyle=":")
        axes.set_ylim(0, 1.02)
        axes.set_yticks(LEVELS, [f"{level:g}" for level in LEVELS])
    inputs = [
        f"results/significance/{run.paper.figures.differences}.csv",
        (run.paper.folder / "claims.yaml").as_posix(),
    ]
    return Picture(figure, title, *_words(title, n, len(seen)), inputs)


def _means(axes: Axes, n: int, seen: NDArray[np.float64], score: str) -> None:
    """Draw both t tests of a difference of means, and a tick for each effect of this run."""
    ratio = 1 / (n - 1)
    curve = power_of_means(np.linspace(0, 4, 161), n, ratio)
    naive, corrected = detectable_t(n), detectable_t(n, test_train_ratio=ratio)
    axes.plot(curve["effect"], curve["naive"], color=VERMILION, linestyle="--")
    axes.plot(curve["effect"], curve["corrected"], color=BLUE)
    _drop(axes, naive, POWER, "o", VERMILION)
    _note(axes, naive, VERMILION, f"{naive:.2f}", xytext=(-4, 4), ha="right", va="bottom")
    _drop(axes, corrected, POWER, "o", BLUE)
    _note(axes, corrected, BLUE, f"{corrected:.2f}", xytext=(4, -4), ha="left", va="top")
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
    _drop(axes, detectable, POWER, "o", BLUE)
    _note(axes, detectable, BLUE, f"{detectable:.1f}", xytext=(5, -2), va="top")
    if largest:
        claimed = sqrt(1 / (1 - largest / 100))
        reached = f_power(claimed, n, n)
        _drop(axes, claimed, reached, "D", BLACK)
        axes.annotate(
            f"{reached:.2f} if the paper's\nlargest reduction,\n{largest:g} %, were true",
            (claimed, reached), xytext=(0.02, 0.98), textcoords="axes fraction", va="top",
            arrowprops={"arrowstyle": "-", "linewidth": 0.5, "shrinkB": 4},
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
    axes.minorticks_off()
    axes.set_title("a spread that shrinks, F test")


def _drop(axes: Axes, at: float, power: float, marker: str, color: str) -> None:
    """Mark a point, with a dotted line down to its effect."""
    axes.plot([at, at], [0, power], color=color, linewidth=0.6, linestyle=":")
    axes.plot(at, power, marker, color=color)


def _note(axes: Axes, at: float, color: str, text: str, **place: Any) -> None:
    """Write beside the point of an effect that is found with the usual power."""
    axes.annotate(text, (at, POWER), textcoords="offset points", color=color, **place)


def _words(title: str, n: int, seen: int) -> tuple[str, str]:
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
