# Needs:  results/cells.csv, the cells it names, results/packed.csv, embeddings, measurements
# Makes:  results/run.json, what only the method can tell of the run; results/significance, every
#         test as published beside the corrected one; results/audit.{json,md}, what is wrong with
#         data, protocol or results; results/claims.{csv,json,md}, the verdict on every claim

SIGNIFICANCE = tables_of("tests", ["csv", "md"])
AUDIT = ["results/audit.json", "results/audit.md"]
CLAIMS = [
    *expand("results/claims.{format}", format=["csv", "json", "md"]),
    "results/verdicts.json",
    "results/significance/precision_routing.csv",
]


rule describe:
    """Facts of the run that only the method can tell: its grid, data, splits and rules."""
    input:
        tables=lambda wildcards: RUN.tables(),
        outdated=outdated("results/run.provenance.json", ["results/run.json"]),
    output:
        run="results/run.json",
        record="results/run.provenance.json",
    log:
        "logs/describe.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        key=key_of("results/run.provenance.json"),
        parameters=parameters,
    message:
        "Describing the run"
    shell:
        "qmoe describe {output.run} --params {params.parameters} --key {params.key}"
        " > {log} 2>&1"


rule significance:
    """The significance files: as published and corrected, from the same cells."""
    input:
        cells="results/cells.csv",
        measurements=measured,
        outdated=outdated(
            "results/significance/provenance.json", SIGNIFICANCE, ["results/cells.csv"]
        ),
    output:
        SIGNIFICANCE,
        "results/significance/provenance.json",
    log:
        "logs/significance.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        key=key_of("results/significance/provenance.json"),
        folder=measurements_folder,
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
        cells="results/cells.csv",
        run="results/run.json",
        outdated=outdated(
            "results/audit.provenance.json",
            AUDIT,
            ["results/cells.csv", "results/run.json"],
        ),
    output:
        AUDIT,
        "results/audit.provenance.json",
    log:
        "logs/audit.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        key=key_of("results/audit.provenance.json"),
        paper=PAPER,
    message:
        "Auditing data, protocol and results"
    shell:
        "referee audit results --paper {params.paper} --key {params.key} > {log} 2>&1"


rule claims:
    """Every claim of the paper, judged under every protocol."""
    input:
        cells="results/cells.csv",
        packed="results/packed.csv",
        measurements=measured,
        outdated=outdated(
            "results/claims.provenance.json",
            CLAIMS,
            ["results/cells.csv", "results/packed.csv"],
        ),
    output:
        CLAIMS,
        "results/claims.provenance.json",
    log:
        "logs/claims.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        key=key_of("results/claims.provenance.json"),
        folder=measurements_folder,
        paper=PAPER,
    message:
        "Judging the claims"
    shell:
        "referee verdicts {input.cells} results --packed {input.packed}"
        " --measurements {params.folder} --paper {params.paper} --key {params.key}"
        " > {log} 2>&1"
