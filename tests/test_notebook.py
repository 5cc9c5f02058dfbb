"""A notebook is run with the parameters that it is given, and records no times."""

from pathlib import Path
from typing import Any

import nbformat
import pytest

from referee.errors import InputError
from referee.report import notebook


def written(folder: Path, code: str) -> Path:
    """A notebook of a cell of parameters and a cell of code."""
    made: Any = nbformat.v4.new_notebook()
    made.cells = [nbformat.v4.new_code_cell("results = 'here'"), nbformat.v4.new_code_cell(code)]
    made.cells[0].metadata["tags"] = ["parameters"]
    made.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    path = folder / "story.ipynb"
    nbformat.write(made, path)
    return path


def test_it_gets_its_parameters_and_is_the_same_bytes_again(tmp_path: Path) -> None:
    path = written(tmp_path, "print(results)")
    made = notebook.run(path, {"results": "there"})
    assert made.cells[-1].outputs[0].text == "there\n"
    assert nbformat.writes(made) == nbformat.writes(notebook.run(path, {"results": "there"}))
    assert "there" in notebook.to_html(made)


def test_a_cell_that_fails_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, "1 / 0")
    with pytest.raises(InputError, match=r"story\.ipynb, cell 3: ZeroDivisionError"):
        notebook.run(path, {"results": "there"})
    with pytest.raises(InputError, match="is not here"):
        notebook.run(tmp_path / "absent.ipynb", {})
