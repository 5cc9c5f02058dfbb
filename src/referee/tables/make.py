"""The tables of a paper, built and written: CSV for machines, Markdown and LaTeX for people."""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from referee.files import write_whole
from referee.paper import Paper
from referee.paper.tables import TableLayout
from referee.sheet import Sheet, Tidy
from referee.stats import compare
from referee.tables import by_dataset, measured, significance
from referee.tables.captions import caption
from referee.tables.definition import ARM, Definition, built
from referee.tables.latex import escape
from referee.tables.people import for_people, test_columns
from referee.tables.tidy import Files, tidy_tables

DEFINITIONS: Mapping[tuple[str, str], Callable[[TableLayout, Paper, Tidy], Definition]] = {
    ("tables", "scores"): by_dataset.scores,
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


def definition(layout: TableLayout, paper: Paper, tidy: Tidy) -> Definition:
    """What a table is: its keys and columns."""
    return DEFINITIONS[layout.folder, layout.kind](layout, paper, tidy)


def table(layout: TableLayout, paper: Paper, tidy: Tidy) -> pd.DataFrame | None:
    """A table of the paper; None where what it is made of was not measured.

    Raises:
        InputError: what it is made of is not as it must be.

    """
    made = definition(layout, paper, tidy)
    if tidy.frame(made.tidy) is None:
        return None
    if layout.folder == "tables":
        return built(made, tidy, measured.rows_of(layout, made.tidy, tidy))
    columns = tidy.possible(made.columns)
    sheet = Sheet(significance.rows(made, layout, columns, tidy), tidy)
    frame = sheet.frame([*made.keys, *(name for name in columns if not name.startswith("_"))])
    return frame.astype({"n_folds": "Int64"}) if "n_folds" in frame else frame


def write(
    name: str, frame: pd.DataFrame, paper: Paper, folder: Path, caption_text: str
) -> list[Path]:
    """Write a table as CSV and Markdown, and those of scores and measurements as LaTeX.

    Args:
        name: of the table.
        frame: the table.
        paper: it is of.
        folder: to write to.
        caption_text: its caption.

    Returns:
        The paths of the files.

    """
    stem, texts = folder / name, {".csv": frame.to_csv(index=False)}
    if paper.tables[name].folder == "significance":
        markdown = compare.markdown(frame, test_columns(paper.score))
    else:
        people = for_people(frame, paper.score)
        markdown = people.to_markdown(index=False, disable_numparse=True)
        words = people.map(lambda v: escape(v.replace("_", " ")) if isinstance(v, str) else v)
        latex = words.rename(columns=escape)
        texts[".tex"] = latex.to_latex(index=False, caption=escape(caption_text))
    texts[".md"] = f"{caption_text}\n\n{markdown}\n"
    return write_whole({stem.with_suffix(suffix): text for suffix, text in texts.items()})


def write_all(names: Iterable[str], inputs: Files, folder: Path) -> dict[str, pd.DataFrame]:
    """Build and write some tables of a paper; those of what was not measured are left out.

    Returns:
        The tables that were written, by name.

    Raises:
        InputError: what they are made of is not as it must be.

    """
    paper, tidy, made = inputs.paper, tidy_tables(inputs.read), {}
    for name in names:
        layout = paper.tables[name]
        frame = table(layout, paper, tidy)
        if frame is not None:
            made[name] = frame
            text = caption(layout, paper, tidy, inputs.measured.processors)
            write(name, frame, paper, folder, text)
    return made


def files(names: Iterable[str], paper: Paper, folder: Path) -> list[Path]:
    """The paths of tables that `write_all` wrote."""
    suffixes = {"tables": ("csv", "md", "tex"), "significance": ("csv", "md")}
    return [folder / f"{name}.{s}" for name in names for s in suffixes[paper.tables[name].folder]]


def metrics(made: Mapping[str, pd.DataFrame], inputs: Files) -> dict[str, Any]:
    """Average score of every protocol and arm of tables of scores, for `dvc metrics`."""
    keys, name = list(ARM), inputs.paper.score.name
    cells = inputs.read("cells")
    assert cells is not None
    arms = cells[[*keys, "arm"]].drop_duplicates(keys)
    values = [f"avg_{name}_mean", f"avg_{name}_std"]
    numbers: dict[str, Any] = {}
    for frame in made.values():
        for row in frame.merge(arms, on=keys, how="left").to_dict("records"):
            of_arm = {value: row[value] for value in values}
            numbers.setdefault(row["protocol"], {})[row["arm"]] = of_arm
    return numbers
