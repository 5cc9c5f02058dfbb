"""Kills and interrupts: the same command makes what is missing, and nothing twice."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from conftest import ENVIRONMENT, ROOT, Project

from qmoe import store
from qmoe.finished import MISSING, Finished
from qmoe.paths import MANIFEST, RECORD
from records.files import write_files
from records.record import seal


@pytest.mark.pipeline
def test_kills_and_interrupts_at_random_moments_cost_nothing() -> None:
    """A small form of the benchmark, whose docstring says what each case must withstand."""
    command = [sys.executable, "benchmarks/faults.py", "--kills", "6", "--interrupts", "4"]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, capture_output=True, text=True)
    assert "0 of 10 wrong" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0


@pytest.mark.pipeline
def test_after_ctrl_c_in_training_the_same_command_gives_the_table(project: Project) -> None:
    """With the commands as a user starts them, and one order that trains all cells."""
    project.set(training={"single": {"epochs": 3}, "mixture": {"epochs": 100, "patience": 100}})
    running = subprocess.Popen(
        ["snakemake", "-j1", "tables"],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    while not project.cells() and running.poll() is None:
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    assert running.wait() != 0
    scores = (project.folder / "results/cells").rglob("scores.json")
    inodes = {path: path.stat().st_ino for path in scores}
    assert 0 < len(inodes) < 6, "the blow did not hit the training"
    project.snakemake("tables")
    assert list(project.table1()["model"]) == [
        "FP32-Base",
        "BitNet-Q4/8-QMoE",
        "BitNet-Q4/8-QMoE-C",
    ]
    assert {path: path.stat().st_ino for path in inodes} == inodes


class Killed(BaseException):
    """Stands for a kill: nothing catches it."""


def test_a_kill_between_two_links_leaves_no_folder_that_looks_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("results/packed/0123456789/fold0")
    names = ("expert0-q4.onnx", MANIFEST, "normalizer.safetensors", "router.onnx")
    kept = [store.stored(folder) / name for name in names]
    write_files(dict.fromkeys(kept, b"content"))
    seal(store.stored(folder) / RECORD, "key", kept)
    link = os.link
    for last in range(len(names) + 1):
        shutil.rmtree("results", ignore_errors=True)
        links = count()

        def killed(
            source: Path, target: Path, last: int = last, links: Iterator[int] = links
        ) -> None:
            if next(links) == last:
                raise Killed
            link(source, target)

        monkeypatch.setattr(os, "link", killed)
        with pytest.raises(Killed):
            store.restore(folder)
        assert Finished().fault(f"{folder}/{RECORD}", "key", MANIFEST) == MISSING
