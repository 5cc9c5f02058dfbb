"""What is read of a cell: only what its record, its place and its predictions bear out."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from conftest import TINY, authors_csv, parameters

from qmoe import cells, collect
from qmoe.config import merge
from qmoe.data import sources
from qmoe.errors import UserError
from qmoe.grid import Grid
from qmoe.paths import RECORD, SCORES
from records import files
from records.record import Damaged, read, seal

PREDICTIONS = "predictions.parquet"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of a single network, two folds each."""
    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        torch.set_num_threads(1)
        authors_csv(folder / "data/raw/small.csv")
        grid = of_folder()
        sources.write_table(grid.params, "small", grid.sources["small"], 1)
        for experiment in grid.experiments:
            list(cells.train(experiment.spec, list(experiment.folds), experiment.path))
    return folder


def of_folder() -> Grid:
    few = {"grid": {"expert_sets": ["FP32-Base"], "seeds": [0, 1]}}
    return Grid(parameters(merge(TINY, few)))


@pytest.fixture
def grid(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Grid:
    """The grid, in a copy of the folder that a test may change."""
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return of_folder()


def rewrite(cell: Path, *, scores: dict[str, Any] | None = None, **columns: Any) -> None:
    """Change scores, or columns of the predictions, and seal the cell as if it had been trained."""
    told = json.loads((cell / SCORES).read_bytes()) | (scores or {})
    files.write(cell / SCORES, json.dumps({k: v for k, v in told.items() if v is not None}))
    predictions = pd.read_parquet(cell / PREDICTIONS).assign(**columns)
    predictions.to_parquet(cell / PREDICTIONS, index=False)
    written = read(cell / RECORD)
    seal(cell / RECORD, written["key"], [cell / name for name in written["files"]])


def test_every_cell_is_a_row_with_its_scores(grid: Grid) -> None:
    rows = collect.collect(grid)
    assert len(rows) == 4
    for row in rows.to_dict("records"):
        told = json.loads(Path(row["cell"], SCORES).read_bytes())
        assert row["f1_weighted"] == told["f1_weighted"]
        assert row["embeddings_sha256"] == told["embeddings_sha256"]
        assert (row["model"], f"fold{row['fold']}") == ("FP32-Base", Path(row["cell"]).name)


def test_scores_do_not_tell_which_cell_they_are_of(grid: Grid) -> None:
    before = collect.collect(grid)
    of_others = {"arm": "Better", "model": "Better", "fold": 7, "seed": 9, "cell": "elsewhere"}
    rewrite(grid.cells[0], scores=of_others)
    pd.testing.assert_frame_equal(collect.collect(grid), before)


@pytest.mark.parametrize(
    "damage",
    [
        lambda cell, other: (cell / PREDICTIONS).write_bytes(b""),
        lambda cell, other: (cell / SCORES).write_text("{}"),
        lambda cell, other: (cell / RECORD).unlink(),
        lambda cell, other: (cell / RECORD).write_text("{}"),
        lambda cell, other: shutil.copy(other / PREDICTIONS, cell / PREDICTIONS),
        lambda cell, other: shutil.copytree(other, cell, dirs_exist_ok=True),
        lambda cell, other: rewrite(cell, scores={"f1_weighted": 1.0}),
        lambda cell, other: rewrite(cell, scores={"f1_weighted": float("nan")}),
        lambda cell, other: rewrite(cell, scores={"accuracy": 0.123}),
        lambda cell, other: rewrite(cell, scores={"n_test": 13}),
        lambda cell, other: rewrite(cell, p_0=1.0, p_1=0.0),
    ],
    ids=[
        "empty predictions", "other scores", "no record", "damaged record",
        "predictions of another cell", "all files of another cell",
        "F1 of its own", "F1 that is no number", "accuracy of its own", "count of its own",
        "probabilities of another class",
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["of another fold", "of another seed"])
def test_a_cell_that_does_not_bear_itself_out_is_named(
    grid: Grid, damage: Callable[[Path, Path], object], kind: str
) -> None:
    cell, other = grid.cells[0], grid.cells[1 if kind == "of another fold" else 2]
    damage(cell, other)
    with pytest.raises(Damaged, match=str(cell)):
        collect.collect(grid)
    for experiment, fold in grid.runs[1:]:
        assert collect.read_scores(experiment, fold)["n_test"] == 12


def test_a_forged_prediction_does_not_raise_the_score(grid: Grid) -> None:
    """F1 of 1.0 beside predictions that are all right, but are not the most probable classes."""
    truth = pd.read_parquet(grid.cells[0] / PREDICTIONS)["label"]
    right = {"f1_weighted": 1.0, "accuracy": 1.0}
    rewrite(grid.cells[0], scores=right, prediction=truth)
    with pytest.raises(Damaged, match=str(grid.cells[0])):
        collect.collect(grid)


def test_missing_cells_are_counted_and_named(grid: Grid) -> None:
    (grid.cells[2] / SCORES).unlink()
    with pytest.raises(UserError, match="1 of 4 cells") as error:
        collect.collect(grid)
    assert str(grid.cells[2]) in str(error.value)


def test_a_cell_of_other_embeddings_than_those_on_disk_is_named(grid: Grid) -> None:
    table = grid.sources["small"].table
    table.with_suffix(f".{RECORD}").unlink(missing_ok=True)
    table.write_bytes(table.read_bytes() + b"0")
    with pytest.raises(UserError, match="other embeddings"):
        collect.collect(grid)


def test_tables_have_a_record_of_themselves_and_their_summaries(grid: Grid) -> None:
    rows = collect.collect(grid)
    summaries = collect.write_summaries(grid, rows)
    collect.write(Path("results/cells.csv"), rows, "k", summaries)
    record = read(Path("results/cells.provenance.json"))
    assert record["key"] == "k"
    assert record["files"].keys() == {
        "cells.csv", *(path.relative_to("results").as_posix() for path in summaries),
    }  # fmt: skip
    stale = summaries[0].parents[1] / "seed7/summary.json"
    files.write(stale, "{}")
    collect.write_summaries(grid, rows)
    assert not stale.exists()
