"""`qmoe progress`: bars of what exists, until all does."""

import io
import re
import threading
from pathlib import Path

import pytest
from conftest import Project

from qmoe.config import read
from qmoe.grid import Grid
from qmoe.progress import parts, watch


def test_the_bars_follow_the_files_and_end_with_the_last(tmp_path: Path) -> None:
    cells = [tmp_path / f"cell{number}" for number in range(4)]
    cells[0].touch()
    text = io.StringIO()
    watching = threading.Thread(target=watch, args=({"cells": cells, "none": []}, 0.01, text))
    watching.start()
    while "none" not in text.getvalue():  # the last of the bars was drawn
        assert watching.is_alive()
    for cell in cells[1:]:
        assert watching.is_alive()
        cell.touch()
    watching.join(timeout=20)
    assert not watching.is_alive()
    shown = re.findall(r"cells[^|]*\|[^|]*\| *(\d)/4 \[\d\d:\d\d<([^,\]]*)", text.getvalue())
    assert shown[0] == ("1", "?") and shown[-1] == ("4", "00:00")


def test_the_files_are_those_that_a_run_makes(
    finished: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.folder)  # where `snakemake tables` has run, nothing was packed
    files = parts(Grid(read()))
    made = {name: [path for path in own if path.exists()] for name, own in files.items()}
    assert made["embeddings"] == files["embeddings"]
    assert made["packed"] == made["measured"] == []
    assert set(made["cells"]) == set(Path().glob("results/cells/**/scores.json"))
    assert len(made["cells"]) == len(files["cells"]) == len(files["packed"]) > 0
