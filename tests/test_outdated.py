"""Derived files are made again by content, and stay where a job that should make them fails."""

import os
import time
from pathlib import Path

import pytest

from qmoe.outdated import BEFORE, Derived
from qmoe.paths import DAMAGED
from records import files
from records import record as records

TABLE, RECORD, CELLS = "results/table.csv", "results/table.provenance.json", "results/cells.csv"
NEWER = "workflow"
FUTURE_S = 4e9


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path(NEWER).mkdir()
    files.write(Path(CELLS), "cells\n")
    make("k1")


def make(key: str) -> None:
    """What the job of the rule does."""
    files.write(Path(TABLE), f"table of {key}\n")
    records.seal(Path(RECORD), key, [Path(TABLE)], [Path(CELLS)])


def answer(key: str = "k1") -> list[str]:
    """What the rule lists as one more input in a run of its own."""
    return Derived(NEWER).outdated(RECORD, key, [TABLE], [CELLS])


def runs(inputs: list[str]) -> bool:
    """Whether Snakemake runs the job, which goes by the times of files."""
    table_ns = Path(TABLE).stat().st_mtime_ns if Path(TABLE).exists() else 0
    return any(Path(path).stat().st_mtime_ns > table_ns for path in [CELLS, *inputs])


def test_what_is_current_is_not_made_again() -> None:
    assert answer() == []
    assert not runs([])


@pytest.mark.parametrize("time_s", [1.0, FUTURE_S])
@pytest.mark.parametrize("dated", [TABLE, RECORD, CELLS, NEWER])
def test_times_decide_nothing(dated: str, time_s: float) -> None:
    os.utime(dated, (time_s, time_s))
    assert not runs(answer("k1"))
    os.utime(dated, (time_s, time_s))
    assert runs(answer("k2"))


def test_no_file_that_snakemake_is_told_of_is_dated_in_the_future() -> None:
    for path in (TABLE, CELLS, NEWER):
        os.utime(path, (FUTURE_S, FUTURE_S))
    told = answer("k2")
    assert all(Path(path).stat().st_mtime <= time.time() for path in [TABLE, CELLS, *told])


def test_another_key_or_another_input_makes_the_file_again() -> None:
    assert runs(answer("k2"))
    make("k2")
    assert not runs(answer("k2"))
    Path(CELLS).write_text("other cells\n")
    os.utime(CELLS, (1, 1))
    assert runs(answer("k2"))


def test_an_edited_file_is_set_aside_and_made_again(capsys: pytest.CaptureFixture[str]) -> None:
    Path(TABLE).write_text("a better table\n")
    answer()
    assert not Path(TABLE).exists()
    assert (DAMAGED / TABLE).read_text() == "a better table\n"
    said = capsys.readouterr().err
    assert TABLE in said and str(DAMAGED / TABLE) in said


@pytest.mark.parametrize("lost", [RECORD, TABLE])
def test_without_the_record_or_the_file_it_is_made_again(lost: str) -> None:
    Path(lost).unlink()
    assert runs(answer())


def test_what_was_never_made_needs_no_more_input() -> None:
    Path(TABLE).unlink()
    Path(RECORD).unlink()
    assert answer() == []


def test_a_job_that_fails_takes_nothing_away_and_one_that_succeeds_is_not_undone() -> None:
    run = Derived(NEWER)
    run.outdated(RECORD, "k2", [TABLE], [CELLS])
    run.begin()
    Path(TABLE).unlink()  # Snakemake does so before it runs the job
    Path(RECORD).unlink()
    run.end()
    assert Path(TABLE).read_text() == "table of k1\n"
    run.begin()
    Path(TABLE).unlink()
    make("k2")
    run.end()
    assert Path(TABLE).read_text() == "table of k2\n"
    assert not BEFORE.exists()


def test_after_a_kill_the_next_run_brings_back_what_was_removed() -> None:
    killed = Derived(NEWER)
    killed.outdated(RECORD, "k2", [TABLE], [CELLS])
    killed.begin()
    Path(RECORD).unlink()
    Path(TABLE).unlink()
    Path(TABLE).write_text("half")  # of what the job began to write
    run = Derived(NEWER)
    run.outdated(RECORD, "k2", [TABLE], [CELLS])
    run.begin()
    assert Path(TABLE).read_text() == "table of k1\n"
    Path(TABLE).unlink()
    Path(RECORD).unlink()
    run.end()
    assert Path(TABLE).read_text() == "table of k1\n"


def test_a_link_into_the_cache_of_another_tool_is_replaced_and_not_dated() -> None:
    cached = Path("cache/ab")
    files.write(cached, Path(TABLE).read_text())
    os.utime(cached, (1e9, 1e9))
    Path(TABLE).unlink()
    Path(TABLE).symlink_to(cached.resolve())
    assert runs(answer("k2"))
    assert not Path(TABLE).is_symlink()
    assert cached.stat().st_mtime == 1e9
