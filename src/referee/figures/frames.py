"""The files of a run as data frames, prepared for the figures."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from referee import contract
from referee.contract import NO_RULE, Measured
from referee.paper import Paper
from referee.paper import read as read_paper
from referee.words import capitalised

KEYS = ["dataset", "protocol", "arm", "label", "experts", "strategy", "alpha", "seed", "fold"]
ARM = ["dataset", "protocol", "label"]
CELL = [*ARM, "seed", "fold"]
CELLS, CLIPS = "results/cells.csv", "results/cells/.../predictions.parquet"
SYNTHETIC = " (synthetic)"  # behind the name of a dataset whose clips are made up


@dataclass(frozen=True)
class RunFiles:
    """Paths of a run; None where something was not made."""

    cells: Path
    packed: Path | None = None
    measurements: Path | None = None  # a folder
    significance: Path | None = None  # a folder
    claims: Path | None = None
    paper: Path | None = None  # a folder; None takes the only one in papers/


@dataclass(frozen=True)
class Frames:
    """Tidy tables of a run; None or absent where something was not made.

    In all of them `dataset` says which data are synthetic; in `cells`, `label` is the arm in short.
    """

    paper: Paper
    cells: pd.DataFrame
    packed: pd.DataFrame | None
    measured: Measured
    measured_files: list[str]  # behind `packed` and `measured`
    claims: pd.DataFrame | None
    significance: dict[str, pd.DataFrame] = field(default_factory=dict)

    @cached_property
    def mixtures(self) -> pd.DataFrame:
        """Cells of mixtures."""
        return self.cells[contract.is_mixture(self.cells)]

    @cached_property
    def clips(self) -> pd.DataFrame:
        """Every test clip of every mixture: `KEYS`, and what `predictions` reads but p."""
        cells = self.mixtures if "cell" in self.cells else self.cells[:0]
        clips = [
            predictions(Path(cell["cell"])).drop(columns=["p"]).assign(**cell[KEYS].to_dict())
            for _, cell in cells.iterrows()
        ]
        empty = pd.DataFrame(columns=[*KEYS, "class", "expert", "gate", "uncertainty"])
        return pd.concat(clips, ignore_index=True) if clips else empty

    @property
    def uncertain(self) -> pd.DataFrame:
        """Clips of routers that estimate their uncertainty."""
        return self.clips[self.clips["uncertainty"].notna()]

    @property
    def score(self) -> str:
        """The score as titles call it: `F1`."""
        return capitalised(self.paper.figures.score or self.paper.score.words)

    @property
    def score_words(self) -> str:
        """The score within a sentence: `weighted F1`."""
        words = self.paper.score.words
        return words if words[:2].isupper() else words[:1].lower() + words[1:]

    @property
    def synthetic(self) -> str:
        """The end of every caption: which data are synthetic."""
        names = self.cells.loc[self.cells["synthetic"], "dataset"].unique()
        each = ", ".join(name.removesuffix(SYNTHETIC) for name in sorted(names))
        return f" {each}: synthetic audio, not the paper's data." if each else ""

    @property
    def count(self) -> str:
        """`n = 5 cells (1 seed x 5 folds)`, or the range over the arms."""
        arms = self.cells.groupby(["dataset", "protocol", "arm"], sort=False)
        n, seeds, folds = arms.size(), arms["seed"].nunique(), arms["fold"].nunique()
        ending = "" if seeds.max() == 1 else "s"
        return f"n = {span(n)} cells ({span(seeds)} seed{ending} x {span(folds)} folds)"


def span(values: "pd.Series[Any]") -> str:
    """The range of some numbers in words: `5`, or `5 to 10`."""
    low, high = values.min(), values.max()
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def predictions(cell: Path) -> pd.DataFrame:
    """Read the clips of a cell, with class names where clips lie in folders of their class.

    Columns: class (a name), label_id and prediction (numbers), expert, gate and uncertainty (NaN
    where the model has none), and p, the row of class probabilities. Raises InputError where the
    file is missing or not as the contract says.
    """
    frame = contract.read_predictions(cell)
    p = frame.filter(regex=r"^p_\d+$").to_numpy(dtype=float)
    folders = frame["clip"].astype(str).str.rpartition("/")[0]
    both = pd.DataFrame({"label": frame["label"], "folder": folders}).drop_duplicates()
    are_classes = (folders != "").all() and both["label"].is_unique and both["folder"].is_unique
    names = folders if are_classes else "class " + frame["label"].astype(str)
    columns = ["label", "prediction", "expert", "gate", "uncertainty"]
    kept = frame.reindex(columns=columns).rename(columns={"label": "label_id"})
    return kept.assign(**{"class": names, "p": list(p)})


def label(paper: Paper, model: str, strategy: str, alpha: float) -> str:
    """Name an arm in short: `Mix a/b rule 0.3`, `Mix a/b plain`, `Single a`."""
    short = model.removesuffix(paper.varied_suffix).removesuffix(paper.mixture_suffix)
    if strategy == NO_RULE:
        return model if short == model else f"{short} plain"
    return f"{short} {strategy}" + ("" if pd.isna(alpha) else f" {alpha:g}")


def read(files: RunFiles) -> Frames:
    """Read what there is of a run; raises InputError where a named file is missing or wrong."""
    paper = read_paper(files.paper)
    cells = _marked(contract.read_scores(files.cells, paper))
    arms = cells[["model", "strategy", "alpha"]].itertuples(index=False)
    columns = contract.PACKED_MODELS
    packed = files.packed and contract.read_table(files.packed, columns, paper.decides)
    measured = contract.read_measurements(files.measurements, paper)
    tables = {what: getattr(measured, what) for what in contract.WHAT}
    there = {what: _marked(table) for what, table in tables.items() if table is not None}
    paths = [files.packed, *((files.measurements or Path()) / f"{what}.csv" for what in there)]
    significance = sorted(files.significance.glob("*.csv")) if files.significance else []
    return Frames(
        paper,
        cells.assign(label=[label(paper, *arm) for arm in arms]),
        packed=None if packed is None else _marked(packed),
        measured=replace(measured, **there),
        measured_files=[path.as_posix() for path in paths if path],
        claims=contract.read_csv(files.claims) if files.claims else None,
        significance={path.stem: contract.read_csv(path) for path in significance},
    )


def _marked(frame: pd.DataFrame) -> pd.DataFrame:
    mark = frame["synthetic"].map({True: SYNTHETIC, False: ""})
    return frame.assign(dataset=frame["dataset"] + mark)
