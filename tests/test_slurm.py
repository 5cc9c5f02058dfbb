"""The workflow on a real SLURM of two nodes, n1 and n2: `eval "$(workflow/slurm/cluster start 2)"`.

Where that was done nothing is skipped: a cluster that does not answer is a failure.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, ROOT, Project, authors_csv, copy_project
from test_workflow import digests

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.skipif(
        "QMOE_SLURM" not in os.environ,
        reason='no SLURM was started: eval "$(workflow/slurm/cluster start 2)", as root',
    ),
]
PROFILE = "workflow/profiles/slurm"
# Cells that take seconds. By their largest number of epochs they are expected to take minutes, so
# that each is an order of its own.
LONG = 40_000_000
SLOW = {
    "single": {"epochs": LONG, "patience": 5},
    "mixture": {"epochs": LONG, "patience": 200},
}

# What can happen to a job, with the helpers and the profile of the real workflow.
FATES = """
configfile: "params.yaml"
include: "workflow/rules/common.smk"
rule all:
    input: "memory", "time", "starved", "broken", "late"
rule memory:
    output: "memory"
    log: "logs/memory.log"
    resources: mem_mb=escalating(700), runtime=escalating(5)
    shell: "python -c 'import time; x = b\\"1\\" * 900_000_000; time.sleep(5)' > {log} 2>&1"
           " && echo {resources.mem_mb} > {output}"
rule time:
    output: "time"
    log: "logs/time.log"
    resources: mem_mb=escalating(600), runtime=escalating(1)
    shell: "test {resources.runtime} -gt 1 || sleep 600; echo {resources.runtime} > {output}"
rule starved:
    output: "starved"
    log: "logs/starved.log"
    retries: 0
    resources: mem_mb=700, runtime=5
    shell: "python -c 'import time; x = b\\"1\\" * 900_000_000; time.sleep(60)' > {log} 2>&1"
rule broken:
    output: "broken"
    log: "logs/broken.log"
    retries: 0
    resources: mem_mb=600, runtime=5
    shell: "qmoe embed nope x --params params.yaml > {log} 2>&1"
rule late:
    output: "late"
    log: "logs/late.log"
    retries: 0
    resources: mem_mb=600, runtime=1
    shell: "sleep 600 > {log}"
"""


def on(node: str) -> list[str]:
    """Options that keep all jobs on one node."""
    return ["--default-resources", f"slurm_extra='--nodelist={node}'", "mem_mb=1000", "runtime=60"]


def start(project: Project, *arguments: str) -> subprocess.Popen[bytes]:
    """Snakemake on the cluster, in the background; what it prints goes into `said`."""
    with (project.folder / "said").open("wb") as said:
        return subprocess.Popen(
            ["snakemake", "--profile", PROFILE, *arguments],
            cwd=project.folder,
            env=project.environment,
            stdout=said,
            stderr=subprocess.STDOUT,
        )


def shell(*command: str) -> str:
    return subprocess.run(
        command, env=ENVIRONMENT, check=True, text=True, capture_output=True
    ).stdout


def cluster(*arguments: str) -> None:
    shell(str(ROOT / "workflow/slurm/cluster"), *arguments)


def jobs(project: Project, states: str = "running,pending,completing") -> list[dict[str, str]]:
    """The project's jobs, as `scontrol` describes them."""
    every = ("squeue", "--array", "--noheader", "--format", "%i %Z", "--states", states)
    ids = shell(*every).splitlines()
    own = [line.split()[0] for line in ids if line.split()[1] == str(project.folder)]
    described = [shell("scontrol", "--oneliner", "show", "job", number) for number in own]
    return [dict(part.split("=", 1) for part in text.split() if "=" in part) for text in described]


def wait(until: Callable[[], object], what: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.2)


def complete(project: Project) -> dict[str, float]:
    """Times of the cells that have their scores, the file that is written last."""
    root = project.folder / "results/cells"
    return {n: t for n, t in project.cells().items() if (root / n / "scores.json").exists()}


def trained(project: Project) -> list[str]:
    """The cells that jobs say they have trained; one that was trained twice is there twice."""
    logs = (project.folder / "logs/train").glob("*.log")
    lines = [line for log in logs for line in log.read_text().splitlines()]
    return sorted(line.split()[0] for line in lines if line.startswith("results/cells/"))


def forget(project: Project) -> None:
    """Remove all results, from the store as well, and the logs; the embeddings stay."""
    for folder in ("results", ".store", "logs"):
        shutil.rmtree(project.folder / folder, ignore_errors=True)


def copy(project: Project, folder: Path) -> Project:
    shutil.copytree(project.folder, folder, symlinks=True, dirs_exist_ok=True)
    return Project(folder)


def end(running: subprocess.Popen[bytes], project: Project, seconds: float = 500) -> str:
    """Wait for the end of a run; what it printed."""
    running.wait(seconds)
    return project.read("said")


@pytest.fixture(scope="module", autouse=True)
def fates(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, object]]:
    """A run of FATES on n2, beside the other tests: SLURM's shortest time limit is a minute."""
    made = copy_project(tmp_path_factory.mktemp("fates"))
    (made.folder / "Snakefile").write_text(FATES)
    authors_csv(made.folder / "data/raw/small.csv")
    running = start(made, "--keep-going", *on("n2"))
    yield made, running
    running.kill()
    running.wait()


@pytest.fixture
def embedded(finished: Project) -> Project:
    """The tiny project with embeddings but no cells; each cell is a job of a while."""
    forget(finished)
    finished.set(training=SLOW)
    return finished


def test_dvc_repro_on_the_cluster_gives_the_bytes_of_a_local_run(finished: Project) -> None:
    first = digests(finished)
    forget(finished)
    finished.run("dvc", "init", "--no-scm", "--quiet")
    finished.run("env", f"SNAKEMAKE_PROFILE={PROFILE}", "JOBS=3", "dvc", "repro", "scores")
    (job,) = jobs(finished, "all")
    assert job["Comment"].startswith("rule_train_")
    finished.snakemake("tables")
    assert digests(finished) == first


def test_one_allocation_gives_the_bytes_of_a_local_run(finished: Project) -> None:
    first = digests(finished)
    forget(finished)
    finished.run(
        "env", f"SNAKEMAKE_PROFILE={PROFILE}",  # it must not submit from within
        "sbatch", "--wait", "-c2", "workflow/slurm/allocation.sh", "tables",
    )  # fmt: skip
    assert digests(finished) == first
    assert len(jobs(finished, "all")) == 1


def test_measurements_are_made_on_a_node_of_their_own(finished: Project) -> None:
    running = start(finished, "measurements")
    said = end(running, finished)
    assert running.returncode == 0, said[-3000:]
    done = jobs(finished, "all")
    assert sorted(job["Comment"].split("_")[1] for job in done) == [
        "check",
        *["measure"] * 3,
        "pack",
    ]
    for job in done:
        alone = (job["OverSubscribe"], job["NumCPUs"]) == ("NO", "8")
        assert alone == job["Comment"].startswith("rule_measure")
    machine = json.loads(
        next(finished.folder.glob("results/measurements/*/energy.json")).read_text()
    )
    assert machine["node"] == os.uname().nodename


def test_jobs_lost_with_their_node_are_made_when_it_is_back(embedded: Project) -> None:
    embedded.set(training={"mixture": {"patience": 2000}})
    running = start(embedded, "cells", *on("n1"), "--set-resources", "train:mem_mb=1234")
    wait(lambda: len(complete(embedded)) > 1, "the first cells")
    cluster("kill", "n1")
    before = complete(embedded)
    assert len(before) < 6
    cluster("revive", "n1")
    said = end(running, embedded)
    assert running.returncode == 0, said[-3000:]
    after = complete(embedded)
    assert len(after) == 6
    assert {name: after[name] for name in before} == before  # none was trained again
    submitted = jobs(embedded, "all")
    assert "1" in {job["Restarts"] for job in submitted}
    # The dead node's jobs are the same jobs, started anew by SLURM: no second one beside them.
    assert len(submitted) == 6
    assert {job["MinMemoryNode"] for job in submitted} == {"1234M"}


def test_jobs_that_wait_for_a_full_node_that_is_drained_are_made_when_it_is_back(
    embedded: Project,
) -> None:
    full = ("--set-resources", "train:mem_mb=40000")  # of 65536: there is room for one
    running = start(embedded, "cells", *on("n2"), *full)
    wait(lambda: complete(embedded), "a first cell")
    shell("scontrol", "update", "nodename=n2", "state=drain", "reason=test")
    try:
        wait(lambda: {j["JobState"] for j in jobs(embedded)} == {"PENDING"}, "an empty node")
        held = complete(embedded)
        assert len(held) < 6
    finally:
        shell("scontrol", "update", "nodename=n2", "state=resume")
    said = end(running, embedded)
    assert running.returncode == 0, said[-3000:]
    assert len(complete(embedded)) == 6
    assert {name: complete(embedded)[name] for name in held} == held
    assert len(trained(embedded)) == len(set(trained(embedded))) == 6


def test_the_command_after_a_killed_snakemake_keeps_what_its_jobs_make(
    embedded: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    undisturbed = copy(embedded, tmp_path_factory.mktemp("undisturbed"))
    undisturbed.snakemake("tables")
    killed = start(embedded, "-j3", "tables")
    wait(lambda: complete(embedded), "a first cell")
    killed.kill()
    killed.wait()
    before, orphans = complete(embedded), jobs(embedded)
    assert orphans and len(before) < 6
    embedded.run("snakemake", "--unlock")
    running = start(embedded, "-j3", "tables")
    said = end(running, embedded)
    assert running.returncode == 0, said[-3000:]
    assert {name: complete(embedded)[name] for name in before} == before
    wait(lambda: not jobs(embedded), "the end of the jobs without a Snakemake")
    assert digests(embedded) == digests(undisturbed)


def test_an_interrupt_cancels_every_job_and_leaves_no_lock(embedded: Project) -> None:
    running = start(embedded, "cells", *on("n1"))
    wait(lambda: [j for j in jobs(embedded) if j["JobState"] == "RUNNING"], "a running job")
    running.send_signal(signal.SIGINT)
    wait(lambda: not jobs(embedded), "all jobs cancelled", seconds=60)
    running.wait(60)  # Snakemake itself ends with its next look at the queue
    assert not list((embedded.folder / ".snakemake/locks").glob("*"))


def test_a_job_killed_for_memory_or_time_succeeds_with_more(
    fates: tuple[Project, subprocess.Popen[bytes]],
) -> None:
    project, running = fates
    end(running, project)
    assert project.read("memory") == "1400\n"
    assert project.read("time") == "2\n"


def test_the_last_that_is_seen_is_what_failed_why_and_where_its_log_is(
    fates: tuple[Project, subprocess.Popen[bytes]],
) -> None:
    project, running = fates
    last = re.split(r"(?m)^\d\d:.*\n", end(running, project))[-1]  # after all that has a time
    assert running.returncode == 1
    assert "starved failed: out of memory" in last
    assert "late failed: out of time" in last
    assert "broken failed: qmoe: dataset 'nope' is not in grid.datasets" in last
    assert "memory failed" not in last and "time failed" not in last  # they succeeded in the end
    logs = [Path(line.split("log: ")[1]) for line in last.splitlines() if "  log: " in line]
    assert len(logs) == 6  # the job's own and SLURM's
    assert all((project.folder / path).exists() for path in logs)
    assert not list((project.folder / ".snakemake/locks").glob("*"))
