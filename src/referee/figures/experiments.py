"""One experiment: ROC, confusion matrix and training curves; curiosity of each fold.

The files of a fold are those of the original research code, with its keys and definitions.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score, roc_curve

from referee.figures import EXPERIMENTS, style
from referee.figures.results import predictions
from referee.figures.style import BLACK, BLUE, GREY, ORANGE, PALE, VERMILION, Picture
from referee.words import spaced

RATES = np.linspace(0, 1, 101)
MANY = 12  # classes: beyond, no number and no name of each is drawn
Floats = NDArray[np.float64]


def name(cell: "pd.Series[object]") -> str:
    """`experiments/DATASET/PROTOCOL/EXPERTS/CURIOSITY/seedN`, as the summaries are named."""
    alpha = "" if pd.isna(cell["alpha"]) else f"-{cell['alpha']:g}"
    dataset = str(cell["dataset"]).removesuffix(" (synthetic)")
    folders = [dataset, cell["protocol"], cell["experts"], f"{cell['strategy']}{alpha}"]
    return "/".join([EXPERIMENTS, *map(str, folders), f"seed{cell['seed']}"])


def one_against_rest(clips: pd.DataFrame) -> tuple[Floats, Floats]:
    """ROC of each class of a fold.

    Args:
        clips: of `predictions`.

    Returns:
        true positive rates at `RATES`, (classes, 101), and areas under the curves, (classes,);
        NaN for a class that has no clip in the fold, or all of them.

    """
    p = np.stack(clips["p"].to_list())
    rates, areas = np.full((p.shape[1], len(RATES)), np.nan), np.full(p.shape[1], np.nan)
    for k in range(p.shape[1]):
        is_class = (clips["label_id"] == k).to_numpy()
        if is_class.any() and not is_class.all():
            false, true, _ = roc_curve(is_class, p[:, k], drop_intermediate=False)
            rates[k] = np.interp(RATES, false, true)
            areas[k] = roc_auc_score(is_class, p[:, k])
    rates[~np.isnan(areas), 0] = 0.0
    return rates, areas


def confusion(clips: pd.DataFrame, classes: int) -> NDArray[np.int64]:
    """Clips by true (rows) and predicted (columns) class, (classes, classes)."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (clips["label_id"].to_numpy(), clips["prediction"].to_numpy()), 1)
    return counts


def picture(cells: pd.DataFrame) -> Picture:
    """The page of one experiment.

    Args:
        cells: its rows of the tidy table.

    """
    first = cells.iloc[0]
    folds = {cell["fold"]: predictions(Path(cell["cell"])) for _, cell in cells.iterrows()}
    histories = {
        cell["fold"]: pd.read_csv(Path(cell["cell"]) / "history.csv")
        for _, cell in cells.iterrows()
    }
    every = pd.concat(folds.values(), ignore_index=True)
    classes = len(every["p"].iloc[0])
    names = every.drop_duplicates("label_id").set_index("label_id")["class"]
    names = names.reindex(range(classes)).fillna("")
    about = f"{first['label']}, {first['dataset']}, {spaced(first['protocol'])}"
    figure = style.new(f"{about}, seed {first['seed']}", 2.75)
    parts: Any = figure.subfigures(1, 3, width_ratios=[1, 1.25, 1])
    left, middle, right = parts
    curves = [one_against_rest(own) for own in folds.values()]
    area, area_std = _roc(left.subplots(), curves, list(names))
    counts = confusion(every, classes)
    _confusion(middle.subplots(), counts, list(names))
    _training(list(right.subplots(2, 1, sharex=True)), histories, cells.set_index("fold"))
    n = [len(own) for own in folds.values()]
    sizes = f"{min(n)}" if min(n) == max(n) else f"{min(n)} to {max(n)}"
    synthetic = " Synthetic audio, not the paper's data." if first["synthetic"] else ""
    right_share = np.trace(counts) / counts.sum()
    caption = (
        f"{about}, seed {first['seed']}; {len(folds)} folds of {sizes} test clips. Left: "
        "one-against-rest ROC; thin: mean over the folds for a class; thick: mean over classes "
        f"(macro) and folds, band: ± standard deviation of the macro curves over folds (ddof 1); "
        f"macro AUC {area:.3f} ± {area_std:.3f}. Middle: clips of all folds by true and predicted "
        f"class, numbers are clips, darker: larger share of the true class. Right: training loss "
        f"and weighted F1 of the clips that stop the training, a line a fold; dots: the epoch that "
        f"was scored.{synthetic}"
    )
    alt = (
        f"Macro AUC {area:.3f}; {100 * right_share:.0f} % of {counts.sum()} clips are classified "
        f"rightly; training took {min(map(len, histories.values()))} to "
        f"{max(map(len, histories.values()))} epochs."
    )
    inputs = [
        f"{cell}/{file}"
        for cell in cells["cell"]
        for file in ("predictions.parquet", "history.csv")
    ]
    return Picture(figure, EXPERIMENTS, about, caption, alt, inputs)


def _roc(axes: Axes, curves: list[tuple[Floats, Floats]], names: list[str]) -> tuple[float, float]:
    rates = np.ma.masked_invalid(np.stack([rates for rates, _ in curves]))  # fold, class, rate
    areas = np.ma.masked_invalid(np.stack([areas for _, areas in curves]))
    macro = rates.mean(axis=1)
    mean, std = macro.mean(axis=0), macro.std(axis=0, ddof=1) if len(curves) > 1 else 0 * RATES
    by_class = rates.mean(axis=0)
    colors = [style.ORANGE, style.SKY, style.GREEN, style.VERMILION, style.PURPLE]
    for k in range(len(names)):
        few = len(names) <= len(colors)
        axes.plot(
            RATES,
            by_class[k],
            linewidth=0.7,
            color=colors[k] if few else PALE,
            linestyle=["-", "--", "-.", ":", (0, (5, 1, 1, 1))][k] if few else "-",
            label=f"{names[k]} {areas[:, k].mean():.2f}" if few else None,
        )
    axes.fill_between(
        RATES, mean - std, np.minimum(mean + std, 1), color=BLUE, alpha=0.2, linewidth=0
    )
    area = float(areas.mean(axis=1).mean())
    spread = float(areas.mean(axis=1).std(ddof=1)) if len(curves) > 1 else np.nan
    axes.plot(RATES, mean, color=BLUE, label=f"macro {area:.2f}")
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.5, linestyle=":")
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    axes.set_title("ROC, area under it")
    axes.set_xticks([0, 0.5, 1])
    axes.legend(loc="lower right", fontsize=6, handlelength=2, labelspacing=0.3)
    return area, spread


def _confusion(axes: Axes, counts: NDArray[np.int64], names: list[str]) -> None:
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    many = len(names) > MANY
    texts = pd.DataFrame(counts).map(lambda n: f"{n}" if n and not many else "")
    style.heat(axes, pd.DataFrame(share), texts, 1.0)
    axes.set_aspect("equal")
    if many:
        axes.set_xticks([])
        axes.set_yticks([])
    else:
        axes.set_yticks(range(len(names)), names, fontsize=6)
        axes.set_xticks(range(len(names)), names, fontsize=6, rotation=90)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title("clips of all folds")


def _training(pair: list[Axes], histories: dict[int, pd.DataFrame], cells: pd.DataFrame) -> None:
    loss, score = pair
    shades = style.spread_out(0.35, 1.0, len(histories))
    for (fold, history), shade in zip(histories.items(), shades, strict=True):
        at = history["epoch"] == cells.loc[fold, "scored_epoch"]
        for axes, column, color in (
            (loss, "loss", VERMILION),
            (score, "stop_f1_weighted", BLUE),
        ):
            axes.plot(history["epoch"], history[column], color=color, alpha=shade, linewidth=0.8)
            axes.plot(
                history["epoch"][at],
                history[column][at],
                "o",
                color=color,
                markersize=3.5,
                markeredgecolor=BLACK,
                markeredgewidth=0.5,
            )
    loss.set_title("training loss")
    loss.set_ylim(bottom=0)
    score.set_title("F1 that stops training")
    score.set_xlabel("epoch")
    score.set_ylim(0, 1.02)


def curiosity_values(clips: pd.DataFrame) -> dict[str, list[float] | list[int]]:
    """`curiosity_values.json` with the original's keys: u, true and predicted class."""
    return {
        "curiosity": [float(u) for u in clips["uncertainty"]],
        "labels": [int(k) for k in clips["label_id"]],
        "preds": [int(k) for k in clips["prediction"]],
    }


def mean_by_prediction(clips: pd.DataFrame, classes: int) -> Floats:
    """Mean u by predicted class, as the original has it: 0 where nothing was predicted so."""
    means = clips.groupby("prediction")["uncertainty"].mean()
    return means.reindex(range(classes), fill_value=0.0).to_numpy(dtype=float)


def fold_files(cell: "pd.Series[object]") -> Iterator[tuple[str, bytes]]:
    """(name, content) of the curiosity files of a cell; none where its router has no u."""
    clips = predictions(Path(str(cell["cell"])))
    if clips["uncertainty"].isna().any():
        return
    values = json.dumps(curiosity_values(clips), indent=1) + "\n"
    yield "curiosity_values.json", values.encode()
    about = f"{cell['label']}, {cell['dataset']}, fold {cell['fold']}"
    figure, axes = style.small(about)
    axes.hist(clips["uncertainty"], bins=30, color=BLUE, edgecolor="white", linewidth=0.3)
    axes.set_xlabel("u: variance over Monte Carlo passes, sum over experts")
    axes.set_ylabel(f"clips, of {len(clips)}")
    yield "curiosity_histogram.png", style.encode(figure, "png")
    classes = len(clips["p"].iloc[0])
    figure, axes = style.small(about)
    axes.bar(
        range(classes),
        mean_by_prediction(clips, classes),
        color=ORANGE,
        edgecolor=BLACK,
        linewidth=0.4,
    )
    axes.set_xlabel("predicted class")
    axes.set_ylabel("mean u of the clips")
    if classes <= MANY:
        axes.set_xticks(range(classes))
    yield "curiosity_per_class.png", style.encode(figure, "png")
