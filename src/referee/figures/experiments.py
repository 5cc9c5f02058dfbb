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

from referee.contract import read_csv
from referee.figures import EXPERIMENTS, style
from referee.figures.frames import SYNTHETIC, Frames, span
from referee.figures.style import BLACK, BLUE, GREY, ORANGE, PALE, VERMILION, Picture
from referee.words import spaced

RATES = np.linspace(0, 1, 101)
MANY = 12  # classes: beyond, no number and no name of each is drawn
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1)))
COLORS = (ORANGE, style.SKY, style.GREEN, VERMILION, style.PURPLE)
CURVES = tuple(zip(COLORS, DASHES, strict=True))  # of single classes, where they are few
HISTORY = "history.csv"  # of the training of a cell, where it has one
Floats = NDArray[np.float64]
Folds = dict[int, pd.DataFrame]


def experiments(cells: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Cells by the name of their experiment; none where the table names no files of cells.

    Names are `experiments/DATASET/PROTOCOL/EXPERTS/CURIOSITY/seedN`, like those of the summaries.
    """
    if "cell" not in cells:
        return {}
    alpha = cells["alpha"].map("-{:g}".format).where(cells["alpha"].notna(), "")
    curiosity, seed = cells["strategy"] + alpha, "seed" + cells["seed"].astype(str)
    dataset = cells["dataset"].str.removesuffix(SYNTHETIC)
    names = dataset.str.cat([cells["protocol"], cells["experts"], curiosity, seed], sep="/")
    return dict(iter(cells.groupby(f"{EXPERIMENTS}/" + names, sort=False)))


def one_against_rest(clips: pd.DataFrame) -> tuple[Floats, Floats]:
    """ROC of each class, from the `frames.predictions` of a fold.

    Returns true positive rates at `RATES`, (classes, 101), and areas under the curves, (classes,);
    NaN for a class that has no clip in the fold, or all of them.
    """
    p = np.stack(clips["p"].to_list())
    rates, areas = np.full((p.shape[1], len(RATES)), np.nan), np.full(p.shape[1], np.nan)
    for k in range(p.shape[1]):
        is_class = (clips["label_id"] == k).to_numpy()
        if is_class.any() and not is_class.all():
            false, true, _ = roc_curve(is_class, p[:, k], drop_intermediate=False)
            rates[k] = np.interp(RATES, false, true)
            rates[k, 0] = 0.0
            areas[k] = roc_auc_score(is_class, p[:, k])
    return rates, areas


def confusion(clips: pd.DataFrame, classes: int) -> NDArray[np.int64]:
    """Clips by true (rows) and predicted (columns) class, (classes, classes)."""
    counts = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(counts, (clips["label_id"].to_numpy(), clips["prediction"].to_numpy()), 1)
    return counts


def picture(run: Frames, cells: pd.DataFrame, clips: Folds) -> Picture:
    """Draw one experiment: its rows of the tidy table, and by fold its `frames.predictions`."""
    first = cells.iloc[0]
    about = f"{first['label']}, {first['dataset']}, {spaced(first['protocol'])}"
    every = pd.concat(clips.values(), ignore_index=True)
    classes = len(every["p"].iloc[0])
    by_number = every.drop_duplicates("label_id").set_index("label_id")["class"]
    names = list(by_number.reindex(range(classes)).fillna(""))
    folders = [Path(cell) for cell in cells["cell"]]
    histories = zip(cells["fold"], (folder / HISTORY for folder in folders), strict=True)
    trained = {fold: read_csv(path) for fold, path in histories if path.exists()}
    figure = style.new(f"{about}, seed {first['seed']}", 2.75)
    parts: Any = figure.subfigures(1, 3, width_ratios=[1, 1.25, 1])
    area = _roc(parts[0].subplots(), [one_against_rest(fold) for fold in clips.values()], names)
    counts = confusion(every, classes)
    _confusion(parts[1].subplots(), counts, names)
    _training(parts[2].subplots(2, 1, sharex=True), trained, cells.set_index("fold"), run)
    sizes = pd.Series([len(fold) for fold in clips.values()])
    synthetic = " Synthetic audio, not the paper's data." if first["synthetic"] else ""
    caption = f"""{about}, seed {first["seed"]}; {len(clips)} folds of {span(sizes)} test clips.
        Left: one-against-rest ROC; thin lines: mean over folds for each class; thick line and
        band: mean over classes (macro) and folds ± standard deviation of the macro curves over
        folds (ddof 1); macro AUC {area[0]:.3f} ± {area[1]:.3f}. Middle: clips of all folds by
        true and predicted class, darker: larger share of the true class. Right: training loss
        and {run.score_words} of the clips that stop the training; dots: scored
        epochs.{synthetic}"""
    rightly = 100 * np.trace(counts) / counts.sum()
    alt = f"Macro AUC {area[0]:.3f}; {rightly:.0f} % of {counts.sum()} clips are classified rightly"
    epochs = [len(history) for history in trained.values()]
    alt += f"; training took {min(epochs)} to {max(epochs)} epochs." if epochs else "."
    files = [cell / name for cell in folders for name in ("predictions.parquet", HISTORY)]
    inputs = [file.as_posix() for file in files if file.exists()]
    return Picture(figure, about, caption, alt, inputs)


def _roc(axes: Axes, curves: list[tuple[Floats, Floats]], names: list[str]) -> tuple[float, float]:
    """Draw the curves of all folds; return mean and standard deviation of the macro area."""
    rates = np.ma.masked_invalid(np.stack([rates for rates, _ in curves]))  # fold, class, rate
    areas = np.ma.masked_invalid(np.stack([areas for _, areas in curves]))
    macro = rates.mean(axis=1)
    several = len(curves) > 1
    mean, std = macro.mean(axis=0), macro.std(axis=0, ddof=1) if several else 0 * RATES
    few = len(names) <= len(CURVES)
    looks = CURVES if few else ((PALE, "-"),) * len(names)
    by_class = zip(rates.mean(axis=0), areas.mean(axis=0), names, looks, strict=False)
    for curve, area, name, (color, line) in by_class:
        label = f"{name} {area:.2f}" if few else None
        axes.plot(RATES, curve, linewidth=0.7, color=color, linestyle=line, label=label)
    band = mean - std, np.minimum(mean + std, 1)
    axes.fill_between(RATES, *band, color=BLUE, alpha=0.2, linewidth=0)
    area = areas.mean(axis=1)
    axes.plot(RATES, mean, color=BLUE, label=f"macro {area.mean():.2f}")
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.5, linestyle=":")
    axes.set(xlabel="false positive rate", ylabel="true positive rate", xticks=[0, 0.5, 1])
    axes.set_title("ROC, area under it")
    axes.legend(loc="lower right", fontsize=6, handlelength=2, labelspacing=0.3)
    return float(area.mean()), float(area.std(ddof=1)) if several else np.nan


def _confusion(axes: Axes, counts: NDArray[np.int64], names: list[str]) -> None:
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    many = len(names) > MANY
    texts = pd.DataFrame(counts).map(lambda n: f"{n}" if n and not many else "")
    style.heat(axes, pd.DataFrame(share), texts, 1.0)
    shown = [] if many else names
    axes.set_yticks(range(len(shown)), shown, fontsize=6)
    axes.set_xticks(range(len(shown)), shown, fontsize=6, rotation=90)
    axes.set(aspect="equal", xlabel="predicted", ylabel="true", title="clips of all folds")


def _training(pair: Any, histories: Folds, cells: pd.DataFrame, run: Frames) -> None:
    """Draw loss and stopping score by epoch; histories and cells by fold."""
    columns = ("loss", f"stop_{run.paper.score.column}")
    shades = style.spread_out(0.35, 1.0, len(histories))
    for (fold, history), shade in zip(histories.items(), shades, strict=True):
        scored = history[history["epoch"] == cells.loc[fold].get("scored_epoch")]
        for axes, column, color in zip(pair, columns, (VERMILION, BLUE), strict=True):
            if column in history:
                paint: dict[str, Any] = {"color": color, "markersize": 3.5} | style.edge(0.5)
                axes.plot("epoch", column, data=history, color=color, alpha=shade, linewidth=0.8)
                axes.plot("epoch", column, "o", data=scored, **paint)
    for axes in pair if not histories else ():
        axes.text(0.5, 0.5, "not recorded", transform=axes.transAxes, ha="center", color=GREY)
    pair[0].set_title("training loss")
    pair[0].set_ylim(bottom=0)
    pair[1].set(title=f"{run.score} that stops training", xlabel="epoch", ylim=(0, 1.02))


def mean_by_prediction(clips: pd.DataFrame, classes: int) -> Floats:
    """Mean u by predicted class, (classes,); 0, as in the original, where no clip has the class."""
    means = clips.groupby("prediction")["uncertainty"].mean()
    return means.reindex(range(classes), fill_value=0.0).to_numpy(dtype=float)


def fold_files(cell: "pd.Series[object]", clips: pd.DataFrame) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the curiosity files of a cell; none where its router has no u."""
    if clips["uncertainty"].isna().any():
        return
    columns = {"curiosity": "uncertainty", "labels": "label_id", "preds": "prediction"}
    values = {name: clips[column].tolist() for name, column in columns.items()}
    yield "curiosity_values.json", (json.dumps(values, indent=1) + "\n").encode()
    about = f"{cell['label']}, {cell['dataset']}, fold {cell['fold']}"
    figure, axes = style.small(about)
    axes.hist(clips["uncertainty"], bins=30, color=BLUE, edgecolor="white", linewidth=0.3)
    x_label = "u: variance over Monte Carlo passes, sum over experts"
    axes.set(xlabel=x_label, ylabel=f"clips, of {len(clips)}")
    yield "curiosity_histogram.png", style.encode(figure, "png")
    classes = len(clips["p"].iloc[0])
    figure, axes = style.small(about)
    means = mean_by_prediction(clips, classes)
    axes.bar(range(classes), means, color=ORANGE, edgecolor=BLACK, linewidth=0.4)
    axes.set(xlabel="predicted class", ylabel="mean u of the clips")
    if classes <= MANY:
        axes.set_xticks(range(classes))
    yield "curiosity_per_class.png", style.encode(figure, "png")
