# Needs:  data/embeddings, results/cells.csv and the cells it names
# Makes:  results/audit.json, results/audit.md


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
