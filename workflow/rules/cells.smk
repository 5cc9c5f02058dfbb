# Needs:  data/embeddings
# Makes:  results/cells/DATASET/PROTOCOL/EXPERTS/CURIOSITY/seedN-KEY/{spec.json,foldN/...}


rule cells:
    """Every cell of the grid."""
    input:
        cells_of(GRID.experiments),


rule plan:
    """Write what each experiment is told: its specification, whose hash is in its path."""
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


# A job trains a few experiments of a dataset, so that torch is imported once for them all. Its
# outputs are `update`: a cell that is there stays, and the job trains only those that are not.
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
            f"Training what is missing of {', '.join(e.name for e in batch)}"
        shell:
            "qmoe train {input.specs} --folds {params.folds} > {log} 2>&1"
