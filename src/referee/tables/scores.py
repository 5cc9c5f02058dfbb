"""The paper's tables from the tidy table of cells: CSV for machines, Markdown and LaTeX for people.

F1 is weighted. Mean and standard deviation run over the n = seeds x folds cells of a row, ddof 1.
Tables that also show measured columns are in `referee.tables.measured`.
"""

from pathlib import Path

import pandas as pd

from referee.files import write_whole
from referee.tables.latex import escape

ARM = ["protocol", "model", "strategy", "alpha"]


def marked(cells: pd.DataFrame) -> pd.DataFrame:
    """The cells with `_synthetic` behind the name of every dataset that is."""
    mark = cells["synthetic"].map({True: "_synthetic", False: ""})
    return cells.assign(dataset=cells["dataset"] + mark)


def per_dataset(cells: pd.DataFrame) -> pd.DataFrame:
    """Rows of arms, columns (dataset, n | f1_mean | f1_std), in the order of the cells."""
    grouped = cells.groupby([*ARM, "dataset"], sort=False, dropna=False)["f1_weighted"]
    long = grouped.agg(n="count", f1_mean="mean", f1_std="std")
    wide = long.unstack("dataset", sort=False).swaplevel(axis=1)
    return wide[list(dict.fromkeys(cells["dataset"]))]


def average(scores: pd.DataFrame) -> pd.DataFrame:
    """Avg of the paper: mean of the means, root mean square of the standard deviations."""
    means, stds = scores.xs("f1_mean", level=1, axis=1), scores.xs("f1_std", level=1, axis=1)
    counts = scores.xs("n", level=1, axis=1)
    return pd.DataFrame(
        {
            "n": counts.sum(axis=1).astype(int),
            "avg_f1_mean": means.mean(axis=1, skipna=False),
            "avg_f1_std": stds.pow(2).mean(axis=1, skipna=False).pow(0.5),
        }
    )


def table1(cells: pd.DataFrame) -> pd.DataFrame:
    """Table 1, F1 across datasets: one row a protocol and arm."""
    scores = per_dataset(marked(cells))
    flat = scores.set_axis([f"{d}_{c}" for d, c in scores.columns], axis=1)
    return flat.join(average(scores)[["avg_f1_mean", "avg_f1_std"]]).reset_index()


def for_people(table: pd.DataFrame) -> pd.DataFrame:
    """Means and deviations as `0.843 ± 0.011`, bytes in kB, and headings in words."""
    shown = pd.DataFrame(index=table.index)
    for column in table.columns:
        stem, _, unit = column.rpartition("_")
        words = stem.replace("_", " ")
        if unit == "mean":
            pairs = zip(table[column], table[f"{stem}_std"], strict=True)
            heading = words.removesuffix("f1").replace("avg", "average").strip() + " F1"
            shown[heading.strip()] = [
                "" if pd.isna(mean) else f"{mean:.3f} ± {std:.3f}" for mean, std in pairs
            ]
        elif unit == "bytes":
            shown[f"{words} kB"] = [_number(value / 1000, 4) for value in table[column]]
        elif unit in UNITS:
            shown[f"{words} {UNITS[unit]}"] = [_number(value, 3) for value in table[column]]
        elif unit != "std" and pd.api.types.is_float_dtype(table[column]):
            shown[column.replace("_", " ")] = [_number(value, 3) for value in table[column]]
        elif unit != "std":
            values = table[column].astype(object)
            shown[column.replace("_", " ")] = values.where(table[column].notna(), "").replace(
                "none", ""
            )
    return shown


UNITS = {"ms": "ms", "j": "J", "g": "g", "w": "W", "s": "s"}


def _number(value: float, digits: int) -> str:
    """To so many significant digits; empty for NaN."""
    if pd.isna(value):
        return ""
    return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"


def metrics(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Average F1 of every protocol and arm, for `dvc metrics`."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in table.itertuples():
        arm = row.model if pd.isna(row.alpha) else f"{row.model} {row.strategy} {row.alpha:g}"
        values = {"avg_f1_mean": row.avg_f1_mean, "avg_f1_std": row.avg_f1_std}
        found.setdefault(row.protocol, {})[arm] = values
    return found


def write(table: pd.DataFrame, stem: Path, caption: str) -> list[Path]:
    """Write `stem`.csv, .md and .tex, and return their paths."""
    people = for_people(table)
    markdown = people.to_markdown(index=False, disable_numparse=True)
    words = people.map(
        lambda value: escape(value.replace("_", " ")) if isinstance(value, str) else value
    )
    latex = words.rename(columns=escape)
    texts = {
        ".csv": table.to_csv(index=False),
        ".md": f"{caption}\n\n{markdown}\n",
        ".tex": latex.to_latex(index=False, caption=escape(caption)),
    }
    return write_whole({stem.with_suffix(suffix): text for suffix, text in texts.items()})


def scope(cells: pd.DataFrame) -> str:
    """What the F1 of a table are, and which data are synthetic; the end of every caption."""
    synthetic = sorted(cells.loc[cells["synthetic"], "dataset"].unique())
    note = f" {', '.join(synthetic)}: synthetic audio, not the paper's data." if synthetic else ""
    return " Weighted F1, mean ± standard deviation (ddof 1) over n = seeds x folds cells." + note
