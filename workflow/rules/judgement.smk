# Needs:  results/cells.csv, the cells it names, embeddings, measurements
# Makes:  results/significance, every test as published beside the corrected one; results/audit

SIGNIFICANCE = expand(
    "results/significance/{table}.{format}",
    table=[
        "table1_f1",
        "table2_f1",
        "table3_f1",
        "table3_energy",
        "table4_latency",
        "latency_variance",
        "table5",
    ],
    format=["csv", "md"],
)


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
    message:
        "Testing the differences"
    shell:
        "qmoe significance {input.cells} results/significance --measurements {params.folder}"
        " --key {params.key} > {log} 2>&1"


rule audit:
    """What stands between the numbers and what they claim."""
    input:
        "results/cells.csv",
        ancient([str(source.table) for source in GRID.sources.values()]),
    output:
        "results/audit.json",
        "results/audit.md",
    log:
        "logs/audit.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        key=GRID.key,
        set=SET,
    message:
        "Auditing data, protocol and results"
    shell:
        "qmoe audit results --key {params.key} {params.set} > {log} 2>&1"
