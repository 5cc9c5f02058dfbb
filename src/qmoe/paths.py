"""Where the pipeline puts its files, relative to the project's folder."""

from pathlib import Path

AUDIO = Path("data/audio")
ARCHIVES = Path("data/archives")
EMBEDDINGS = Path("data/embeddings")
RESULTS = Path("results")
CELLS = Path("results/cells")
PACKED = Path("results/packed")
MEASUREMENTS = Path("results/measurements")
SUMMARIES = Path("results/summaries")
ORDERS = Path(".store/orders")  # what each job of a run is to make
PARAMETERS = Path("results/params")  # the resolved parameters of each run
GRID = Path("results/grid.json")  # the experiments that results/ is of
DATASETS = Path("results/datasets.json")  # the clips and tables that they need
DAMAGED = Path("results/damaged")  # files that were not as their records say
STORE = Path(".store")
KEPT = (AUDIO, EMBEDDINGS, CELLS, PACKED, MEASUREMENTS)  # what the store keeps
NOTEBOOK = Path("notebooks/paper.ipynb")
SPEC = "spec.json"
RECORD = "provenance.json"
MANIFEST = "manifest.json"  # of a packed model
CHECK = "check.json"  # of a packed model: how it agrees with the trained one
CHECK_RECORD = "check.provenance.json"
SCORES = "scores.json"  # the file of a cell that is written last
CELL_FILES = (SCORES, "predictions.parquet", "model.safetensors", "history.csv")
