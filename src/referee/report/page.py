"""The results page: one HTML file that holds all of a run and needs no network."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from referee.claims import ledger, page
from referee.errors import InputError
from referee.explain.origins import origins as origins_of
from referee.explain.remake import code
from referee.explain.written_table import WrittenTable
from referee.explain.written_table import measurements as measurements_of
from referee.figures import EXPERIMENTS
from referee.paper import Paper
from referee.paper import read as read_paper
from referee.report import claims, parts, story
from referee.report.parts import Experiments

TITLES = {
    "table1": "Table 1. F1 across datasets",
    "table2": "Table 2. Bit widths",
    "table3": "Table 3. Mixtures of experts beside the full-precision network",
    "table4": "Table 4. Latency",
    "carbon": "Supplementary. Energy and carbon of an inference and of a training epoch",
}
TEST_TITLES = {
    "table5": "Table 5. Curiosity and the variance of F1",
    "table1_f1": "F1 of Table 1 against its baselines",
    "table2_f1": "F1 of Table 2 against 16 bit",
    "table3_f1": "F1 of Table 3 against its baselines",
    "table3_energy": "Energy of Table 3 against its baselines",
    "table4_latency": "Latency of Table 4 against its baselines",
    "latency_variance": "Spread of the latency",
}
TITLES_OF_ALL = TITLES | TEST_TITLES


def render(results: Path, params: dict[str, Any], key: str) -> dict[str, str]:
    """The pages of a run by their path in its folder: `index.html`, and each table by itself.

    Args:
        results: its folder, with the tables, significance, audit.json, and figures if there are.
        params: its configuration.
        key: of its grid.

    Raises:
        InputError: a file of the run is not there.

    """
    paper = read_paper()
    measurements = measurements_of(results / "tables/measured.json")
    found = parts.experiments(results, measurements)
    experiments = Experiments({own["folder"]: own["anchor"] for own in found})
    entries = ledger.ledger(
        paper,
        ledger.read_inputs(results / "cells.csv", results / "packed.csv", measurements),
    )
    paths = _paths(results)
    frames = {name: pd.read_csv(path) for name, path in paths.items()}
    origins = {
        name: _origins(name, path, frames[name], experiments, paper) for name, path in paths.items()
    }
    tables = {
        name: _table(name, path, frames[name], origins.get(name), paper)
        for name, path in paths.items()
    }
    audit = json.loads(_read(results / "audit.json"))
    figures = parts.figures(results / "figures")
    run_figures = [figure for figure in figures if figure["section"] != EXPERIMENTS]
    index = {
        "story": story.of_run(pd.read_csv(results / "cells.csv")),
        "claims": claims.claims(entries, experiments),
        "counts": page.counts(entries),
        "rule": page.RULE.replace("`", ""),
        "tables": [tables[name] for name in TITLES if name in tables],
        "significance": [tables[name] for name in TEST_TITLES if name in tables],
        "tested": story.of_tests(frames),
        "counted_tests": parts.plain_table("Tests below 0.05", story.tests(frames)),
        "audited": story.of_audit(audit),
        "findings": _findings(audit, {claims.anchor(entry.claim.id) for entry in entries}),
        "figures": run_figures,
        "origins": list(origins.values()),
        "experiments": found,
        "code": code(),
        "key": key,
        "machine": _machine(measurements),
        "configuration": yaml.safe_dump(params, sort_keys=False),
    }
    bare = index | {
        "claims": claims.claims(entries, Experiments({})),
        "findings": _findings(audit, set()),
    }
    alone = {
        f"{'Tables' if name in TITLES else 'Significance'}/{name}": {
            "part": "table",
            "title": own["title"],
            "t": parts.unlinked(own),
        }
        for name, own in tables.items()
    }
    alone["Claims/claims"] = bare | {"part": "claims", "title": "Verdicts on the paper’s claims"}
    alone["Audit/audit"] = bare | {"part": "audit", "title": "Audit"}
    for figure in run_figures:
        alone[f"Figures/{figure['name']}"] = {
            "part": "figure",
            "title": figure["title"],
            "f": figure,
        }
    drawn = {figure["name"].removeprefix(f"{EXPERIMENTS}/"): figure for figure in figures}
    for own in found:
        shown = {"part": "experiment", "title": own["name"], "f": drawn.get(own["name"])}
        alone[f"Experiments/{own['name']}"] = shown | {"experiment": own}
    templates = parts.environment()
    single = templates.get_template("alone.html.j2")
    return {
        "index.html": templates.get_template("index.html.j2").render(index),
        **{f"pages/{name}.html": single.render(shown) for name, shown in alone.items()},
    }


def _origins(
    name: str, path: Path, table: pd.DataFrame, experiments: Experiments, paper: Paper
) -> dict[str, Any]:
    columns = table if name in TITLES else parts.test_columns(table, paper.score)[0]
    made = origins_of(path, paper, list(columns))
    keys = _keys(table, WrittenTable(path, paper).keys)
    return parts.origins(name, TITLES_OF_ALL[name], keys, made, experiments)


def _table(
    name: str, path: Path, table: pd.DataFrame, origins: dict[str, Any] | None, paper: Paper
) -> dict[str, Any]:
    columns = parts.paper_columns if name in TITLES else parts.test_columns
    rows = origins["rows"] if origins else []
    linked = {number["anchor"] for row in rows for number in row["numbers"]}
    title = TITLES_OF_ALL[name]
    caption = _read(path.with_suffix(".md")).split("\n", 1)[0].removeprefix(f"{title}.")
    return parts.linked_table(name, title, caption, *columns(table, paper.score), linked)


def _paths(results: Path) -> dict[str, Path]:
    """The tables that are there."""
    paths = {name: results / "tables" / f"{name}.csv" for name in TITLES}
    paths |= {name: results / "significance" / f"{name}.csv" for name in TEST_TITLES}
    return {name: path for name, path in paths.items() if path.exists()}


def _keys(table: pd.DataFrame, names: list[str]) -> list[str]:
    named = [key for key in names if "arm" not in table or key not in story.ARM]
    keys = table[named].astype(object)
    return [
        parts.plain(" · ".join(str(key) for key in row if pd.notna(key) and key != "none"))
        for row in keys.to_numpy()
    ]


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"{path} is not here: `snakemake -j1 {path}` makes it") from None


def _findings(audit: list[dict[str, Any]], known: set[str]) -> list[dict[str, Any]]:
    def where(claim: str) -> str | None:
        own = claims.anchor(claim)
        return own if own in known else claim if known and claim in TITLES_OF_ALL else None

    return [
        finding
        | {
            "anchor": f"finding-{number}",
            "claims": [(claim, where(claim)) for claim in finding["claims"]],
        }
        for number, finding in enumerate(audit, 1)
    ]


def _machine(measurements: Path) -> str:
    about = json.loads(_read(measurements / "latency.json"))
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return (
        f"{about['processor']}, {about['logical_processors']} logical processors, "
        f"{about['memory_bytes'] / 1e9:.0f} GB; {about['system']}; "
        f"Python {about['python']}, {versions}"
    )
