"""The files of a run, as the figures ask for them."""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from referee.errors import InputError

KEYS = ["dataset", "protocol", "arm", "label", "experts", "strategy", "alpha", "seed", "fold"]
CELLS, CLIPS = "results/cells.csv", "results/cells/.../predictions.parquet"


@dataclass(frozen=True)
class Results:
    """Tidy tables; None or absent where something was not made.

    In all of them `dataset` says which data are synthetic, and `label` is the arm in short.
    """

    cells: pd.DataFrame
    packed: pd.DataFrame | None = None
    latency: pd.DataFrame | None = None
    energy: pd.DataFrame | None = None
    memory: pd.DataFrame | None = None
    machine: str = ""
    measured: tuple[str, ...] = ()  # files behind packed, latency, energy and memory
    significance: dict[str, pd.DataFrame] = field(default_factory=dict)
    claims: pd.DataFrame | None = None

    @property
    def mixtures(self) -> pd.DataFrame:
        """Cells of mixtures."""
        return self.cells[self.cells["experts"].str.contains("+", regex=False)]

    @cached_property
    def clips(self) -> pd.DataFrame:
        """Every test clip of every mixture: its routing, uncertainty and classes.

        Columns beside those of the cell: class (a name), label_id, prediction, expert, gate,
        uncertainty (NaN where the router has none).
        """
        found = [
            predictions(Path(cell["cell"])).drop(columns=["p"]).assign(**cell[KEYS].to_dict())
            for _, cell in self.mixtures.iterrows()
        ]
        if not found:
            return pd.DataFrame(columns=[*KEYS, "class", "expert", "gate", "uncertainty"])
        return pd.concat(found, ignore_index=True)

    @property
    def uncertain(self) -> pd.DataFrame:
        """Clips of routers that know their uncertainty."""
        return self.clips[self.clips["uncertainty"].notna()]

    @property
    def synthetic(self) -> str:
        """The end of every caption: which data are synthetic."""
        names = self.cells.loc[self.cells["synthetic"], "dataset"].unique()
        each = ", ".join(name.removesuffix(" (synthetic)") for name in sorted(names))
        return f" {each}: synthetic audio, not the paper's data." if each else ""

    @property
    def panels(self) -> list[tuple[str, str]]:
        """(dataset, protocol) of the run, in its order."""
        pairs = self.cells[["dataset", "protocol"]].drop_duplicates()
        return list(pairs.itertuples(index=False, name=None))

    @property
    def count(self) -> str:
        """`n = 5 cells (1 seed x 5 folds)`, or the range over the arms."""
        arms = self.cells.groupby(["dataset", "protocol", "arm"], sort=False)
        n, seeds, folds = arms.size(), arms["seed"].nunique(), arms["fold"].nunique()
        ending = "" if seeds.max() == 1 else "s"
        return f"n = {span(n)} cells ({span(seeds)} seed{ending} x {span(folds)} folds)"


def span(values: "pd.Series[Any]") -> str:
    """`5`, or `5 to 10`."""
    low, high = values.min(), values.max()
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def predictions(cell: Path) -> pd.DataFrame:
    """The clips of a cell, with class names where the clips lie in folders of their class.

    `p` holds the row of class probabilities.

    Raises:
        InputError: the file is not there.

    """
    path = cell / "predictions.parquet"
    if not path.exists():
        raise InputError(
            f"{path} is not here: `snakemake -j8 cells` makes it, `dvc pull` brings it"
        )
    frame = pd.read_parquet(path)
    p = frame.filter(regex=r"^p_\d+$").to_numpy(dtype=float)
    folders = frame["clip"].astype(str).str.rpartition("/")[0]
    pairs = pd.DataFrame({"label": frame["label"], "folder": folders}).drop_duplicates()
    are_classes = (folders != "").all() and pairs["label"].is_unique and pairs["folder"].is_unique
    names = folders if are_classes else "class " + frame["label"].astype(str)
    kept = frame[["label", "prediction", "expert", "gate", "uncertainty"]]
    return kept.rename(columns={"label": "label_id"}).assign(**{"class": names, "p": list(p)})


def label(model: str, strategy: str, alpha: float) -> str:
    """An arm in short: `BitNet-Q4/8 kl_divergence 0.3`, `BitNet-Q4/8 plain`, `Q4-Base`."""
    stem = model.removesuffix("-C")
    if stem == model.removesuffix("-QMoE"):
        return model
    rule = "plain" if strategy == "none" else f"{strategy} {alpha:g}"
    return f"{stem.removesuffix('-QMoE')} {rule}"


def labelled(frame: pd.DataFrame) -> pd.DataFrame:
    """With `label`, and `(synthetic)` behind the name of every dataset that is."""
    mark = frame["synthetic"].map({True: " (synthetic)", False: ""})
    about = frame[["model", "strategy", "alpha"]].itertuples(index=False)
    return frame.assign(dataset=frame["dataset"] + mark, label=[label(*arm) for arm in about])


def read(
    cells: Path,
    packed: Path | None = None,
    measurements: Path | None = None,
    significance: Path | None = None,
    claims: Path | None = None,
) -> Results:
    """Read what there is; whatever is None was not made."""

    def table(path: Path) -> pd.DataFrame:
        if not path.exists():
            raise InputError(f"{path} is not here: `snakemake -j8` makes it")
        return pd.read_csv(path)

    measured: dict[str, Any] = {}
    if measurements:
        for what in ("latency", "energy", "memory"):
            measured[what] = labelled(table(measurements / f"{what}.csv"))
        machine = json.loads((measurements / "latency.json").read_text(encoding="utf-8"))
        measured["machine"] = machine["processor"]
        files = [packed, *(measurements / f"{what}.csv" for what in measured if what != "machine")]
        measured["measured"] = tuple(path.as_posix() for path in files if path)
    tests = (
        {path.stem: table(path) for path in sorted(significance.glob("*.csv"))}
        if significance
        else {}
    )
    return Results(
        labelled(table(cells)),
        packed=labelled(table(packed)) if packed else None,
        significance=tests,
        claims=table(claims) if claims else None,
        **measured,
    )
