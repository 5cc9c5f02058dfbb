"""Whether a mixture sends its uncertain clips to experts of more bits; one answer a cell."""

from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from records.record import require_whole
from referee.contract import is_mixture
from referee.paper import Paper

ARM = ["dataset", "synthetic", "protocol", "model", "strategy", "alpha", "arm"]
KEYS = [*ARM, "seed", "fold", "experts", "cell"]


def precision_routing(cells: pd.DataFrame, paper: Paper) -> pd.DataFrame | None:
    """Return a row a cell of a mixture and expert, from the predictions in the folders `cell`.

    Columns beside the keys are those of `of_cell`. A cell whose predictions hold no uncertainty,
    or are not on disk, is left out. None where the paper has no experts, or the table names no
    folders.
    """
    if not paper.experts or "cell" not in cells:
        return None
    bits = {name: expert.bits for name, expert in paper.experts.items()}
    rows: list[dict[str, Any]] = []
    for _, cell in cells[is_mixture(cells)].iterrows():
        path = Path(cell["cell"]) / "predictions.parquet"
        if path.exists():
            require_whole(path)
        predictions = pd.read_parquet(path) if path.exists() else pd.DataFrame()
        if "uncertainty" in predictions and predictions["uncertainty"].notna().all():
            of_experts = of_cell(predictions, cell["experts"].split("+"), bits)
            rows += [cell[KEYS].to_dict() | row for row in of_experts]
    return pd.DataFrame(rows, columns=None if rows else [*KEYS, "rank_correlation"])


def of_cell(
    predictions: pd.DataFrame, experts: list[str], bits: Mapping[str, float]
) -> list[dict[str, Any]]:
    """Return a record an expert, from the n clips of a cell: expert, uncertainty, p_0, p_1, ...

    It holds the `rank_correlation` of the cell; of the expert its `bits` of a weight and `clips`,
    its share of all clips and of the tenth with the highest uncertainty, and the mean uncertainty
    and confidence (largest class probability) of its clips.
    """
    uncertainty = predictions["uncertainty"].to_numpy()
    top = np.argsort(-uncertainty, kind="stable")[: ceil(len(uncertainty) / 10)]
    confidence = predictions.filter(regex=r"^p_\d+$").max(axis=1)
    rho = rank_correlation(uncertainty, predictions["expert"].map(bits).to_numpy())
    chosen_by = {expert: (predictions["expert"] == expert).to_numpy() for expert in experts}
    return [
        {
            "rank_correlation": rho,
            "expert": expert,
            "bits": bits[expert],
            "clips": int(chosen.sum()),
            "share": chosen.mean(),
            "top_decile_share": chosen[top].mean(),
            "uncertainty_mean": uncertainty[chosen].mean() if chosen.any() else np.nan,
            "confidence_mean": confidence[chosen].mean(),
        }
        for expert, chosen in chosen_by.items()
    ]


def rank_correlation(uncertainty: np.ndarray, bits: np.ndarray) -> float:
    """Return Spearman's correlation of (n,) uncertainties and bits; 0 where one is constant."""
    # A router that always takes the same expert heeds no uncertainty.
    if np.ptp(uncertainty) == 0 or np.ptp(bits) == 0:
        return 0.0
    return float(stats.spearmanr(uncertainty, bits).statistic)
