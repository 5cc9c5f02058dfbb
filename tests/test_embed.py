import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from qmoe.data.audio import Recipe, picture, read_mono
from qmoe.data.backbones import load
from qmoe.data.clips import list_clips
from qmoe.data.embed import embed
from qmoe.data.synth import render
from qmoe.data.table import EmbeddingTable, check, write
from qmoe.errors import UserError

RECIPE = Recipe(22050, 0.5, 1024, 256, 64, 20.0, 11025.0, 80.0, "viridis")
BACKBONE = "efficientnet_lite0"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("embed") / "demo"
    render(folder, seed=0, recordings_per_class=2, takes_per_recording=2, duration_s=0.5)
    return folder


@pytest.fixture(scope="module")
def clips(demo: Path) -> pd.DataFrame:
    return list_clips(demo, metadata=demo / "metadata.csv")


@pytest.fixture(scope="module")
def one_worker(demo: Path, clips: pd.DataFrame) -> EmbeddingTable:
    return embed(demo, clips, RECIPE, BACKBONE, batch_size=3)


def test_the_table_describes_its_clips(one_worker: EmbeddingTable, clips: pd.DataFrame) -> None:
    check(one_worker)
    assert one_worker.vectors.shape == (20, 1280)
    assert one_worker.clips["clip"].tolist() == clips["clip"].tolist()
    codes = dict(zip(one_worker.clips["class_name"], one_worker.clips["label"], strict=True))
    assert codes == {
        "anthropophony": 0,
        "biophony": 1,
        "geophony": 2,
        "interference": 3,
        "quiet": 4,
    }
    assert one_worker.metadata["backbone"] == BACKBONE
    assert one_worker.metadata["weights_sha256"] == load(BACKBONE).weights_sha256
    assert one_worker.metadata["published"] is False
    assert one_worker.metadata["recipe"]["colormap"] == "viridis"  # type: ignore[index]
    assert "torch" in one_worker.metadata["packages"]  # type: ignore[operator]


def test_each_row_is_the_vector_of_its_own_clip(
    demo: Path, clips: pd.DataFrame, one_worker: EmbeddingTable
) -> None:
    backbone = load(BACKBONE)
    for row in (0, 7, 19):
        wave = read_mono(demo / clips["file"].iloc[row], RECIPE.sample_rate_hz)
        image = torch.from_numpy(picture(wave, RECIPE, backbone.image_size))
        expected = backbone(image[None])[0].numpy()
        np.testing.assert_allclose(one_worker.vectors[row], expected, atol=1e-3)
        distance = np.abs(one_worker.vectors - expected).sum(axis=1)
        assert distance.argmin() == row


def test_two_workers_give_the_same_bytes_and_show_progress(
    demo: Path,
    clips: pd.DataFrame,
    one_worker: EmbeddingTable,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    two = embed(demo, clips, RECIPE, BACKBONE, batch_size=3, workers=2)
    write(tmp_path / "one.parquet", one_worker)
    write(tmp_path / "two.parquet", two)
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    out, err = capsys.readouterr()
    assert "20/20" in err
    assert out == ""


def test_an_unreadable_file_is_named(demo: Path, clips: pd.DataFrame, tmp_path: Path) -> None:
    bad = tmp_path / "broken.wav"
    bad.write_bytes((demo / clips["file"].iloc[0]).read_bytes()[:5000])
    listed = clips.assign(file=[*clips["file"][:-1], str(bad)])
    with pytest.raises(UserError, match=r"broken\.wav: the file is truncated"):
        embed(demo, listed, RECIPE, BACKBONE, batch_size=8)


def test_an_unknown_backbone_is_refused_at_once(demo: Path, clips: pd.DataFrame) -> None:
    with pytest.raises(UserError, match="vgg"):
        embed(demo, clips, RECIPE, "vgg")


def test_after_a_kill_finished_batches_are_kept_and_the_bytes_are_the_same(
    demo: Path, clips: pd.DataFrame, one_worker: EmbeddingTable, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    asked = {"batch_size": 3, "workers": 1, "scratch": scratch}
    context = multiprocessing.get_context("spawn")
    first = context.Process(target=embed, args=(demo, clips, RECIPE, BACKBONE), kwargs=asked)
    first.start()
    deadline = time.monotonic() + 60
    while len(list(scratch.glob("??????.npy"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    kept = {path: path.stat().st_mtime_ns for path in scratch.glob("??????.npy")}
    assert 2 <= len(kept) < 7
    again = embed(demo, clips, RECIPE, BACKBONE, **asked)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    write(tmp_path / "again.parquet", again)
    write(tmp_path / "one.parquet", one_worker)
    assert (tmp_path / "again.parquet").read_bytes() == (tmp_path / "one.parquet").read_bytes()


def test_a_ready_picture_is_taken_as_it_is(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    for name in ("a/x.png", "b/y.png"):
        (tmp_path / name).parent.mkdir()
        Image.fromarray(pixels).save(tmp_path / name)
    listed = list_clips(tmp_path, files=["a/x.png", "b/y.png"])
    table = embed(tmp_path, listed, RECIPE, BACKBONE)
    expected = load(BACKBONE)(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)
    np.testing.assert_allclose(table.vectors[[0]], expected, rtol=0, atol=1e-3)
    (tmp_path / "a/x.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"x\.png: cannot decode"):
        embed(tmp_path, listed, RECIPE, BACKBONE)
