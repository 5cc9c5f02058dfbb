"""The store: other names of the same files, which stay when their place is emptied."""

import os
import shutil
from pathlib import Path

import pytest

from qmoe import store
from qmoe.paths import CELLS, DAMAGED, STORE
from records import files

CELL = CELLS / "small/seed0-0123456789/fold0"
NAMES = ("model.safetensors", "provenance.json", "scores.json")


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in NAMES:
        files.write(CELL / name, name)


def contents(folder: Path) -> dict[str, str]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


def test_what_is_kept_survives_the_loss_of_its_place_and_takes_no_space() -> None:
    times = {name: (CELL / name).stat().st_mtime_ns for name in NAMES}
    store.keep(CELL)
    assert all((CELL / name).samefile(STORE / CELL / name) for name in NAMES)
    shutil.rmtree("results")  # as DVC does before it runs a stage
    store.restore(CELL)
    assert contents(CELL) == {name: name for name in NAMES}
    assert {name: (CELL / name).stat().st_mtime_ns for name in NAMES} == times
    store.restore(CELL)  # a second time changes nothing
    assert contents(Path("results")).keys() == {f"{CELL.relative_to('results')}/{n}" for n in NAMES}


def test_copies_where_links_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    store.keep(CELL)
    assert not (CELL / "scores.json").samefile(STORE / CELL / "scores.json")
    shutil.rmtree("results")
    store.restore(CELL)
    assert contents(CELL) == {name: name for name in NAMES}


def test_the_scores_are_linked_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that is killed meanwhile leaves a cell that is not taken for finished."""
    linked: list[str] = []
    real = os.link
    monkeypatch.setattr(os, "link", lambda a, b: (linked.append(Path(a).name), real(a, b)))
    store.keep(CELL)
    assert sorted(linked) == sorted(NAMES)
    assert linked[-1] == "scores.json"


def test_an_older_file_in_the_place_is_replaced_and_drafts_are_left_out() -> None:
    store.keep(CELL)
    files.write(CELL / "scores.json", "damaged")
    files.write(STORE / CELL / ".model.safetensors.7.draft", "half")
    store.restore(CELL)
    assert contents(CELL) == {name: name for name in NAMES}
    store.clear(CELL)
    assert contents(STORE / CELL) == {name: name for name in NAMES}


def test_a_file_is_kept_by_itself_and_what_is_not_there_is_nothing() -> None:
    store.keep(CELL / "scores.json")
    assert contents(STORE / CELL) == {"scores.json": "scores.json"}
    store.keep(Path("data/audio/nowhere"))
    store.restore(Path("data/audio/nowhere"))
    assert not Path("data").exists()


def test_a_link_into_the_cache_of_another_tool_is_kept_as_the_file_itself() -> None:
    files.write(Path("cache/ab/cdef"), "cached")
    (CELL / "scores.json").unlink()
    (CELL / "scores.json").symlink_to(Path("cache/ab/cdef").resolve())
    store.keep(CELL)
    assert not (STORE / CELL / "scores.json").is_symlink()
    assert (STORE / CELL / "scores.json").samefile("cache/ab/cdef")


def test_what_is_set_aside_never_replaces_what_was() -> None:
    for number in range(3):
        files.write(CELL / "scores.json", str(number))
        store.set_aside(CELL / "scores.json")
    found = {content for name, content in contents(DAMAGED).items() if "scores" in name}
    assert found == {"0", "1", "2"}
    place = store.set_aside(CELL)
    assert contents(place).keys() >= {"model.safetensors", "provenance.json"}
    assert not CELL.exists()
    assert store.set_aside(CELL.parent) not in (place, CELL.parent)


def test_what_is_forgotten_comes_back_no_more() -> None:
    store.keep(CELL)
    store.forget(CELL)
    store.forget(CELL / "scores.json")  # not there: nothing to do
    shutil.rmtree("results")
    store.restore(CELL)
    assert not CELL.exists()
