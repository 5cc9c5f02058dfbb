"""Where the judge and the paper are, and keys of the files that the judge makes from a run. The
judge's code is hashed and not imported: expanding the grid must stay fast."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from qmoe.config import PAPER
from qmoe.keys import key, sha256, source_key, versions
from qmoe.paths import NOTEBOOK

CODE = Path(str(find_spec("referee").origin)).parent  # type: ignore[union-attr]
_SHOWING = ("explain", "figures", "report")  # subpackages of referee that do not affect the tables


def paper_folder(paper: str = PAPER) -> Path:
    """Return the folder of a paper, below the current folder or else beside this package's source.
    `paper` is its path, as in the key `paper` of params.yaml."""
    here, beside = Path(paper), Path(__file__).parents[2] / paper
    return here if here.exists() or not beside.exists() else beside


def tables_key(run: Any, paper: str) -> str:
    """Return the key of tables, verdicts and the audit: of the run, the code and the paper."""
    rooms = sorted(p.name for p in CODE.iterdir() if p.is_dir() and p.name not in _SHOWING)
    code = [
        source_key("describe.py"),  # what the judge is told of the run
        source_key("*.py", *(f"{room}/*.py" for room in rooms), root=CODE),
    ]
    data = [path for room in rooms for path in (CODE / room).glob("*.yaml")]
    return key([run, code, _hashes([*data, *paper_folder(paper).glob("*.*")])])


def figures_key(tables: str) -> str:
    """Return the key of the figures that are drawn from the tables with the key `tables`."""
    style = _hashes((CODE / "figures").glob("*.mplstyle"))
    code = source_key("figures/*.py", root=CODE)
    return key([tables, code, style, versions("matplotlib", "pillow")])


def report_key(figures: str) -> str:
    """Return the key of the results page and the notebook, from the key of the figures."""
    files = _hashes([*(CODE / "report/templates").rglob("*"), NOTEBOOK])
    code = source_key("report/*.py", root=CODE)
    return key([figures, code, files, versions("jinja2", "nbconvert")])


def _hashes(files: Iterable[Path]) -> list[str]:
    return sorted(sha256(path) for path in files if path.is_file())
