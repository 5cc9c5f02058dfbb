# Needs:  every cell of the grid; for all but Table 1 packed models and measurements
# Makes:  results/cells.csv (tidy, a row a cell), results/summaries, results/tables

F1_TABLES = tables_of("scores", ["csv", "md", "tex"])
MEASURED_TABLES = tables_of("measured", ["csv", "md", "tex"])


rule collect:
    """All cells in one tidy table; names the missing ones."""
    input:
        cells=ancient(cells_of(GRID.experiments)),
        stale=stale_rows("results/cells.csv", "cell", Experiment.cell),
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
    """Table 1, and what it was made from."""
    input:
        cells="results/cells.csv",
        stale=stale("results/tables/provenance.json", F1_TABLES),
    output:
        F1_TABLES,
        "results/metrics.json",
        "results/tables/provenance.json",
    log:
        "logs/tables.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        key=GRID.key,
        paper=PAPER,
    message:
        "Writing Table 1"
    shell:
        "referee tables {input.cells} results/tables --paper {params.paper} --key {params.key}"
        " > {log} 2>&1"


rule collect_packed:
    """Bytes of every packed model, and how it agrees with the trained one."""
    input:
        checks=ancient(packed_of(GRID.experiments, "check.json")),
        stale=stale_rows("results/packed.csv", "packed", GRID.packed),
    output:
        "results/packed.csv",
    log:
        "logs/packed.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        set=SET,
    message:
        "Collecting sizes and agreement"
    shell:
        "qmoe collect-packed {output} {params.set} > {log} 2>&1"


rule measured_tables:
    """Tables 2, 3, 4 and the carbon table, and what they were made from."""
    input:
        cells="results/cells.csv",
        packed="results/packed.csv",
        measurements=MEASURED,
        stale=stale("results/tables/measured.json", MEASURED_TABLES),
    output:
        MEASURED_TABLES,
        "results/tables/measured.json",
    log:
        "logs/measured_tables.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        key=GRID.key,
        folder=GRID.measurements,
        paper=PAPER,
    message:
        "Writing Tables 2, 3, 4 and the carbon table"
    shell:
        "referee measured-tables {input.cells} {input.packed} {params.folder} results/tables"
        " --paper {params.paper} --key {params.key} > {log} 2>&1"
