# Needs:  results/cells.csv, the cells it names, results/packed.csv, embeddings, measurements
# Makes:  results/run.json, what only the method can tell of the run; results/significance, every
#         test as published beside the corrected one; results/audit.{json,md}, what is wrong with
#         data, protocol or results; results/claims.{csv,json,md}, the verdict on every claim

SIGNIFICANCE = tables_of("tests", ["csv", "md"])
CLAIMS = [
    *expand("results/claims.{format}", format=["csv", "json", "md"]),
    "results/verdicts.json",
    "results/significance/precision_routing.csv",
]


rule describe:
    """Facts of the run that only the method can tell: its grid, data, splits and rules."""
    input:
        ancient([str(source.table) for source in GRID.sources.values()]),
        stale("results/run.json"),
    output:
        "results/run.json",
    log:
        "logs/describe.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        key=GRID.key,
        set=SET,
    message:
        "Describing the run"
    shell:
        "qmoe describe {output} --key {params.key} {params.set} > {log} 2>&1"


rule significance:
    """The significance files: as published and corrected, from the same cells."""
    input:
        cells="results/cells.csv",
        measurements=MEASURED,
        stale=stale("results/significance/provenance.json", SIGNIFICANCE),
    output:
        SIGNIFICANCE,
        "results/significance/provenance.json",
    log:
        "logs/significance.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        key=GRID.key,
        folder=GRID.measurements,
        paper=PAPER,
    message:
        "Testing the differences"
    shell:
        "referee significance {input.cells} results/significance"
        " --measurements {params.folder} --paper {params.paper} --key {params.key}"
        " > {log} 2>&1"


rule audit:
    """Check data, protocol and results for anything that makes a number misleading."""
    input:
        "results/cells.csv",
        "results/run.json",
    output:
        "results/audit.json",
        "results/audit.md",
    log:
        "logs/audit.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        paper=PAPER,
    message:
        "Auditing data, protocol and results"
    shell:
        "referee audit results --paper {params.paper} > {log} 2>&1"


rule claims:
    """Every claim of the paper, judged under every protocol."""
    input:
        cells="results/cells.csv",
        packed="results/packed.csv",
        measurements=MEASURED,
        stale=stale("results/claims.provenance.json", CLAIMS),
    output:
        CLAIMS,
        "results/claims.provenance.json",
    log:
        "logs/claims.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        key=GRID.key,
        folder=GRID.measurements,
        paper=PAPER,
    message:
        "Judging the claims"
    shell:
        "referee verdicts {input.cells} results --packed {input.packed}"
        " --measurements {params.folder} --paper {params.paper} --key {params.key}"
        " > {log} 2>&1"
