"""The cost of a grid, against sums by hand."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Project, copy_project

from qmoe.config import load, merge
from qmoe.estimate import cost_s, estimate
from qmoe.grid import Grid

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


def test_trained_cells_tell_the_cost(here: Path) -> None:
    grid = Grid(load(PARAMS))
    logs = here / "logs/train"
    logs.mkdir(parents=True)
    lines = [f"{e.cell(f)} {len(e.experts) * 2 * 322 / 370:.6f} s" for e, f in grid.runs]
    (logs / "1-train-0000.log").write_text("\n".join(lines[:50]))  # twice the default time
    (logs / "1-train-0001.log").write_text("a warning\n" + "\n".join(lines[50:60]) + "\nkilled")
    table, basis = estimate(grid, [grid])
    assert table["train_core_h"].sum() == pytest.approx(644 / 3600)
    assert "cells in the logs of logs/train" in basis
    of_another = Grid(load(merge(PARAMS, {"split_seed": 1})))
    assert estimate(grid, [of_another])[0]["train_core_h"].sum() == pytest.approx(322 / 3600)


def test_the_cost_of_a_cell_grows_with_its_networks_and_adds_up_to_that_of_the_grid() -> None:
    grid = Grid(load(PARAMS))
    costs_s = cost_s(grid, grid.runs)
    assert sum(costs_s) == pytest.approx(322)
    by_experts = {len(e.experts): cost for (e, _), cost in zip(grid.runs, costs_s, strict=True)}
    assert by_experts[4] == pytest.approx(4 * by_experts[1])


def test_snakemake_starts_without_the_libraries_of_data_and_training() -> None:
    """Each of them takes up to two seconds to import, at every start, even with nothing to do."""
    modules = "qmoe.estimate, qmoe.workflow, qmoe.config, referee.paper"
    slow = {"matplotlib", "pandas", "pyarrow", "scipy", "sklearn", "torch"}
    code = f"import sys, {modules}; print({slow} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_the_command_takes_overlays(here: Path) -> None:
    project: Project = copy_project(here)
    shutil.copytree(ROOT / "configs", here / "configs")
    (here / "one.yaml").write_text("grid: {datasets: [quinn], seeds: [0]}")
    files = ["params.yaml", "configs/paper.yaml"]
    said = project.run("qmoe", "estimate", *files, "one.yaml")
    assert "320 cells" in said and "quinn" in said and "urbansound8k" not in said
    said = project.run("qmoe", "estimate", "params.yaml", "configs/none.yaml", check=False)
    assert "configs/none.yaml is not here" in said and "Traceback" not in said
