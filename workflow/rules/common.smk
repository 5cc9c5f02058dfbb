# Needs:  params.yaml, validated by qmoe.config
# Makes:  GRID, the experiments and their paths; OVERRIDES, what --config put over params.yaml
import json

import yaml
from snakemake.exceptions import WorkflowError

from qmoe import attic
from qmoe.analysis import provenance
from qmoe.config import difference, load
from qmoe.errors import UserError
from qmoe.grid import Grid

try:
    GRID = Grid(load(config))
except UserError as error:
    raise WorkflowError(str(error))

with open(workflow.source_path("../../params.yaml")) as file:
    OVERRIDES = json.dumps(difference(yaml.safe_load(file), config))
SET = f"--set '{OVERRIDES}'" if OVERRIDES != "{}" else ""

if workflow.is_main_process:
    attic.restore(GRID)


def cells_of(experiments):
    """The cells of the experiments, each by the file that is written last."""
    return [f"{e.cell(fold)}/scores.json" for e in experiments for fold in e.folds]


def audio_of(wildcards):
    """The rendered clips of a synthetic dataset; other audio is part of the table's key."""
    source = GRID.sources[wildcards.dataset]
    return ancient(str(source.audio)) if source.rendered else []


def stale_marker(wildcards):
    """A file made just now, to be waited for, where the tables on disk are of another grid."""
    current = provenance.is_current(Path("results/tables"), GRID.key)
    return [] if current else f"results/.stale-{GRID.key}"


wildcard_constraints:
    dataset="[A-Za-z0-9][A-Za-z0-9_-]*?",
    key="[0-9a-f]{10}",
