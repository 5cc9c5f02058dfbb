# Needs:  tables, significance, audit, claims, figures, and the cells behind them
# Makes:  results/index.html, all of a run on one page; results/pages, each table by itself;
#         results/paper.{ipynb,html}, the notebook run
#
# `snakemake --report results/report.html` puts what is marked `report` into Snakemake's own report.

STORY = [
    "results/cells.csv",
    "results/packed.csv",
    "results/run.json",
    *F1_TABLES,
    *MEASURED_TABLES,
    *SIGNIFICANCE,
    *AUDIT,
    *CLAIMS,
    *FIGURES,
]


rule page:
    """The results page: verdicts on top, and where every number comes from."""
    input:
        STORY,
        measured,
        outdated(
            "results/index.provenance.json",
            ["results/index.html", "results/pages"],
            STORY,
        ),
    output:
        "results/index.html",
        report(
            directory("results/pages"),
            patterns=["{section,[^/]+}/{name}.html"],
            caption="../report/pages.rst",
            category="{section}",
            labels={"name": "{name}"},
        ),
        "results/index.provenance.json",
    log:
        "logs/page.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        key=key_of("results/index.provenance.json"),
        paper=PAPER,
    message:
        "Writing the results page"
    shell:
        "referee page results --paper {params.paper} --key {params.key} > {log} 2>&1"


rule notebook:
    """The paper's story in the numbers of this run."""
    input:
        STORY,
        measured,
        outdated(
            "results/notebook.provenance.json",
            ["results/paper.ipynb", "results/paper.html"],
            [*STORY, "notebooks/paper.ipynb"],
        ),
        notebook="notebooks/paper.ipynb",
    output:
        "results/paper.ipynb",
        report(
            "results/paper.html",
            caption="../report/notebook.rst",
            category="Notebook",
            labels={"name": "the paper's story"},
        ),
        "results/notebook.provenance.json",
    log:
        "logs/notebook.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        key=key_of("results/notebook.provenance.json"),
        paper=PAPER,
    message:
        "Running the notebook"
    shell:
        "referee notebook {input.notebook} results --paper {params.paper} --key {params.key}"
        " > {log} 2>&1"
