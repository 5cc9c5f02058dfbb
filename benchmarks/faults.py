"""Kill and interrupt a tiny run at random moments, then give the same command, and compare every
byte with a run that nobody disturbed.

`python benchmarks/faults.py` gives the figures of docs/caching.md: 200 kills (SIGKILL to the whole
group) and 50 interrupts (SIGINT to Snakemake alone, or to the group, as Ctrl-C sends it). Each case
is a copy of a project of two arms, one epoch and 60 clips; half of them have the embeddings only,
half already have the results of one arm. Some have more trouble before they are continued; see
`TROUBLES`. A case is right where
- the last command ends with success, and asks for `--unlock` at most once before;
- results/ holds the same files with the same bytes as the undisturbed run, records included, and so
  does .store, but for what is about a run and not about results: .store/orders and .store/before,
  which stay where a run is killed when all its jobs are done, as the next one has nothing to do,
  and the times in .store/seen.json;
- no cell, packed model or check that was finished at the blow was made again;
- the same command once more changes nothing.
Nothing is measured, as measured times are never the same twice. Jobs are forked from a process that
has imported their libraries (`preloaded`), as blows would else hit little but imports.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import preloaded
from tiny_run import (
    PHASES,
    TARGETS,
    beside,
    contents,
    finished,
    has_ended,
    inodes,
    kill,
    make_projects,
    output,
    remove,
    run,
    start,
    under_way,
    wait,
)

LEAST_OF_A_PHASE = 40  # cases that hit it, in the full form


@dataclass(frozen=True)
class Outcome:
    """What came of a case: the signal, what it hit, what trouble came on top, and what was wrong
    afterwards, if anything."""

    blow: str
    hit: set[str]
    trouble: str
    wrong: list[str]


# Blows, and troubles that come on top.


def wait_for_phase(
    folder: Path, pid: int, phase: str, longest_s: float, rng: random.Random
) -> None:
    """Wait for a phase to begin, or for any moment of the run, and then a random time."""
    while phase in PHASES and phase not in under_way(folder):
        if has_ended(pid):
            return
        time.sleep(0.01)
    time.sleep(rng.uniform(0, longest_s))


def strike(pid: int, blow: str) -> bool:
    """Send the signal of a blow; say whether the run was still there to be hit."""
    hit = not has_ended(pid)
    if hit and blow == "SIGINT":
        os.kill(pid, signal.SIGINT)
        wait(pid)
    elif hit and blow == "SIGINT to the group":
        os.killpg(pid, signal.SIGINT)
        wait(pid)
    kill(pid)
    return hit


def lose_snakemakes_folder(folder: Path, rng: random.Random) -> None:
    """Lose what Snakemake remembers."""
    shutil.rmtree(folder / ".snakemake", ignore_errors=True)


def date_in_the_future(folder: Path, rng: random.Random) -> None:
    """Date a random half of the files, up to a year from now."""
    for root in ("results", ".store", "data"):
        for path in sorted((folder / root).rglob("*")):
            if rng.random() < 0.5 and path.is_file():
                future_s = time.time() + rng.uniform(1, 3e7)
                os.utime(path, (future_s, future_s))


def ask_for_less(folder: Path, rng: random.Random) -> None:
    """Ask for another target first."""
    resume(folder, rng.choice(["cells", "packed", "collect", "results/packed.csv"]))


def kill_again(folder: Path, rng: random.Random) -> None:
    """Kill the run that continues, too."""
    pid = start(folder, *TARGETS)
    time.sleep(rng.uniform(0, 4))
    strike(pid, "SIGKILL")


TROUBLES: dict[str, Callable[[Path, random.Random], None]] = {
    "nothing more": lambda folder, rng: None,
    "no .snakemake": lose_snakemakes_folder,
    "times in the future": date_in_the_future,
    "another target first": ask_for_less,
    "killed again": kill_again,
}


def resume(folder: Path, *targets: str) -> int:
    """Give the command again, after `--unlock` where Snakemake asks for that; return its status."""
    status = run(folder, *targets)
    if status and "--unlock" in output(folder).read_text():
        run(folder, "--unlock")
        status = run(folder, *targets)
    return status


# Cases.


@dataclass(frozen=True)
class Plan:
    """What is to be done to a copy of the project."""

    number: int
    blow: str
    phase: str  # that is waited for, or "any"
    trouble: str
    seed: int


def plans(kills: int, interrupts: int, seed: int) -> list[Plan]:
    """Return a plan for each blow; signals, phases and troubles are spread over them."""
    rng = random.Random(seed)
    blows = ["SIGKILL"] * kills
    blows += ["SIGINT", "SIGINT to the group"] * (interrupts // 2) + ["SIGINT"] * (interrupts % 2)
    rng.shuffle(blows)
    aims = [*PHASES, "any"]
    return [
        Plan(number, blow, aims[number % 4], rng.choice(list(TROUBLES)), rng.randrange(2**32))
        for number, blow in enumerate(blows)
    ]


@dataclass(frozen=True)
class Reference:
    """A run that nobody disturbed: where it began, what it made, and how long all of it took, and
    each phase."""

    project: Path
    contents: dict[str, str]
    seconds: dict[str, float]


def make_reference(project: Path) -> Reference:
    """Run a copy of a project undisturbed."""
    whole = beside(project, "whole")
    shutil.copytree(project, whole)
    seconds = dict.fromkeys([*PHASES, "any"], 0.0)
    pid, last_s = start(whole, *TARGETS), time.monotonic()
    while not has_ended(pid):
        time.sleep(0.01)
        now_s = time.monotonic()
        for phase in under_way(whole) | {"any"}:
            seconds[phase] += now_s - last_s
        last_s = now_s
    if wait(pid):
        raise SystemExit(f"A run that nobody disturbed failed:\n{output(whole).read_text()}")
    return Reference(project, contents(whole), seconds)


def carry_out(plan: Plan, references: list[Reference]) -> Outcome:
    """Carry out a plan, at another moment where the run had ended before the blow."""
    rng = random.Random(plan.seed)
    reference = rng.choice(references)
    folder = reference.project.with_name(f"case{plan.number}")
    while True:
        remove(folder)
        shutil.copytree(reference.project, folder)
        pid = start(folder, *TARGETS)
        wait_for_phase(folder, pid, plan.phase, reference.seconds[plan.phase], rng)
        hit = under_way(folder)
        if strike(pid, plan.blow):
            break
    before = finished(folder)
    TROUBLES[plan.trouble](folder, rng)
    before |= {name: inode for name, inode in finished(folder).items() if name not in before}
    status = resume(folder, *TARGETS)
    wrong = list(faults(folder, reference, status, before))
    if wrong:
        wrong.append(f"see {folder}")
    else:
        remove(folder)
    return Outcome(plan.blow, hit, plan.trouble, wrong)


def faults(
    folder: Path, reference: Reference, status: int, before: dict[str, int]
) -> Iterator[str]:
    """Yield what is wrong with a project after it was continued."""
    if status:
        yield f"exit status {status}"
    found, wanted = contents(folder), reference.contents
    for path in sorted(found.keys() | wanted.keys()):
        if found.get(path) != wanted.get(path):
            yield f"{path} {'differs' if path in found and path in wanted else _which(path, found)}"
    after = finished(folder)
    yield from (f"{name} was made again" for name in before if after.get(name) != before[name])
    left = inodes(folder)
    if run(folder, *TARGETS) or inodes(folder) != left:
        yield "the same command once more is not content with what there is"


def _which(path: str, found: dict[str, str]) -> str:
    return "is left over" if path in found else "is missing"


def carry_out_all(
    folder: Path, kills: int, interrupts: int, seed: int, workers: int
) -> Iterator[Outcome]:
    """Carry out all plans in a folder, some at a time; yield the outcomes as they come."""
    preloaded.load()
    references = [make_reference(project) for project in make_projects(folder)]
    if references[0].contents != references[1].contents:
        raise SystemExit(f"Where a run begins makes a difference: compare the folders in {folder}")
    work = partial(carry_out, references=references)
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        yield from pool.imap_unordered(work, plans(kills, interrupts, seed))


def summary(outcomes: list[Outcome]) -> str:
    """Return the counts of outcomes, by signal, by phase and by trouble."""
    phases = Counter(phase for outcome in outcomes for phase in outcome.hit or ["between jobs"])
    counts = [Counter(outcome.blow for outcome in outcomes), phases]
    counts.append(Counter(outcome.trouble for outcome in outcomes))
    names = ["signal", "jobs that were hit", "trouble before the same command"]
    lines = [
        f"{name}: {', '.join(f'{what} {n}' for what, n in sorted(count.items()))}"
        for name, count in zip(names, counts, strict=True)
    ]
    wrong = sum(bool(outcome.wrong) for outcome in outcomes)
    return "\n".join([*lines, f"{wrong} of {len(outcomes)} wrong"])


def main() -> None:
    """Carry out all cases, and print what was wrong with any, and the counts."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--interrupts", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="cases at a time")
    asked = parser.parse_args()
    begin_s, outcomes = time.monotonic(), []
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    for outcome in carry_out_all(folder, asked.kills, asked.interrupts, asked.seed, asked.workers):
        outcomes.append(outcome)
        if outcome.wrong:
            print(json.dumps(vars(outcome) | {"hit": sorted(outcome.hit)}, indent=1), flush=True)
        if len(outcomes) % 25 == 0:
            print(f"{time.monotonic() - begin_s:.0f} s\n{summary(outcomes)}\n", flush=True)
    print(summary(outcomes))
    print(f"{(time.monotonic() - begin_s) / 60:.0f} minutes")
    hits = Counter(phase for outcome in outcomes for phase in outcome.hit)
    if any(outcome.wrong for outcome in outcomes):
        sys.exit(f"The wrong cases are in {folder}")
    shutil.rmtree(folder)
    if len(outcomes) >= 250 and min(hits[phase] for phase in PHASES) < LEAST_OF_A_PHASE:
        sys.exit(f"Fewer than {LEAST_OF_A_PHASE} cases hit one of the phases")


if __name__ == "__main__":
    main()
