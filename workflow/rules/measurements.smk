# Needs:  packed models, checked
# Makes:  results/measurements/KEY/{latency,energy,memory}.csv, the machine in .json beside each
#
# Time and energy are measured alone on the machine: a job that takes every core leaves none for
# another one, whatever -j says. On a cluster the profile gives it a node of its own.

MEASURED = expand(
    f"{GRID.measurements}/{{what}}.csv", what=["latency", "energy", "memory"]
)


rule measurements:
    """Everything that is measured."""
    input:
        MEASURED,


rule memory:
    """Peak memory of a fresh process with each packed model."""
    input:
        ancient(packed_of(GRID.measured, "check.json")),
    output:
        f"{GRID.measurements}/memory.csv",
        f"{GRID.measurements}/memory.json",
    log:
        "logs/measure/memory.log",
    conda:
        "../envs/qmoe.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=60,
    params:
        set=SET,
    message:
        "Measuring peak memory"
    shell:
        "qmoe measure memory {output[0]} {params.set} > {log} 2>&1"


rule latency:
    """Wall time of each packed model and of the two baselines, in turn, on one thread."""
    input:
        ancient(packed_of(GRID.measured, "check.json")),
    output:
        f"{GRID.measurements}/latency.csv",
        f"{GRID.measurements}/latency.json",
    log:
        "logs/measure/latency.log",
    conda:
        "../envs/qmoe.yaml"
    threads: EVERY_CORE
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        set=SET,
    message:
        "Measuring latency, alone on the machine"
    shell:
        "qmoe measure latency {output[0]} {params.set} > {log} 2>&1"


rule energy:
    """Joules and grams of CO2 of an inference and of a training epoch."""
    input:
        ancient(packed_of(GRID.measured, "check.json")),
    output:
        f"{GRID.measurements}/energy.csv",
        f"{GRID.measurements}/energy.json",
    log:
        "logs/measure/energy.log",
    conda:
        "../envs/qmoe.yaml"
    threads: EVERY_CORE
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        set=SET,
    message:
        "Measuring energy, alone on the machine"
    shell:
        "qmoe measure energy {output[0]} {params.set} > {log} 2>&1"
