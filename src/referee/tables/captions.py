"""Captions of tables: what they show, how and on which processor it was measured."""

from collections.abc import Mapping

from referee.paper import Paper
from referee.paper.tables import TableLayout
from referee.sheet import Tidy
from referee.tables.tidy import CELLS, ENERGY, LATENCY
from referee.words import listed


def caption(layout: TableLayout, paper: Paper, tidy: Tidy, processors: Mapping[str, str]) -> str:
    """The caption of a table.

    Args:
        layout: of the table.
        paper: whose notes the layout names; one that speaks of what was not measured is left out.
        tidy: the tidy tables.
        processors: the processor behind each measurement.

    """
    facts = _facts(tidy, processors)
    parts = [f"{layout.title}.", layout.text]
    for name in layout.notes:
        try:
            parts.append(paper.table_notes[name].format_map(facts))
        except KeyError:
            continue
    apart = facts.get("latency_processor") != facts.get("energy_processor")
    if apart and {"latency", "energy"} <= set(layout.notes):
        parts.append(
            "Time and energy were measured on different processors: their ratio is no power."
        )
    if layout.folder == "tables" and layout.kind != "energy":
        parts.append(scope(paper, tidy))
    return " ".join(filter(None, parts))


def _facts(tidy: Tidy, processors: Mapping[str, str]) -> dict[str, str]:
    facts = {f"{name}_processor": text for name, text in processors.items()}
    latency, energy = tidy.frame(LATENCY), tidy.frame(ENERGY)
    if latency is not None:
        keys = ["dataset", "protocol", "arm", "runtime", "batch_size"]
        facts["calls"] = str(latency.groupby(keys, dropna=False).size().max())
    if energy is not None and "source" in energy:
        facts["energy_source"] = " / ".join(energy["source"].unique())
    return facts


def scope(paper: Paper, tidy: Tidy) -> str:
    """Which scores a table shows, and which data are synthetic."""
    cells = tidy.need(CELLS)
    names = cells.loc[cells["synthetic"], "dataset"].str.removesuffix("_synthetic")
    synthetic = sorted(names.unique())
    note = f" {listed(synthetic)}: synthetic data, not the paper's data." if synthetic else ""
    return (
        f"{paper.score.words}, mean ± standard deviation (ddof 1) over n = seeds x folds cells."
        + note
    )
