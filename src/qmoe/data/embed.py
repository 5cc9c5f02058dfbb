"""Clips -> embedding table, in parallel, with the same bytes for any number of workers."""

import os
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from functools import cache, partial
from importlib.metadata import version
from multiprocessing import get_context, parent_process
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from qmoe.data.audio import Recipe, picture, read_mono
from qmoe.data.backbones import load
from qmoe.data.table import EmbeddingTable
from qmoe.errors import UserError

_PACKAGES = ("numpy", "torch", "librosa", "soundfile", "soxr", "matplotlib")
_load_once = cache(load)


def embed(
    folder: Path,
    clips: pd.DataFrame,
    recipe: Recipe,
    backbone_name: str,
    *,
    batch_size: int = 32,
    workers: int = 1,
) -> EmbeddingTable:
    """Embed the clips that list_clips(folder) found, in their order.

    Labels are the alphabetical codes of class_name. Batches have a fixed composition and every
    worker process computes on one thread, so the vectors do not depend on `workers`. A progress
    bar goes to stderr. Raises UserError for the first unreadable file, for a backbone that cannot
    be loaded and when a worker dies.
    """
    backbone = _load_once(backbone_name)  # here first: one download, and an early error
    files = [folder / file for file in clips["file"]]
    batches = [files[at : at + batch_size] for at in range(0, len(files), batch_size)]
    work = partial(embed_files, recipe=recipe, backbone_name=backbone_name)
    vectors = []
    with (
        ProcessPoolExecutor(workers, get_context("spawn"), _start_worker) as pool,
        tqdm(total=len(files), desc="embed", unit="clip", file=sys.stderr) as bar,
    ):
        try:
            for part in pool.map(work, batches):
                vectors.append(part)
                bar.update(len(part))
        except BrokenProcessPool as error:
            raise UserError("a worker died, perhaps out of memory; use fewer workers") from error
    classes = sorted(clips["class_name"].unique())
    label = clips["class_name"].map({name: code for code, name in enumerate(classes)})
    columns = ["clip", "recording", "fold", "label", "class_name"]
    metadata: dict[str, object] = {
        "backbone": backbone_name,
        "weights_sha256": backbone.weights_sha256,
        "recipe": asdict(recipe),
        "packages": {name: version(name) for name in _PACKAGES},
    }
    return EmbeddingTable(
        clips.assign(label=label.astype("int64"))[columns], np.concatenate(vectors), metadata
    )


def embed_files(files: list[Path], recipe: Recipe, backbone_name: str) -> NDArray[np.float32]:
    """Embed audio files in one batch and process: (number of files, D)."""
    backbone = _load_once(backbone_name)
    pictures = np.stack(
        [
            picture(read_mono(file, recipe.sample_rate_hz), recipe, backbone.image_size)
            for file in files
        ]
    )
    return np.asarray(backbone.embed(torch.from_numpy(pictures)).numpy())


def _start_worker() -> None:
    torch.set_num_threads(1)
    threadpool_limits(1)
    # An executor's workers outlive a killed parent and would wait for ever.
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = parent_process()
    if parent:
        parent.join()
        os._exit(1)
