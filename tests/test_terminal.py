"""What a person sees of a run, on a terminal and off it: Snakemake with the project's logger."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time
from pathlib import Path

import pytest
from conftest import ROOT, Project

pytestmark = pytest.mark.pipeline
STAYS = "What has finished stays, and the same command goes on from there."

# Three orders of four cells each, which `train` makes one after the other, and a table.
ORDERS = """
import json
from pathlib import Path

NAMES = [f"run-train-000{n}" for n in range(3)]

onstart:
    for n, name in enumerate(NAMES):
        cells = {"path": f"results/cells/seed{n}", "folds": [0, 1, 2, 3], "spec": {}}
        order = {"kind": "train", "experiments": [cells], "packed_root": "x", "cost_s": 4.0}
        Path(f".store/orders/{name}.json").write_text(json.dumps(order))

rule all:
    input: "results/tables/table.csv"
rule train:
    output: touch(".store/orders/{order}.done")
    log: "logs/train/{order}.log"
    shell:
        "n=$(echo {wildcards.order} | tail -c 2); for fold in 0 1 2 3; do"
        " cell=results/cells/seed$n/fold$fold; mkdir -p $cell; sleep 0.3;"
        " echo trained $cell >> {log}; touch $cell/scores.json; done"
rule table:
    input: expand(".store/orders/{order}.done", order=NAMES)
    output: "results/tables/table.csv"
    shell: "touch {output}"
"""

# A rule for each way to end.
FATES = """
rule killed:
    output: "killed"
    log: "logs/killed.log"
    shell: "echo chatter > {log}; python -c 'import os; os.kill(os.getpid(), 9)'"
rule crashed:
    output: "crashed"
    log: "logs/crashed.log"
    shell: "exec python -c 'import os; os.abort()' 2> {log}"
rule own:
    output: "own"
    log: "logs/own.log"
    shell: "seq 100 > {log}; echo qmoe: no column class_id >> {log}; false"
rule mute:
    output: "mute"
    shell: "exit 3"
rule lost:
    output: "lost"
    shell: "true"
rule again:
    output: "again"
    log: "logs/again.log"
    retries: 1
    shell: "test -e mark || {{ touch mark; echo a first attempt > {log}; exit 1; }}; touch {output}"
rule good:
    output: "good"
    shell: "touch {output}"
"""


def folder_with(tmp_path: Path, snakefile: str) -> Project:
    """A folder with a workflow and the setting of the default profile that selects the logger."""
    (tmp_path / "profiles/default").mkdir(parents=True)
    (tmp_path / "profiles/default/config.yaml").write_text("logger: qmoe\nlatency-wait: 0\n")
    (tmp_path / ".store/orders").mkdir(parents=True)
    (tmp_path / "Snakefile").write_text(snakefile)
    (tmp_path / "src").symlink_to(ROOT / "src")
    return Project(tmp_path)


@pytest.fixture
def ordered(tmp_path: Path) -> Project:
    return folder_with(tmp_path, ORDERS)


@pytest.fixture
def fates(tmp_path: Path) -> Project:
    return folder_with(tmp_path, FATES)


def on_a_terminal(project: Project, *command: str) -> str:
    """What a command writes on a terminal of 100 columns."""
    ours, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    streams = {"stdin": its, "stdout": its, "stderr": its}
    environment = project.environment | {"TERM": "xterm"}
    with subprocess.Popen(command, cwd=project.folder, env=environment, **streams):
        os.close(its)
        written = b""
        try:
            while part := os.read(ours, 4096):
                written += part
        except OSError:  # so does Linux tell that the other side was closed
            os.close(ours)
    return written.decode()


def left(said: str) -> list[str]:
    """The lines that stay on a screen: what follows a carriage return is written over."""
    shown = [line.split("\r")[-1].rstrip() for line in said.replace("\r\n", "\n").split("\n")]
    return [line for line in shown if line]


def ending(said: str) -> str:
    """What is written after the last line that has a time."""
    return re.split(r"(?m)^\d\d:\d\d:\d\d .*\n", said)[-1]


def test_off_a_terminal_a_run_is_a_few_plain_lines(ordered: Project) -> None:
    said = ordered.snakemake()
    lines = re.sub(r"\d\d:\d\d:\d\d", "TIME", said).splitlines()[1:]
    assert lines[:3] == ["5 jobs: train 3, table 1, all 1", "to make: 12 cells", "TIME train"]
    progress = [line for line in lines if line.startswith("TIME cells ")]
    assert 0 < len(progress) <= 10
    assert all(re.fullmatch(r"TIME cells \d+/12, \d\d:\d\d left", line) for line in progress[:-1])
    assert progress[-1] == "TIME cells 12/12"
    assert lines[-3] == "TIME table"
    assert re.fullmatch(r"Done in \d\d:\d\d, 5 jobs, 12 cells: results/tables", lines[-2])
    assert len(lines) == len(progress) + 6 and "\r" not in said
    log = ordered.read(lines[-1].removeprefix("Log of the whole run: "))
    assert "rule train:" in log and "5 of 5 steps (100%) done" in log
    assert "Nothing to be done (all requested files are present and up to date)." in (
        ordered.snakemake()
    )


def test_on_a_terminal_one_line_tells_what_runs_and_what_remains(ordered: Project) -> None:
    said = on_a_terminal(ordered, "snakemake", "-j2")
    drawn = re.findall(r"%\|[^|]+\| \d\d:\d\d, jobs \d/5, cells (\d+)/12(.*?)\|(.*?)\r", said)
    cells = [int(made) for made, _, _ in drawn]
    assert cells == sorted(cells) and len(set(cells)) > 1
    assert any("left" in remains and "train x2" in runs for _, remains, runs in drawn)
    stays = left(said)[1:]
    assert stays[:2] == ["5 jobs: train 3, table 1, all 1", "to make: 12 cells"]
    assert stays[2].startswith("Done in") and stays[3].startswith("Log of") and len(stays) == 4


def test_orders_of_earlier_runs_do_not_count(ordered: Project) -> None:
    other = {"kind": "train", "experiments": [{"path": "results/cells/x", "folds": [0]}]}
    (ordered.folder / ".store/orders/other-train-0000.json").write_text(json.dumps(other))
    assert "to make: 12 cells" in ordered.snakemake()


def test_a_dry_run_is_a_list_of_rules_with_numbers_and_reasons(ordered: Project) -> None:
    said = ordered.snakemake("-n")
    assert re.search(r"^ +3  train +missing output files$", said, re.MULTILINE)
    assert re.search(r"^ +1  table +.*input files updated by another job$", said, re.MULTILINE)
    assert len(said) < 400 and "dry run" in said
    assert "touch results/tables/table.csv" not in said
    assert "touch results/tables/table.csv" in ordered.snakemake("-n", "--printshellcmds")
    assert " 3  train" in ordered.snakemake("-n", "--quiet")


@pytest.mark.parametrize("quiet", [[], ["--quiet"], ["--quiet", "rules"], ["--quiet", "all"]])
def test_every_failure_is_told_under_every_quiet(fates: Project, quiet: list[str]) -> None:
    rules = ["killed", "crashed", "own", "mute", "lost", "again", "good"]
    said = fates.snakemake("--keep-going", *rules, *quiet, check=False)
    last = ending(said)
    assert "\nkilled failed: killed by signal SIGKILL" in f"\n{last}"
    assert "crashed failed: killed by signal SIGABRT" in last
    assert "own failed:\n" in last and "    100\n    qmoe: no column class_id\n" in last
    assert "  log: logs/own.log\n" in last and "    92\n" not in last
    assert "mute failed: it ended with status 3" in last
    assert "lost failed: it did not write lost" in last
    assert "again failed" not in last and "good failed" not in last
    assert last.count(" failed:") == 5 and STAYS in last
    assert "no backup found" not in said and "Error in rule" not in said
    assert (fates.folder / "again").exists() and (fates.folder / "good").exists()


def test_a_retry_that_succeeds_is_no_failure(fates: Project) -> None:
    said = fates.snakemake("again")
    assert "again failed: a first attempt" in said and "again starts again" in said
    assert ending(said).startswith("Done in")
    (fates.folder / "again").unlink()
    (fates.folder / "mark").unlink()
    assert fates.snakemake("again", "--quiet", "all").splitlines()[1:] == []


def half_way(project: Project) -> subprocess.Popen[str]:
    """A run that has made a first cell."""
    running = subprocess.Popen(
        ["snakemake", "-j2"],
        cwd=project.folder,
        env=project.environment,
        text=True,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not list(project.folder.rglob("scores.json")):
        assert running.poll() is None
        time.sleep(0.05)
    return running


@pytest.mark.parametrize("whole_group", [True, False])
def test_an_interrupt_is_no_failure(ordered: Project, whole_group: bool) -> None:
    running = half_way(ordered)
    (os.killpg if whole_group else os.kill)(running.pid, signal.SIGINT)
    said = running.communicate()[1]
    assert running.returncode == 1
    assert f"Interrupted. {STAYS}" in said and "failed" not in said and "Traceback" not in said


def test_errors_of_the_workflow_itself_are_told_whole(ordered: Project) -> None:
    assert "No rule to produce nowhere" in ordered.snakemake("nowhere", "--quiet", check=False)
    running = half_way(ordered)
    os.killpg(running.pid, signal.SIGKILL)
    running.communicate()
    said = ordered.snakemake("--quiet", "all", check=False)
    assert "LockException" in said and "--unlock" in said
    assert "Unlocked" in ordered.snakemake("--unlock")
    for number in range(3):
        (ordered.folder / f".store/orders/run-train-000{number}.done").touch()
    said = ordered.snakemake(check=False)
    assert "IncompleteFilesException" in said and "--rerun-incomplete" in said
