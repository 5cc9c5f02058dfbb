"""Pictures of a run, from its results files only: `book` makes those that `FIGURES` names.

Snakemake reads the names at every start, so that nothing here imports matplotlib.
"""

from pathlib import Path

import yaml

# name: section, and module with function that draw it, in the order of showing
FIGURES = {
    "claim_verdicts": ("claims", "verdict_tiles.verdicts"),
    "protocols_compared": ("scores", "score_marks.protocols"),
    "score_by_strength": ("scores", "score_marks.by_strength"),
    "variance_reduction": ("statistics", "few_folds.reductions"),
    "power": ("statistics", "few_folds.power"),
    "pareto": ("cost", "pareto.pareto"),
    "routing_share": ("routing", "routers.share"),
    "routing_confidence": ("routing", "routers.confidence"),
    "uncertainty_by_bits": ("routing", "routers.by_bits"),
    "curiosity_histogram": ("curiosity", "routers.histogram"),
    "curiosity_by_class": ("curiosity", "routers.by_class"),
}
EXPERIMENTS = "experiments"  # folder, and section, of the pictures of each experiment
FORMATS = ("png", "pdf")


def file_names(paper: Path) -> dict[str, str]:
    """The file of each of `FIGURES`, without suffix; `figures.yaml` of the paper may rename it."""
    path = paper / "figures.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: name for name in FIGURES} | content.get("figures", {}).get("files", {})
