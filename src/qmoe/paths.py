"""Where the pipeline puts its files, relative to the project's folder."""

from pathlib import Path

AUDIO = Path("data/audio")
ARCHIVES = Path("data/archives")
EMBEDDINGS = Path("data/embeddings")
CELLS = Path("results/cells")
PACKED = Path("results/packed")
MEASUREMENTS = Path("results/measurements")
SUMMARIES = Path("results/summaries")
ATTIC = Path("results/attic")
NOTEBOOK = Path("notebooks/paper.ipynb")
CHECK = "check.json"  # the last file in the folder of a packed model
CELL_FILES = ("scores.json", "predictions.parquet", "model.safetensors", "history.csv")


def is_complete(cell: Path) -> bool:
    """Return whether every file of a cell is there. They appear whole, the scores last."""
    return all((cell / name).is_file() for name in CELL_FILES)
