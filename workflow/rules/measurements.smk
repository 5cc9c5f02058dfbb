# Needs:  packed models, checked
# Makes:  results/measurements/KEY/{latency,energy,memory}.csv, the machine in .json beside each
#
# Time and energy are measured without other jobs: each measuring job reserves every core, whatever
# -j says. On a cluster the profile reserves a node for it.

MEASURED = expand(
    f"{GRID.measurements}/{{what}}.csv", what=["latency", "energy", "memory"]
)


rule measurements:
    """Everything that is measured."""
    input:
        MEASURED,


for what, cores in {"latency": EVERY_CORE, "energy": EVERY_CORE, "memory": 1}.items():

    rule:
        name:
            what
        input:
            ancient(packed_of(GRID.measured, "check.json")),
        output:
            table=f"{GRID.measurements}/{what}.csv",
            machine=f"{GRID.measurements}/{what}.json",
        log:
            f"logs/measure/{what}.log",
        conda:
            "../envs/qmoe.yaml"
        threads: cores
        resources:
            mem_mb=escalating(4000),
            runtime=escalating(240),
        params:
            what=what,
            set=SET,
        message:
            f"Measuring {what}"
        shell:
            "qmoe measure {params.what} {output.table} {params.set} > {log} 2>&1"
