"""Pictures of a run, from its results files only. `FIGURES` names them; `book` makes them.

Each module draws one kind of figure and keeps apart what is drawn (functions that return data),
how (functions that draw into axes), and the words beside it. A figure whose data the run lacks
says so in words, so that every grid yields the same files. Nothing in this file imports
matplotlib: Snakemake reads the names at every start.
"""

# name of the file: section, and module with function that draw it, in the order of showing
FIGURES = {
    "claim_verdicts": ("claims", "verdict_tiles.verdicts"),
    "as_published_vs_corrected": ("scores", "score_marks.protocols"),
    "f1_by_alpha": ("scores", "score_marks.by_strength"),
    "variance_reduction": ("statistics", "few_folds.reductions"),
    "power": ("statistics", "few_folds.power"),
    "pareto": ("cost", "pareto.pareto"),
    "routing_share": ("routing", "expert_shares.share"),
    "routing_confidence": ("routing", "expert_shares.confidence"),
    "uncertainty_by_bits": ("routing", "uncertainty.by_bits"),
    "curiosity_histogram": ("curiosity", "uncertainty.histogram"),
    "curiosity_by_class": ("curiosity", "uncertainty.by_class"),
}
EXPERIMENTS = "experiments"  # folder, and section, of the pictures of each experiment
FORMATS = ("png", "pdf")
