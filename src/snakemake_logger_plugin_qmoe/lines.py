"""The sentences about a run, from plain data."""

import textwrap
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from tqdm import tqdm

from snakemake_logger_plugin_qmoe.progress import KINDS

STAYS = "What has finished stays, and the same command goes on from there."
PLACES = ("results/index.html", "results/tables")
Counts = Mapping[str, tuple[int, int]]  # by kind of order: how many units are made, of how many


def clock() -> str:
    """The time of day."""
    return time.strftime("%H:%M:%S")


def plan(stats: Mapping[str, int], counts: Counts) -> str:
    """How many jobs of which rule will run, and what the orders make."""
    rules = ", ".join(f"{rule} {n}" for rule, n in stats.items() if rule != "total")
    units = ", ".join(f"{total} {KINDS[kind][0]}" for kind, (_, total) in counts.items())
    text = f"{jobs(stats)}: {rules}" + (f"\nto make: {units}" if units else "")
    return "\n".join(textwrap.fill(line, 79, subsequent_indent="  ") for line in text.split("\n"))


def would_run(stats: Mapping[str, int], reasons: Mapping[str, Iterable[str]]) -> str:
    """The list of a dry run: how many jobs of which rule, and why."""
    width = max(map(len, stats))
    rows = [
        f"{n:6}  {rule:{width}}  {', '.join(reasons.get(rule, [])).lower()}".rstrip()
        for rule, n in stats.items()
        if rule != "total"
    ]
    return "\n".join([f"{jobs(stats)} would run:", *rows, "This was a dry run (-n)."])


def failure(name: str, reason: str, logs: Iterable[Path]) -> str:
    """What is said at the end of a job that failed; the end of a log has lines of its own."""
    head = f"{name} failed:" + ("\n" if "\n" in reason else " ")
    told = textwrap.indent(reason, "    ") if "\n" in reason else reason
    return "\n".join([head + told, *(f"  log: {log}" for log in logs)])


def jobs(stats: Mapping[str, int]) -> str:
    """The number of all jobs."""
    total = stats.get("total", 0)
    return f"{total} job" + ("s" if total != 1 else "")


def left(remaining_s: float | None) -> str:
    """The time that remains, where it is known and not over."""
    return f", {tqdm.format_interval(remaining_s)} left" if remaining_s else ""


def tally(counts: Counts) -> str:
    """How many units of each kind are made."""
    return "".join(f", {KINDS[kind][0]} {n}/{total}" for kind, (n, total) in counts.items())


def done(stats: Mapping[str, int], counts: Counts, took_s: float, outputs: list[str]) -> str:
    """What was made, and where to look: the page, the tables, else the last file."""
    units = "".join(f", {total} {KINDS[kind][0]}" for kind, (_, total) in counts.items())
    places = [place for place in PLACES if any(path.startswith(place) for path in outputs)]
    where = f": {', '.join(places or outputs[-1:])}" if outputs else ""
    return f"Done in {tqdm.format_interval(took_s)}, {jobs(stats)}{units}{where}"
