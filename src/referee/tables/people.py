"""Tables as people read them."""

import pandas as pd

from referee.contract import NO_RULE
from referee.paper import Score
from referee.words import spaced

UNITS = {"ms": "ms", "j": "J", "g": "g", "w": "W", "s": "s"}


def for_people(table: pd.DataFrame, score: Score) -> pd.DataFrame:
    """Means and deviations as `0.843 ± 0.011`, bytes in kB, and headings in words."""
    shown = pd.DataFrame(index=table.index)
    for column in table.columns:
        stem, _, unit = column.rpartition("_")
        words = spaced(stem)
        if unit == "mean":
            pairs = zip(table[column], table[f"{stem}_std"], strict=True)
            of = words.removesuffix(score.name).replace("avg", "average").strip()
            shown[f"{of} {score.short}".strip()] = [
                "" if pd.isna(mean) else f"{mean:.3f} ± {std:.3f}" for mean, std in pairs
            ]
        elif unit == "bytes":
            shown[f"{words} kB"] = [_number(value / 1000, 4) for value in table[column]]
        elif unit in UNITS:
            shown[f"{words} {UNITS[unit]}"] = [_number(value, 3) for value in table[column]]
        elif unit != "std" and pd.api.types.is_float_dtype(table[column]):
            shown[spaced(column)] = [_number(value, 3) for value in table[column]]
        elif unit != "std":
            values = table[column].astype(object)
            shown[spaced(column)] = values.where(table[column].notna(), "").replace(NO_RULE, "")
    return shown


def _number(value: float, digits: int) -> str:
    """To so many significant digits; empty for NaN."""
    if pd.isna(value):
        return ""
    return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"


def test_columns(score: Score) -> list[str]:
    """The columns of significance tables that people see."""
    shown = """protocol dataset arm batch_size baseline n {score}_mean {score}_std
    baseline_{score}_std variance_reduction_percent null_probability difference ci_low ci_high
    sd_ratio sd_ratio_low sd_ratio_high published_alternative published_p published_levene_p
    corrected_p brown_forsythe_p pitman_morgan_p permutation_p holm_p stars tost_p smallest_p
    permutation_smallest_p smallest_detectable detectable_sd_ratio verdict note"""
    return shown.format(score=score.name).split()
