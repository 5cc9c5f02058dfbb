# Needs:  params.yaml, validated by qmoe.config
# Makes:  GRID, the experiments and their paths; OVERRIDES, what --config put over params.yaml
import json
import time
from pathlib import Path

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

# Where the tables on disk are of another grid, or were edited, `collect` waits for this file,
# which is newer than they are. Times alone would keep them after a checkout. Its content is new
# as well: Snakemake passes over a newer file with the content that it remembers.
STALE = (
    [] if provenance.is_current(Path("results/tables"), GRID.key) else "results/.stale"
)

if workflow.is_main_process:
    attic.restore(GRID)
    if STALE:
        Path(STALE).write_text(str(time.time_ns()))


def cells_of(experiments):
    """The cells of the experiments, each by the file that is written last."""
    return [f"{e.cell(fold)}/scores.json" for e in experiments for fold in e.folds]


def audio_of(wildcards):
    """The clips that a rule makes; other audio is part of the table's key."""
    source = GRID.sources[wildcards.dataset]
    return ancient(str(source.audio)) if source.made else []


def archive_of(wildcards):
    """The archive of a public dataset: downloaded, or a file of the user."""
    folder = Path("data/audio") / wildcards.folder
    return ancient(
        str(next(s.archive for s in GRID.sources.values() if s.audio == folder))
    )


wildcard_constraints:
    archive="[^/.][^/]*",
    folder="[a-z0-9]+[.][0-9a-f]{10}",
    dataset="[A-Za-z0-9][A-Za-z0-9_-]*?",
    key="[0-9a-f]{10}",
