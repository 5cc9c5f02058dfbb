"""The cost of a grid, against sums by hand."""

import json
import shutil
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Project, copy_project

from qmoe.config import load, merge
from qmoe.estimate import estimate
from qmoe.grid import Grid
from qmoe.paths import CELL_FILES

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_default_run_costs_what_was_measured() -> None:
    table, basis = estimate(Grid(load(PARAMS)), [])
    (row,) = table.to_dict("records")
    assert (row["clips"], row["cells"]) == (160, 170)
    assert row["train_core_h"] == pytest.approx(322 / 3600)
    assert row["cells_gb"] == pytest.approx(1.6, rel=0.05)  # of that run on the disk: 1.61
    assert row["embeddings_gb"] == pytest.approx(160 * 1280 * 4 / 1e9)
    assert "default run" in basis


def test_the_paper_is_counted_by_hand() -> None:
    over = yaml.safe_load((ROOT / "configs/paper.yaml").read_text())
    table, _ = estimate(Grid(load(merge(PARAMS, over))), [])
    rows = table.set_index("dataset")
    arms = 8 + 4 * (1 + 2 + 2 + 1)  # singles; four mixtures, plain and under five curiosities
    assert rows["cells"].to_dict() == {
        "esc50": arms * 3 * (5 + 5),
        "quinn": arms * 3 * (5 + 5),
        "urbansound8k": arms * 3 * (5 + 10),
    }
    # as published 5 x 4/5 of the clips, corrected 10 x 9/10 of them, against 2 x 5 x 4/5
    ratio = rows["train_core_h"]["urbansound8k"] / rows["train_core_h"]["esc50"]
    assert ratio == pytest.approx(8732 * (4 + 9) / (2000 * (4 + 4)))


def test_finished_jobs_tell_the_cost(here: Path) -> None:
    grid = Grid(load(merge(PARAMS, {"experiments_per_job": 34})))
    for cell in grid.cells:
        cell.mkdir(parents=True)
        for name in CELL_FILES:
            (cell / name).touch()
    (here / "logs/train").mkdir(parents=True)
    log = here / "logs/train/demo_0.tsv"
    log.write_text("s\tcpu_time\n70\t644\n")  # the whole grid, in twice its default time
    table, basis = estimate(grid, [grid])
    assert table["train_core_h"].sum() == pytest.approx(644 / 3600)
    assert "1 finished jobs" in basis
    shutil.rmtree(grid.cells[0])  # a job with a cell missing tells nothing
    assert estimate(grid, [grid])[0]["train_core_h"].sum() == pytest.approx(322 / 3600)


def test_the_command_takes_overlays_and_settings(here: Path) -> None:
    project: Project = copy_project(here)
    shutil.copytree(ROOT / "configs", here / "configs")
    one = json.dumps({"grid": {"datasets": ["quinn"], "seeds": [0]}})
    said = project.run("qmoe", "estimate", "configs/paper.yaml", "--set", one)
    assert "320 cells" in said and "quinn" in said and "urbansound8k" not in said
    said = project.run("qmoe", "estimate", "configs/none.yaml", check=False)
    assert "configs/none.yaml is not here" in said and "Traceback" not in said
