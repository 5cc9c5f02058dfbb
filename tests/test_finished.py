"""What counts as finished, which is decided by content, and read once only."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from qmoe.finished import MISSING, Finished
from qmoe.paths import RECORD
from records import files
from records import record as records

CELL = Path("cell")
PLACE = f"{CELL}/{RECORD}"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ("model", "scores.json")
    for name in names:
        files.write(CELL / name, f"{name}: content")
    records.seal(CELL / RECORD, "k/fold0", [CELL / name for name in names])


def fault(key: str = "k/fold0", last: str = "scores.json") -> str | None:
    """What a run of the workflow finds, which has seen nothing else."""
    return Finished().fault(PLACE, key, last)


def remembered(change: Callable[[], object]) -> str | None:
    """What the next run finds, after a change between the two."""
    first = Finished()
    assert first.fault(PLACE, "k/fold0", "scores.json") is None
    first.remember()
    change()
    return fault()


def edit(path: Path, content: str, time_ns: int | None = None) -> None:
    """Write a file, with the time that is given or else that which it had."""
    time_ns = time_ns or path.stat().st_mtime_ns
    path.write_text(content)
    os.utime(path, ns=(time_ns, time_ns))


def test_a_whole_folder_has_no_fault_and_its_record_stands_for_its_content() -> None:
    found = Finished()
    assert found.fault(PLACE, "k/fold0", "scores.json") is None
    assert found.content(PLACE) == records.read(CELL / RECORD)[records.SELF]


def test_what_is_of_another_cell_is_not_finished() -> None:
    said = fault("k/fold1")
    assert said is not None and "k/fold0" in said
    Finished().remember()
    assert fault("k/fold0") is None


@pytest.mark.parametrize("name", ["scores.json", RECORD])
def test_a_cell_without_its_last_file_or_its_record_is_missing(name: str) -> None:
    (CELL / name).unlink()
    assert fault() == MISSING


def test_a_folder_that_is_not_there_is_missing() -> None:
    assert Finished().fault(f"nowhere/{RECORD}", "k", "scores.json") == MISSING
    assert Finished().fault(f"{CELL}/model/{RECORD}", "k", "scores.json") == MISSING  # a file


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda: (CELL / "model").unlink(), "model is missing"),
        (lambda: edit(CELL / "model", "mod"), "model has 3 bytes"),
        (lambda: edit(CELL / "model", "MODEL: content", 10**18), "model has other content"),
        (lambda: edit(CELL / RECORD, "{}"), "is damaged"),
    ],
)
def test_the_next_run_sees_what_was_lost_shortened_moved_or_dated(
    change: Callable[[], object], words: str
) -> None:
    said = remembered(change)
    assert said is not None and words in said


def test_a_new_time_alone_is_no_fault() -> None:
    assert remembered(lambda: os.utime(CELL / "model", (4e9, 4e9))) is None


def test_what_has_kept_its_size_and_time_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    first = Finished()
    assert first.fault(PLACE, "k/fold0", "scores.json") is None
    first.remember()
    with monkeypatch.context() as patch:
        patch.setattr(records, "read", lambda _: pytest.fail("the record was read again"))
        assert fault() is None
    edit(CELL / "model", "MODEL: content")  # a byte under the same size and time: for `qmoe verify`
    assert fault() is None
    assert list(records.damage(CELL / RECORD)) == [
        (CELL / "model", "has other content than was written")
    ]


@pytest.mark.parametrize("content", ["", "{", '{"cell'])
def test_a_damaged_memory_is_read_as_none(content: str) -> None:
    first = Finished(Path("seen.json"))
    first.fault(PLACE, "k/fold0", "scores.json")
    first.remember()
    Path("seen.json").write_text(content)
    assert Finished(Path("seen.json")).fault(PLACE, "k/fold0", "scores.json") is None


def test_what_a_job_has_just_written_is_trusted_without_reading_its_files() -> None:
    made = Finished()
    made.trust(PLACE, "scores.json")
    made.trust(f"nowhere/{RECORD}", "scores.json")
    made.remember()
    assert made.content(PLACE) == records.read(CELL / RECORD)[records.SELF]
    assert fault() is None


def test_a_file_that_was_cut_off_after_its_job_is_not_taken_as_whole() -> None:
    """At the end of a run its own cells are not read again, but their sizes are compared."""
    (CELL / "model").write_text("model")
    found = Finished()
    found.trust(PLACE, "scores.json")
    assert found.fault(PLACE, "k/fold0", "scores.json") not in (None, MISSING)


@pytest.mark.parametrize("memory", ["[]", "not JSON", '{"a": 1'])
def test_a_memory_that_cannot_be_read_costs_no_more_than_time(memory: str) -> None:
    file = Path(".store/seen.json")
    files.write(file, memory)
    assert fault() is None
