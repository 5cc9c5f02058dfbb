"""The tables of a paper, built and written: CSV for machines, Markdown and LaTeX for people."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from records.files import write_files
from referee.paper import Paper
from referee.paper.tables import TableLayout
from referee.tables import measured, people, significance
from referee.tables.latex import escape
from referee.tables.sheet import ARM, Definition, Tidy, built
from referee.tables.tidy import CELLS, TableFiles, tidy_tables

DEFINITIONS: Mapping[tuple[str, str], Callable[[TableLayout, Paper, Tidy], Definition]] = {
    ("tables", "scores"): measured.scores,
    ("tables", "networks"): measured.networks,
    ("tables", "mixtures"): measured.mixtures,
    ("tables", "latency"): measured.latency,
    ("tables", "energy"): measured.energy,
    ("significance", "scores"): significance.tested,
    ("significance", "latency"): significance.tested,
    ("significance", "energy"): significance.tested,
    ("significance", "score_spread"): significance.score_spread,
    ("significance", "latency_spread"): significance.latency_spread,
}


def table(layout: TableLayout, paper: Paper, tidy: Tidy) -> pd.DataFrame | None:
    """A table of the paper; None where what it is made of was not measured.

    Raises InputError where what it is made of is not as it must be.
    """
    made = DEFINITIONS[layout.folder, layout.kind](layout, paper, tidy)
    frame = tidy(made.tidy)
    if frame is None:
        return None
    if layout.folder == "significance":
        return significance.built(made, layout, tidy, frame)
    return built(made, tidy, measured.rows_of(layout, made.tidy, tidy))


def write(name: str, frame: pd.DataFrame, paper: Paper, folder: Path, caption: str) -> list[Path]:
    """Write a table as CSV and Markdown, and those of scores and measurements as LaTeX.

    Returns the paths of the files.
    """
    texts = {"csv": frame.to_csv(index=False)}
    if paper.tables[name].folder == "significance":
        markdown = people.comparisons_markdown(frame, people.test_columns(paper.score))
    else:
        shown = people.for_people(frame, paper.score)
        markdown = shown.to_markdown(index=False, disable_numparse=True)
        words = shown.map(lambda v: escape(v.replace("_", " ")) if isinstance(v, str) else v)
        latex = words.rename(columns=escape)
        texts["tex"] = latex.to_latex(index=False, caption=escape(caption))
    texts["md"] = f"{caption}\n\n{markdown}\n"
    return write_files({folder / f"{name}.{suffix}": text for suffix, text in texts.items()})


def write_all(names: Iterable[str], inputs: TableFiles, folder: Path) -> dict[str, pd.DataFrame]:
    """Build and write some tables of a paper, and return them by name, but what was not measured.

    Raises InputError where what they are made of is not as it must be.
    """
    paper, tidy, made = inputs.paper, tidy_tables(inputs.read), {}
    for name in names:
        layout = paper.tables[name]
        frame = table(layout, paper, tidy)
        if frame is not None:
            made[name] = frame
            caption = people.caption(layout, paper, tidy, inputs.measured.processors)
            write(name, frame, paper, folder, caption)
    return made


def files(names: Iterable[str], paper: Paper, folder: Path) -> list[Path]:
    """The paths of tables that `write_all` wrote."""
    suffixes = {"tables": ("csv", "md", "tex"), "significance": ("csv", "md")}
    return [folder / f"{name}.{s}" for name in names for s in suffixes[paper.tables[name].folder]]


def metrics(made: Mapping[str, pd.DataFrame], inputs: TableFiles) -> dict[str, Any]:
    """Average score of every protocol and arm of tables of scores, for `dvc metrics`."""
    keys, name = list(ARM), inputs.paper.score.name
    cells = inputs.read(CELLS)
    assert cells is not None
    arms = cells[[*keys, "arm"]].drop_duplicates(keys)
    values = [f"avg_{name}_mean", f"avg_{name}_std"]
    numbers: dict[str, Any] = {}
    for frame in made.values():
        for row in frame.merge(arms, on=keys, how="left").to_dict("records"):
            of_arm = {value: row[value] for value in values}
            numbers.setdefault(row["protocol"], {})[row["arm"]] = of_arm
    return numbers
