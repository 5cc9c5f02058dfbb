"""Records: damage is noticed by content, wherever the folder lies; and the home of the code."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from records import files, record
from records.home import ForeignPackage, require_home
from records.record import Damaged

CONTENT = st.binary(max_size=200)
IN_FOLDER = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


# Files.


@IN_FOLDER
@given(content=CONTENT | st.text(max_size=200))
def test_what_is_written_is_read_and_no_draft_stays(tmp_path: Path, content: str | bytes) -> None:
    path = tmp_path / "new/folder/file"
    files.write(path, content)
    assert path.read_bytes() == (content if isinstance(content, bytes) else content.encode())
    assert [found.name for found in path.parent.iterdir()] == ["file"]


def test_a_write_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    files.write(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        files.write(path, "new")
    assert path.read_text() == "old"
    files.clear_drafts(tmp_path)
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


def test_a_file_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, before = tmp_path / "file", []
    monkeypatch.setattr(os, "fsync", lambda _: before.append(path.exists()))
    files.write(path, "content")
    assert before == [False]


# Records.


def sealed(folder: Path, contents: dict[str, bytes], **about: Any) -> Path:
    for name, content in contents.items():
        files.write(folder / name, content)
    made = folder / record.SUFFIX
    record.seal(made, "k1", [folder / name for name in contents], **about)
    return made


@IN_FOLDER
@given(contents=st.dictionaries(st.sampled_from(["a", "b.csv", "c.json"]), CONTENT))
def test_files_of_any_content_are_whole(tmp_path: Path, contents: dict[str, bytes]) -> None:
    made = sealed(tmp_path, contents)
    assert record.is_whole(made, "k1")
    assert not record.is_whole(made, "k2")
    assert record.read(made)["files"].keys() == contents.keys()
    for name, content in contents.items():
        assert record.read(made)["files"][name]["bytes"] == len(content)
        record.require_whole(tmp_path / name)
    in_memory = files.write_files({tmp_path / "memory.json": record.text("k1", contents)})
    assert record.read(in_memory[0])["files"] == record.read(made)["files"]


@IN_FOLDER
@given(data=st.data(), content=st.binary(min_size=1, max_size=200))
def test_any_other_byte_is_noticed_in_a_file_and_in_its_record(
    tmp_path: Path, data: st.DataObject, content: bytes
) -> None:
    made = sealed(tmp_path, {"file": content, "other": b"other"})
    for path, reader in ((tmp_path / "file", record.require_whole), (made, record.read)):
        good = bytearray(path.read_bytes())
        at = data.draw(st.integers(0, len(good) - 1))
        value = data.draw(st.integers(0, 255).filter(lambda value, old=good[at]: value != old))
        path.write_bytes(good[:at] + bytes([value]) + good[at + 1 :])
        assert not record.is_whole(made, "k1")
        with pytest.raises(Damaged, match=path.name):
            reader(path)
        path.write_bytes(good)
    assert record.is_whole(made, "k1")


@IN_FOLDER
@given(data=st.data())
def test_a_record_that_is_cut_off_or_continued_is_noticed(
    tmp_path: Path, data: st.DataObject
) -> None:
    made = sealed(tmp_path, {"file": b"content"})
    good = made.read_bytes()
    for bad in (good[: data.draw(st.integers(0, len(good) - 1))], good + b" ", b"[]\n", b"3"):
        made.write_bytes(bad)
        with pytest.raises(Damaged, match=r"provenance\.json is damaged"):
            record.read(made)


@pytest.mark.parametrize(
    ("damage", "wrong"),
    [
        (Path.unlink, "is missing"),
        (lambda path: path.write_bytes(b""), "has 0 bytes instead of 7"),
        (lambda path: path.write_bytes(b"content\n"), "has 8 bytes instead of 7"),
        (lambda path: path.write_bytes(b"Content"), "has other content than was written"),
    ],
)
def test_damage_names_the_file_and_what_is_wrong(
    tmp_path: Path, damage: Callable[[Path], object], wrong: str
) -> None:
    made = sealed(tmp_path, {"file": b"content", "good": b"good"})
    assert list(record.damage(made)) == []
    damage(tmp_path / "file")
    assert list(record.damage(made)) == [(tmp_path / "file", wrong)]
    record.require_whole(tmp_path / "good")


def test_a_folder_may_be_moved_and_its_times_say_nothing(tmp_path: Path) -> None:
    (tmp_path / "here/tables").mkdir(parents=True)
    files.write(tmp_path / "here/metrics.json", "{}")
    files.write(tmp_path / "here/cells.csv", "a,b\n")
    files.write(tmp_path / "here/tables/table.csv", "1\n")
    made = tmp_path / "here/tables/provenance.json"
    names = ["here/metrics.json", "here/tables/table.csv"]
    record.seal(made, "k", [tmp_path / n for n in names], [tmp_path / "here/cells.csv"], more=[1])
    assert record.read(made)["files"].keys() == {"../metrics.json", "table.csv"}
    assert record.read(made)["inputs"].keys() == {"../cells.csv"}
    assert record.read(made)["more"] == [1]
    (tmp_path / "here").rename(tmp_path / "there")
    moved = tmp_path / "there/tables/provenance.json"
    for path in (tmp_path / "there").rglob("*.*"):
        os.utime(path, (4e9, 4e9))
    assert record.is_current(moved, "k")


def test_files_are_current_while_their_inputs_are(tmp_path: Path) -> None:
    source = tmp_path / "cells.csv"
    source.write_text("1\n")
    made = sealed(tmp_path, {"table.csv": b"1"}, inputs=[source, tmp_path / "not here"])
    assert record.is_current(made, "k1")
    assert not record.is_current(made, "k2")
    source.write_text("2\n")
    assert record.is_whole(made, "k1")
    assert not record.is_current(made, "k1")
    source.write_text("1\n")
    assert record.is_current(made, "k1")
    source.unlink()
    assert not record.is_current(made, "k1")
    assert not record.is_current(tmp_path / "no record", "k1")


def test_a_file_finds_its_own_record(tmp_path: Path) -> None:
    for name in ("one", "two", "free"):
        files.write(tmp_path / f"{name}.csv", name)
    own, shared = tmp_path / "one.provenance.json", tmp_path / "run.provenance.json"
    record.seal(own, "k", [tmp_path / "one.csv"])
    record.seal(shared, "k", [tmp_path / "two.csv"])
    assert record.record_of(tmp_path / "one.csv") == own
    assert record.record_of(tmp_path / "two.csv") == shared
    assert record.record_of(tmp_path / "free.csv") is None
    (tmp_path / "free.csv").write_text("a file of nobody may be changed")
    record.require_whole(tmp_path / "free.csv")
    own.write_text("{}")
    record.require_whole(tmp_path / "two.csv")  # the damage of another record is not its damage
    with pytest.raises(Damaged, match=r"one\.provenance\.json is damaged"):
        record.require_whole(tmp_path / "one.csv")


# The home of the code.


def test_the_code_that_runs_is_that_of_the_folder(tmp_path: Path) -> None:
    for clone in ("a", "b"):
        files.write(tmp_path / clone / "src/qmoe/__init__.py", "")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    own = str(tmp_path / "a/src/qmoe/__init__.py")
    require_home("qmoe", own, tmp_path / "a")
    require_home("qmoe", own, tmp_path / "link")  # the same folder under another name
    require_home("qmoe", own, tmp_path)  # a folder without the source may use any package
    with pytest.raises(ForeignPackage, match="make env"):
        require_home("qmoe", own, tmp_path / "b")
