# Needs:  params.yaml, validated by qmoe.config
# Makes:  GRID, the experiments and their paths; RUN, what is finished and what this run has to make;
#         PAPER, the folder of the paper that is judged; TABLES, its tables
import os
from pathlib import Path

import qmoe
from qmoe.config import load
from qmoe.errors import UserError
from qmoe.grid import Grid
from qmoe.workflow import WorkflowRun
from records.home import ForeignPackage, require_home
from referee.errors import InputError
from referee.paper import read as read_paper
from snakemake.exceptions import WorkflowError

for folder in (os.getcwd(), str(workflow.basedir)):
    if "{" in folder or "}" in folder:
        raise WorkflowError(
            f"Snakemake takes braces in a path for wildcards: rename the folder {folder}"
        )

try:
    require_home("qmoe", qmoe.__file__, Path(workflow.basedir))
    GRID = Grid(load(config))
    TABLES = read_paper(Path(GRID.params.paper)).tables
except (UserError, InputError, ForeignPackage) as error:
    raise WorkflowError(str(error))

PAPER = GRID.params.paper


def slots():
    """Jobs that run at a time, and whether that is on a cluster."""
    if workflow.local_exec:
        return workflow.resource_settings.cores or 1, False
    return workflow.resource_settings.nodes or 1, True


RUN = WorkflowRun(
    GRID, slots, newer=os.path.relpath(Path(workflow.basedir) / "workflow")
)

# Threads of a job that needs the whole machine. On a cluster the profile reserves a node instead.
EVERY_CORE = workflow.resource_settings.cores or 1


def outdated(record, outputs, inputs=()):
    """One more input where the outputs are not those of this run; see `RUN.outdated`."""
    tables = [str(source.table) for source in GRID.sources.values()]
    return lambda wildcards: RUN.outdated(
        record, outputs, [*inputs, *tables, *measured(wildcards)]
    )


def key_of(record):
    """The key of a record in this run, for the command that writes it."""
    return lambda wildcards: RUN.key_of(record)


def parameters(wildcards):
    """The file that tells a command the parameters of this run."""
    return RUN.parameters


def planned(find):
    """An input function of jobs that may run elsewhere. What they need is found out, and made, by
    the process that plans the run. The Snakemake of the job itself inspects and changes nothing.
    """
    return lambda wildcards: find(wildcards) if workflow.is_main_process else []


@planned
def needs(wildcards):
    """What an order needs."""
    return RUN.needs(wildcards.order)


@planned
def audio_of(wildcards):
    """The clips of a dataset where a rule makes them; other audio is part of the table's key."""
    return RUN.audio(wildcards.dataset)


@planned
def packed_models(wildcards):
    """What a measurement needs, unless it was made before."""
    return RUN.measurement(wildcards.what)


@planned
def archive_of(wildcards):
    """The archive of a public dataset: downloaded, or a file of the user."""
    folder = Path("data/audio") / wildcards.folder
    archives = (s.archive for s in GRID.sources.values() if s.audio == folder)
    return RUN.derived.dated(next(archives))


def measured(wildcards):
    """The tables of measurements of this grid."""
    return [
        f"{GRID.measurements}/{what}.csv" for what in ("latency", "energy", "memory")
    ]


def measurements_folder(wildcards):
    """The folder of the measurements of this grid."""
    return GRID.measurements


def tables_of(group, formats):
    """The files of the paper's tables that one command writes."""
    names = [
        (table.folder, name) for name, table in TABLES.items() if table.group == group
    ]
    return [f"results/{folder}/{name}.{f}" for folder, name in names for f in formats]


def escalating(first):
    """A resource that doubles with every retry."""
    return lambda wildcards, attempt: first * 2 ** (attempt - 1)


wildcard_constraints:
    archive="[^/.][^/]*",
    folder="[a-z0-9]+[.][0-9a-f]{10}",
    dataset="[A-Za-z0-9][A-Za-z0-9_-]*?",
    key="[0-9a-f]{10}",
    what="latency|energy|memory",
