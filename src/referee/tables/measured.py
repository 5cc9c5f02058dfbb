"""Tables of scores and of what was measured.

Latency is of one call, energy and carbon of one clip. A row of packed models is a dataset,
protocol and arm, or an arm; a runtime that is none of the packed models is of no protocol.
"""

from typing import Any

import pandas as pd

from referee.contract import NO_RULE, is_mixture, of_packed
from referee.paper import Paper
from referee.paper.tables import TableLayout
from referee.tables import aggregates as of
from referee.tables.sheet import ARM, ROW, Call, Definition, Tidy, Values, built, key, need
from referee.tables.tidy import CELLS, ENERGY, LATENCY, MEMORY, PACKED_ENERGY, PACKED_LATENCY, SIZES

RUNTIME = (*ROW, "runtime")


def scores(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Scores on each dataset, and on average over the datasets: a row a protocol and arm."""
    cells, name, columns = need(tidy, CELLS), paper.score.name, dict[str, Any]()
    for dataset in cells["dataset"].unique():
        values = Values(paper.score.column, CELLS, ARM, where={"dataset": dataset})
        parts = {f"{dataset}_n": "count"}
        parts |= {f"{dataset}_{name}_{part}": part for part in ("mean", "std")}
        columns |= Call(of.mean_and_deviation, (values,)).parts(**parts)
    average = {f"avg_{name}_{part}": part for part in ("mean", "std")}
    columns |= _averages(paper, cells).parts(**average)
    return Definition(ARM, CELLS, columns)


def _averages(paper: Paper, cells: pd.DataFrame) -> Call:
    datasets = " ".join(cells["dataset"].unique())
    values = Values(paper.score.column, CELLS, ARM)
    return Call(of.average_over_datasets, (values,), given={"datasets": datasets})


def _sizes(keys: tuple[str, ...], *names: str) -> dict[str, Any]:
    """Columns of bytes: the largest over the folds."""
    tables = {f"{name}_bytes": MEMORY if name == "peak_rss" else SIZES for name in names}
    values = [Values(column, table, keys) for column, table in tables.items()]
    return {value.source: Call(of.largest, (value,))[""] for value in values}


def _batch_sizes(tidy: Tidy, name: str) -> list[int]:
    """The batch sizes in a tidy table, in their order; none where there is no such table."""
    frame = tidy(name)
    return [] if frame is None else [key(size) for size in frame["batch_size"].unique()]


def _by_batch_size(tidy: Tidy, keys: tuple[str, ...]) -> dict[str, Any]:
    """Columns of time, energy and carbon of packed models, for each batch size.

    Of an arm on one dataset they are the median of the times and the means of the others over the
    folds, empty where one was below the resolution of the meter; else means of these over datasets.
    """
    columns, plain = {}, {"median": of.median, "mean": of.mean_of_all}
    for stem, unit, name, how in (
        ("latency", "ms", PACKED_LATENCY, "median"),
        ("energy", "j", PACKED_ENERGY, "mean"),
        ("carbon", "g", PACKED_ENERGY, "mean"),
    ):
        for size in _batch_sizes(tidy, name):
            values = Values(f"{stem}_{unit}", name, keys, where={"batch_size": size})
            call = Call(plain[how], (values,)) if "dataset" in keys else _over(values, how)
            columns[f"{stem}_batch{size}_{unit}"] = call[""]
    return columns


def _over(values: Values, how: str) -> Call:
    return Call(of.mean_over_datasets, (values,), (), {"each": how}, {"datasets": "datasets"})


def _costs(tidy: Tidy, keys: tuple[str, ...] = ROW) -> dict[str, Any]:
    """Columns of an arm on one dataset: time, energy and carbon by batch size, and bytes."""
    return _by_batch_size(tidy, keys) | _sizes(keys, "disk", "resident", "published", "peak_rss")


def networks(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Single networks on each dataset, their score also in percent of that of other experts."""
    keys = ("dataset", "protocol", "model")
    values, name = Values(paper.score.column, CELLS, keys), paper.score.name
    score = Call(of.mean_and_deviation, (values,))
    columns = score.parts(**{"n": "count", f"{name}_mean": "mean", f"{name}_std": "std"})
    if layout.reference:
        experts = {"experts": layout.reference.experts}
        other = Values(paper.score.column, CELLS, keys[:2], where=experts)
        columns[layout.reference.column] = Call(of.percent_of_second, (values, other))[""]
    return Definition(keys, CELLS, columns | _costs(tidy, keys))


def mixtures(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Mixtures, and the single networks that the layout names beside them, over all datasets.

    Columns of measurements are means over the datasets of the arm.
    """
    score, name = _averages(paper, rows_of(layout, CELLS, tidy)), paper.score.name
    single, plain, varied = layout.types
    experts, strategy, datasets, parameters = (
        Values(column, CELLS, ARM)
        for column in ("experts", "strategy", "dataset", "parameter_count")
    )

    def kind(experts: Any, strategy: Any) -> str:
        if "+" not in experts.iloc[0]:
            return single
        return plain if strategy.iloc[0] == NO_RULE else varied

    columns = {
        "type": Call(kind, (experts, strategy))[""],
        "datasets": Call(lambda names: " ".join(names.unique()), (datasets,))[""],
        "parameters": Call(of.largest, (parameters,))[""],
        "n": score["count"],
        f"avg_{name}_mean": score["mean"],
        f"avg_{name}_std": score["std"],
        **_by_batch_size(tidy, ARM),
        "disk_bytes": _over(Values("disk_bytes", SIZES, ARM), "max")[""],
    }
    for size in _batch_sizes(tidy, PACKED_ENERGY):
        joules = Values("energy_j", PACKED_ENERGY, ARM, where={"batch_size": size})
        both, of_row = (*score.values, joules), {"measured": "datasets"}
        quotient = Call(of.quotient_of_means, both, given=score.given, of_row=of_row)
        columns[f"{name}_per_j_batch{size}"] = quotient[""]
    return Definition(ARM, CELLS, columns)


def rows_of(layout: TableLayout, name: str, tidy: Tidy) -> pd.DataFrame:
    """The rows of a tidy table that a table of scores or of measurements shows."""
    frame = need(tidy, name)
    if layout.kind == "mixtures":
        return frame[is_mixture(frame) | frame["experts"].isin(layout.beside)]
    return frame[~is_mixture(frame)] if layout.kind == "networks" else frame


def latency(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Time of a call, by arm and runtime, with the ratio of its median to that of some runtimes.

    A speed-up of 2 is half the time. Ratios hold within a dataset and a batch size.
    """
    keys = (*RUNTIME, "batch_size")
    calls = Values("latency_ms", LATENCY, keys)
    parts = ("median", "ci_low", "ci_high", "p95", "std")
    of_calls = {"calls": "calls"} | {f"{part}_ms": part for part in parts}
    columns = Call(of.of_calls, (calls,)).parts(**of_calls)
    for runtime in layout.speedups_over:
        other = Values("latency_ms", LATENCY, ("dataset", "batch_size"), where={"runtime": runtime})
        columns[f"speedup_over_{runtime}"] = Call(of.second_over_first, (calls, other))[""]
    columns |= _sizes(RUNTIME, "resident", "peak_rss")
    columns["parameters"] = Call(of.same, (Values("parameter_count", CELLS, RUNTIME),))[""]
    score = Values(paper.score.column, CELLS, RUNTIME)
    of_score = {f"{paper.score.name}_{part}": part for part in ("mean", "std")}
    columns |= Call(of.mean_and_deviation, (score,)).parts(**of_score)
    return Definition(keys, LATENCY, columns)


def energy(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Energy and carbon of an inference and of a training epoch, by arm: means over the folds.

    A mean is empty where one of the folds was below `resolution_j`.
    """
    keys = (*RUNTIME, "per", "batch_size")
    functions = {"runs": of.count, "source": of.same} | dict.fromkeys(
        ("energy_j", "carbon_g", "resolution_j", "idle_w", "duration_s"), of.mean_of_all
    )
    columns = {
        name: Call(function, (Values(name, ENERGY, keys),))[""]
        for name, function in functions.items()
    }
    return Definition(keys, ENERGY, {"loops": columns.pop("runs")} | columns)


def per_arm(
    latency: pd.DataFrame, energy: pd.DataFrame, memory: pd.DataFrame, packed: pd.DataFrame
) -> pd.DataFrame:
    """One row a dataset and arm: time, energy and carbon by batch size, and bytes."""
    frames = {
        PACKED_LATENCY: of_packed(latency),
        PACKED_ENERGY: of_packed(energy),
        MEMORY: memory,
        SIZES: packed,
    }
    arms = pd.concat([frame[list(ROW)] for frame in frames.values()])
    return built(Definition(ROW, SIZES, _costs(frames.get)), frames.get, arms)
