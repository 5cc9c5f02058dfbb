# Needs:  every cell of the grid; for all but Table 1 packed models and measurements
# Makes:  results/cells.csv (tidy, a row a cell), results/summaries, results/tables

F1_TABLES = tables_of("scores", ["csv", "md", "tex"])
MEASURED_TABLES = tables_of("measured", ["csv", "md", "tex"])


rule collect:
    """All cells in one tidy table; names the missing ones."""
    input:
        orders=lambda wildcards: RUN.done("train"),
        outdated=outdated("results/cells.provenance.json", ["results/cells.csv"]),
    output:
        table="results/cells.csv",
        record="results/cells.provenance.json",
    log:
        "logs/collect.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        parameters=parameters,
    message:
        "Collecting the cells"
    shell:
        "qmoe collect {output.table} --params {params.parameters} > {log} 2>&1"


rule tables:
    """Table 1, and what it was made from."""
    input:
        cells="results/cells.csv",
        outdated=outdated(
            "results/tables/provenance.json",
            [*F1_TABLES, "results/metrics.json"],
            ["results/cells.csv"],
        ),
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
        key=key_of("results/tables/provenance.json"),
        paper=PAPER,
    message:
        "Writing Table 1"
    shell:
        "referee tables {input.cells} results/tables --paper {params.paper} --key {params.key}"
        " > {log} 2>&1"


rule collect_packed:
    """Bytes of every packed model, and how it agrees with the trained one."""
    input:
        orders=lambda wildcards: RUN.done("check"),
        outdated=outdated("results/packed.provenance.json", ["results/packed.csv"]),
    output:
        table="results/packed.csv",
        record="results/packed.provenance.json",
    log:
        "logs/packed.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        parameters=parameters,
    message:
        "Collecting sizes and agreement"
    shell:
        "qmoe collect-packed {output.table} --params {params.parameters} > {log} 2>&1"


rule measured_tables:
    """Tables 2, 3, 4 and the carbon table, and what they were made from."""
    input:
        cells="results/cells.csv",
        packed="results/packed.csv",
        measurements=measured,
        outdated=outdated(
            "results/tables/measured.provenance.json",
            MEASURED_TABLES,
            ["results/cells.csv", "results/packed.csv"],
        ),
    output:
        MEASURED_TABLES,
        "results/tables/measured.provenance.json",
    log:
        "logs/measured_tables.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        key=key_of("results/tables/measured.provenance.json"),
        folder=measurements_folder,
        paper=PAPER,
    message:
        "Writing Tables 2, 3, 4 and the carbon table"
    shell:
        "referee measured-tables {input.cells} {input.packed} {params.folder} results/tables"
        " --paper {params.paper} --key {params.key} > {log} 2>&1"
