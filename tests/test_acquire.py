"""Public data over HTTP from this machine's own loopback: archives of their layouts, made here."""

import errno
import hashlib
import io
import multiprocessing
import os
import signal
import tarfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from conftest import ROOT, copy_project

from qmoe.config import load, merge
from qmoe.config.datasets import REGISTRY, Remote
from qmoe.data import acquire
from qmoe.data.clips import CATEGORIES, list_public
from qmoe.data.unpack import unpack
from qmoe.errors import UserError
from qmoe.grid import Grid

ESC10 = Path(os.environ.get("QMOE_ESC10", Path(__file__).parents[2] / "shared" / "data" / "esc10"))
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


# ---- archives of the three layouts


def tone(pitch_hz: float) -> bytes:
    buffer = io.BytesIO()
    wave = 0.5 * np.sin(2 * np.pi * pitch_hz * np.arange(2205) / 22050)
    soundfile.write(buffer, wave, 22050, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def tarred(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as file:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def esc50(path: Path) -> Path:
    """Two recordings of every class, one with two takes, in the five folds."""
    rows, members = ["filename,fold,target,category,esc10,src_file,take"], {}
    for target in range(50):
        for recording, take in ((1, "A"), (1, "B"), (2, "A")):
            fold = (target + recording) % 5 + 1
            name = f"{fold}-{100 * target + recording}-{take}-{target}.wav"
            rows.append(f"{name},{fold},{target},class{target:02d},False,{name.split('-')[1]},A")
            members[f"ESC-50-master/audio/{name}"] = tone(200 + 10 * target)
    members["ESC-50-master/meta/esc50.csv"] = "\n".join(rows).encode()
    members["ESC-50-master/audio/._1-1-A-0.wav"] = b"left by a file manager"
    return zipped(path, members)


def urbansound8k(path: Path) -> Path:
    rows, members = ["slice_file_name,fsID,start,end,salience,fold,classID,class"], {}
    for code, name in enumerate(("air_conditioner", "siren")):
        for fold in range(1, 11):
            for piece in (0, 1):
                file = f"{1000 + fold}{code}-{code}-0-{piece}.wav"
                rows.append(f"{file},{1000 + fold}{code},0,4,1,{fold},{code},{name}")
                members[f"UrbanSound8K/audio/fold{fold}/{file}"] = tone(300 + 10 * fold)
    members["UrbanSound8K/metadata/UrbanSound8K.csv"] = "\n".join(rows).encode()
    return tarred(path, members)


def quinn(path: Path, suffix: str = ".png") -> Path:
    """Folders of a class in an archive in the archive, names with and without a recorder's."""
    from PIL import Image

    buffer, inner = io.BytesIO(), path.with_name("inner.zip")
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    content = buffer.getvalue() if suffix == ".png" else tone(440)
    names = ("Anthropophony", "Biophony", "Geophony", "Quiet", "Interference")
    members = {f"ABGQI/{n}/0_AMA_12{suffix}": content for n in names}
    for take in (0, 1):
        members[f"ABGQI/Quiet/{take}_s2llg003_190530_2019-05-30_17-10_OQU{suffix}"] = content
    members["ABGQI/figures/plot.png"] = b""
    outer = {"ABGQI_mel_spectrograms.zip": zipped(inner, members).read_bytes()}
    return zipped(path, outer)


# ---- a server that can be told to misbehave


@dataclass
class Served:
    content: bytes = b""
    etag: str = '"one"'
    ranges: bool = True  # whether it understands Range
    cut_after: list[int] = field(default_factory=list)  # bytes, an answer each, then it behaves
    hang_after: int | None = None  # bytes, then it says nothing more
    status: int = 200
    asked: list[str | None] = field(default_factory=list)  # Range of every request
    url: str = ""


@pytest.fixture
def served() -> Iterator[Served]:
    state = Served()
    hanging = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.headers.get("Range"))
            if state.status != 200:
                self.send_error(state.status)
                return
            start = 0
            if state.ranges and self.headers.get("If-Range") == state.etag:
                start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            if start and start >= len(state.content):
                self.send_response(416)
                self.send_header("Content-Range", f"bytes */{len(state.content)}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = state.content[start:]
            self.send_response(206 if start else 200)
            if start:
                end, size = len(state.content) - 1, len(state.content)
                self.send_header("Content-Range", f"bytes {start}-{end}/{size}")
            self.send_header("ETag", state.etag)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if state.hang_after is not None:
                self.wfile.write(body[: state.hang_after])
                hanging.wait(60)
                return
            self.wfile.write(body[: state.cut_after.pop(0)] if state.cut_after else body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}/esc50.zip"
    yield state
    hanging.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def archive(tmp_path: Path, served: Served) -> Path:
    """An archive that the server has: real recordings where they are here, else tones."""
    path = tmp_path / "served.zip"
    if ESC10.is_dir():
        files = sorted(ESC10.rglob("*.ogg"))[::100]
        zipped(path, {f"ESC-10/{p.relative_to(ESC10)}": p.read_bytes() for p in files})
    else:
        esc50(path)
    served.content = path.read_bytes()
    return path


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content).hexdigest()}"


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(acquire, "_CHUNK_BYTES", 250)
    return tmp_path / "archives" / "esc50-0123456789.zip"


def test_a_whole_download(
    archive: Path, served: Served, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    acquire.download(target, (Remote(served.url, md5(served.content)),))
    assert target.read_bytes() == archive.read_bytes()
    assert left(target.parent) == [target.name]
    assert "100%" in capsys.readouterr().err


def test_a_cut_connection_is_resumed_where_it_was_cut(
    archive: Path, served: Served, target: Path
) -> None:
    served.cut_after = [1000, 500]
    acquire.download(target, (Remote(served.url, md5(served.content)),))
    assert target.read_bytes() == archive.read_bytes()
    assert served.asked == [None, "bytes=1000-", "bytes=1500-"]
    assert left(target.parent) == [target.name]


def test_a_later_call_goes_on_from_what_an_earlier_one_left(
    archive: Path, served: Served, target: Path
) -> None:
    remotes = (Remote(served.url, md5(served.content)),)
    served.cut_after = [1000, 0, 0]
    with pytest.raises(UserError, match="archive:"):
        acquire.download(target, remotes)
    assert not target.exists()
    acquire.download(target, remotes)
    assert target.read_bytes() == archive.read_bytes()
    assert served.asked[-1] == "bytes=1000-"


@pytest.mark.parametrize("reason", ["another file", "no ranges"])
def test_where_it_cannot_be_resumed_all_is_fetched_again(
    archive: Path, served: Served, target: Path, reason: str
) -> None:
    served.cut_after = [1000, 0, 0]
    with pytest.raises(UserError):
        acquire.download(target, (Remote(served.url, None),))
    if reason == "another file":
        served.content, served.etag = served.content[::-1], '"two"'
    served.ranges = reason == "another file"
    acquire.download(target, (Remote(served.url, md5(served.content)),))
    assert target.read_bytes() == served.content


def test_after_a_kill_in_the_middle_the_rest_is_fetched_to_the_same_bytes(
    archive: Path, served: Served, target: Path
) -> None:
    remotes = (Remote(served.url, md5(served.content)),)
    served.hang_after = 2 << 16
    first = multiprocessing.get_context("spawn").Process(
        target=acquire.download, args=(target, remotes)
    )
    first.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if any(part.stat().st_size == 2 << 16 for part in target.parent.rglob("*.part")):
            break
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    assert not target.exists()
    served.hang_after = None
    acquire.download(target, remotes)
    assert target.read_bytes() == archive.read_bytes()
    assert served.asked == [None, f"bytes={2 << 16}-"]
    assert left(target.parent) == [target.name]


def test_a_kill_between_last_byte_and_check_costs_no_second_download(
    archive: Path, served: Served, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remotes = (Remote(served.url, md5(served.content)),)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pooch.hashes.hash_matches", killed)
        with pytest.raises(KeyboardInterrupt):
            acquire.download(target, remotes)
    assert not target.exists()
    acquire.download(target, remotes)
    assert target.read_bytes() == archive.read_bytes()
    assert served.asked[1:] == [f"bytes={len(served.content)}-"]


def test_a_wrong_checksum_leaves_nothing_and_names_both(
    archive: Path, served: Served, target: Path
) -> None:
    with pytest.raises(UserError) as error:
        acquire.download(target, (Remote(served.url, "md5:" + 32 * "0"),))
    said = str(error.value)
    assert md5(served.content).removeprefix("md5:") in said and 32 * "0" in said
    assert served.url in said and "`archive:`" in said and "\n" not in said
    assert left(target.parent) == []


def test_a_missing_page_names_the_address_and_the_next_mirror_is_tried(
    archive: Path, served: Served, target: Path
) -> None:
    served.status = 404
    nowhere = Remote("http://127.0.0.1:9/none.zip", None)
    with pytest.raises(UserError) as error:
        acquire.download(target, (Remote(served.url, None), nowhere))
    said = str(error.value)
    assert f"{served.url}: 404" in said and nowhere.url in said
    assert "`archive:`" in said and "\n" not in said
    assert left(target.parent) == []
    served.status = 200
    acquire.download(target, (nowhere, Remote(served.url, md5(served.content))))
    assert target.read_bytes() == archive.read_bytes()


def test_a_full_disk_is_said_and_what_arrived_is_used_later(
    archive: Path, served: Served, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(acquire.tqdm):  # type: ignore[misc]
        def update(self, n: float | None = 1) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(acquire, "_CHUNK_BYTES", 1000)
    remotes = (Remote(served.url, md5(served.content)),)
    with monkeypatch.context() as patch:
        patch.setattr(acquire, "tqdm", Full)
        with pytest.raises(UserError, match="no space left"):
            acquire.download(target, remotes)
    assert not target.exists()
    acquire.download(target, remotes)
    assert target.read_bytes() == archive.read_bytes()
    assert served.asked[-1] == "bytes=1000-"


def test_without_a_public_checksum_the_one_to_pin_is_said(
    archive: Path, served: Served, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    acquire.download(target, (Remote(served.url, None),))
    sha256 = hashlib.sha256(served.content).hexdigest()
    assert f"sha256: {sha256}" in capsys.readouterr().out
    pinned = target.with_name("esc50-9876543210.zip")
    requests = len(served.asked)
    acquire.download(pinned, (Remote(served.url, f"sha256:{sha256}"),))
    assert pinned.read_bytes() == archive.read_bytes()
    assert len(served.asked) == requests  # pinning downloads nothing


# ---- unpacking


@pytest.mark.parametrize("member", ["../out.wav", "/out.wav", "a/../../out.wav", "..\\out.wav"])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_members_that_lead_out_are_refused(tmp_path: Path, pack: Any, member: str) -> None:
    if pack is tarred and "\\" in member:
        pytest.skip("a backslash is a plain character in a tar archive")
    (tmp_path / "in").mkdir()
    bad = pack(tmp_path / "in" / "bad", {"a/x.wav": tone(1), member: b"bad"})
    with pytest.raises(UserError, match="refused"):
        unpack(bad, tmp_path / "in" / "folder")
    assert left(tmp_path / "in") == ["bad"]
    assert left(tmp_path) == ["in"]


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "bad.tar", "w") as file:
        link = tarfile.TarInfo("a/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        file.addfile(link)
    with pytest.raises(UserError, match="refused"):
        unpack(tmp_path / "bad.tar", tmp_path / "folder")
    assert left(tmp_path) == ["bad.tar"]


@pytest.mark.parametrize("damage", ["truncated", "garbage"])
@pytest.mark.parametrize("make", [esc50, urbansound8k])
def test_a_damaged_archive_leaves_nothing(tmp_path: Path, make: Any, damage: str) -> None:
    bad = make(tmp_path / "bad")
    content = bad.read_bytes()
    bad.write_bytes(content[: len(content) // 2] if damage == "truncated" else b"garbage" * 99)
    with pytest.raises(UserError, match="fetch it again"):
        unpack(bad, tmp_path / "folder")
    assert left(tmp_path) == ["bad"]


def test_after_a_killed_run_the_bytes_are_the_same(tmp_path: Path) -> None:
    def content(folder: Path) -> dict[str, bytes]:
        files = (p for p in folder.rglob("*") if p.is_file())
        return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files}

    archive = esc50(tmp_path / "a.zip")
    unpack(archive, tmp_path / "once")
    half = tmp_path / ".twice.partial/ESC-50-master/audio/half.wav"  # as a kill leaves it
    half.parent.mkdir(parents=True)
    half.write_bytes(b"ha")
    unpack(archive, tmp_path / "twice")
    assert content(tmp_path / "twice") == content(tmp_path / "once")
    assert left(tmp_path) == ["a.zip", "once", "twice"]


# ---- classes, recordings and official folds


def test_esc50_with_fifty_classes_and_its_folds(tmp_path: Path) -> None:
    unpack(esc50(tmp_path / "a.zip"), tmp_path / "esc50")
    clips = list_public(tmp_path / "esc50", "esc50", classes=50, categories="official")
    assert len(clips) == 150
    assert clips["class_name"].nunique() == 50
    one = clips.set_index("clip").loc["audio/5-301-B-3"]
    assert (one["recording"], one["fold"], one["class_name"]) == ("301", 5, "class03")


@pytest.mark.parametrize("categories", ["official", "published"])
def test_esc50_in_five_categories(tmp_path: Path, categories: str) -> None:
    """D1, by the tables themselves: ten consecutive targets, or five and five 25 apart."""
    unpack(esc50(tmp_path / "a.zip"), tmp_path / "esc50")
    clips = list_public(tmp_path / "esc50", "esc50", classes=5, categories=categories)
    target = clips["clip"].str.rsplit("-", n=1).str[1].astype(int)
    found = {name: set(target[clips["class_name"] == name]) for name in CATEGORIES}
    if categories == "official":
        assert found["Animals"] == set(range(10))
        assert found["Exterior noises"] == set(range(40, 50))
    else:
        assert found["Animals"] == {0, 1, 2, 3, 4, 25, 26, 27, 28, 29}
        assert found["Exterior noises"] == {20, 21, 22, 23, 24, 45, 46, 47, 48, 49}
    assert all(len(targets) == 10 for targets in found.values())
    assert sorted(clips["fold"].unique()) == [1, 2, 3, 4, 5]
    assert clips.groupby("recording")["fold"].nunique().max() == 1


def test_the_two_category_tables_agree_on_ten_of_fifty_classes(tmp_path: Path) -> None:
    unpack(esc50(tmp_path / "a.zip"), tmp_path / "esc50")
    both = [
        list_public(tmp_path / "esc50", "esc50", classes=5, categories=categories)
        for categories in ("official", "published")
    ]
    target = both[0]["clip"].str.rsplit("-", n=1).str[1]
    same = both[0]["class_name"] == both[1]["class_name"]
    assert target[same].nunique() == 10


def test_urbansound8k_has_ten_folds_and_recordings(tmp_path: Path) -> None:
    unpack(urbansound8k(tmp_path / "a.tar.gz"), tmp_path / "us8k")
    clips = list_public(tmp_path / "us8k", "urbansound8k", classes=5, categories="official")
    assert sorted(clips["fold"].unique()) == list(range(1, 11))
    assert set(clips["class_name"]) == {"air_conditioner", "siren"}
    assert clips.set_index("clip").loc["audio/fold3/10031-1-0-1", "recording"] == "10031"
    assert clips.groupby("recording").size().tolist() == [2] * 20


@pytest.mark.parametrize("suffix", [".png", ".wav"])
def test_quinn_is_read_from_folders_of_pictures_or_audio(tmp_path: Path, suffix: str) -> None:
    unpack(quinn(tmp_path / "a.zip", suffix), tmp_path / "quinn")
    clips = list_public(tmp_path / "quinn", "quinn", classes=5, categories="official")
    assert clips.groupby("class_name").size().to_dict() == {
        "anthropophony": 1, "biophony": 1, "geophony": 1, "interference": 1, "quiet": 3,
    }  # fmt: skip
    assert clips["fold"].isna().all()
    own = clips[clips["recording"] != clips["clip"]]
    assert own["recording"].tolist() == ["s2llg003_190530_2019-05-30_17-10"] * 2


def test_an_archive_of_something_else_is_said(tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", {"x/readme.txt": b"", "x/y.png": b""})
    unpack(tmp_path / "a.zip", tmp_path / "other")
    with pytest.raises(UserError, match="no folder of clips called anthropophony"):
        list_public(tmp_path / "other", "quinn", classes=5, categories="official")


# ---- in the grid


def grid(**entry: Any) -> Grid:
    data = {"kind": "public", "name": "esc50"} | entry
    over = {"datasets": {"mine": data}, "grid": {"datasets": ["mine"]}}
    return Grid(load(merge(PARAMS, over)))


def test_the_whole_dag_is_known_before_anything_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, known in REGISTRY.items():
        made = grid(name=name)
        source = made.sources["mine"]
        assert source.archive is not None and source.archive.parent == Path("data/archives")
        assert source.remotes == known.remotes
        assert len(made.experiments[0].folds) == known.folds
    assert list(tmp_path.iterdir()) == []


def test_one_archive_for_all_entries_of_a_dataset_and_a_table_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sources = [
        grid(**entry).sources["mine"]
        for entry in ({}, {"classes": 50}, {"categories": "published"}, {"duration_s": 3})
    ]
    assert len({s.archive for s in sources}) == len({s.audio for s in sources}) == 1
    assert len({s.table for s in sources}) == 4
    mirror = grid(url="http://127.0.0.1:9/x.zip").sources["mine"]
    assert (mirror.archive, mirror.table) == (sources[0].archive, sources[0].table)
    assert mirror.remotes[0].checksum == REGISTRY["esc50"].remotes[0].checksum


def test_a_local_archive_is_known_by_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"mine\.zip does not exist"):
        grid(archive="mine.zip")
    path = esc50(tmp_path / "mine.zip")
    first = grid(archive="mine.zip").sources["mine"]
    assert (first.archive, first.remotes) == (Path("mine.zip"), ())
    with pytest.raises(UserError, match="pins"):
        grid(archive="mine.zip", sha256=64 * "0")
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert grid(archive="mine.zip", sha256=digest).sources["mine"] == first
    zipped(path, {"other": b""})
    assert grid(archive="mine.zip").sources["mine"].table != first.table


def test_published_recipe_changes_esc50_and_not_quinn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def table(name: str, recipe: str) -> Path:
        over = {
            "datasets": {"mine": {"kind": "public", "name": name}},
            "grid": {"datasets": ["mine"]},
            "embedding": {"recipe": recipe},
        }
        return Grid(load(merge(PARAMS, over))).sources["mine"].table

    assert table("esc50", "published") != table("esc50", "corrected")
    assert table("quinn", "published") == table("quinn", "corrected")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"name": "esc51"}, "did you mean 'esc50'"),
        ({"name": "quinn", "classes": 50}, "are for esc50"),
        ({"archive": "a", "url": "b"}, "either archive or url"),
        ({"sha256": "12"}, "sha256"),
        ({"classes": 10}, "classes"),
    ],
)
def test_mistakes_in_an_entry_are_named(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        grid(**entry)


def test_random_folds_may_be_fewer_than_the_official_ones() -> None:
    over = {
        "datasets": {"mine": {"kind": "public", "name": "urbansound8k"}},
        "grid": {"datasets": ["mine"]},
        "protocols": {"as_published": {"n_folds": 5}},
    }
    made = Grid(load(merge(PARAMS, over)))
    counts = {e.protocol: (len(e.folds), e.spec["n_folds"]) for e in made.experiments}
    assert counts == {"as_published": (5, 5), "corrected": (10, 10)}


def test_every_entry_of_the_registry_says_where_and_under_which_licence() -> None:
    for known in REGISTRY.values():
        assert known.licence and known.citation and known.home.startswith("https://")
        for remote in known.remotes:
            assert remote.url.startswith("https://")
            assert remote.checksum is None or len(remote.checksum) == len("md5:") + 32


@pytest.mark.pipeline
def test_from_an_address_to_a_table_and_one_download_for_two_configurations(
    tmp_path: Path, served: Served
) -> None:
    project = copy_project(tmp_path)
    served.content = esc50(tmp_path / "served.zip").read_bytes()
    sha256 = hashlib.sha256(served.content).hexdigest()
    project.set(
        datasets={"esc": {"kind": "public", "name": "esc50", "url": served.url, "sha256": sha256,
                          "duration_s": 0.1}},
        embedding={"n_fft": 512, "hop_length": 128},
        grid={"datasets": ["esc"], "protocols": ["corrected"], "expert_sets": ["FP32-Base"],
              "curiosity": [{"strategy": "none"}]},
        training={"single": {"epochs": 1}},
    )  # fmt: skip
    served.status = 404
    said = project.snakemake("tables", "--retries", "0", check=False)
    assert f"{served.url}: 404" in said and "Traceback" not in said
    served.status, served.asked = 200, []
    project.snakemake("tables")
    assert len(served.asked) == 1
    assert list(pd.read_csv(tmp_path / "results/cells.csv")["fold"]) == [0, 1, 2, 3, 4]
    (archive,) = (tmp_path / "data/archives").iterdir()
    assert archive.read_bytes() == served.content
    project.set(datasets={"esc": {"categories": "published"}})
    said = project.snakemake("--dry-run", "embeddings")
    assert "embed" in said and "download" not in said and "unpack" not in said
    assert len(served.asked) == 1
    (folder,) = (tmp_path / "data/audio").glob("esc50.*")
    assert len(list(folder.rglob("[0-9]*.wav"))) == 150
    assert not list((tmp_path / "data/embeddings").glob(".*.parts"))
