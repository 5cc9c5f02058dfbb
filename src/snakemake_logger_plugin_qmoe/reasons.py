"""Why a job failed, from what Snakemake, SLURM and the job itself wrote."""

import re
from pathlib import Path
from signal import Signals

LINES = 8  # shown of a log: enough for the error message, less than a screen

# What SLURM writes, as a state or into its log, when it ends a job.
ENDED_BY_SLURM = {
    "out of memory: raise its mem_mb": r"OUT_OF_MEMORY|exceeded (\w+ )?memory limit|oom[-_ ]kill",
    "out of time: raise its runtime": r"'TIMEOUT'|DUE TO TIME LIMIT",
    "node failure: run the same command again": r"NODE_FAIL|DUE TO NODE FAILURE",
    "cancelled": r"'CANCELLED'|CANCELLED AT",
}
KILLED = "killed by signal "
BY_USER = f"{KILLED}SIGINT"

_REFUSED = re.compile(r"SLURM sbatch failed.*?The error message was '(.*?)'\.$", re.S | re.M)
_END = re.compile(r"returned non-zero exit status (\d+)\.|died with <Signals\.\w+: (\d+)>")
_SLURM = re.compile(r"^(?:srun|slurmstepd\S*): .*$", re.MULTILINE)


def why(message: str, error: str, own: list[Path], slurm: list[Path]) -> str:
    """Return the reason of a failure: a line, or the last lines of the job's log.

    `message` is what the executor said of the job, `error` the exception that Snakemake raised for
    it; each may be empty. `own` are the job's logs, `slurm` those that SLURM wrote.
    """
    if refused := _REFUSED.search(message):
        return "sbatch refused it: " + " ".join(refused[1].split())
    of_slurm = "\n".join(map(_text, slurm))
    for reason, sign in ENDED_BY_SLURM.items():
        # The job's own log does not count: where it mentions memory, that is the job's error.
        if re.search(sign, f"{message}\n{of_slurm}", re.IGNORECASE):
            return reason
    ends = _END.findall(f"{of_slurm}\n{error}")
    status, signal = map(int, ("0" + part for part in ends[-1])) if ends else (0, 0)
    signal = signal or status - 128  # so does a shell tell the signal that ended its command
    if signal in set(Signals):
        often = ", often for want of memory" if signal == Signals.SIGKILL else ""
        return f"{KILLED}{Signals(signal).name}{often}"
    text = "\n".join(map(_text, own)).strip() or "\n".join(_SLURM.findall(of_slurm))
    if text:
        return "\n".join(text.splitlines()[-LINES:])
    if status:
        return f"it ended with status {status} and wrote nothing into a log"
    return message or error or "its logs do not say why"


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def actual(path: Path) -> Path:
    """The log of a job array's task lies a folder above the one that the plugin (2.8.0) names."""
    higher = path.parent.parent / path.name
    return higher if higher.is_file() and not path.exists() else path
