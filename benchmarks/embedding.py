"""Embedding from audio beside the network's own forward pass on ready pictures, in turns.

    python benchmarks/embedding.py FOLDER [--workers 2] [--clips 400] [--rounds 5]

Prints clips per second of both and their ratio (bar: 0.7). FOLDER holds ESC-10 or other audio.
"""

import argparse
import io
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from qmoe.data import embed as embedding
from qmoe.data.audio import Recipe, picture, read_mono
from qmoe.data.backbones import load
from qmoe.data.clips import list_clips

parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("folder", type=Path)
parser.add_argument("--workers", type=int, default=2)
parser.add_argument("--clips", type=int, default=400)
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--backbone", default="efficientnet_lite0")
options = parser.parse_args()

torch.set_num_threads(1)
recipe = Recipe(22050, 5.0, 2048, 512, 128, 20.0, 11025.0, 80.0, "viridis")
clips = list_clips(options.folder, name_pattern="esc")
clips = clips.iloc[:: max(1, len(clips) // options.clips)][: options.clips]
backbone = load(options.backbone)
waves = [read_mono(options.folder / file, recipe.sample_rate_hz) for file in clips["file"]]
images = [torch.from_numpy(picture(wave, recipe, backbone.image_size)) for wave in waves]
batches = [torch.stack(images[at : at + 32]) for at in range(0, len(images), 32)]


def forward() -> None:
    """The network alone, on as many threads."""
    start = dict(initializer=torch.set_num_threads, initargs=(1,))
    with ThreadPoolExecutor(options.workers, **start) as pool:
        list(pool.map(backbone.embed, batches))


def from_audio() -> None:
    """Decode, resample, draw, and the network."""
    silent, sys.stderr = sys.stderr, io.StringIO()
    embedding.embed(options.folder, clips, recipe, options.backbone, workers=options.workers)
    sys.stderr = silent


def seconds(run: object) -> float:
    """Wall time of one call."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


ratios = []
for _ in range(options.rounds):
    forward_s, audio_s = seconds(forward), seconds(from_audio)
    ratios.append(forward_s / audio_s)
    print(f"{len(clips) / audio_s:6.1f} clips/s from audio, {len(clips) / forward_s:6.1f} of the "
          f"network alone, ratio {ratios[-1]:.2f}", flush=True)  # fmt: skip
print(f"median ratio {statistics.median(ratios):.2f}, {options.workers} workers")
