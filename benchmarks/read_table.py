"""Measure the time to read a table of embeddings of the size of UrbanSound8K's.

No page quotes the figure: run it after a change of the file format, with
`python benchmarks/read_table.py`.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from qmoe.data.table import EmbeddingTable, read, write

CLIPS, DIMENSION, REPEATS = 8732, 1536, 9

rng = np.random.default_rng(0)
labels = np.arange(CLIPS) % 10
clips = pd.DataFrame(
    {
        "clip": [f"clip-{i}" for i in range(CLIPS)],
        "recording": [f"recording-{i // 4}" for i in range(CLIPS)],
        "fold": pd.array(np.arange(CLIPS) % 10 + 1, "Int64"),
        "label": labels,
        "class_name": [f"class-{label}" for label in labels],
    }
)
table = EmbeddingTable(clips, rng.normal(size=(CLIPS, DIMENSION)).astype(np.float32), {})
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "table.parquet"
    write(path, table)
    times_s = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        read(path)
        times_s.append(time.perf_counter() - start)
    size_mb = path.stat().st_size / 1e6
print(f"read {CLIPS} x {DIMENSION}: median {statistics.median(times_s):.3f} s, {size_mb:.1f} MB")
