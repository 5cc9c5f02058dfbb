# Needs:  every tidy table, the cells, measurements, significance and verdicts
# Makes:  results/figures: the same pictures out of every grid, each experiment's, and an index
from qmoe.analysis.figures import FIGURES as PICTURES
from qmoe.analysis.figures import FORMATS

FIGURES = [
    *expand("results/figures/{name}.{format}", name=PICTURES, format=FORMATS),
    "results/figures/figures.json",
]


rule figures:
    """Every picture as PNG and PDF, with its caption in figures.json."""
    input:
        cells="results/cells.csv",
        packed="results/packed.csv",
        measurements=MEASURED,
        significance=SIGNIFICANCE,
        claims="results/claims.csv",
        stale=stale("results/figures/provenance.json", FIGURES, GRID.figures_key),
    output:
        FIGURES,
        "results/figures/provenance.json",
        experiments=directory("results/figures/experiments"),
    log:
        "logs/figures.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    threads: 8
    params:
        key=GRID.figures_key,
        folder=GRID.measurements,
    message:
        "Drawing the figures"
    shell:
        "qmoe figures {input.cells} results/figures --packed {input.packed}"
        " --measurements {params.folder} --significance results/significance"
        " --claims {input.claims} --workers {threads} --key {params.key} > {log} 2>&1"
