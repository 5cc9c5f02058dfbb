# Needs:  cells
# Makes:  results/packed/KEY/..., a packed model for every cell, and the proof that it agrees


rule packed:
    """A packed and checked model of every cell."""
    input:
        lambda wildcards: RUN.done("check") or RUN.derived.newer,


rule pack:
    """Pack the cells of an order that are not packed yet."""
    input:
        needs,
    output:
        touch(".store/orders/{order}.done"),
    log:
        "logs/pack/{order}.log",
    benchmark:
        "logs/pack/{order}.tsv"
    wildcard_constraints:
        order="[0-9a-f]+-pack-[0-9]+",
    conda:
        "../envs/qmoe.yaml"
    threads: 1
    resources:
        mem_mb=escalating(2000),
        runtime=escalating(60),
    message:
        "Packing the cells of {wildcards.order}"
    shell:
        "qmoe work .store/orders/{wildcards.order}.json > {log} 2>&1"


rule check:
    """Prove that the packed models of an order agree with the trained ones."""
    input:
        needs,
    output:
        touch(".store/orders/{order}.done"),
    log:
        "logs/check/{order}.log",
    benchmark:
        "logs/check/{order}.tsv"
    wildcard_constraints:
        order="[0-9a-f]+-check-[0-9]+",
    conda:
        "../envs/qmoe.yaml"
    threads: 1
    resources:
        mem_mb=escalating(2000),
        runtime=escalating(60),
    message:
        "Comparing the packed and trained models of {wildcards.order}"
    shell:
        "qmoe work .store/orders/{wildcards.order}.json > {log} 2>&1"
