"""The notebook run by papermill, and as one HTML file that needs no network."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
import papermill
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError

from referee.errors import InputError

TEMPLATES = Path(__file__).parent / "templates"
ASSETS = {"style": "style.css", "script": "page.js"}
TIMES = ("start_time", "end_time", "duration")


def run(notebook: Path, results: Path) -> Any:
    """The notebook with its outputs: the same bytes for the same results, so without times.

    Raises:
        InputError: it is not there, or a cell fails.

    """
    if not notebook.exists():
        raise InputError(f"{notebook} is not here: run this in the project's folder")
    with TemporaryDirectory() as folder:
        out = Path(folder) / notebook.name
        try:
            papermill.execute_notebook(
                str(notebook),
                str(out),
                parameters={"results": str(results)},
                kernel_name="python3",
                progress_bar=False,
            )
        except PapermillExecutionError as error:
            raise InputError(
                f"{notebook}, cell {error.cell_index + 1}: {error.ename}: {error.evalue}"
            ) from None
        run = nbformat.read(out, as_version=4)
    for name in (*TIMES, "input_path", "output_path"):
        run.metadata["papermill"].pop(name, None)
    for number, cell in enumerate(run.cells):
        cell["id"] = f"cell-{number}"
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
    return run


def to_html(notebook: Any) -> str:
    """The page: words, tables and figures, each cell's code folded away."""
    exporter = HTMLExporter(
        template_name="notebook",
        extra_template_basedirs=[str(TEMPLATES)],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    own = {name: (TEMPLATES / file).read_text(encoding="utf-8") for name, file in ASSETS.items()}
    html, _ = exporter.from_notebook_node(notebook, resources=own)
    return str(html)
