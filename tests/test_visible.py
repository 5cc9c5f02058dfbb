"""What data/ and results/ show: the grid of the last run, and files that the user put there."""

import json
import shutil
from pathlib import Path

import pytest
from conftest import TINY, authors_csv, parameters

from qmoe import store, verify, visible
from qmoe.config import merge
from qmoe.grid import Grid
from qmoe.paths import DATASETS, GRID, STORE
from records import files

USERS = (
    "data/audio/recordings/one.wav",
    "data/embeddings/notes.txt",
    "data/embeddings/authors-2024051812.csv",  # ten digits, as a key has
    "results/cells/notes.txt",
)


def grid(**changes: object) -> Grid:
    return Grid(parameters(merge(TINY, {"grid": changes})))


def files_of(asked: Grid) -> set[str]:
    """A file for each product of a grid."""
    cells = [cell / "scores.json" for cell in asked.cells]
    packed = [asked.packed(*run) / "check.json" for run in asked.runs]
    specs = [experiment.path / "spec.json" for experiment in asked.experiments]
    measured = [asked.measurements / "latency.csv", asked.sources["small"].table]
    return {str(path) for path in [*cells, *packed, *specs, *measured]}


def shown() -> set[str]:
    folders = (Path("data/audio"), Path("data/embeddings"), Path("results"))
    listings = {str(GRID), str(DATASETS)}
    found = {str(path) for folder in folders for path in folder.rglob("*") if path.is_file()}
    return found - listings


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    authors_csv(Path("data/raw/small.csv"))


def test_only_the_grid_is_shown_and_the_rest_is_kept() -> None:
    wide, narrow = grid(seeds=[0, 1]), grid(seeds=[1], folds=[0])
    for path in [*files_of(wide), *files_of(narrow), *USERS]:
        files.write(Path(path), path)
    visible.show_only(narrow)
    assert shown() == files_of(narrow) | set(USERS)
    assert not list(visible.others(narrow))
    hidden = files_of(wide) - files_of(narrow)
    assert hidden and all((STORE / path).read_text() == path for path in hidden)
    shutil.rmtree("results/cells")
    store.restore(Path("results/cells"))
    assert hidden & shown() == {p for p in hidden if p.startswith("results/cells")}


def test_what_is_kept_is_not_replaced_by_what_is_shown() -> None:
    (cell,) = grid(expert_sets=["FP32-Base"], folds=[0]).cells
    files.write(STORE / cell / "scores.json", "whole")
    files.write(cell / "scores.json", "damaged")
    files.write(cell / "history.csv", "new")
    store.keep_new(Path("results/cells"))
    assert (STORE / cell / "scores.json").read_text() == "whole"
    assert (STORE / cell / "history.csv").read_text() == "new"


def test_listings_differ_only_where_the_grid_does() -> None:
    first, more = visible.listings(grid()), visible.listings(grid(seeds=[0, 1]))
    assert first[DATASETS] == more[DATASETS]  # the clips need not be restored for a seed
    assert len(json.loads(more[GRID])) == 2 * len(json.loads(first[GRID]))
    unused = parameters(merge(TINY, {"expert_sets": {"Another": ["bitnet", 2]}}))
    assert visible.listings(Grid(unused)) == first


def test_a_grid_without_results_misses_its_cells_and_its_table() -> None:
    asked = grid()
    visible.show_only(asked)
    wrong = {str(fault.path): fault.wrong for fault in verify.strangers(asked)}
    record = str(asked.sources["small"].table.with_suffix(".provenance.json"))
    assert wrong == dict.fromkeys([*map(str, asked.cells), record], "is missing")
    strange = {str(fault.path) for fault in verify.strangers(grid(seeds=[0, 1]))}
    assert str(GRID) in strange and str(DATASETS) not in strange
