"""Tables as people read them, and their captions."""

from collections.abc import Mapping
from contextlib import suppress

import pandas as pd

from referee.contract import NO_RULE
from referee.paper import Paper, Score
from referee.paper.tables import TableLayout
from referee.tables.sheet import Tidy, need
from referee.tables.tidy import CELLS, ENERGY, LATENCY
from referee.words import listed, spaced

UNITS = {"ms": "ms", "j": "J", "g": "g", "w": "W", "s": "s"}


def for_people(table: pd.DataFrame, score: Score) -> pd.DataFrame:
    """Means and deviations as `0.843 ± 0.011`, bytes in kB, and headings in words."""
    shown = pd.DataFrame(index=table.index)
    for column, values in table.items():
        stem, _, unit = str(column).rpartition("_")
        words = spaced(stem)
        if unit == "mean":
            of = words.removesuffix(score.name).replace("avg", "average").strip()
            shown[f"{of} {score.short}".strip()] = [
                "" if pd.isna(mean) else f"{mean:.3f} ± {std:.3f}"
                for mean, std in zip(values, table[f"{stem}_std"], strict=True)
            ]
        elif unit == "bytes":
            shown[f"{words} kB"] = [_number(value / 1000, 4) for value in values]
        elif unit in UNITS:
            shown[f"{words} {UNITS[unit]}"] = [_number(value, 3) for value in values]
        elif unit != "std":
            if pd.api.types.is_float_dtype(values):
                values = values.map(lambda value: _number(value, 3))
            shown[spaced(str(column))] = values.astype(object).fillna("").replace(NO_RULE, "")
    return shown


def _number(value: float, digits: int) -> str:
    """To so many significant digits; empty for NaN."""
    if pd.isna(value):
        return ""
    return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"


def comparisons_for_people(table: pd.DataFrame, columns: list[str] | None = None) -> pd.DataFrame:
    """Four significant digits as text, of some columns or all; empty where nothing can be told."""
    shown = table if columns is None else table[[name for name in columns if name in table]]
    return shown.map(lambda v: "" if pd.isna(v) else f"{v:.4g}" if isinstance(v, float) else str(v))


def comparisons_markdown(table: pd.DataFrame, columns: list[str] | None = None) -> str:
    """`comparisons_for_people` as a Markdown table, with headings in words."""
    cells = comparisons_for_people(table, columns).rename(columns=spaced)
    return str(cells.to_markdown(index=False, disable_numparse=True))


def test_columns(score: Score) -> list[str]:
    """The columns of significance tables that people see."""
    shown = """protocol dataset arm batch_size baseline n {score}_mean {score}_std
    baseline_{score}_std variance_reduction_percent null_probability difference ci_low ci_high
    sd_ratio sd_ratio_low sd_ratio_high published_alternative published_p published_levene_p
    corrected_p brown_forsythe_p pitman_morgan_p permutation_p holm_p stars tost_p smallest_p
    permutation_smallest_p smallest_detectable detectable_sd_ratio verdict note"""
    return shown.format(score=score.name).split()


def caption(layout: TableLayout, paper: Paper, tidy: Tidy, processors: Mapping[str, str]) -> str:
    """The caption of a table: what it shows, how and on which processors it was measured.

    A note of the paper that speaks of what was not measured is left out; `processors` names the
    one behind each measurement.
    """
    facts = {f"{name}_processor": text for name, text in processors.items()}
    latency, energy = tidy(LATENCY), tidy(ENERGY)
    if latency is not None:
        keys = ["dataset", "protocol", "arm", "runtime", "batch_size"]
        facts["calls"] = str(latency.groupby(keys, dropna=False).size().max())
    if energy is not None and "source" in energy:
        facts["energy_source"] = " / ".join(energy["source"].unique())
    parts = [f"{layout.title}.", layout.text]
    for name in layout.notes:
        with suppress(KeyError):
            parts.append(paper.table_notes[name].format_map(facts))
    apart = facts.get("latency_processor") != facts.get("energy_processor")
    if apart and {"latency", "energy"} <= set(layout.notes):
        parts.append(
            "Time and energy were measured on different processors: their ratio is no power."
        )
    if layout.folder == "tables" and layout.kind != "energy":
        parts.append(scope(paper, tidy))
    return " ".join(filter(None, parts))


def scope(paper: Paper, tidy: Tidy) -> str:
    """Which scores a table shows, and which data are synthetic."""
    cells = need(tidy, CELLS)
    names = cells.loc[cells["synthetic"], "dataset"].str.removesuffix("_synthetic")
    synthetic = sorted(names.unique())
    shown = f"{paper.score.words}, mean ± standard deviation (ddof 1) over n = seeds x folds cells."
    note = f" {listed(synthetic)}: synthetic data, not the paper's data." if synthetic else ""
    return shown + note
