# Needs:  params.yaml; audio folders or CSV files that it names
# Makes:  data/archives (of public datasets), data/audio (clips, synthetic or unpacked),
#         data/embeddings (one table a dataset)


rule embeddings:
    """The embeddings of all datasets in the grid."""
    input:
        lambda wildcards: RUN.tables(),


rule audio:
    """The clips of all synthetic and public datasets in the grid."""
    input:
        lambda wildcards: RUN.clips(),


rule render:
    """Synthesise the clips of a dataset from its seed."""
    output:
        directory("data/audio/{dataset}-{key}"),
    log:
        "logs/render/{dataset}-{key}.log",
    benchmark:
        "logs/render/{dataset}-{key}.tsv"
    conda:
        "../envs/qmoe.yaml"
    threads: 1
    resources:
        mem_mb=escalating(1000),
        runtime=escalating(30),
    params:
        parameters=parameters,
    message:
        "Rendering the synthetic clips of {wildcards.dataset}"
    shell:
        "qmoe render {wildcards.dataset} {output} --params {params.parameters} 2> {log}"


rule download:
    """Download a public archive; a later attempt continues where this one stopped."""
    output:
        "data/archives/{archive}",
    log:
        "logs/download/{archive}.log",
    retries: 3
    localrule: True
    conda:
        "../envs/qmoe.yaml"
    threads: 1
    params:
        parameters=parameters,
    message:
        "Downloading {output}"
    shell:
        "qmoe download {output} --params {params.parameters} 2>&1 | tee {log}"


rule unpack:
    """Unpack a public archive into clips."""
    input:
        archive_of,
    output:
        directory("data/audio/{folder}"),
    log:
        "logs/unpack/{folder}.log",
    benchmark:
        "logs/unpack/{folder}.tsv"
    conda:
        "../envs/qmoe.yaml"
    threads: 1
    resources:
        mem_mb=escalating(1000),
        runtime=escalating(120),
    params:
        parameters=parameters,
    message:
        "Unpacking {input}"
    shell:
        "qmoe unpack {output} --params {params.parameters} 2> {log}"


rule embed:
    """Turn audio into pictures and those into vectors, or the authors' CSV into the same table."""
    input:
        audio_of,
    output:
        "data/embeddings/{dataset}-{key}.parquet",
    log:
        "logs/embed/{dataset}-{key}.log",
    benchmark:
        "logs/embed/{dataset}-{key}.tsv"
    conda:
        "../envs/qmoe.yaml"
    threads: 8
    resources:
        mem_mb=escalating(4000),
        runtime=escalating(240),
    params:
        parameters=parameters,
    message:
        "Embedding {wildcards.dataset}"
    shell:
        "qmoe embed {wildcards.dataset} {output} --workers {threads} --params {params.parameters} 2> {log}"
