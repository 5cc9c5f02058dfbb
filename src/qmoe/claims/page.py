"""The ledger for people: Markdown, and one HTML page that needs no network."""

import re
from collections import Counter
from pathlib import Path
from typing import Any, get_args

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from qmoe.analysis import explain
from qmoe.claims.evidence import Inputs
from qmoe.claims.ledger import (
    DECIDES,
    PROTOCOLS,
    Entry,
    Outcome,
    frame,
    quoted,
    to_json,
)
from qmoe.claims.verdicts import Verdict, number, p_words
from qmoe.errors import UserError
from qmoe.keys import write_atomically

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
RULE = (
    f"The verdict is the one reached under the protocol `{DECIDES}`, unless the paper's own "
    "printed numbers disagree: then it is `inconsistent`, whatever the cells say. `inconclusive`: "
    "this n could not have told. `not testable here`: a dataset, an arm or a measurement is "
    "absent, or the claim is about the paper's hardware."
)


def counts(entries: list[Entry]) -> dict[Verdict, int]:
    """How many claims have each verdict, all five of them."""
    found = Counter(entry.verdict for entry in entries)
    return {verdict: found[verdict] for verdict in VERDICTS}


def to_markdown(entries: list[Entry]) -> str:
    """A row a claim; the rest is in the CSV and on the page."""
    total = ", ".join(f"{n} {verdict}" for verdict, n in counts(entries).items())
    rows = [
        {
            "claim": entry.claim.id,
            "the paper says": f"{entry.claim.says} ({entry.claim.locus})",
            "verdict": entry.verdict,
            **{p.replace("_", " "): _ours(entry.outcomes[p]) for p in PROTOCOLS},
            "why": entry.sentence,
        }
        for entry in entries
    ]
    table = pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
    return f"# Claims\n\n{len(entries)} claims: {total}.\n\n{RULE}\n\n{table}\n"


def write(entries: list[Entry], inputs: Inputs, folder: Path) -> list[Path]:
    """Write claims.csv, .json, .md, .html and significance/precision_routing.csv; their paths."""
    table = frame(entries)
    texts = {
        "claims.csv": table.to_csv(index=False),
        "claims.json": to_json(table),
        "claims.md": to_markdown(entries),
        "claims.html": to_html(entries),
    }
    if inputs.routing is not None:
        texts["significance/precision_routing.csv"] = inputs.routing.to_csv(index=False)
    for name, text in texts.items():
        write_atomically(folder / name, text)
    return [folder / name for name in texts]


def _ours(outcome: Outcome) -> str:
    own = f": {outcome.evidence.measured}" if outcome.evidence else ""
    return outcome.verdict + own


def to_html(entries: list[Entry]) -> str:
    """The page: a table that can be filtered and sorted, and a section a claim.

    Experiments whose specification is not on disk are listed by their folder alone.
    """
    used = [o.cells for e in entries for o in e.outcomes.values() if o.evidence]
    experiments = _experiments(used)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    anchors = {e["folder"]: f"experiment-{i}" for i, e in enumerate(experiments, 1)}
    page = environment.get_template("page.html.j2")
    return page.render(
        claims=[_claim(entry, anchors) for entry in entries],
        counts=counts(entries),
        total=len(entries),
        rule=RULE.replace("`", ""),
        experiments=experiments,
        anchors=anchors,
        code=explain.code(),
    )


def _experiments(frames: list[pd.DataFrame]) -> list[dict[str, Any]]:
    """What `qmoe explain` says of the experiments, each once."""
    filled = [own for own in frames if len(own)]
    if not filled:
        return []
    cells = pd.concat(filled).drop_duplicates("cell")
    try:
        return explain.experiments(cells)
    except UserError:  # the table of cells was brought here without their folders
        return []


def _claim(entry: Entry, anchors: dict[str, str]) -> dict[str, Any]:
    claim = entry.claim
    return {
        "anchor": "claim-" + re.sub(r"[^A-Za-z0-9.]+", "-", claim.id),
        "id": claim.id,
        "locus": claim.locus,
        "kind": claim.kind,
        "says": claim.says,
        "note": claim.note,
        "quoted": quoted(claim),
        "verdict": entry.verdict,
        "sentence": entry.sentence,
        "tolerance": entry.tolerance,
        "reason": entry.tolerance_reason,
        "command": entry.command,
        "protocols": [_protocol(name, entry.outcomes[name], anchors) for name in PROTOCOLS],
    }


def _protocol(name: str, outcome: Outcome, anchors: dict[str, str]) -> dict[str, Any]:
    own = outcome.evidence
    tested = own is not None and own.supported and not own.exact
    return {
        "name": name.replace("_", " "),
        "verdict": outcome.verdict,
        "sentence": outcome.sentence,
        "ours": own.measured if own else "",
        "power": own.power if own else "",
        "tests": [
            (own.supported, "p " + p_words(own.p_for)),
            (own.contradicted, "p " + p_words(own.p_against)),
        ]
        if own and tested
        else [],
        "family": own.family if own else 1,
        "numbers": _table(own.numbers) if own else None,
        "cells": [_cell(cell, anchors) for _, cell in outcome.cells.iterrows()] if own else [],
    }


def _table(numbers: pd.DataFrame) -> dict[str, Any] | None:
    if numbers.empty:
        return None
    shown = numbers.map(lambda v: v if isinstance(v, str) else number(v))
    columns = [name.replace("_", " ") for name in shown]
    return {"columns": columns, "rows": shown.to_numpy().tolist()}


def _cell(cell: "pd.Series[Any]", anchors: dict[str, str]) -> dict[str, Any]:
    folder = str(cell["cell"])
    return {
        "arm": cell["arm"],
        "dataset": cell["named"],
        "seed": cell["seed"],
        "fold": cell["fold"],
        "f1": f"{cell['score']:.4f}",
        "folder": folder,
        "anchor": anchors.get(Path(folder).parent.as_posix()),
    }
