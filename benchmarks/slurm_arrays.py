"""Show what goes wrong with job arrays in snakemake-executor-plugin-slurm 2.8.0, by small cases.

    eval "$(workflow/slurm/cluster start)"; python benchmarks/slurm_arrays.py

It is why `workflow/profiles/slurm` does not submit arrays; docs/cluster.md says more. Where every
case ends with 5 of 5 jobs done, the plugin is mended, and arrays can be switched on.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

# The first job of the array takes 30 s longer than the others where SLOW is set.
SNAKEFILE = """
rule all:
    input: expand("done/{i}", i=range(5))
rule work:
    output: "done/{i}"
    resources: mem_mb=500, runtime=5
    shell:
        'echo {wildcards.i} >> ran;'
        ' if [ "$SLOW $SLURM_ARRAY_TASK_ID" = "yes 1" ]; then sleep 30; fi; touch {output}'
"""
COMMAND = [
    *("snakemake", "--executor", "slurm", "--slurm-array-jobs", "work", "--latency-wait", "5"),
    *("--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "2"),
]
# Digits that cannot be compressed make the command of a job long, as long paths would.
LONG = ["--config", f"text=x{secrets.token_hex(15_000)}"]
CASES = {
    "all fit into the queue": ["--jobs", "5"],
    "two fit into the queue": ["--jobs", "2"],
    "the first is the slowest": ["--jobs", "5"],
    "commands of 128 KiB together": ["--jobs", "5", *LONG],
}
IDLE_S = 60  # without a job in the queue, after which Snakemake is taken to wait for ever


def outcome(case: str, folder: Path) -> str:
    """Run a case in a folder; return what became of its jobs."""
    (folder / "Snakefile").write_text(SNAKEFILE)
    environment = os.environ | {"SLOW": "yes" if case.endswith("slowest") else "no"}
    with (folder / "said").open("wb") as said:
        running = subprocess.Popen(
            [*COMMAND, *CASES[case]], cwd=folder, env=environment, stdout=said, stderr=said
        )
    busy_s = time.monotonic()
    while running.poll() is None and time.monotonic() - busy_s < IDLE_S:
        queue = subprocess.check_output(["squeue", "--noheader", "--format", "%Z"], text=True)
        if str(folder) in queue.splitlines():
            busy_s = time.monotonic()
        time.sleep(1)
    end = f"exit {running.poll()}"
    if running.poll() is None:
        running.kill()  # it ends by no other signal
        end = "waits for ever"
    ran = (folder / "ran").read_text().split() if (folder / "ran").exists() else []
    done = list(folder.glob("done/*"))
    return f"{end}; jobs run: {' '.join(sorted(ran)) or 'none'}; {len(done)} of 5 done"


def main() -> None:
    """Print a line for each case."""
    if "QMOE_SLURM" not in os.environ:
        sys.exit('SLURM is not running: eval "$(workflow/slurm/cluster start)" as root starts it')
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            print(f"{case}: {outcome(case, Path(folder))}", flush=True)


if __name__ == "__main__":
    main()
