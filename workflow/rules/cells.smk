# Needs:  data/embeddings
# Makes:  results/cells/DATASET/PROTOCOL/EXPERTS/CURIOSITY/seedN-KEY/{spec.json,foldN/...}


rule cells:
    """Every cell of the grid."""
    input:
        lambda wildcards: RUN.done("train") or RUN.derived.newer,


rule train:
    """Train the cells of an order that are not there yet."""
    input:
        needs,
    output:
        touch(".store/orders/{order}.done"),
    log:
        "logs/train/{order}.log",
    benchmark:
        "logs/train/{order}.tsv"
    wildcard_constraints:
        order="[0-9a-f]+-train-[0-9]+",
    conda:
        "../envs/qmoe.yaml"
    threads: 1
    resources:
        mem_mb=escalating(2000),
        runtime=escalating(240),
    message:
        "Training the cells of {wildcards.order}"
    shell:
        "qmoe work .store/orders/{wildcards.order}.json > {log} 2>&1"
