# Needs:  params.yaml, validated by qmoe.config
# Makes:  GRID, the experiments and their paths; PAPER, the folder of the paper that is judged;
#         TABLES, its tables;
#         OVERRIDES, what --config put over params.yaml
import json
import time
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError

from qmoe import attic
from qmoe.config import difference, load
from qmoe.errors import UserError
from qmoe.grid import Experiment, Grid
from referee import provenance
from referee.errors import InputError
from referee.paper import read as read_paper

try:
    GRID = Grid(load(config))
    TABLES = read_paper(Path(GRID.params.paper)).tables
except (UserError, InputError) as error:
    raise WorkflowError(str(error))

with open(workflow.source_path("../../params.yaml")) as file:
    OVERRIDES = json.dumps(difference(yaml.safe_load(file), config))
PAPER = GRID.params.paper
SET = f"--set '{OVERRIDES}'" if OVERRIDES != "{}" else ""

STALE = []  # markers that the main process writes before any job


def stale(record, files=(), key=GRID.key):
    """Return a marker file that forces a rule to run where the files on disk belong to another grid.

    File times alone would keep such files after a checkout. The content of the marker is new, too,
    because Snakemake ignores a newer file whose content it remembers.
    """
    return outdated(
        record, not provenance.is_current(Path(record), key, map(Path, files))
    )


def stale_rows(table, column, folder):
    """The same for a tidy table that must have a row for each cell, with its folder in a column."""
    rows = [{"arm": e.arm, column: folder(e, fold).as_posix()} for e, fold in GRID.runs]
    return outdated(table, not provenance.holds(Path(table), rows))


def outdated(file, is_outdated):
    """The marker of a file that must be made again, or nothing."""
    if not is_outdated:
        return []
    marker = Path("results") / f".stale-{Path(file).stem}"
    STALE.append(marker)
    return [str(marker)]


def tables_of(group, formats):
    """The files of the paper's tables that one command writes."""
    names = [
        (table.folder, name) for name, table in TABLES.items() if table.group == group
    ]
    return [f"results/{folder}/{name}.{f}" for folder, name in names for f in formats]


# Threads of a job that needs the whole machine. On a cluster the profile reserves a node instead.
EVERY_CORE = workflow.resource_settings.cores or 1


def escalating(first):
    """A resource that doubles with every retry."""
    return lambda wildcards, attempt: first * 2 ** (attempt - 1)


def cells_of(experiments):
    """The cells of the experiments: of each, the file that is written last."""
    return [f"{e.cell(fold)}/scores.json" for e in experiments for fold in e.folds]


def packed_of(experiments, file=""):
    """The packed models of the experiments, or a file in each."""
    return [str(GRID.packed(e, fold) / file) for e in experiments for fold in e.folds]


def audio_of(wildcards):
    """The clips of a dataset where a rule makes them; other audio is part of the table's key."""
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
