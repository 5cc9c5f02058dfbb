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
SLOW = {"single": {"epochs": 3}, "mixture": {"epochs": 400, "patience": 400}}

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
    shell: "qmoe embed nope x > {log} 2>&1"
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
            env=ENVIRONMENT,
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
    ids = shell("squeue", "--noheader", "--format", "%i %Z", "--states", states).splitlines()
    own = [line.split()[0] for line in ids if line.split()[1] == str(project.folder)]
    described = [shell("scontrol", "--oneliner", "show", "job", number) for number in own]
    return [dict(part.split("=", 1) for part in text.split() if "=" in part) for text in described]


def wait(until: Callable[[], object], what: str, seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.2)


def complete(project: Project) -> dict[str, float]:
    """Times of the cells that have their scores, the file that is written last."""
    root = project.folder / "results/cells"
    return {n: t for n, t in project.cells().items() if (root / n / "scores.json").exists()}


def end(running: subprocess.Popen[bytes], project: Project, seconds: float = 240) -> str:
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
    """The tiny project with embeddings but no cells; each experiment is a job of a while."""
    shutil.rmtree(finished.folder / "results")
    finished.set(experiments_per_job=1, training=SLOW)
    return finished


def test_dvc_repro_on_the_cluster_gives_the_bytes_of_a_local_run(finished: Project) -> None:
    first = digests(finished)
    shutil.rmtree(finished.folder / "results")
    finished.run("dvc", "init", "--no-scm", "--quiet")
    finished.run("env", f"SNAKEMAKE_PROFILE={PROFILE}", "JOBS=3", "dvc", "repro", "scores")
    assert [job["Comment"] for job in jobs(finished, "all")] == ["rule_train_small_0"]
    finished.snakemake("tables")
    assert digests(finished) == first


def test_one_allocation_gives_the_bytes_of_a_local_run(finished: Project) -> None:
    first = digests(finished)
    shutil.rmtree(finished.folder / "results")
    finished.run(
        "env", f"SNAKEMAKE_PROFILE={PROFILE}",  # it must not submit from within
        "sbatch", "--wait", "-c2", "workflow/slurm/allocation.sh", "tables",
    )  # fmt: skip
    assert digests(finished) == first
    assert len(jobs(finished, "all")) == 1


def test_time_and_energy_are_measured_on_a_node_of_their_own(finished: Project) -> None:
    finished.snakemake("packed")
    running = start(finished, "measurements")
    assert end(running, finished) and running.returncode == 0
    done = {job["Comment"]: job for job in jobs(finished, "all")}
    for rule in ("rule_latency", "rule_energy"):
        assert (done[rule]["OverSubscribe"], done[rule]["NumCPUs"]) == ("NO", "8")
    assert done["rule_memory"]["NumCPUs"] == "1"
    machine = json.loads(
        next(finished.folder.glob("results/measurements/*/energy.json")).read_text()
    )
    assert machine["node"] == os.uname().nodename


def test_what_a_dead_and_a_drained_node_held_is_finished_when_they_are_back(
    embedded: Project, tmp_path_factory: pytest.TempPathFactory
) -> None:
    drained = Project(tmp_path_factory.mktemp("drained"))
    shutil.copytree(embedded.folder, drained.folder, symlinks=True, dirs_exist_ok=True)
    drained.set(experiments_per_job=2)  # two jobs, one after the other
    runs = [start(embedded, "cells", *on("n1"))]
    wait(lambda: complete(embedded), "a first cell")
    cluster("kill", "n1")
    before = complete(embedded)
    assert len(before) < 6

    runs.append(start(drained, "-j1", "cells", *on("n2")))
    wait(lambda: complete(drained), "a first cell")
    shell("scontrol", "update", "nodename=n2", "state=drain", "reason=test")
    wait(lambda: [j for j in jobs(drained) if j["JobState"] == "PENDING"], "a job that waits")
    held = complete(drained)
    shell("scontrol", "update", "nodename=n2", "state=resume")
    cluster("revive", "n1")

    for running, project, kept in zip(runs, [embedded, drained], [before, held], strict=True):
        said = end(running, project)
        assert running.returncode == 0, said[-3000:]
        after = complete(project)
        assert len(after) == 6
        assert {name: after[name] for name in kept} == kept  # none was trained again
    assert "1" in {job["Restarts"] for job in jobs(embedded, "all")}
    # The dead node's jobs are the same jobs, started anew by SLURM: no second one beside them.
    assert len(jobs(embedded, "all")) == len({job["Comment"] for job in jobs(embedded, "all")}) == 3


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
