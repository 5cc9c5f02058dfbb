"""The ledger as files: a table, records for other programs, and Markdown for people."""

import json
from collections import Counter
from math import nan
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from records.files import write_files
from referee.claims.judgement import Judgement, Verdict
from referee.claims.ledger import Entry, Outcome
from referee.claims.view import Inputs
from referee.paper import Paper
from referee.words import spaced

NOTHING = Judgement(nan, family=0)  # where nothing could be judged
COLUMNS = [
    *("quantity", "unit", "value", "ci_low", "ci_high", "n", "p_for", "p_against"),
    *("family_size", "smallest_detectable", "power", "sentence"),
]
EVIDENCE = [  # `numbers`: a record a dataset; `cells`: the folders of the cells
    *("verdict", "sentence", "measured", "supported", "contradicted", "p_for", "p_against"),
    *("exact", "family", "power", "numbers", "cells"),
]
RULE = """\
The verdict is the one reached under the protocol `{}`, unless the paper's own printed numbers \
disagree: then it is `inconsistent`, whatever the cells say. `inconclusive`: a sample of this size \
could not tell. `not testable here`: a dataset, an arm or a measurement is absent, or the claim is \
about the paper's hardware."""


def counts(entries: list[Entry]) -> dict[Verdict, int]:
    """Return how many claims have each verdict, all five of them."""
    counted = Counter(entry.verdict for entry in entries)
    return {verdict: counted[verdict] for verdict in get_args(Verdict)}


def frame(entries: list[Entry]) -> pd.DataFrame:
    """Return a row a claim; columns `NAME_PROTOCOL` hold what was reached under the protocol.

    value, ci_low and ci_high are in the unit of that column; p_for and p_against are after Holm's
    correction where the claim is of the family.
    """
    records = [_record(entry) for entry in entries]
    return pd.DataFrame(records).drop(columns=["note", "findings", "evidence"])


def _record(entry: Entry) -> dict[str, Any]:
    claim, outcomes = entry.claim, {name: _facts(o) for name, o in entry.outcomes.items()}
    printed = "; ".join(f"{spaced(name)} {n.text}" for name, n in claim.printed.items())
    if set(claim.printed) == {"mean", "std"}:
        printed = f"{claim.printed['mean'].text} ± {claim.printed['std'].text}"
    return {
        **claim.model_dump(include={"id", "locus", "kind", "says"}),
        "quoted": printed,
        "verdict": entry.verdict,
        **{f"verdict_{protocol}": facts["verdict"] for protocol, facts in outcomes.items()},
        "sentence": entry.sentence,
        "tolerance": entry.tolerance,
        "tolerance_reason": entry.tolerance_reason,
        **{f"{name}_{p}": facts[name] for p, facts in outcomes.items() for name in COLUMNS},
        "command": entry.command,
        "note": claim.note,
        "findings": claim.findings,
        "evidence": {p: {name: facts[name] for name in EVIDENCE} for p, facts in outcomes.items()},
    }


def _facts(outcome: Outcome) -> dict[str, Any]:
    """All that can be told of one protocol."""
    judgement, cells = outcome.judgement or NOTHING, outcome.cells
    facts = vars(judgement) | {
        "verdict": outcome.verdict,
        "sentence": outcome.sentence,
        "unit": judgement.unit.strip(),
        "family_size": judgement.family,
        "smallest_detectable": judgement.detectable,
        "power": judgement.power,
        "measured": judgement.measured if outcome.judgement else "",
        "numbers": judgement.numbers.to_dict("records"),
        "cells": cells["cell"].tolist() if "cell" in cells else [],
    }
    return facts | ({"p_for": nan, "p_against": nan} if judgement.exact else {})


def to_json(entries: list[Entry]) -> str:
    """Return a record a claim: its row in `frame`, `note`, `findings`, and `evidence` by protocol.

    What cannot be told is null.
    """
    records = [_record(entry) for entry in entries]
    without_nan = json.loads(json.dumps(records), parse_constant=lambda nan: None)
    return json.dumps(without_nan, indent=1, ensure_ascii=False) + "\n"


def to_markdown(entries: list[Entry], paper: Paper) -> str:
    """Return a row a claim; the rest is in the CSV and on the results page."""
    rows = []
    for entry in entries:
        claim, outcomes = entry.claim, entry.outcomes.items()
        locus = f" ({claim.locus})" if claim.locus else ""
        row = {"claim": claim.id, "the paper says": claim.says + locus, "verdict": entry.verdict}
        for protocol, outcome in outcomes:
            measured = f": {outcome.judgement.measured}" if outcome.judgement else ""
            row[spaced(protocol)] = outcome.verdict + measured
        rows.append(row | {"why": entry.sentence})
    total = ", ".join(f"{n} {verdict}" for verdict, n in counts(entries).items())
    table = pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
    rule = RULE.format(paper.decides)
    return f"# Claims\n\n{len(entries)} claims: {total}.\n\n{rule}\n\n{table}\n"


def write(entries: list[Entry], paper: Paper, inputs: Inputs, folder: Path) -> list[Path]:
    """Write the ledger's four files, and the routing where there is one; return their paths."""
    texts = {
        "claims.csv": frame(entries).to_csv(index=False),
        "claims.json": to_json(entries),
        "claims.md": to_markdown(entries, paper),
        "verdicts.json": json.dumps(counts(entries), indent=1) + "\n",
    }
    if inputs.routing is not None:
        texts["significance/precision_routing.csv"] = inputs.routing.to_csv(index=False)
    return write_files({folder / name: text for name, text in texts.items()})
