"""What a notebook displays: sentences, tables and figures as HTML, without links."""

from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from IPython.display import HTML
from markupsafe import escape

from referee.paper import Paper
from referee.report import parts


def paragraphs(sentences: Iterable[str]) -> HTML:
    """Each sentence as a paragraph."""
    return HTML("\n".join(f"<p>{escape(sentence)}</p>" for sentence in sentences))


def table(results: Path, name: str, paper: Paper) -> HTML:
    """A table of the paper, under its caption; raises InputError where the caption is missing."""
    _, shown = parts.paper_table(results, name, paper)
    return HTML(f"<p class='soft'>{escape(shown['caption'])}</p>" + _macro("table", shown))


def frame(table: pd.DataFrame, title: str) -> HTML:
    """A small table."""
    return HTML(_macro("table", parts.plain_table(title, table)))


def figures(folder: Path, section: str) -> HTML:
    """The figures of a section, with their captions; nothing where none were made."""
    shown = (figure for figure in parts.figures(folder) if figure["section"] == section)
    return HTML("\n".join(_macro("figure", figure) for figure in shown))


def _macro(name: str, shown: parts.Shown) -> str:
    return str(getattr(parts.TEMPLATES.get_template("macros.html.j2").module, name)(shown))
