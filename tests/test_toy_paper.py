"""A paper of ten lines is judged by referee alone, from anybody's table of scores.

Every command runs in a process in which importing the method, or what it trains with, raises.
"""

import csv
import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

PAPER = """\
title: New trees beat old trees
score: {words: Accuracy}
prose:
  - {id: new_is_better, kind: order, says: new trees score more than old ones,
     judge: rises, models: [new, old], datasets: [birds, frogs],
     tolerance: &width {absolute: 0.01, reason: of accuracy}}
  - {id: old_is_better, kind: order, says: old trees score more than new ones,
     judge: rises, models: [old, new], datasets: [birds, frogs],
     tolerance: *width}
"""
ALONE = """\
import sys


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("qmoe", "torch", "onnxruntime", "snakemake"):
            raise ImportError(f"{name} is not installed here")


sys.meta_path.insert(0, Refuse())
"""
RISE = 0.1


def made_up_scores() -> str:
    """A CSV of two arms on two datasets, three seeds of five folds; `new` is better by `RISE`."""
    draw = random.Random(2511)
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["dataset", "arm", "seed", "fold", "score"])
    for dataset, level in (("birds", 0.7), ("frogs", 0.6)):
        for seed in range(3):
            for fold in range(5):
                clips = draw.gauss(0, 0.02)  # a fold is as hard for either arm
                for arm, rise in (("old", 0.0), ("new", RISE)):
                    score = level + rise + clips + draw.gauss(0, 0.005)
                    table.writerow([dataset, arm, seed, fold, round(score, 4)])
    return text.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toy")
    (folder / "toy").mkdir()
    (folder / "toy/paper.yaml").write_text(PAPER)
    (folder / "scores.csv").write_text(made_up_scores())
    (folder / "alone").mkdir()
    (folder / "alone/sitecustomize.py").write_text(ALONE)
    return folder


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    paths = [str(folder / "alone"), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
    )


def referee(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(folder, "-m", "referee.cli", *arguments)


def test_the_method_cannot_be_imported_here(folder: Path) -> None:
    for package in ("qmoe", "torch", "onnxruntime", "snakemake"):
        done = run(folder, "-c", f"import {package}")
        assert "is not installed here" in done.stderr


def test_a_true_claim_is_reproduced_and_a_false_one_is_not(folder: Path) -> None:
    done = referee(folder, "verdicts", "scores.csv", "out", "--paper", "toy")
    assert done.returncode == 0, done.stderr
    records = json.loads((folder / "out/claims.json").read_text())
    verdicts = {record["id"]: record["verdict"] for record in records}
    assert verdicts == {"new_is_better": "reproduced", "old_is_better": "not reproduced"}
    with (folder / "out/claims.csv").open() as file:
        assert {row["id"]: row["verdict"] for row in csv.DictReader(file)} == verdicts
    assert "1 reproduced, 1 not reproduced" in done.stdout
    assert f"{RISE:.1f}" in (folder / "out/claims.md").read_text()  # what was measured


def test_arms_are_compared(folder: Path) -> None:
    done = referee(folder, "compare", "scores.csv", "--baseline", "old")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["dataset"] for row in rows] == ["birds", "frogs", "mean over datasets"]
    assert {row["verdict"] for row in rows} == {"higher"}
    assert all(abs(float(row["difference"]) - RISE) < 0.01 for row in rows)


def in_one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The message of a command that cannot do what it was asked to do."""
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("referee: "), done.stderr
    return lines[0]


def test_a_table_alone_is_audited(folder: Path) -> None:
    done = referee(folder, "audit", "scores.csv", "--paper", "toy")
    assert done.returncode == 0, done.stderr
    assert "birds" in done.stdout
    assert "run.json" in done.stdout  # without it, not everything can be checked


@pytest.mark.parametrize("what", ["scores.csv", "out/claims.csv", "table1"])
def test_what_cannot_be_explained_is_said_in_one_line(folder: Path, what: str) -> None:
    done = referee(folder, "explain", what, "1", "score", "--paper", "toy")
    assert done.stdout.strip() if done.returncode == 0 else in_one_line(done)


@pytest.mark.parametrize("command", ["tables", "significance", "figures"])
def test_other_rooms_make_what_they_can_or_say_what_is_missing(folder: Path, command: str) -> None:
    done = referee(folder, command, "scores.csv", f"results/{command}", "--paper", "toy")
    if done.returncode == 0:
        assert list((folder / "results" / command).iterdir())
    else:
        assert in_one_line(done)


def test_what_the_table_lacks_is_named(folder: Path) -> None:
    lines = (folder / "scores.csv").read_text().splitlines()
    (folder / "no_fold.csv").write_text("\n".join(line.rsplit(",", 2)[0] for line in lines))
    done = referee(folder, "verdicts", "no_fold.csv", "out2", "--paper", "toy")
    assert "fold" in in_one_line(done)
    done = referee(folder, "verdicts", "scores.csv", "out2", "--paper", "nowhere")
    assert "nowhere" in in_one_line(done)
