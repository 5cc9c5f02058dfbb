# Needs:  packed models, checked
# Makes:  results/measurements/KEY/{latency,energy,memory}.csv, the machine in .json beside each
#
# Time and energy are measured without other jobs: a measuring job reserves every core, whatever
# -j says. On a cluster the profile reserves a node for it.


rule measurements:
    """Everything that is measured."""
    input:
        measured,


rule measure:
    """Measure the packed models of the grid."""
    input:
        packed_models,
    output:
        table="results/measurements/{key}/{what}.csv",
        machine="results/measurements/{key}/{what}.json",
        record="results/measurements/{key}/{what}.provenance.json",
    log:
        "logs/measure/{key}-{what}.log",
    conda:
        "../envs/qmoe.yaml"
    threads: EVERY_CORE
    resources:
        mem_mb=escalating(4000),
        runtime=escalating(240),
    params:
        parameters=parameters,
    message:
        "Measuring {wildcards.what}"
    shell:
        "qmoe measure {wildcards.what} {output.table} --params {params.parameters} > {log} 2>&1"
