"""Why a job failed, from messages and logs as Snakemake and SLURM write them."""

from pathlib import Path

import pytest

from snakemake_logger_plugin_qmoe.reasons import actual, why

STATUS = "SLURM-job '1' failed, SLURM status is: '{}'. Detailed failure reason unavailable"
COMMAND = "RuleException:\nCalledProcessError in file \"Snakefile\", line 3:\nCommand 'x' {}"


def reason(folder: Path, message: str = "", error: str = "", own: str = "", slurm: str = "") -> str:
    """The reason of a job that has a log of its own and one of SLURM."""
    (folder / "own.log").write_text(own)
    (folder / "7.log").write_text(slurm)
    return why(message, error, [folder / "own.log"], [folder / "7.log"])


@pytest.mark.parametrize(
    ("state", "slurm", "said"),
    [
        ("FAILED", "slurmstepd: error: Exceeded job memory limit", "out of memory"),
        ("FAILED", "slurmstepd: error: Detected 1 oom_kill event in StepId=5.batch.", "memory"),
        ("OUT_OF_MEMORY", "", "out of memory"),
        ("TIMEOUT", "", "out of time"),
        ("FAILED", "error: *** JOB 12 ON n1 CANCELLED AT noon DUE TO TIME LIMIT ***", "of time"),
        ("NODE_FAIL", "", "node failure"),
        ("CANCELLED", "slurmstepd: error: *** JOB 5 ON n1 CANCELLED AT noon ***", "cancelled"),
        ("FAILED", COMMAND.format("died with <Signals.SIGKILL: 9>."), "killed by signal SIGKILL"),
        ("FAILED", COMMAND.format("returned non-zero exit status 139."), "signal SIGSEGV"),
        ("FAILED", "boiler plate\nsrun: fatal: Could not establish", "srun: fatal: Could not"),
        ("FAILED", "boiler plate", "SLURM status is: 'FAILED'"),
    ],
)
def test_what_ended_a_job_on_slurm_is_named(
    tmp_path: Path, state: str, slurm: str, said: str
) -> None:
    assert said in reason(tmp_path, STATUS.format(state), slurm=slurm)


@pytest.mark.parametrize(
    ("end", "said"),
    [
        (
            "returned non-zero exit status 137.",
            "killed by signal SIGKILL, often for want of memory",
        ),
        ("died with <Signals.SIGTERM: 15>.", "killed by signal SIGTERM"),
        ("returned non-zero exit status 9.", "it ended with status 9 and wrote nothing into a log"),
        ("returned non-zero exit status 255.", "it ended with status 255"),
    ],
)
def test_a_signal_is_told_from_a_status(tmp_path: Path, end: str, said: str) -> None:
    assert reason(tmp_path, error=COMMAND.format(end)).startswith(said)


def test_a_signal_counts_more_than_what_the_job_wrote_and_a_status_less(tmp_path: Path) -> None:
    killed = COMMAND.format("returned non-zero exit status 137.")
    assert "SIGKILL" in reason(tmp_path, error=killed, own="chatter")
    ended = COMMAND.format("returned non-zero exit status 1.")
    own = "chatter\n" * 50 + "qmoe: no column class_id\n"
    lines = reason(tmp_path, error=ended, own=own).splitlines()
    assert lines[-1] == "qmoe: no column class_id" and len(lines) == 8


def test_a_word_of_memory_in_the_jobs_own_log_is_its_own_error(tmp_path: Path) -> None:
    own = "note: exceeded memory limit of the toy\nqmoe: bad data\n"
    said = reason(tmp_path, STATUS.format("FAILED"), own=own)
    assert "qmoe: bad data" in said and "mem_mb" not in said


@pytest.mark.parametrize("what", [".", " for array job submission (tasks 1-9)."])
def test_a_refused_submission_says_why(tmp_path: Path, what: str) -> None:
    message = (
        f"SLURM sbatch failed{what} The error message was 'sbatch: error: Memory\n"
        "sbatch: error: not available'.\n    sbatch call:\n        sbatch --parsable"
    )
    said = reason(tmp_path, message)
    assert said == "sbatch refused it: sbatch: error: Memory sbatch: error: not available"


def test_without_a_log_the_exception_is_told_whole() -> None:
    assert why("", "OSError: disk full", [], []) == "OSError: disk full"


def test_logs_of_an_arrays_task_are_found_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "5_1.log").write_text("Exceeded job memory limit")
    assert actual(tmp_path / "seed_0/5_1.log") == tmp_path / "5_1.log"
    assert actual(tmp_path / "seed_0/6_1.log") == tmp_path / "seed_0/6_1.log"
