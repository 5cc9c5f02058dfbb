"""Tables of what was measured. Latency is of one call, energy and carbon of one clip.

A row of packed models is a dataset, protocol and arm, or an arm; a runtime that is none of the
packed models is of no protocol.
"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from referee import values as of
from referee.contract import is_mixture, of_packed
from referee.paper import Paper
from referee.paper.tables import TableLayout
from referee.sheet import Call, Tidy, Values
from referee.tables.by_dataset import averages, of_arm
from referee.tables.definition import ARM, ROW, Definition, batch_sizes, built
from referee.tables.tidy import (
    CELLS,
    ENERGY,
    LATENCY,
    MEMORY,
    PACKED_ENERGY,
    PACKED_LATENCY,
    PACKED_MODELS,
)

RUNTIME = (*ROW, "runtime")


def here(source: str, tidy: str, keys: tuple[str, ...] = ROW, **where: Any) -> Values:
    """Values that share `keys` with the row, and have the values `where`."""
    return Values(source, tidy, {name: name for name in keys}, where)


def sizes(*names: str, keys: tuple[str, ...] = ROW) -> dict[str, Any]:
    """Columns of bytes: the largest over the folds."""
    return {
        f"{name}_bytes": Call(
            of.largest,
            (here(f"{name}_bytes", MEMORY if name == "peak_rss" else PACKED_MODELS, keys),),
        )[""]
        for name in names
    }


def by_batch_size(
    tidy: Tidy, keys: tuple[str, ...], time: Any, energy: Any, of_row: Mapping[str, str]
) -> dict[str, Any]:
    """Columns of time, energy and carbon of packed models, for each batch size.

    Args:
        tidy: the tidy tables.
        keys: labels that tell the rows apart.
        time: function of the times.
        energy: function of energies, and of carbon.
        of_row: further arguments of both.

    """
    columns = {}
    for stem, unit, name, function in (
        ("latency", "ms", PACKED_LATENCY, time),
        ("energy", "j", PACKED_ENERGY, energy),
        ("carbon", "g", PACKED_ENERGY, energy),
    ):
        for size in batch_sizes(tidy, name):
            values = here(f"{stem}_{unit}", name, keys, batch_size=size)
            columns[f"{stem}_batch{size}_{unit}"] = Call(function, (values,), of_row=of_row)[""]
    return columns


def costs(tidy: Tidy, keys: tuple[str, ...] = ROW) -> dict[str, Any]:
    """Columns of an arm on one dataset: time, energy and carbon by batch size, and bytes.

    Energies are means over the folds that were measured, empty where one of them was below the
    resolution of the meter. `keys` tell the rows apart.
    """
    batches = by_batch_size(tidy, keys, of.median, of.mean_of_all, {})
    return batches | sizes("disk", "resident", "published", "peak_rss", keys=keys)


def networks(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Single networks on each dataset, their score also in percent of that of other experts."""
    keys, name = ("dataset", "protocol", "model"), paper.score.name
    scores = here(paper.score.column, CELLS, keys)
    score = Call(of.mean_and_deviation, (scores,))
    columns = {"n": score["n"], f"{name}_mean": score["mean"], f"{name}_std": score["std"]}
    if layout.reference:
        other = here(paper.score.column, CELLS, keys[:2], experts=layout.reference.experts)
        columns[layout.reference.column] = Call(of.percent_of_second, (scores, other))[""]
    return Definition(keys, CELLS, columns | costs(tidy, keys))


def mixtures(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Mixtures, and the single networks that the layout names beside them, over all datasets.

    Columns of measurements are means over the datasets of the arm.
    """
    score, name = averages(paper, rows_of(layout, CELLS, tidy)), paper.score.name
    kinds = dict(zip(("single", "plain", "varied"), layout.types, strict=True))
    all_of = {"datasets": "datasets"}
    disk = Call(of.mean_of_largest, (of_arm("disk_bytes", PACKED_MODELS),), of_row=all_of)
    columns = {
        "type": Call(of.kind, (of_arm("experts"), of_arm("strategy")), given=kinds)[""],
        "datasets": Call(of.names, (of_arm("dataset"),))[""],
        "parameters": Call(of.largest, (of_arm("parameter_count"),))[""],
        "n": score["n"],
        f"avg_{name}_mean": score["mean"],
        f"avg_{name}_std": score["std"],
        **by_batch_size(tidy, ARM, of.mean_of_medians, of.mean_of_means, all_of),
        "disk_bytes": disk[""],
    }
    for size in batch_sizes(tidy, PACKED_ENERGY):
        joules = here("energy_j", PACKED_ENERGY, ARM, batch_size=size)
        columns[f"{name}_per_j_batch{size}"] = Call(
            of.quotient_of_means,
            (*score.values, joules),
            given=score.given,
            of_row={"measured": "datasets"},
        )[""]
    return Definition(ARM, CELLS, columns)


def rows_of(layout: TableLayout, name: str, tidy: Tidy) -> pd.DataFrame:
    """The rows of a tidy table that a table of scores or of measurements shows."""
    frame = tidy.need(name)
    if layout.kind == "mixtures":
        return frame[is_mixture(frame) | frame["experts"].isin(layout.beside)]
    return frame[~is_mixture(frame)] if layout.kind == "networks" else frame


def latency(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Time of a call, by arm and runtime, with the ratio of its median to that of some runtimes.

    A speed-up of 2 is half the time. Ratios hold within a dataset and a batch size.
    """
    name = paper.score.name
    calls = here("latency_ms", LATENCY, (*RUNTIME, "batch_size"))
    described = Call(of.of_calls, (calls,))
    columns: dict[str, Any] = {
        "calls": described["calls"],
        "median_ms": described["median"],
        "ci_low_ms": described["ci_low"],
        "ci_high_ms": described["ci_high"],
        "p95_ms": described["p95"],
        "std_ms": described["std"],
    }
    for runtime in layout.speedups_over:
        other = here("latency_ms", LATENCY, ("dataset", "batch_size"), runtime=runtime)
        columns[f"speedup_over_{runtime}"] = Call(of.second_over_first, (calls, other))[""]
    score = Call(of.mean_and_deviation, (here(paper.score.column, CELLS, RUNTIME),))
    parameters = Call(of.same, (here("parameter_count", CELLS, RUNTIME),))[""]
    columns |= sizes("resident", "peak_rss", keys=RUNTIME) | {"parameters": parameters}
    columns |= {f"{name}_mean": score["mean"], f"{name}_std": score["std"]}
    return Definition((*RUNTIME, "batch_size"), LATENCY, columns)


def energy(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Energy and carbon of an inference and of a training epoch, by arm: means over the folds.

    A mean is empty where one of the folds was below `resolution_j`.
    """
    keys = (*RUNTIME, "per", "batch_size")

    def folds(source: str) -> tuple[Values]:
        return (here(source, ENERGY, keys),)

    means = ("energy_j", "carbon_g", "resolution_j", "idle_w", "duration_s")
    columns = {
        "loops": Call(of.count, folds("runs"))[""],
        "source": Call(of.same, folds("source"))[""],
        **{name: Call(of.mean_of_all, folds(name))[""] for name in means},
    }
    return Definition(keys, ENERGY, columns)


def per_arm(
    latency: pd.DataFrame, energy: pd.DataFrame, memory: pd.DataFrame, packed: pd.DataFrame
) -> pd.DataFrame:
    """One row a dataset and arm, with the columns of `costs`."""
    frames = {
        PACKED_LATENCY: of_packed(latency),
        PACKED_ENERGY: of_packed(energy),
        MEMORY: memory,
        PACKED_MODELS: packed,
    }
    tidy = Tidy(frames.get)
    arms = pd.concat([frame[list(ROW)].drop_duplicates() for frame in frames.values()])
    return built(Definition(ROW, PACKED_MODELS, costs(tidy)), tidy, arms)


def by_batch(
    frame: pd.DataFrame, keys: list[str], column: str, name: str, how: str
) -> pd.DataFrame:
    """A row for each combination of the keys, a column for each batch size: `name.format(size)`.

    Args:
        frame: measurements.
        keys: columns.
        column: whose values are summed up.
        name: of the new columns, with `{}` for the batch size.
        how: `median` or `mean`.

    """
    grouped = frame.groupby([*keys, "batch_size"], sort=False, dropna=False)[column]
    wide = grouped.agg(how).unstack("batch_size", sort=False)
    return wide.set_axis([name.format(size) for size in wide.columns], axis=1)
