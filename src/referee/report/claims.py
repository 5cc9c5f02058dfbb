"""What the results page shows of the claim ledger, as plain data."""

import re
from typing import Any

from referee.claims.ledger import Entry, Outcome
from referee.claims.output import VERDICTS, printed_numbers
from referee.report.parts import Experiments, plain_table
from referee.words import number, p_value

LAST = "not testable here"


def claims(entries: list[Entry], experiments: Experiments) -> list[dict[str, Any]]:
    """Every claim, those that this run could judge first."""
    order = [*(verdict for verdict in VERDICTS if verdict != LAST), LAST]
    sorted_entries = sorted(entries, key=lambda entry: order.index(entry.verdict))
    return [_claim(entry, experiments) for entry in sorted_entries]


def anchor(claim: str) -> str:
    """Of the evidence on a claim, by its id."""
    return "claim-" + re.sub(r"[^A-Za-z0-9.]+", "-", claim)


def _claim(entry: Entry, experiments: Experiments) -> dict[str, Any]:
    claim = entry.claim
    return {
        "anchor": anchor(claim.id),
        "id": claim.id,
        "locus": claim.locus,
        "kind": claim.kind,
        "says": claim.says,
        "note": claim.note,
        "quoted": printed_numbers(claim),
        "verdict": entry.verdict,
        "sentence": entry.sentence,
        "tolerance": entry.tolerance,
        "reason": entry.tolerance_reason,
        "command": entry.command,
        "protocols": [
            _protocol(claim.id, name, outcome, experiments)
            for name, outcome in entry.outcomes.items()
        ],
    }


def _protocol(claim: str, name: str, outcome: Outcome, experiments: Experiments) -> dict[str, Any]:
    own = outcome.judgement
    tested = own is not None and own.supported and not own.exact
    title = f"{claim}, {name.replace('_', ' ')}, numbers of each dataset"
    cells = outcome.cells["cell"].tolist() if own and len(outcome.cells) else []
    return {
        "name": name.replace("_", " "),
        "verdict": outcome.verdict,
        "sentence": outcome.sentence,
        "ours": own.measured if own else "",
        "power": own.power if own else "",
        "tests": [
            (own.supported, "p " + p_value(own.p_for)),
            (own.contradicted, "p " + p_value(own.p_against)),
        ]
        if own and tested
        else [],
        "family": own.family if own else 1,
        "numbers": plain_table(title, own.numbers, number)
        if own is not None and len(own.numbers)
        else None,
        "cells": len(cells),
        "experiments": experiments.of(cells),
    }
