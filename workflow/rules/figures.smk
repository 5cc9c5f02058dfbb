# Needs:  every tidy table, the cells, measurements, significance and verdicts
# Makes:  results/figures: the same set of figures for every grid, those of each experiment, and an index;
#         results/paper.tex, a document of all tables and figures
from qmoe.judge import paper_folder
from referee.figures import FORMATS, file_names

PICTURES = file_names(paper_folder(PAPER)).values()
FIGURES = [
    *expand("results/figures/{name}.{format}", name=PICTURES, format=FORMATS),
    "results/figures/figures.json",
]


rule figures:
    """Every picture as PNG and PDF, with its caption in figures.json."""
    input:
        cells="results/cells.csv",
        packed="results/packed.csv",
        measurements=measured,
        significance=SIGNIFICANCE,
        claims="results/claims.csv",
        outdated=outdated(
            "results/figures/provenance.json",
            FIGURES,
            [
                "results/cells.csv",
                "results/packed.csv",
                "results/claims.csv",
                *SIGNIFICANCE,
            ],
        ),
    output:
        FIGURES,
        "results/figures/provenance.json",
    log:
        "logs/figures.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    threads: 8
    params:
        key=key_of("results/figures/provenance.json"),
        folder=measurements_folder,
        paper=PAPER,
    message:
        "Drawing the figures"
    shell:
        "referee figures {input.cells} results/figures --packed {input.packed}"
        " --measurements {params.folder} --significance results/significance"
        " --claims {input.claims} --workers {threads} --paper {params.paper}"
        " --key {params.key} > {log} 2>&1"


rule latex:
    """A LaTeX document of the tables and figures: `cd results && latexmk -pdf paper.tex`."""
    input:
        tables=[f for f in F1_TABLES + MEASURED_TABLES if f.endswith(".tex")],
        figures="results/figures/figures.json",
        outdated=outdated(
            "results/paper.provenance.json",
            ["results/paper.tex"],
            [*F1_TABLES, *MEASURED_TABLES, "results/figures/figures.json"],
        ),
    output:
        "results/paper.tex",
        "results/paper.provenance.json",
    log:
        "logs/latex.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        key=key_of("results/paper.provenance.json"),
    message:
        "Writing the LaTeX document"
    shell:
        "referee latex {input.tables} --figures {input.figures} --out results/paper.tex"
        " --key {params.key} > {log} 2>&1"
