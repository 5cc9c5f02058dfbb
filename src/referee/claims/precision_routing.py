"""Does a mixture send its uncertain clips to precise experts? One answer a cell."""

from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from referee.audit.routing import BITS
from referee.tables.definition import ARM

KEYS = ["dataset", "synthetic", *ARM, "arm", "seed", "fold", "experts", "cell"]


def precision_routing(cells: pd.DataFrame) -> pd.DataFrame:
    """One row a cell of a mixture and expert, from the predictions of the cells.

    Columns beside the keys: `rank_correlation` of the cell, see there; of each expert its bits and
    clips, its share of all clips and of the tenth with the highest u, and the mean u and
    confidence (largest class probability) of its clips. A cell without u, or
    without predictions on disk, is left out.
    """
    rows: list[dict[str, Any]] = []
    for _, cell in cells[cells["experts"].str.contains("+", regex=False)].iterrows():
        path = Path(cell["cell"]) / "predictions.parquet"
        if not path.exists():
            continue
        predictions = pd.read_parquet(path)
        u = predictions.get("uncertainty")
        if u is None or u.isna().any():
            continue
        rows += [cell[KEYS].to_dict() | own for own in of_cell(predictions, cell["experts"])]
    return pd.DataFrame(rows, columns=None if rows else [*KEYS, "rank_correlation"])


def of_cell(predictions: pd.DataFrame, experts: str) -> list[dict[str, Any]]:
    """One record an expert.

    Args:
        predictions: of the n clips of a cell: expert, uncertainty, p_0, p_1, ...
        experts: names joined by `+`.

    """
    u = predictions["uncertainty"].to_numpy()
    top = np.zeros(len(u), dtype=bool)
    top[np.argsort(-u, kind="stable")[: ceil(len(u) / 10)]] = True
    confidence = predictions.filter(regex=r"^p_\d+$").max(axis=1)
    rho = rank_correlation(u, predictions["expert"].map(BITS).to_numpy())
    found = []
    for expert in experts.split("+"):
        chosen = (predictions["expert"] == expert).to_numpy()
        found.append(
            {
                "rank_correlation": rho,
                "expert": expert,
                "bits": BITS[expert],
                "clips": int(chosen.sum()),
                "share": chosen.mean(),
                "top_decile_share": chosen[top].mean(),
                "uncertainty_mean": u[chosen].mean() if chosen.any() else np.nan,
                "confidence_mean": confidence[chosen].mean(),
            }
        )
    return found


def rank_correlation(u: np.ndarray, bits: np.ndarray) -> float:
    """Spearman's correlation of u with the bits of the chosen expert, over clips.

    0 where one side is constant: a router that always takes the same expert heeds no u.
    """
    if np.ptp(u) == 0 or np.ptp(bits) == 0:
        return 0.0
    return float(stats.spearmanr(u, bits).statistic)
