import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from qmoe.data.synth import CLASSES, render
from qmoe.errors import UserError

SMALL = {"recordings_per_class": 2, "takes_per_recording": 2, "duration_s": 0.3}


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("synth") / "demo"
    render(folder, seed=3, **SMALL)
    return folder


def test_files_and_metadata_agree(rendered: Path) -> None:
    table = pd.read_csv(rendered / "metadata.csv")
    assert list(table.columns) == ["file", "class", "recording"]
    assert set(table["file"]) == set(contents(rendered)) - {"metadata.csv"}
    assert table.groupby("class").size().to_dict() == dict.fromkeys(CLASSES, 4)
    assert (table.groupby("recording").size() == 2).all()
    for file in table["file"]:
        info = soundfile.info(rendered / file)
        assert (info.frames, info.samplerate, info.channels) == (6615, 22050, 1)
        assert info.subtype == "PCM_16"


def test_a_clip_depends_on_its_seed_class_recording_and_take_alone(
    rendered: Path, tmp_path: Path
) -> None:
    larger = SMALL | {"recordings_per_class": 3, "takes_per_recording": 3}
    render(tmp_path / "larger", seed=3, **larger)
    render(tmp_path / "other", seed=4, **SMALL)
    first, more, other = map(contents, (rendered, tmp_path / "larger", tmp_path / "other"))
    for file in set(first) - {"metadata.csv"}:
        assert first[file] == more[file]
        assert first[file] != other[file]
    assert len(set(first.values())) == len(first)


def test_takes_of_a_recording_sound_more_alike_than_recordings(tmp_path: Path) -> None:
    render(tmp_path / "demo", seed=0, **SMALL | {"recordings_per_class": 8})
    table = pd.read_csv(tmp_path / "demo" / "metadata.csv")
    spectra = []
    for file in table["file"]:
        wave, _ = soundfile.read(tmp_path / "demo" / file)
        power = np.abs(np.fft.rfft(wave)) ** 2
        bands = [part.mean() for part in np.array_split(power / power.sum(), 30)]
        spectra.append(np.log(bands))
    points = np.array(spectra)
    distance = np.linalg.norm(points[:, None] - points[None], axis=2)
    same = table["recording"].to_numpy()[:, None] == table["recording"].to_numpy()[None]
    apart = distance[~same].mean()
    together = distance[same & ~np.eye(len(table), dtype=bool)].mean()
    assert together < 0.7 * apart


def test_rendering_again_replaces_but_never_deletes_the_files_of_others(
    rendered: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "demo"
    render(folder, seed=9, **SMALL)
    (folder / ".snakemake_timestamp").touch()
    render(folder, seed=3, **SMALL)
    assert contents(folder) == contents(rendered)
    (folder / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        render(folder, seed=3, **SMALL)
    assert (folder / "thesis.txt").read_text() == "mine"


def test_a_kill_leaves_no_folder(tmp_path: Path) -> None:
    many = {"seed": 0, "recordings_per_class": 500, "takes_per_recording": 5}
    process = multiprocessing.get_context("spawn").Process(
        target=render, args=(tmp_path / "demo",), kwargs=many
    )
    process.start()
    deadline = time.monotonic() + 60
    while not any(tmp_path.rglob("*.wav")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert any(tmp_path.rglob("*.wav"))
    assert not (tmp_path / "demo").exists()
