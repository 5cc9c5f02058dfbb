"""Compare the speed of embedding audio files with that of the image network alone.

    python benchmarks/embedding.py FOLDER [--workers 2] [--clips 400] [--rounds 5]

It gives the speed of embedding in docs/data.md. Embedding and the network's forward pass on
finished pictures run in turns; the script prints the clips per second of both and their ratio,
which should be at least 0.7. The ratio of processor times is less disturbed by other programs than
that of wall times. FOLDER holds ESC-10, or clips that are named in the same way. The audio format
matters: libvorbis takes 5 ms to decode five seconds of Vorbis, PCM takes 0.3 ms.
"""

import argparse
import contextlib
import io
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from qmoe.data.audio import Recipe, picture, read_mono
from qmoe.data.backbones import load
from qmoe.data.clips import list_clips
from qmoe.data.embed import embed

BATCH_SIZE = 16

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
batches = [torch.stack(images[at : at + BATCH_SIZE]) for at in range(0, len(images), BATCH_SIZE)]


def forward() -> None:
    """Run the network alone, with as many threads as the embedding has."""
    with ThreadPoolExecutor(options.workers, "", torch.set_num_threads, (1,)) as pool:
        list(pool.map(backbone.embed, batches))


def from_audio() -> None:
    """Embed the files: decode, resample, draw the picture and run the network."""
    with contextlib.redirect_stderr(io.StringIO()):
        embed(
            options.folder,
            clips,
            recipe,
            options.backbone,
            batch_size=BATCH_SIZE,
            workers=options.workers,
        )


def seconds(run: Callable[[], None]) -> tuple[float, float]:
    """Return the wall time and the processor time of one call, both in seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - wall, time.process_time() - processor


from_audio()  # once, to load the network
rounds = []
for _ in range(options.rounds):
    (alone_s, alone_cpu_s), (audio_s, audio_cpu_s) = seconds(forward), seconds(from_audio)
    rounds.append((alone_s / audio_s, alone_cpu_s / audio_cpu_s))
    print(
        f"{len(clips) / audio_s:.1f} clips/s from audio, {len(clips) / alone_s:.1f} clips/s with "
        f"the network alone: ratio {rounds[-1][0]:.2f}, of processor times {rounds[-1][1]:.2f}",
        flush=True,
    )
wall, processor = (statistics.median(column) for column in zip(*rounds, strict=True))
print(
    f"median ratio with {options.workers} workers: {wall:.2f}, of processor times {processor:.2f}"
)
