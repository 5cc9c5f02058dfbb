"""What a failed run ends with, from logs as Snakemake and SLURM write them."""

from pathlib import Path

import pytest

from qmoe.failures import report

ERROR = """\
[Sun Nov 22 09:07:59 2026]
Error in rule {rule}:
    message: {message}
    jobid: {job}
    output: results/{rule}
    log: {logs} (check log file(s) for error details)
    shell:
        qmoe {rule}
        (command exited with non-zero exit code)
    external_jobid: 1
"""
FAILED = "SLURM-job '1' failed, SLURM status is: '{}'. Detailed failure reason unavailable"


def said(
    folder: Path, own: str = "", slurm: str | None = None, message: str = "None", after: str = ""
) -> str:
    """The report on one job, `train`, with what its two logs say."""
    logs = [folder / "train.log"]
    logs[0].write_text(own)
    if slurm is not None:
        logs.append(folder / "7.log")
        logs[1].write_text(slurm)
    text = ERROR.format(rule="train", job=3, message=message, logs=", ".join(map(str, logs)))
    (folder / "run.log").write_text(text + after)
    return report([folder / "run.log"])


def test_the_jobs_own_error_and_its_logs(tmp_path: Path) -> None:
    found = said(tmp_path, own="chatter\n" * 50 + "qmoe: no column class_id\n")
    assert found.startswith("train failed: ")
    assert "qmoe: no column class_id" in found
    assert len(found.splitlines()) < 14
    assert f"log: {tmp_path / 'train.log'}" in found
    assert found.endswith(str(tmp_path / "run.log"))


@pytest.mark.parametrize(
    ("state", "slurm", "reason"),
    [
        ("FAILED", "slurmstepd: error: Exceeded job memory limit", "out of memory"),
        ("FAILED", "slurmstepd: error: Detected 1 oom_kill event in StepId=5.batch.", "memory"),
        ("OUT_OF_MEMORY", "", "out of memory"),
        ("TIMEOUT", "", "out of time"),
        ("FAILED", "error: *** JOB 12 ON n1 CANCELLED AT noon DUE TO TIME LIMIT ***", "of time"),
        ("NODE_FAIL", "", "its node failed"),
        ("CANCELLED", "slurmstepd: error: *** JOB 5 ON n1 CANCELLED AT noon ***", "cancelled"),
        ("FAILED", "boiler plate\nsrun: fatal: Could not establish", "srun: fatal: Could not"),
        ("FAILED", "boiler plate", "its logs do not say why"),
    ],
)
def test_what_slurm_ended_is_named(tmp_path: Path, state: str, slurm: str, reason: str) -> None:
    assert reason in said(tmp_path, slurm=slurm, message=FAILED.format(state)).splitlines()[0]


def test_a_word_of_memory_in_the_jobs_own_log_is_its_own_error(tmp_path: Path) -> None:
    own = "note: exceeded memory limit of the toy\nqmoe: bad data\n"
    found = said(tmp_path, own=own, slurm="", message=FAILED.format("FAILED"))
    assert "qmoe: bad data" in found and "mem_mb" not in found


def test_a_refused_submission_says_why(tmp_path: Path) -> None:
    message = (
        "SLURM sbatch failed. The error message was 'sbatch: error: Memory\n"
        "sbatch: error: not available'.\n    sbatch call:\n        sbatch --parsable"
    )
    found = said(tmp_path, message=message)
    assert "train failed: sbatch: error: Memory sbatch: error: not available" in found


def test_a_job_that_succeeded_in_the_end_did_not_fail(tmp_path: Path) -> None:
    assert "train" not in said(
        tmp_path, own="x", after="Finished jobid: 3 (Rule: train)\n"
    ).replace(str(tmp_path), "")
    assert "train failed" in said(tmp_path, own="x", after="Finished jobid: 33 (Rule: b)\n")


def test_a_quoted_log_is_no_failure_of_its_own_and_the_last_attempt_counts(tmp_path: Path) -> None:
    quoted = ERROR.format(rule="train", job=0, message="None", logs="train.log")
    fence = "=" * 80
    again = ERROR.format(
        rule="train", job=3, message=FAILED.format("TIMEOUT"), logs=tmp_path / "train.log"
    )
    after = f"Logfile 7.log:\n{fence}\nSNAKEMAKE\n=========\n{quoted}{fence}\n{again}"
    found = said(tmp_path, own="x", message=FAILED.format("OUT_OF_MEMORY"), after=after)
    assert found.count("train failed") == 1
    assert "out of time" in found


def test_logs_of_an_arrays_task_are_found_where_they_are(tmp_path: Path) -> None:
    (tmp_path / "5_1.log").write_text("Exceeded job memory limit")
    text = ERROR.format(
        rule="train",
        job=3,
        message=FAILED.format("FAILED"),
        logs=f"a.log, {tmp_path}/seed_0/5_1.log",
    )
    (tmp_path / "run.log").write_text(text)
    assert f"out of memory: raise its mem_mb\n  log: a.log\n  log: {tmp_path}/5_1.log" in report(
        [tmp_path / "run.log"]
    )


def test_without_a_log_it_says_so() -> None:
    assert "nowhere" in report([])
