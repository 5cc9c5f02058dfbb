"""What a failed run prints last: each job that failed, why it failed, and where its logs are."""

import re
from pathlib import Path

LINES = 8  # shown of a log: enough for the error message, less than a screen

# What SLURM writes, as a state or into its log, when it ends a job.
ENDED_BY_SLURM = {
    "out of memory: raise its mem_mb": r"OUT_OF_MEMORY|exceeded (\w+ )?memory limit|oom[-_ ]kill",
    "out of time: raise its runtime": r"'TIMEOUT'|DUE TO TIME LIMIT",
    "its node failed: run the same command again": r"NODE_FAIL|DUE TO NODE FAILURE",
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


def _failures(log: str) -> list[str]:
    """What to say of each job whose last attempt failed, from the text of Snakemake's log."""
    last = {}
    log = _QUOTED.sub("", log)
    for block in _BLOCK.finditer(log):
        job = _JOB.search(block[2])
        number = job[1] if job else block[1]
        if not re.search(rf"^Finished jobid: {number}\b", log, re.MULTILINE):
            last[number] = block
    said = []
    for rule, text in (block.groups() for block in last.values()):
        named = _LOG.search(text)
        logs = [_actual(Path(name)) for name in named[1].split(", ")] if named else []
        where = "\n".join(f"  log: {path}" for path in logs)
        said.append(f"{rule} failed: {_reason(text, logs)}\n{where}")
    return said


def _reason(block: str, logs: list[Path]) -> str:
    texts = [path.read_text(errors="replace") if path.is_file() else "" for path in logs]
    refused = _SBATCH.search(block)
    if refused:
        return " ".join(refused[1].split())
    for reason, sign in ENDED_BY_SLURM.items():
        # Only SLURM's logs count: where the job's log mentions memory, that is the job's error.
        if any(re.search(sign, text, re.IGNORECASE) for text in [block, *texts[1:]]):
            return reason
    of_job, *of_slurm = texts or [""]
    text = of_job if of_job.strip() else "\n".join(_SLURM.findall("\n".join(of_slurm)))
    return "\n".join(text.strip().splitlines()[-LINES:]) or "its logs do not say why"


def _actual(path: Path) -> Path:
    """The log of a job array's task lies a folder above the one that the plugin (2.8.0) names."""
    higher = path.parent.parent / path.name
    return higher if higher.is_file() and not path.exists() else path


def report(logs: list[Path]) -> str:
    """Return what the user reads last, from the logs that Snakemake kept of a run."""
    parts = [part for log in logs for part in _failures(log.read_text(errors="replace"))]
    where = ", ".join(map(str, logs)) or "nowhere"
    return "\n".join([*parts, f"What has finished stays. Log of the whole run: {where}"])
