# Needs:  results/cells.csv, the cells it names, results/packed.csv, measurements
# Makes:  results/claims.{csv,json,md}, the verdict on every claim of the paper; their counts

CLAIMS = [
    *expand("results/claims.{format}", format=["csv", "json", "md"]),
    "results/verdicts.json",
    "results/significance/precision_routing.csv",
]


rule claims:
    """Every claim of the paper, judged under both protocols."""
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
    message:
        "Judging the claims"
    shell:
        "qmoe claims {input.cells} results --packed {input.packed}"
        " --measurements {params.folder} --key {params.key} > {log} 2>&1"
