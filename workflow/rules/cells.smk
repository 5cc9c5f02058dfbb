# Needs:  data/embeddings
# Makes:  results/cells/DATASET/PROTOCOL/EXPERTS/CURIOSITY/seedN-KEY/{spec.json,foldN/...}


rule cells:
    """Every cell of the grid."""
    input:
        cells_of(GRID.experiments),


rule plan:
    """Write the specification of each experiment; the path contains its hash."""
    output:
        update([str(e.spec_file) for e in GRID.experiments]),
    log:
        "logs/plan.log",
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    params:
        key=GRID.key,
        set=SET,
    message:
        "Writing the specifications of the grid"
    shell:
        "qmoe plan --key {params.key} {params.set} > {log} 2>&1"


# A job trains a few experiments of a dataset, so that torch is imported once for all of them. Its
# outputs are marked `update`: existing cells are kept, and the job trains only the missing ones.
for name, batch in GRID.batches.items():

    rule:
        name:
            f"train_{name}"
        input:
            embeddings=ancient(str(GRID.sources[batch[0].dataset].table)),
            specs=ancient([str(e.spec_file) for e in batch]),
        output:
            update(cells_of(batch)),
        log:
            f"logs/train/{name}.log",
        benchmark:
            f"logs/train/{name}.tsv"
        conda:
            "../envs/qmoe.yaml"
        threads: 1
        resources:
            mem_mb=escalating(2000),
            runtime=escalating(240),
        params:
            folds=",".join(map(str, batch[0].folds)),
        message:
            f"Training the missing cells of {', '.join(e.name for e in batch)}"
        shell:
            "qmoe train {input.specs} --folds {params.folds} > {log} 2>&1"
