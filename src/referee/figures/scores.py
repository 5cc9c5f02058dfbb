"""Weighted F1: by the strength of curiosity, and under both protocols."""

import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from referee.figures import style
from referee.figures.results import CELLS, Results
from referee.figures.style import BLACK, GREY, PROTOCOLS, STRATEGIES, Picture
from referee.words import listed, spaced

SECTION = "scores"


def alphas(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells of mixtures by the strength of their curiosity; alpha 0 is the plain router.

    Returns:
        dataset, protocol, mixture (the model without -C), strategy, alpha, f1_weighted; the cells
        of the plain router stand once, with the strategy `none`.

    """
    own = cells[cells["experts"].str.contains("+", regex=False)]
    alpha = own["alpha"].where(own["strategy"] != "none", 0.0)
    found = own.assign(mixture=own["model"].str.removesuffix("-C"), alpha=alpha)
    return found[["dataset", "protocol", "mixture", "strategy", "alpha", "f1_weighted"]]


def by_alpha(results: Results) -> Picture:
    """A panel a mixture, dataset and protocol; a line a strategy, from the plain router on."""
    title = "F1 by the strength α of curiosity"
    found = alphas(results.cells)
    curious = found[found["strategy"] != "none"]
    if curious.empty:
        why = (
            "no curiosity in this grid: add strategies with alphas to grid.curiosity in params.yaml"
        )
        return style.missing(title, why, SECTION, [CELLS])
    mixtures = list(dict.fromkeys(found["mixture"]))
    panels = [
        p
        for p in results.panels
        if ((found["dataset"] == p[0]) & (found["protocol"] == p[1])).any()
    ]
    strategies = [name for name in STRATEGIES if name in set(curious["strategy"])]
    figure = style.new(
        title, 0.9 + 1.55 * len(panels), max(style.WIDTH, 0.6 + 1.65 * len(mixtures))
    )
    grid = figure.subplots(len(panels), len(mixtures), squeeze=False, sharex=True, sharey="row")
    top = float(curious["alpha"].max())
    shifts = style.spread_out(-0.015 * top, 0.015 * top, len(strategies))
    for i, (dataset, protocol) in enumerate(panels):
        here = found[(found["dataset"] == dataset) & (found["protocol"] == protocol)]
        for j, mixture in enumerate(mixtures):
            axes, own = grid[i, j], here[here["mixture"] == mixture]
            axes.grid(axis="y")
            plain = own.loc[own["strategy"] == "none", "f1_weighted"]
            axes.plot([0] * len(plain), plain, "_", color=BLACK, markersize=7, alpha=0.5)
            if len(plain):
                axes.axhline(plain.mean(), color=BLACK, linewidth=0.6, linestyle=(0, (4, 3)))
            for name, shift in zip(strategies, shifts, strict=True):
                of = own[own["strategy"] == name]
                if of.empty:
                    continue
                color, marker, line = STRATEGIES[name]
                means = of.groupby("alpha")["f1_weighted"].mean()
                start = pd.Series({0.0: plain.mean()}) if len(plain) else pd.Series(dtype=float)
                path = pd.concat([start, means])
                axes.plot(
                    of["alpha"] + shift,
                    of["f1_weighted"],
                    marker,
                    color=color,
                    alpha=0.45,
                    markersize=3,
                    markeredgewidth=0,
                )
                axes.plot(path.index, path, line, color=color, linewidth=1)
                axes.plot(
                    means.index + shift,
                    means,
                    marker,
                    color=color,
                    markersize=5,
                    markeredgecolor=BLACK,
                    markeredgewidth=0.5,
                )
            if i == 0:
                axes.set_title(mixture)
            if i == len(panels) - 1:
                axes.set_xlabel("α")
        grid[i, 0].set_ylabel(f"{dataset},\n{spaced(protocol)}\nweighted F1")
    grid[0, 0].set_xlim(-0.08 * top, 1.08 * top)
    grid[0, 0].xaxis.set_major_locator(MaxNLocator(4))
    handles = [
        Line2D(
            [],
            [],
            color=STRATEGIES[s][0],
            marker=STRATEGIES[s][1],
            linestyle=STRATEGIES[s][2],
            markeredgecolor=BLACK,
            markeredgewidth=0.5,
        )
        for s in strategies
    ]
    handles.append(Line2D([], [], color=BLACK, linewidth=0.6, linestyle=(0, (4, 3))))
    names = [*strategies, "plain router (α = 0), its mean"]
    few = curious.groupby("strategy")["alpha"].nunique().max() == 1
    note = "one strength a strategy in this grid: add alphas to grid.curiosity in params.yaml"
    figure.legend(
        handles,
        names,
        loc="outside lower center",
        ncols=min(len(names), 5),
        title=note if few else None,
        title_fontsize=7,
    )
    tested = curious.groupby(["dataset", "protocol", "mixture", "strategy", "alpha"], sort=False)
    means = tested["f1_weighted"].mean()
    base = found[found["strategy"] == "none"].groupby(["dataset", "protocol", "mixture"])
    level = base["f1_weighted"].mean().reindex(means.index.droplevel([3, 4])).to_numpy()
    above = int((means.to_numpy() > level).sum())
    caption = (
        f"{title}. Large marks: mean of the weighted F1 over the cells of an arm; small ones: the "
        f"cells, {results.count}; dashes at 0: those of the plain router. Marks of strategies are "
        f"set apart sideways.{f' Here {note}.' if few else ''}{results.synthetic}"
    )
    alt = (
        f"F1 of {len(means)} curious arms; the mean lies above that of the plain router in {above} "
        "of them."
    )
    return Picture(figure, SECTION, title, caption, alt, [CELLS])


def protocol_means(cells: pd.DataFrame) -> pd.DataFrame:
    """Mean F1 of every arm under each protocol.

    Returns:
        index (dataset, label), a column a protocol; NaN where the arm was not run under it.

    """
    grouped = cells.groupby(["dataset", "label", "protocol"], sort=False)["f1_weighted"]
    return grouped.mean().unstack("protocol", sort=False)


def protocols(results: Results) -> Picture:
    """Two marks an arm, joined: the same arm under both protocols."""
    title = "F1 as published and corrected"
    means = protocol_means(results.cells)
    if not set(PROTOCOLS) <= set(means.columns):
        here = listed(list(means.columns))
        why = f"only {here} in this grid: add the other to grid.protocols in params.yaml"
        return style.missing(title, why, SECTION, [CELLS])
    datasets = list(dict.fromkeys(results.cells["dataset"]))
    labels = list(dict.fromkeys(results.cells["label"]))
    figure = style.new(title, 1.1 + 0.19 * len(labels), max(style.WIDTH, 2.6 + 2.3 * len(datasets)))
    grid = figure.subplots(1, len(datasets), squeeze=False, sharey=True)
    for axes, dataset in zip(grid[0], datasets, strict=True):
        style.rows(axes, labels)
        axes.set_title(dataset)
        axes.set_xlabel("weighted F1")
        own = results.cells[results.cells["dataset"] == dataset]
        for y, label in enumerate(labels):
            arm = own[own["label"] == label]
            pair = means.loc[(dataset, label)] if (dataset, label) in means.index else None
            if pair is None:
                continue
            axes.plot(pair[list(PROTOCOLS)], [y, y], color=GREY, linewidth=1.5, zorder=1)
            for (protocol, (color, marker, face)), dy in zip(
                PROTOCOLS.items(), (-0.22, 0.22), strict=True
            ):
                points = arm.loc[arm["protocol"] == protocol, "f1_weighted"]
                axes.plot(
                    points,
                    [y + dy] * len(points),
                    marker,
                    color=color,
                    alpha=0.5,
                    markersize=2.5,
                    markerfacecolor=face,
                    markeredgewidth=0.5,
                )
                axes.plot(
                    pair[protocol],
                    y,
                    marker,
                    color=color,
                    markersize=5,
                    markerfacecolor=face,
                    markeredgewidth=1.1,
                )
            change = pair["corrected"] - pair["as_published"]
            if pd.notna(change):
                axes.text(
                    1.02,
                    y,
                    f"{change:+.3f}".replace("-", "−"),
                    va="center",
                    fontsize=6.5,
                    transform=axes.get_yaxis_transform(),
                )
        axes.text(
            1.02,
            1.0,
            "corrected −\nas published",
            va="bottom",
            fontsize=6.5,
            transform=axes.transAxes,
        )
    handles = [
        Line2D([], [], color=color, marker=marker, markerfacecolor=face, linestyle="")
        for color, marker, face in PROTOCOLS.values()
    ]
    names = [spaced(protocol) for protocol in PROTOCOLS]
    figure.legend(handles, names, loc="outside lower center", ncols=2)
    change = (means["corrected"] - means["as_published"]).dropna()
    lower = int((change < 0).sum())
    caption = (
        f"{title}. Large marks: mean of the weighted F1 over the cells of an arm; small ones: the "
        f"cells, {results.count}; on the right the difference of the means. The protocols split "
        f"the clips differently, so cells are not pairs.{results.synthetic}"
    )
    alt = (
        f"Of {len(change)} arms, {lower} score lower under the corrected protocol; the difference "
        f"of the means runs from {change.min():+.3f} to {change.max():+.3f}."
    )
    return Picture(figure, SECTION, title, caption, alt, [CELLS])
