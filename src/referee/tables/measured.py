"""Tables of what was measured: bit widths (2), mixtures (3), latency (4), carbon (supplementary).

A row is a dataset, protocol and arm. Latency is of one call, energy and carbon of one clip.
"""

import json
from pathlib import Path

import pandas as pd
from scipy.stats import quantile_test

from referee.tables.scores import ARM, average, per_dataset, scope

ROW = ["dataset", *ARM]
BASELINES = ("onnx_fp32", "torch_eager")


def latency_summary(latency: pd.DataFrame) -> pd.DataFrame:
    """Median, its 95 % interval, 95th percentile and deviation of the timed calls.

    One row a dataset, arm, runtime and batch size. The interval is free of a distribution, by
    order statistics (scipy.stats.quantile_test).
    """
    grouped = latency.groupby([*ROW, "runtime", "batch_size"], sort=False, dropna=False)
    return grouped["latency_ms"].apply(_describe).unstack(sort=False).reset_index()


def _describe(times: pd.Series) -> pd.Series:
    interval = quantile_test(times, p=0.5).confidence_interval(0.95)
    return pd.Series(
        {
            "calls": len(times),
            "median_ms": times.median(),
            "ci_low_ms": interval.low,
            "ci_high_ms": interval.high,
            "p95_ms": times.quantile(0.95),
            "std_ms": times.std(),
        }
    )


def per_arm(
    latency: pd.DataFrame, energy: pd.DataFrame, memory: pd.DataFrame, packed: pd.DataFrame
) -> pd.DataFrame:
    """One row a dataset and arm: latency_batchB_ms, energy_batchB_j, carbon_batchB_g, bytes.

    Sizes are the largest over folds, energies the mean over the folds that were measured, NaN
    where one of them was below the resolution.
    """
    own = latency[latency["runtime"] == "packed"]
    used = energy[(energy["runtime"] == "packed") & (energy["per"] == "inference")]
    columns = [
        by_batch(own, ROW, "latency_ms", "latency_batch{}_ms", "median"),
        by_batch(used, ROW, "energy_j", "energy_batch{}_j", _mean),
        by_batch(used, ROW, "carbon_g", "carbon_batch{}_g", _mean),
        packed.groupby(ROW, sort=False, dropna=False)[
            ["disk_bytes", "resident_bytes", "published_bytes"]
        ].max(),
        memory.groupby(ROW, sort=False, dropna=False)["peak_rss_bytes"].max(),
    ]
    return pd.concat(columns, axis=1).reset_index()


def _mean(values: pd.Series) -> float:
    return values.mean(skipna=False)


def by_batch(
    frame: pd.DataFrame, keys: list[str], column: str, name: str, how: object
) -> pd.DataFrame:
    """One row for the keys, a column for each batch size, called `name.format(size)`."""
    grouped = frame.groupby([*keys, "batch_size"], sort=False, dropna=False)[column]
    wide = grouped.agg(how).unstack("batch_size", sort=False)
    return wide.set_axis([name.format(size) for size in wide.columns], axis=1)


def _f1(cells: pd.DataFrame) -> pd.DataFrame:
    grouped = cells.groupby(ROW, sort=False, dropna=False)
    scores = grouped["f1_weighted"].agg(n="count", f1_mean="mean", f1_std="std")
    about = grouped[["experts", "parameter_count"]].first()
    return about.join(scores).reset_index().rename(columns={"parameter_count": "parameters"})


def table2(cells: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Table 2, bit widths: single networks on each dataset, F1 also in percent of 16 bit."""
    singles = _f1(cells[~cells["experts"].str.contains("+", regex=False)])
    reference = singles[singles["experts"] == "q16"].set_index(["dataset", "protocol"])["f1_mean"]
    keys = pd.MultiIndex.from_frame(singles[["dataset", "protocol"]])
    percent = 100 * singles["f1_mean"] / reference.reindex(keys).to_numpy()
    table = singles.assign(f1_percent_of_16_bit=percent).merge(measured, on=ROW, how="left")
    return table.drop(columns=["strategy", "alpha", "experts", "parameters"])


def table3(cells: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Table 3, mixtures beside the full-precision network: parameters, F1, latency, energy, carbon.

    `parameters` is the largest over the datasets, which differ in classes and dimension; measured
    columns and F1 are means over the datasets.
    """
    named = cells[cells["experts"].str.contains("+", regex=False) | (cells["experts"] == "fp32")]
    if named.empty:
        return pd.DataFrame(columns=[*ARM, "type", "datasets", "n", "parameters"])
    arms = named.groupby(ARM, sort=False, dropna=False)
    about = pd.DataFrame(
        {
            "type": arms[["experts", "strategy"]].first().apply(_type, axis=1),
            "datasets": arms["dataset"].unique().map(" ".join),
            "parameters": arms["parameter_count"].max(),
        }
    )
    means = measured.groupby(ARM, sort=False, dropna=False)
    columns = [c for c in measured if c.endswith(("_ms", "_j", "_g")) or c == "disk_bytes"]
    table = about.join(average(per_dataset(named))).join(means[columns].agg(_mean))
    for column in [c for c in columns if c.endswith("_j")]:
        name = column.removeprefix("energy_").removesuffix("_j")
        table[f"f1_per_j_{name}"] = table["avg_f1_mean"] / table[column]
    return table.reset_index()


def _type(arm: pd.Series) -> str:
    if "+" not in arm["experts"]:
        return "single network"
    return "plain router" if arm["strategy"] == "none" else "curiosity"


def table4(cells: pd.DataFrame, latency: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Table 4, latency: every arm and both baselines, with the ratio of medians to each baseline.

    A speed-up of 2 is half the time. Ratios hold within a dataset and a batch size.
    """
    summary = latency_summary(latency)
    medians = summary.set_index(["dataset", "batch_size"])
    for runtime in BASELINES:
        base = medians.loc[medians["runtime"] == runtime, "median_ms"]
        keys = pd.MultiIndex.from_frame(summary[["dataset", "batch_size"]])
        summary[f"speedup_over_{runtime}"] = base.reindex(keys).to_numpy() / summary["median_ms"]
    sizes = measured[[*ROW, "resident_bytes", "peak_rss_bytes"]].assign(runtime="packed")
    scores = _f1(cells).drop(columns=["experts", "n"]).assign(runtime="packed")
    both = [*ROW, "runtime"]
    return summary.merge(sizes, on=both, how="left").merge(scores, on=both, how="left")


def carbon(energy: pd.DataFrame) -> pd.DataFrame:
    """Supplementary: energy and carbon of an inference and of a training epoch, by arm.

    Means over the folds measured; NaN where one of them was below `resolution_j`.
    """
    keys = [*ROW, "runtime", "per", "batch_size"]
    grouped = energy.groupby(keys, sort=False, dropna=False)
    means = grouped[["energy_j", "carbon_g", "resolution_j", "idle_w", "duration_s"]].agg(_mean)
    return (
        grouped.agg(loops=("runs", "count"), source=("source", "first")).join(means).reset_index()
    )


def processors(measurements: Path) -> dict[str, str]:
    """The processor behind each measurement that was made: latency, energy, memory.

    On a cluster they may be different ones. A ratio takes both its terms from one measurement,
    which one process makes on one node, so none mixes hardware; what stands side by side may.
    """
    return {
        path.stem: json.loads(path.read_text(encoding="utf-8"))["processor"]
        for path in sorted(measurements.glob("*.json"))
    }


def captions(
    cells: pd.DataFrame, latency: pd.DataFrame, energy: pd.DataFrame, machines: dict[str, str]
) -> dict[str, str]:
    """What each table shows, how and on which of `processors` it was measured, and how the paper
    defined it.
    """
    calls = latency.groupby([*ROW, "runtime", "batch_size"], dropna=False).size().max()
    time = (
        f"Latency: median wall time of a call over {calls} calls, one pinned thread, all "
        f"models in turn, on {machines['latency']} (in the paper: the whole validation step, "
        "plots and profiler included, divided by 5)."
    )
    source = " / ".join(energy["source"].unique())
    joules = (
        f"Energy and carbon: per clip, idle power subtracted, {source} by codecarbon "
        f"on {machines['energy']}; empty: "
        "below its resolution (in the paper: kWh x 1000 called mJ, kg x 1e6 "
        "called ug, wrong by 3.6e6 and 1000)."
    )
    apart = machines["energy"] != machines["latency"]
    note = " Time and energy are of different processors: their ratio is no power." * apart
    sizes = (
        "Disk: all files of the packed model; resident: weights in memory; peak RSS: a fresh "
        "process; published: bits x count, on paper, as the original states it."
    )
    basis = scope(cells)
    return {
        "table2": f"Table 2. Bit widths. {time} {joules}{note} {sizes}{basis}",
        "table3": f"Table 3. Mixtures of experts beside the full-precision network. Parameters: "
        f"the largest over the datasets; n: over all of them. {time} {joules}{note}{basis}",
        "table4": f"Table 4. Latency. {time} Interval: 95 % of the median. Speed-up: ratio of "
        f"medians. {sizes}{basis}",
        "carbon": f"Supplementary. Energy and carbon of an inference and of a training epoch. "
        f"{joules}",
    }
