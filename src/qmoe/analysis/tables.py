"""The paper's tables from the tidy table of cells: CSV for machines, Markdown and LaTeX for people.

F1 is weighted. Mean and standard deviation run over the n = seeds x folds cells of a row, ddof 1.
Columns that need time or energy are not here before they are measured.
"""

from pathlib import Path

import pandas as pd

from qmoe.keys import write_atomically

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


def table3(cells: pd.DataFrame) -> pd.DataFrame:
    """Table 3, mixtures beside the full-precision network: type, parameters, average F1.

    `parameters` is the largest over the datasets, which differ in classes and dimension.
    """
    named = marked(cells)
    named = named[named["experts"].str.contains("+", regex=False) | (named["experts"] == "fp32")]
    if named.empty:
        columns = [*ARM, "type", "datasets", "n", "parameters", "avg_f1_mean", "avg_f1_std"]
        return pd.DataFrame(columns=columns)
    arms = named.groupby(ARM, sort=False, dropna=False)
    about = pd.DataFrame(
        {
            "type": arms[["experts", "strategy"]].first().apply(_type, axis=1),
            "datasets": arms["dataset"].unique().map(" ".join),
            "parameters": arms["parameter_count"].max(),
        }
    )
    return about.join(average(per_dataset(named))).reset_index()


def _type(arm: pd.Series) -> str:
    if "+" not in arm["experts"]:
        return "single network"
    return "plain router" if arm["strategy"] == "none" else "curiosity"


def for_people(table: pd.DataFrame) -> pd.DataFrame:
    """Means and deviations as `0.843 ± 0.011`, and headings in words."""
    shown = pd.DataFrame(index=table.index)
    for column in table.columns:
        if column.endswith("_mean"):
            stem = column.removesuffix("_mean")
            pairs = zip(table[column], table[f"{stem}_std"], strict=True)
            heading = stem.removesuffix("_f1").replace("avg", "average").replace("_", " ") + " F1"
            shown[heading] = [f"{mean:.3f} ± {std:.3f}" for mean, std in pairs]
        elif column == "alpha":
            shown[column] = [f"{a:g}" if pd.notna(a) else "" for a in table[column]]
        elif not column.endswith("_std"):
            shown[column.replace("_", " ")] = table[column].replace("none", "")
    return shown


def metrics(table: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
    """Average F1 of every protocol and arm, for `dvc metrics`."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for row in table.itertuples():
        arm = row.model if pd.isna(row.alpha) else f"{row.model} {row.strategy} {row.alpha:g}"
        values = {"avg_f1_mean": row.avg_f1_mean, "avg_f1_std": row.avg_f1_std}
        found.setdefault(row.protocol, {})[arm] = values
    return found


def write(table: pd.DataFrame, stem: Path, caption: str) -> None:
    """Write `stem`.csv, .md and .tex."""
    write_atomically(stem.with_suffix(".csv"), table.to_csv(index=False))
    people = for_people(table)
    markdown = people.to_markdown(index=False, disable_numparse=True)
    write_atomically(stem.with_suffix(".md"), f"{caption}\n\n{markdown}\n")
    latex = people.replace("_", " ", regex=True).replace("±", r"$\\pm$", regex=True)
    write_atomically(stem.with_suffix(".tex"), latex.to_latex(index=False, caption=caption))


def captions(cells: pd.DataFrame) -> dict[str, str]:
    """Caption of each table; says how many cells stand behind it and which data are synthetic."""
    synthetic = sorted(cells.loc[cells["synthetic"], "dataset"].unique())
    note = f" {', '.join(synthetic)}: synthetic audio, not the paper's data." if synthetic else ""
    basis = " Weighted F1, mean ± standard deviation (ddof 1) over n = seeds x folds cells."
    return {
        "table1": "Table 1. F1 across datasets." + basis + note,
        "table3": "Table 3. Mixtures of experts beside the full-precision network. Parameters: the "
        "largest over the datasets; n: over all of them." + basis + note,
    }
