"""Tables of what was measured. Latency is of one call, energy and carbon of one clip.

A row of packed models is a dataset, protocol and arm, or an arm; a runtime that is none of the
packed models is of no protocol.
"""

from typing import Any

import pandas as pd

from referee import values as of
from referee.columns import Call, Tidy, Values
from referee.contract import is_mixture, of_packed
from referee.paper import Paper
from referee.paper.tables import TableLayout
from referee.tables.definition import ARM, ROW, Definition, built
from referee.tables.scores import averages, of_arm
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


def here(source: str, tidy: str, keys: tuple[str, ...] = ROW) -> Values:
    """Values of an arm on one dataset; `keys` are what they share with the row."""
    return Values(source, tidy, {name: name for name in keys})


def sizes(*names: str, keys: tuple[str, ...] = ROW) -> dict[str, Any]:
    """Columns of bytes: the largest over the folds."""
    return {
        f"{name}_bytes": Call(
            of.largest,
            (here(f"{name}_bytes", MEMORY if name == "peak_rss" else PACKED_MODELS, keys),),
        )[""]
        for name in names
    }


def costs(keys: tuple[str, ...] = ROW) -> dict[str, Any]:
    """Columns of an arm on one dataset: time, energy and carbon by batch size, and bytes.

    `keys` tell the rows apart.

    Energies are means over the folds that were measured, empty where one of them was below the
    resolution of the meter.
    """
    time = Call(of.median, (here("latency_ms", PACKED_LATENCY, keys),))[""]
    joules = Call(of.mean_of_all, (here("energy_j", PACKED_ENERGY, keys),))[""]
    grams = Call(of.mean_of_all, (here("carbon_g", PACKED_ENERGY, keys),))[""]
    return {
        "latency_batch{batch_size}_ms": time.each(PACKED_LATENCY, "batch_size"),
        "energy_batch{batch_size}_j": joules.each(PACKED_ENERGY, "batch_size"),
        "carbon_batch{batch_size}_g": grams.each(PACKED_ENERGY, "batch_size"),
        **sizes("disk", "resident", "published", "peak_rss", keys=keys),
    }


def networks(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Single networks on each dataset, their score also in percent of that of other experts."""
    keys, name = ("dataset", "protocol", "model"), paper.score.name
    own = here(paper.score.column, CELLS, keys)
    score = Call(of.mean_and_deviation, (own,))
    columns = {"n": score["n"], f"{name}_mean": score["mean"], f"{name}_std": score["std"]}
    if layout.reference:
        where = {"experts": layout.reference.experts}
        other = Values(paper.score.column, CELLS, {key: key for key in keys[:2]}, where)
        columns[layout.reference.column] = Call(of.percent_of_second, (own, other))[""]
    return Definition(keys, CELLS, columns | costs(keys))


def mixtures(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """Mixtures, and the single networks that the layout names beside them, over all datasets.

    Columns of measurements are means over the datasets of the arm.
    """
    score, name = averages(paper, rows_of(layout, CELLS, tidy)), paper.score.name
    own = {"measured": "datasets"}
    each = {"datasets": "datasets"}
    kinds = dict(zip(("single", "plain", "varied"), layout.types, strict=True))
    time = Call(of.mean_of_medians, (of_arm("latency_ms", PACKED_LATENCY),), of_row=each)[""]
    joules = Call(of.mean_of_means, (of_arm("energy_j", PACKED_ENERGY),), of_row=each)[""]
    grams = Call(of.mean_of_means, (of_arm("carbon_g", PACKED_ENERGY),), of_row=each)[""]
    both = (of_arm(paper.score.column), of_arm("energy_j", PACKED_ENERGY))
    per_joule = Call(of.quotient_of_means, both, given=score.given, of_row=own)[""]
    disk = Call(of.mean_of_largest, (of_arm("disk_bytes", PACKED_MODELS),), of_row=each)[""]
    columns = {
        "type": Call(of.kind, (of_arm("experts"), of_arm("strategy")), given=kinds)[""],
        "datasets": Call(of.names, (of_arm("dataset"),))[""],
        "parameters": Call(of.largest, (of_arm("parameter_count"),))[""],
        "n": score["n"],
        f"avg_{name}_mean": score["mean"],
        f"avg_{name}_std": score["std"],
        "latency_batch{batch_size}_ms": time.each(PACKED_LATENCY, "batch_size"),
        "energy_batch{batch_size}_j": joules.each(PACKED_ENERGY, "batch_size"),
        "carbon_batch{batch_size}_g": grams.each(PACKED_ENERGY, "batch_size"),
        "disk_bytes": disk,
        f"{name}_per_j_batch{{batch_size}}": per_joule.each(PACKED_ENERGY, "batch_size"),
    }
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
        keys = {key: key for key in ("dataset", "batch_size")}
        other = Values("latency_ms", LATENCY, keys, {"runtime": runtime})
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
    arms = pd.concat([frame[list(ROW)].drop_duplicates() for frame in frames.values()])
    return built(Definition(ROW, PACKED_MODELS, costs()), Tidy(frames.get), arms)


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
