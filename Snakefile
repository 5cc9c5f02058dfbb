# Reproduces, checks and extends arXiv 2511.11743. Start with README.md; what is run stands in
# params.yaml; each rule is one `qmoe` command that can also be run by hand.
from snakemake.utils import min_version

min_version("9.20")


configfile: "params.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/cells.smk"
include: "workflow/rules/packed.smk"
include: "workflow/rules/measurements.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/judgement.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


onstart:
    try:
        RUN.begin()
    except UserError as error:
        raise WorkflowError(str(error))


onsuccess:
    RUN.end()


onerror:
    RUN.end()


rule all:
    """Everything that is made by default."""
    default_target: True
    input:
        rules.embeddings.input,
        rules.tables.output,
        rules.measured_tables.output,
        rules.significance.output,
        rules.audit.output,
        rules.claims.output,
        rules.figures.output,
        rules.latex.output,
        rules.page.output,
        rules.notebook.output,
