"""Every arm of a tidy table of scores against a baseline, on each dataset and over them.

The table has a row a cell: dataset, arm, seed, fold, score, and n_train and n_test if known.
Rows are joined on dataset, seed and fold, never by their order.
"""

from math import nan, sqrt
from typing import Any

import pandas as pd

from referee.errors import InputError
from referee.stats import paired, spread
from referee.stats.multiplicity import holm
from referee.stats.result import stars

KEYS = ["dataset", "seed", "fold"]
COLUMNS = ["dataset", "arm", "seed", "fold", "score"]
ALPHA = 0.05
OVER_DATASETS = "mean over datasets"


def checked(scores: pd.DataFrame) -> pd.DataFrame:
    """The table itself.

    Raises:
        InputError: a column or a score is missing, a score is no number, or two rows are one cell.

    """
    lacking = [column for column in COLUMNS if column not in scores]
    if lacking:
        raise InputError(f"the table has no column {', '.join(lacking)}: it needs {COLUMNS}")
    if not pd.api.types.is_numeric_dtype(scores["score"]) or scores["score"].isna().any():
        rows = pd.to_numeric(scores["score"], errors="coerce").isna()
        raise InputError(
            f"score is missing or no number for {_cells(scores[rows])}: fill or drop it"
        )
    twice = scores[scores.duplicated([*KEYS, "arm"])]
    if len(twice):
        raise InputError(f"more than one row for {_cells(twice)}: keep one row a cell and arm")
    return scores


def _cells(rows: pd.DataFrame, most: int = 3) -> str:
    named = [", ".join(f"{k} {row[k]}" for k in ["arm", *KEYS]) for _, row in rows.iterrows()]
    more = f" and {len(named) - most} more" if len(named) > most else ""
    return "; ".join(named[:most]) + more


def pairs(scores: pd.DataFrame, arm: str, baseline: str) -> pd.DataFrame:
    """Cells of both arms, joined: dataset, seed, fold, score, score_baseline, ratio.

    `ratio` is n_test / n_train of the cell where the table has both, else 1 / (k - 1) for the k
    folds of the dataset. Datasets that only one arm covers are left out.

    A score may be NaN, where a measurement was below resolution: its pair is not tested.

    Raises:
        InputError: the arms cover different seeds or folds of a dataset.

    """
    a, b = scores[scores["arm"] == arm], scores[scores["arm"] == baseline]
    shared = a["dataset"][a["dataset"].isin(b["dataset"])].unique()
    a, b = a[a["dataset"].isin(shared)], b[b["dataset"].isin(shared)]
    joined = a.merge(
        b[[*KEYS, "score"]], on=KEYS, how="outer", suffixes=("", "_baseline"), indicator=True
    )
    alone = joined[joined["_merge"] != "both"]
    if len(alone):
        lacks = (alone["_merge"] == "right_only").map({True: arm, False: baseline})
        raise InputError(
            f"{arm} and {baseline} cover different cells, missing: "
            f"{_cells(alone.assign(arm=lacks))}; add these rows, or drop their partners"
        )
    if {"n_train", "n_test"} <= set(joined):
        ratio = joined["n_test"] / joined["n_train"]
    else:
        folds = joined.groupby("dataset")["fold"].transform("nunique")
        ratio = 1 / (folds - 1).where(folds > 1)
    joined = joined.assign(ratio=ratio)[[*KEYS, "score", "score_baseline", "ratio"]]
    return joined.sort_values(KEYS, ignore_index=True)


def judge(
    parts: list[tuple[dict[str, Any], pd.DataFrame]],
    family: str,
    *,
    margin: float = paired.MARGIN,
    relative: bool = False,
) -> pd.DataFrame:
    """All comparisons that are corrected together, and their means over datasets.

    Args:
        parts: for each comparison its labels, `dataset` among them, and its `pairs`.
        family: name of the family; Holm corrects within it. The means over datasets are a family
            of their own.
        margin: of equivalence, in units of the score.
        relative: the margin is a share of the baseline's mean.

    Returns:
        A row a comparison; where labels but for the dataset agree on two datasets or more, a row
        of the unweighted mean of the differences. No scores are pooled.

    """
    if not parts:
        return pd.DataFrame()
    rows = [
        labels | _row(own, margin * (_mean(own["score_baseline"]) if relative else 1), len(parts))
        for labels, own in parts
    ]
    single = _corrected(pd.DataFrame(rows), family)
    others = [name for name in parts[0][0] if name != "dataset"]
    groups = [own for _, own in single.groupby(others, sort=False, dropna=False) if len(own) > 1]
    if not groups:
        return single
    means = [
        {name: own[name].iloc[0] for name in others} | _mean_row(own, len(groups)) for own in groups
    ]
    over = _corrected(pd.DataFrame(means), f"{family}, {OVER_DATASETS}")
    table = pd.concat([single, over.reindex(columns=single.columns)], ignore_index=True)
    return table.astype({"n_folds": "Int64"})


def _mean(values: "pd.Series[float]") -> float:
    return float(values.mean()) if len(values) else nan


def _row(own: pd.DataFrame, margin: float, family: int) -> dict[str, Any]:
    """All tests on one dataset.

    Those of the spread take one value a fold, its mean over the seeds: the cells of a fold share
    its clips, and are no independent draws.
    """
    ratio, asked = _mean(own["ratio"]), len(own)
    own = own.dropna(subset=["score", "score_baseline"])
    note = f"{asked - len(own)} of {asked} cells without a value" if len(own) < asked else ""
    a, b = own["score"].to_numpy(), own["score_baseline"].to_numpy()
    corrected = paired.corrected_t(a, b, ratio, family=family)
    flip = paired.sign_flip(a, b)
    effect = paired.effect_size(a, b)
    folds = own.groupby("fold")[["score", "score_baseline"]].mean()
    a_fold, b_fold = folds["score"].to_numpy(), folds["score_baseline"].to_numpy()
    ratio_of_sd = spread.sd_ratio(a_fold, b_fold)
    masses = paired.posterior(a, b, ratio, margin=margin)
    return {
        "n": len(own),
        "pairing": "+".join(KEYS),
        "alternative": corrected.alternative,
        "mean": _mean(own["score"]),
        "std": own["score"].std(),
        "baseline_mean": _mean(own["score_baseline"]),
        "baseline_std": own["score_baseline"].std(),
        "ddof": corrected.ddof,
        "difference": corrected.estimate,
        "ci_low": corrected.ci_low,
        "ci_high": corrected.ci_high,
        "naive_p": paired.paired_t(a, b).p,
        "test_train_ratio": ratio,
        "se": corrected.se,
        "df": corrected.df,
        "corrected_t": corrected.statistic,
        "corrected_p": corrected.p,
        "smallest_p": corrected.smallest_p,
        "smallest_detectable": corrected.detectable,
        "margin": margin,
        "tost_p": paired.tost(a, b, ratio, margin=margin).p,
        **{f"posterior_{name.removeprefix('p_')}": mass for name, mass in masses.items()},
        "sign_flip_p": flip.p,
        "sign_flip_smallest_p": flip.smallest_p,
        "wilcoxon_p": paired.wilcoxon(a, b).p,
        "d_z": effect["d_z"],
        "hedges_g": effect["hedges_g"],
        "n_folds": len(folds),
        "sd_ratio": ratio_of_sd.estimate,
        "sd_ratio_low": ratio_of_sd.ci_low,
        "sd_ratio_high": ratio_of_sd.ci_high,
        "brown_forsythe_p": spread.brown_forsythe(a_fold, b_fold).p,
        "detectable_sd_ratio": ratio_of_sd.detectable,
        "note": "; ".join(filter(None, [note, corrected.note])),
    }


def _mean_row(own: pd.DataFrame, family: int) -> dict[str, Any]:
    """Mean of the differences over datasets; their errors are independent, df by Satterthwaite."""
    n = int(own["n"].sum())
    squares = own["se"] ** 2
    se, df = sqrt(squares.sum(skipna=False)) / len(own), nan
    if se > 0:
        df = squares.sum() ** 2 / (squares**2 / own["df"]).sum()
    margin, difference = _mean(own["margin"]), own["difference"].mean(skipna=False)
    result = paired.t_from(difference, se, df, test="corrected t", n=n, family=family)
    return {
        "dataset": OVER_DATASETS,
        "n": n,
        "pairing": "dataset",
        "alternative": result.alternative,
        "mean": own["mean"].mean(),
        "baseline_mean": own["baseline_mean"].mean(),
        "ddof": result.ddof,
        "difference": result.estimate,
        "ci_low": result.ci_low,
        "ci_high": result.ci_high,
        "se": se,
        "df": df,
        "corrected_t": result.statistic,
        "corrected_p": result.p,
        "smallest_p": result.smallest_p,
        "smallest_detectable": result.detectable,
        "margin": margin,
        "tost_p": paired.tost_from(difference, se, df, n=n, margin=margin).p,
        "note": "; ".join(filter(None, [f"of {', '.join(own['dataset'])}", result.note])),
    }


def _corrected(rows: pd.DataFrame, family: str) -> pd.DataFrame:
    """The rows with Holm's p within the family, stars and a verdict."""
    rows = rows.assign(
        family=family,
        family_size=len(rows),
        holm_p=holm(rows["corrected_p"]),
        tost_holm_p=holm(rows["tost_p"]),
    )
    marks = [stars(r.holm_p, r.smallest_p) for r in rows.itertuples()]
    return rows.assign(stars=marks, verdict=rows.apply(_verdict, axis=1))


def _verdict(row: "pd.Series[Any]") -> str:
    """What may be said: `inconclusive` is neither a difference nor equivalence."""
    if paired.IDENTICAL in row["note"]:
        return "identical"
    same = row["tost_holm_p"] < ALPHA
    if row["holm_p"] < ALPHA:
        direction = "higher" if row["difference"] > 0 else "lower"
        return direction + (", within the margin" if same else "")
    return "equivalent" if same else "inconclusive"


def compare(scores: pd.DataFrame, baseline: str, *, margin: float = paired.MARGIN) -> pd.DataFrame:
    """Every other arm against the baseline; all comparisons are one family.

    Args:
        scores: the tidy table, see the module.
        baseline: an arm.
        margin: of equivalence, in units of the score.

    Raises:
        InputError: the table is not as it must be, has no such arm, or nothing to compare with it.

    """
    arms = list(checked(scores)["arm"].unique())
    if baseline not in arms:
        raise InputError(f"no arm {baseline!r} in the table; its arms: {', '.join(map(str, arms))}")
    parts = [
        ({"dataset": dataset, "arm": arm, "baseline": baseline}, own)
        for arm in arms
        if arm != baseline
        for dataset, own in pairs(scores, arm, baseline).groupby("dataset", sort=False)
    ]
    if not parts:
        raise InputError(f"no other arm shares a dataset with {baseline!r}: nothing to compare")
    return judge(parts, f"all arms against {baseline}", margin=margin)


def for_people(table: pd.DataFrame, columns: list[str] | None = None) -> pd.DataFrame:
    """Four significant digits as text; empty where nothing can be told."""
    shown = table if columns is None else table[[name for name in columns if name in table]]
    return shown.map(lambda v: "" if pd.isna(v) else f"{v:.4g}" if isinstance(v, float) else str(v))


def markdown(table: pd.DataFrame, columns: list[str] | None = None) -> str:
    """A Markdown table of four significant digits; empty where nothing can be told."""
    cells = for_people(table, columns)
    headings = [name.replace("_", " ") for name in cells.columns]
    return str(cells.set_axis(headings, axis=1).to_markdown(index=False, disable_numparse=True))
