# Needs:  results/cells.csv and the measurements
# Makes:  results/significance, every test as published beside the corrected one


rule significance:
    """The significance files: as published and corrected, from the same cells."""
    input:
        cells="results/cells.csv",
        latency="results/measurements/latency.csv",
        energy="results/measurements/energy.csv",
    output:
        expand(
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
        ),
    log:
        "logs/significance.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    message:
        "Testing the differences"
    shell:
        "qmoe significance {input.cells} results/significance --latency {input.latency}"
        " --energy {input.energy} > {log} 2>&1"
