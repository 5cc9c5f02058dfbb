"""What a failed run says last: each job that failed, why, and where its logs are."""

import re
from dataclasses import dataclass
from pathlib import Path

LINES = 8  # of a log: enough for an error of its own, less than a screen

# What SLURM writes, as a state or into its log, when it ends a job.
ENDED_BY_SLURM = {
    "out of memory: raise its mem_mb": r"OUT_OF_MEMORY|exceeded (\w+ )?memory limit|oom[-_ ]kill",
    "out of time: raise its runtime": r"'TIMEOUT'|DUE TO TIME LIMIT",
    "its node failed: the same command goes on": r"NODE_FAIL|DUE TO NODE FAILURE",
    "cancelled": r"'CANCELLED'|CANCELLED AT",
}

_BLOCK = re.compile(
    r"^Error in rule (\S+):\n(.*?)(?=^\[|^Logfile |^Trying |^Select |^Shutting |\Z)", re.S | re.M
)
_QUOTED = re.compile(r"^={80}\n.*?^={80}\n", re.DOTALL | re.MULTILINE)  # logs within the log
_LOG = re.compile(r"^    log: (.*?)(?: \(check log file\(s\) for error details\))?$", re.MULTILINE)
_SLURM = re.compile(r"^(?:srun|slurmstepd\S*): .*$", re.MULTILINE)
_JOB = re.compile(r"^    jobid: (\d+)$", re.MULTILINE)
_SBATCH = re.compile(r"SLURM sbatch failed\. The error message was '(.*?)'\.$", re.S | re.M)


@dataclass(frozen=True)
class Failure:
    """A job whose last attempt failed."""

    rule: str
    reason: str
    logs: tuple[Path, ...]


def failures(log: str) -> list[Failure]:
    """The jobs that failed for good, from the text of Snakemake's log of a run."""
    last = {}
    log = _QUOTED.sub("", log)
    for found in _BLOCK.finditer(log):
        job = _JOB.search(found[2])
        number = job[1] if job else found[1]
        if not re.search(rf"^Finished jobid: {number}\b", log, re.MULTILINE):
            last[number] = found
    return [_failure(found[1], found[2]) for found in last.values()]


def _failure(rule: str, block: str) -> Failure:
    listed = _LOG.search(block)
    logs = tuple(_there(Path(name)) for name in listed[1].split(", ")) if listed else ()
    texts = [path.read_text(errors="replace") if path.is_file() else "" for path in logs]
    refused = _SBATCH.search(block)
    if refused:
        return Failure(rule, " ".join(refused[1].split()), logs)
    for reason, sign in ENDED_BY_SLURM.items():
        # The job's own log is not SLURM's: what it says of memory is its own error.
        if any(re.search(sign, text, re.IGNORECASE) for text in [block, *texts[1:]]):
            return Failure(rule, reason, logs)
    own, *slurm = texts or [""]
    said = own if own.strip() else "\n".join(_SLURM.findall("\n".join(slurm)))
    return Failure(rule, "\n".join(said.strip().splitlines()[-LINES:]) or "it left no word", logs)


def _there(path: Path) -> Path:
    """The log of an array's task lies a folder higher than the plugin says (2.8.0)."""
    higher = path.parent.parent / path.name
    return higher if higher.is_file() and not path.exists() else path


def report(logs: list[Path]) -> str:
    """What the user sees last, from the logs that Snakemake kept of a run."""
    parts = [
        f"{one.rule} failed: {one.reason}\n" + "\n".join(f"  log: {path}" for path in one.logs)
        for log in logs
        for one in failures(log.read_text(errors="replace"))
    ]
    where = ", ".join(map(str, logs)) or "nowhere"
    return "\n".join([*parts, f"What has finished stays. Log of the whole run: {where}"])
