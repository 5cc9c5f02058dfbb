"""Pictures of a run, from its results files only. `FIGURES` names them; `book` makes them.

Each module holds one family. A family keeps apart what is drawn (a function that returns a data
frame) and how (a function that returns a `style.Picture`). A picture whose data this run has not
says so in words, so that the same files come out of every grid. Nothing here imports matplotlib:
Snakemake reads the names at every start.
"""

# name of the file: module and function that draw it, in the order in which people see them
FIGURES = {
    "claim_verdicts": "claims.verdicts",
    "as_published_vs_corrected": "scores.protocols",
    "f1_by_alpha": "scores.by_alpha",
    "variance_reduction": "spread.reductions",
    "power": "spread.power",
    "pareto": "cost.pareto",
    "routing_share": "routing.share",
    "routing_confidence": "routing.confidence",
    "uncertainty_by_bits": "routing.uncertainty_by_bits",
    "curiosity_histogram": "curiosity.histogram",
    "curiosity_by_class": "curiosity.by_class",
}
EXPERIMENTS = "experiments"  # folder of the pictures of each experiment
FORMATS = ("png", "pdf")
