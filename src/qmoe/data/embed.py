"""Embedding of clips, in parallel, with the same bytes for any number of workers."""

import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from qmoe.data.audio import Recipe, picture, read_mono, read_picture
from qmoe.data.backbones import Backbone, load
from qmoe.data.clips import PICTURES
from qmoe.data.table import EmbeddingTable

_load_once = cache(load)
_PACKAGES = ("numpy", "torch", "librosa", "soundfile", "soxr", "matplotlib")


def embed(
    folder: Path,
    clips: pd.DataFrame,
    recipe: Recipe,
    backbone_name: str,
    *,
    published: bool = False,
    batch_size: int = 16,
    workers: int = 1,
    scratch: Path | None = None,
) -> EmbeddingTable:
    """Return the table of embeddings of clips (from `list_clips`), with a progress bar on stderr.
    Labels are the alphabetical codes of class_name. Batches are fixed and each worker is one
    thread, so that the vectors do not depend on `workers`. A killed run goes on from the finished
    batches in `scratch`, a folder for these arguments alone, which the caller removes. Raises
    UserError where a file cannot be read, or the backbone (see `backbones.load`) not loaded."""
    backbone = _load_once(backbone_name, published=published)
    files = [folder / file for file in clips["file"]]
    work = partial(_embed_or_read, recipe=recipe, backbone=backbone)
    vectors = _in_batches(files, work, batch_size, workers, scratch)
    classes = sorted(clips["class_name"].unique())
    label = clips["class_name"].map({name: code for code, name in enumerate(classes)})
    columns = ["clip", "recording", "fold", "label", "class_name"]
    metadata: dict[str, object] = {
        "backbone": backbone_name,
        "published": published,
        "weights_sha256": backbone.weights_sha256,
        "recipe": asdict(recipe),
        "packages": {name: version(name) for name in _PACKAGES},
    }
    return EmbeddingTable(clips.assign(label=label.astype("int64"))[columns], vectors, metadata)


def _in_batches(
    files: list[Path],
    work: Callable[[list[Path], Path | None], NDArray[np.float32]],
    batch_size: int,
    workers: int,
    scratch: Path | None,
) -> NDArray[np.float32]:
    if scratch:
        scratch.mkdir(parents=True, exist_ok=True)
    batches = [files[at : at + batch_size] for at in range(0, len(files), batch_size)]
    parts = [scratch / f"{number:06d}.npy" if scratch else None for number in range(len(batches))]
    vectors = []
    with (
        _one_thread_each(),
        ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool,
        tqdm(total=len(files), desc="embed", unit="clip", file=sys.stderr) as bar,
    ):
        try:
            for part in pool.map(work, batches, parts):
                vectors.append(part)
                bar.update(len(part))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return np.concatenate(vectors)


def embed_files(
    files: list[Path], recipe: Recipe, backbone_name: str, *, published: bool
) -> NDArray[np.float32]:
    """Return vectors (N, D) of audio files or pictures, embedded as one batch; see `embed`."""
    backbone = _load_once(backbone_name, published=published)
    return _embed_or_read(files, None, recipe, backbone)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Limit every library to one thread for each worker, and lift the limit at the end."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def _embed_or_read(
    files: list[Path], part: Path | None, recipe: Recipe, backbone: Backbone
) -> NDArray[np.float32]:
    if part and part.exists():
        done: NDArray[np.float32] = np.load(part)
        return done
    pictures = np.stack([_picture(file, recipe, backbone.image_size) for file in files])
    vectors: NDArray[np.float32] = backbone.embed(torch.from_numpy(pictures)).numpy()
    if part:
        draft = part.with_suffix(f".{os.getpid()}.npy")
        np.save(draft, vectors)
        draft.replace(part)
    return vectors


def _picture(file: Path, recipe: Recipe, size: int) -> NDArray[np.float32]:
    if file.suffix.lower() in PICTURES:
        return read_picture(file, size)
    return picture(read_mono(file, recipe.sample_rate_hz), recipe, size)
