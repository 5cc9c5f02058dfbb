"""Pictures of a run, from its results files only. `FIGURES` names them; `book` makes them.

Each module draws one kind of figure and keeps apart what is drawn (functions that return data),
how (functions that draw into axes), and the words beside it. A figure whose data the run lacks
says so in words, so that every grid yields the same files. Nothing in this file imports
matplotlib: Snakemake reads the names at every start.
"""

# name of the file: module and function that draw it, in the order in which people see them
FIGURES = {
    "claim_verdicts": "verdict_tiles.verdicts",
    "as_published_vs_corrected": "score_by_protocol.protocols",
    "f1_by_alpha": "score_by_strength.by_strength",
    "variance_reduction": "variance_ratios.reductions",
    "power": "power_curves.power",
    "pareto": "pareto.pareto",
    "routing_share": "expert_shares.share",
    "routing_confidence": "expert_shares.confidence",
    "uncertainty_by_bits": "uncertainty_by_bits.uncertainty_by_bits",
    "curiosity_histogram": "uncertainty.histogram",
    "curiosity_by_class": "uncertainty.by_class",
}
EXPERIMENTS = "experiments"  # folder of the pictures of each experiment
FORMATS = ("png", "pdf")
