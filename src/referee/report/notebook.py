"""A notebook, run on the files of a finished run, and as one HTML file that needs no network."""

from pathlib import Path
from typing import Any

import papermill
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError

from referee.errors import InputError

TEMPLATES = Path(__file__).parent / "templates"


def run(notebook: Path, parameters: dict[str, str]) -> Any:
    """Run a notebook; `parameters` replace those in its cell tagged `parameters`.

    Returns the notebook with its outputs, as nbformat reads it; it records no times, so the same
    results give the same bytes. Raises InputError where the notebook is missing or a cell fails.
    """
    if not notebook.exists():
        raise InputError(f"{notebook} is not here: run this in the project's folder")
    try:
        made = papermill.execute_notebook(
            notebook, None, parameters=parameters, kernel_name="python3", progress_bar=False
        )
    except PapermillExecutionError as error:
        where = f"{notebook}, cell {error.cell_index + 1}"
        raise InputError(f"{where}: {error.ename}: {error.evalue}") from None
    for name in ("start_time", "end_time", "duration", "input_path", "output_path"):
        made.metadata["papermill"].pop(name, None)
    for number, cell in enumerate(made.cells):
        cell["id"] = f"cell-{number}"
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
    return made


def to_html(notebook: Any) -> str:
    """The notebook as a page: words, tables and figures, with the code of each cell folded away."""
    exporter = HTMLExporter(
        template_name="notebook",
        extra_template_basedirs=[str(TEMPLATES)],
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    assets = {"style": "style.css", "script": "page.js"}
    resources = {name: (TEMPLATES / file).read_text("utf-8") for name, file in assets.items()}
    return str(exporter.from_notebook_node(notebook, resources=resources)[0])
