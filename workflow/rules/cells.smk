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


# The folds of a dataset are trained by one job an experiment, which imports torch once. Its
# outputs are `update`: a cell that is there stays, and the job trains only those that are not.
for name in GRID.sources:
    folds = next(e.folds for e in GRID.experiments if e.dataset == name)
    experiment = f"results/cells/{name}/{{protocol}}/{{experts}}/{{curiosity}}/seed{{seed}}-{{key}}"

    rule:
        name:
            f"train_{name}"
        input:
            embeddings=ancient(str(GRID.sources[name].table)),
            spec=ancient(f"{experiment}/spec.json"),
        output:
            update([f"{experiment}/fold{fold}/scores.json" for fold in folds]),
        log:
            f"logs/train/{name}/{{protocol}}/{{experts}}/{{curiosity}}/seed{{seed}}-{{key}}.log",
        benchmark:
            f"logs/train/{name}/{{protocol}}/{{experts}}/{{curiosity}}/seed{{seed}}-{{key}}.tsv"
        conda:
            "../envs/qmoe.yaml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=240,
        params:
            folds=folds,
        message:
            "Training {wildcards.protocol} {wildcards.experts} {wildcards.curiosity} seed {wildcards.seed}"
        shell:
            "qmoe train {input.spec} {params.folds} > {log} 2>&1"
