# Needs:  every cell of the grid
# Makes:  results/cells.csv (tidy, a row a cell), results/summaries, results/tables


rule collect:
    """All cells in one tidy table; names the missing ones."""
    input:
        cells=ancient(cells_of(GRID.experiments)),
        stale=STALE,
    output:
        table="results/cells.csv",
        summaries=directory("results/summaries"),
    log:
        "logs/collect.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        key=GRID.key,
        set=SET,
    message:
        "Collecting the cells"
    shell:
        "qmoe collect {output.table} --key {params.key} {params.set} > {log} 2>&1"


rule tables:
    """The paper's tables, and what they were made from."""
    input:
        "results/cells.csv",
    output:
        expand(
            "results/tables/{table}.{format}",
            table=["table1", "table3"],
            format=["csv", "md", "tex"],
        ),
        "results/tables/metrics.json",
        "results/tables/provenance.json",
    log:
        "logs/tables.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        key=GRID.key,
    message:
        "Writing the tables"
    shell:
        "qmoe tables {input} results/tables --key {params.key} > {log} 2>&1"
