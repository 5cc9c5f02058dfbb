# Needs:  cells
# Makes:  results/packed/KEY/..., a packed model for every cell, and the proof that it agrees


for name, batch in GRID.batches.items():

    rule:
        name:
            f"export_{name}"
        input:
            ancient(cells_of(batch)),
        output:
            packed_of(batch, "manifest.json"),
        log:
            f"logs/export/{name}.log",
        conda:
            "../envs/qmoe.yaml"
        threads: 1
        resources:
            mem_mb=escalating(2000),
            runtime=escalating(60),
        params:
            cells=[str(e.cell(fold)) for e in batch for fold in e.folds],
            root=GRID.packed_root,
        message:
            f"Packing {', '.join(e.name for e in batch)}"
        shell:
            "qmoe export {params.cells} --root {params.root} > {log} 2>&1"

    rule:
        name:
            f"check_{name}"
        input:
            manifests=ancient(packed_of(batch, "manifest.json")),
            embeddings=ancient(str(GRID.sources[batch[0].dataset].table)),
        output:
            packed_of(batch, "check.json"),
        log:
            f"logs/check/{name}.log",
        conda:
            "../envs/qmoe.yaml"
        threads: 1
        resources:
            mem_mb=escalating(2000),
            runtime=escalating(60),
        params:
            packed=packed_of(batch),
        message:
            f"Comparing packed and trained models of {', '.join(e.name for e in batch)}"
        shell:
            "qmoe check {params.packed} > {log} 2>&1"


rule packed:
    """A packed and checked model of every cell."""
    input:
        packed_of(GRID.experiments, "check.json"),
