"""The curiosity files of a fold: those of the original research code, with its keys and names."""

import json
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from referee.figures import style
from referee.figures.experiments import MANY
from referee.figures.style import BLACK, BLUE, ORANGE


def curiosity_values(clips: pd.DataFrame) -> dict[str, list[float] | list[int]]:
    """`curiosity_values.json` with the original's keys: u, true and predicted class of each clip."""
    return {
        "curiosity": [float(u) for u in clips["uncertainty"]],
        "labels": [int(k) for k in clips["label_id"]],
        "preds": [int(k) for k in clips["prediction"]],
    }


def mean_by_prediction(clips: pd.DataFrame, classes: int) -> NDArray[np.float64]:
    """Mean u by predicted class, (classes,); 0, as in the original, where no clip has the class."""
    means = clips.groupby("prediction")["uncertainty"].mean()
    return means.reindex(range(classes), fill_value=0.0).to_numpy(dtype=float)


def fold_files(cell: "pd.Series[object]", clips: pd.DataFrame) -> Iterator[tuple[str, bytes]]:
    """(name, content) of the curiosity files of a cell; none where its router has no u.

    Args:
        cell: its row in the tidy table.
        clips: of `frames.predictions`.

    """
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
    means = mean_by_prediction(clips, classes)
    axes.bar(range(classes), means, color=ORANGE, edgecolor=BLACK, linewidth=0.4)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("mean u of the clips")
    if classes <= MANY:
        axes.set_xticks(range(classes))
    yield "curiosity_per_class.png", style.encode(figure, "png")
