"""A LaTeX document of a run: the tables and the pictures, with their captions.

Needs what every LaTeX has: article, booktabs, geometry, graphicx, pdflscape.
"""

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path

from records.record import require_whole
from referee.errors import InputError

COLUMNS = 10  # more than these lie on their side
ROWS = {False: 46, True: 30}  # of a page, by whether it lies on its side
TEXT = {"\\": "backslash", "~": "asciitilde", "^": "asciicircum", "|": "bar"}
MATH = {"±": r"\pm", "×": r"\times", "÷": r"\div", "≤": r"\leq", "≥": r"\geq", "α": r"\alpha"}
MATH |= {"ρ": r"\rho", "µ": r"\mu", "<": "<", ">": ">", "−": "-"}
SIGNS = str.maketrans(
    {sign: f"\\{sign}" for sign in "%_&#${}"}
    | {sign: f"\\text{name}{{}}" for sign, name in TEXT.items()}
    | {sign: f"${name}$" for sign, name in MATH.items()}
)

PREAMBLE = r"""\documentclass[10pt,a4paper]{article}
\usepackage[utf8]{inputenc}
\usepackage[margin=20mm]{geometry}
\usepackage{booktabs,graphicx,pdflscape}
\newsavebox{\wide}
% As wide as it is, or as the line where that is narrower.
\newcommand{\fitted}[1]{\sbox{\wide}{#1}%
  \ifdim\wd\wide>\linewidth\resizebox{\linewidth}{!}{\usebox{\wide}}\else\usebox{\wide}\fi}
"""
FIGURE = r"""\begin{figure}[p]
\centering
\includegraphics[width=\linewidth,height=0.8\textheight,keepaspectratio]{%s}
\caption{%s}
\end{figure}"""


def escape(text: str) -> str:
    """Plain text for LaTeX: every sign with a meaning there, and those that its fonts lack."""
    return text.translate(SIGNS)


def document(tables: Sequence[Path], figures: Path, folder: Path) -> str:
    """The document of tables (.tex files) and `figures.json`, to be compiled in `folder`.

    The pictures of single experiments are left out. Raises InputError where a file is missing or
    is no table.
    """
    body = [_table(path) for path in tables]
    for entry in json.loads(_read(figures)):
        if entry["section"] != "experiments":
            picture = Path(os.path.relpath(figures.parent / f"{entry['name']}.pdf", folder))
            body.append(FIGURE % (picture.as_posix(), escape(entry["caption"])))
    parts = "\n\n".join(body)
    return f"{PREAMBLE}\\begin{{document}}\n{parts}\n\\end{{document}}\n"


def _read(path: Path) -> str:
    if not path.exists():
        raise InputError(f"{path} is not here: `snakemake -j8` makes it")
    require_whole(path)
    return path.read_text(encoding="utf-8")


def _table(path: Path) -> str:
    """A table, cut into pages that repeat its head; a wide one lies on its side, made to fit."""
    pattern = (
        r"\\caption\{(?:Table (?P<number>\d+)|Supplementary)\. (?P<caption>.*)\}\n"
        r"\\begin\{tabular\}\{(?P<columns>\w+)\}\n"
        r"(?P<head>.*?\\midrule\n)(?P<rows>.*?)\\bottomrule"
    )
    match = re.search(pattern, _read(path), re.DOTALL)
    if match is None:
        raise InputError(
            f"{path} is no table of this project: `snakemake -j8 tables` makes it anew"
        )
    columns, head = match["columns"], match["head"]
    rows = match["rows"].splitlines(keepends=True)
    sideways = len(columns) > COLUMNS
    number = f"\\renewcommand{{\\thetable}}{{{match['number'] or 'S1'}}}"  # as the paper's
    pages = []
    for at in range(0, max(len(rows), 1), ROWS[sideways]):
        caption = match["caption"] if at == 0 else "(continued)"
        inner = "".join(rows[at : at + ROWS[sideways]])
        pages.append(
            f"\\begin{{table}}[p]\n\\centering\n{number}\n\\caption{{{caption}}}\n"
            f"\\fitted{{\\begin{{tabular}}{{{columns}}}\n{head}{inner}\\bottomrule\n"
            "\\end{tabular}}\n\\end{table}"
        )
    text = "\n".join(pages)
    return f"\\begin{{landscape}}\n{text}\n\\end{{landscape}}" if sideways else text
