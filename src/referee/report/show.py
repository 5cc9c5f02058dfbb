"""What the notebook displays: sentences, tables and figures as HTML, without links."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
from IPython.display import HTML
from markupsafe import escape

from referee.paper import read as read_paper
from referee.report import parts


def sentences(told: Iterable[str]) -> HTML:
    """A paragraph each."""
    return HTML("\n".join(f"<p>{escape(sentence)}</p>" for sentence in told))


def table(path: Path, title: str) -> HTML:
    """A table of a run, as people read it, under its caption."""
    frame = pd.read_csv(path)
    columns = parts.paper_columns if path.parent.name == "tables" else parts.test_columns
    caption = path.with_suffix(".md").read_text(encoding="utf-8").split("\n", 1)[0]
    shown = parts.linked_table(
        path.stem, title, caption, *columns(frame, read_paper().score), set()
    )
    return HTML(f"<p class='soft'>{escape(caption)}</p>" + _macro("table", shown))


def frame(table: pd.DataFrame, title: str) -> HTML:
    """A small table."""
    return HTML(_macro("table", parts.plain_table(title, table)))


def figures(folder: Path, section: str) -> HTML:
    """The figures of a section, with their captions; nothing where none were made."""
    own = [figure for figure in parts.figures(folder) if figure["section"] == section]
    return HTML("\n".join(_macro("figure", figure) for figure in own))


def _macro(name: str, shown: dict[str, Any]) -> str:
    template = parts.environment().get_template("macros.html.j2")
    return str(getattr(template.module, name)(shown))
