"""The results page: one HTML file that holds a whole run. It reads files and judges nothing."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from referee import contract
from referee.explain.explain import code
from referee.explain.written_table import measurements, origins
from referee.figures import EXPERIMENTS
from referee.paper import Paper
from referee.report import parts, sentences
from referee.report.parts import Shown
from referee.words import capitalised, number, p_value, spaced

# The columns that name a row of a table, as far as it has them.
NAMING = {*contract.IDENTITY, *sentences.ARM, "baseline", "runtime", "per", "batch_size"}


def render(results: Path, paper: Paper) -> dict[str, str]:
    """The pages of a run: HTML by path, `index.html` and, below `pages/`, each part by itself.

    What the run lacks is left out. Raises InputError where `cells.csv`, the ledger of claims or
    `audit.json` is missing, or a file is not as the contract says.
    """
    index = _index(results, paper)
    whole, alone = map(parts.TEMPLATES.get_template, ("index.html.j2", "alone.html.j2"))
    pages = {f"pages/{name}.html": alone.render(part) for name, part in _alone(index).items()}
    return {"index.html": whole.render(index, linked=True)} | pages


def inputs(results: Path) -> list[Path]:
    """The files, and folders of files, of a run that its page and its notebook show."""
    names = ("cells.csv", "packed.csv", "run.json", "audit.json", "claims.json", "claims.md")
    return [results / n for n in (*names, "verdicts.json", "tables", "significance", "figures")]


def _index(results: Path, paper: Paper) -> Shown:
    """All that the results page shows."""
    cells = contract.read_scores(results / "cells.csv", paper)
    record, packed = results / "tables/measured.provenance.json", results / "packed.csv"
    measured = contract.read_measurements(measurements(record) if record.exists() else None, paper)
    columns = contract.PACKED_MODELS
    sizes = contract.read_table(packed, columns, paper.decides) if packed.exists() else None
    costs = parts.costs_of(cells, sizes, measured)
    run = contract.read_run(results / "run.json") if (results / "run.json").exists() else None
    source = run.training_source if run else None
    experiments = parts.experiments(cells, paper.score.column, costs, source)
    anchors = {experiment["folder"]: experiment["anchor"] for experiment in experiments}
    judged, tables = verdicts(results, anchors), _tables(results, paper, anchors)
    findings = json.loads(parts.read_text(results / "audit.json"))
    places = {claim["id"]: claim["anchor"] for claim in judged["claims"]}
    places |= {table["name"]: table["name"] for table in tables["tables"] + tables["significance"]}
    for finding in findings:
        finding["claims"] = [{"name": name, "href": places.get(name)} for name in finding["claims"]]
    figures = {figure["name"]: figure for figure in parts.figures(results / "figures")}
    for experiment in experiments:
        experiment["figure"] = figures.get(f"{EXPERIMENTS}/{experiment['name']}")
    return {
        "paper": paper,
        "story": list(sentences.of_run(cells)),
        "protocols": [capitalised(spaced(protocol)) for protocol in paper.protocols],
        **judged,
        **tables,
        "audited": list(sentences.of_audit(findings)),
        "findings": findings,
        "figures": [figure for figure in figures.values() if figure["section"] != EXPERIMENTS],
        "experiments": experiments,
        "code": code(),
        "grid": run.grid if run else "",
        "configuration": yaml.safe_dump(run.params, sort_keys=False) if run else "",
        "machine": measured.machines.get("latency"),
    }


def _alone(index: Shown) -> dict[str, Shown]:
    """What each page below `pages/` shows, by its path without suffix; nothing on it is a link."""
    pages: dict[str, Shown] = {
        "Claims/claims": index | {"part": "claims", "title": "Verdicts on the paper’s claims"},
        "Audit/audit": index | {"part": "audit", "title": "Audit"},
    }
    for section in ("tables", "significance", "figures", EXPERIMENTS):
        for shown in index[section]:
            page = {"part": section, "title": shown["title"], "shown": shown}
            pages[f"{section.capitalize()}/{shown['name']}"] = page
    return pages


def _tables(results: Path, paper: Paper, anchors: Mapping[str, str]) -> Shown:
    """The tables that are there, each number with a link to what it was made of."""
    shown: Shown = {"tables": [], "significance": [], "origins": []}
    frames = {}
    for name, layout in paper.tables.items():
        path = results / layout.folder / f"{name}.csv"
        if not path.exists():
            continue
        frames[name], table = parts.paper_table(results, name, paper)
        seen = [column["column"] for column in table["columns"]]
        columns = list(frames[name]) if layout.folder == "tables" else seen
        rows = []
        for n, row in enumerate(origins(path, paper, columns)):
            cells = dict(zip(seen, table["rows"][n], strict=True))
            for column in cells.keys() & {origin.column for origin in row}:
                cells[column]["href"] = f"{name}-{n + 1}-{column}"
            label = filter(None, (cells[key]["text"] for key in cells if key in NAMING))
            rows.append({"label": " · ".join(label)} | parts.row_origins(name, row, anchors))
        table["caption"] = table["caption"].removeprefix(f"{layout.title}.")
        shown[layout.folder].append(table)
        shown["origins"].append({"name": name, "title": layout.title, "rows": rows})
    counted = parts.plain_table("Tests below 0.05", sentences.tests(frames, paper))
    return shown | {"tested": list(sentences.of_tests(frames, paper)), "counted_tests": counted}


def verdicts(results: Path, anchors: Mapping[str, str]) -> Shown:
    """The claims, those first that the run could judge; the counts; and the rule of the verdict.

    `anchors` says where experiments are shown, by folder; the rule is the text above the table of
    claims.md. Raises InputError where claims.json, claims.md or verdicts.json is missing.
    """
    ledger = json.loads(parts.read_text(results / "claims.json"))
    counts = json.loads(parts.read_text(results / "verdicts.json"))
    order = sorted(counts, key=lambda verdict: verdict == "not testable here")
    for claim in ledger:
        claim["anchor"] = "claim-" + re.sub(r"[^A-Za-z0-9.]+", "-", claim["id"])
        claim["protocols"] = [
            {"name": spaced(name), **_protocol(f"{claim['id']}, {spaced(name)}", evidence, anchors)}
            for name, evidence in claim["evidence"].items()
        ]
    return {
        "claims": sorted(ledger, key=lambda claim: order.index(claim["verdict"])),
        "counts": counts,
        "rule": parts.read_text(results / "claims.md").split("\n\n")[-2].replace("`", ""),
    }


def _protocol(title: str, evidence: dict[str, Any], anchors: Mapping[str, str]) -> Shown:
    """What the cells of a protocol say; p-values only where something was tested."""
    tests = [
        (evidence[region], "no test" if evidence[p] is None else "p " + p_value(evidence[p]))
        for region, p in (("supported", "p_for"), ("contradicted", "p_against"))
        if evidence["supported"] and not evidence["exact"]
    ]
    numbers, title = evidence["numbers"], f"{title}, numbers of each dataset"
    return evidence | {
        "tests": tests,
        "numbers": parts.plain_table(title, pd.DataFrame(numbers), number) if numbers else None,
        "experiments": parts.used_experiments(evidence["cells"], anchors),
    }
