"""The ledger as files: a table, records for other programs, and Markdown for people."""

import json
from collections import Counter
from collections.abc import Mapping
from math import isnan, nan
from pathlib import Path
from typing import Any, get_args

import pandas as pd

from referee.claims.judgement import Judgement, Verdict
from referee.claims.ledger import Entry, Outcome
from referee.claims.view import Inputs
from referee.files import write_whole
from referee.paper import Paper
from referee.paper.claims import Claim
from referee.words import spaced

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
NOTHING = Judgement(nan, family=0)  # where nothing could be judged


def rule(decides: str) -> str:
    """Return how the overall verdict comes about, in Markdown; `decides` names the protocol."""
    return (
        f"The verdict is the one reached under the protocol `{decides}`, unless the paper's own "
        "printed numbers disagree: then it is `inconsistent`, whatever the cells say. "
        "`inconclusive`: a sample of this size could not tell. `not testable here`: a dataset, an "
        "arm or a measurement is absent, or the claim is about the paper's hardware."
    )


def counts(entries: list[Entry]) -> dict[Verdict, int]:
    """Return how many claims have each verdict, all five of them."""
    counted = Counter(entry.verdict for entry in entries)
    return {verdict: counted[verdict] for verdict in VERDICTS}


def printed_numbers(claim: Claim) -> str:
    """Return the printed numbers of a claim, for people."""
    if set(claim.printed) == {"mean", "std"}:
        return f"{claim.printed['mean'].text} ± {claim.printed['std'].text}"
    return "; ".join(f"{spaced(name)} {n.text}" for name, n in claim.printed.items())


def frame(entries: list[Entry]) -> pd.DataFrame:
    """Return a row a claim; columns `NAME_PROTOCOL` hold what was reached under the protocol.

    value, ci_low and ci_high are in the unit of that column; p_for and p_against are after Holm's
    correction where the claim is of the family.
    """
    rows = []
    for entry in entries:
        claim, outcomes = entry.claim, entry.outcomes.items()
        row: dict[str, Any] = {
            "id": claim.id,
            "locus": claim.locus,
            "kind": claim.kind,
            "says": claim.says,
            "quoted": printed_numbers(claim),
            "verdict": entry.verdict,
            **{f"verdict_{protocol}": outcome.verdict for protocol, outcome in outcomes},
            "sentence": entry.sentence,
            "tolerance": entry.tolerance,
            "tolerance_reason": entry.tolerance_reason,
        }
        for protocol, outcome in outcomes:
            row |= {f"{name}_{protocol}": value for name, value in _columns(outcome).items()}
        rows.append(row | {"command": entry.command})
    return pd.DataFrame(rows)


def _columns(outcome: Outcome) -> dict[str, Any]:
    """The columns of one protocol."""
    judgement = outcome.judgement or NOTHING
    return {
        "quantity": judgement.quantity,
        "unit": judgement.unit.strip(),
        "value": judgement.value,
        "ci_low": judgement.ci_low,
        "ci_high": judgement.ci_high,
        "n": judgement.n,
        "p_for": nan if judgement.exact else judgement.p_for,
        "p_against": nan if judgement.exact else judgement.p_against,
        "family_size": judgement.family,
        "smallest_detectable": judgement.detectable,
        "power": judgement.power,
        "sentence": outcome.sentence,
    }


def records(entries: list[Entry]) -> list[dict[str, Any]]:
    """Return a record a claim: the row of `frame`, and what other programs need beside it.

    `note` and `findings` are the claim's; `evidence` holds by protocol the verdict, sentence,
    measured value in words, both regions with their p-values, whether it is exact, the family
    size, power, numbers (a record a dataset) and cells (their folders).
    """
    rows = frame(entries).to_dict("records")
    return [
        {
            **{str(name): value for name, value in row.items()},
            "note": entry.claim.note,
            "findings": list(entry.claim.findings),
            "evidence": {name: _evidence(outcome) for name, outcome in entry.outcomes.items()},
        }
        for entry, row in zip(entries, rows, strict=True)
    ]


def _evidence(outcome: Outcome) -> dict[str, Any]:
    judgement, columns = outcome.judgement or NOTHING, _columns(outcome)
    shown = outcome.judgement is not None and "cell" in outcome.cells
    return {
        "verdict": outcome.verdict,
        "sentence": outcome.sentence,
        "measured": judgement.measured if outcome.judgement else "",
        "supported": judgement.supported,
        "contradicted": judgement.contradicted,
        "p_for": columns["p_for"],
        "p_against": columns["p_against"],
        "exact": judgement.exact,
        "family": judgement.family,
        "power": judgement.power,
        "numbers": judgement.numbers.to_dict("records"),
        "cells": outcome.cells["cell"].tolist() if shown else [],
    }


def to_json(entries: list[Entry]) -> str:
    """Return the records as JSON; null where nothing can be told."""
    return json.dumps(_without_nan(records(entries)), indent=1, ensure_ascii=False) + "\n"


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_nan(inner) for inner in value]
    return None if isinstance(value, float) and isnan(value) else value


def to_markdown(entries: list[Entry], paper: Paper) -> str:
    """Return a row a claim; the rest is in the CSV and on the results page."""
    total = ", ".join(f"{n} {verdict}" for verdict, n in counts(entries).items())
    rows = [
        {
            "claim": entry.claim.id,
            "the paper says": f"{entry.claim.says} ({entry.claim.locus})",
            "verdict": entry.verdict,
            **{
                spaced(name): f"{o.verdict}{': ' + o.judgement.measured if o.judgement else ''}"
                for name, o in entry.outcomes.items()
            },
            "why": entry.sentence,
        }
        for entry in entries
    ]
    table = pd.DataFrame(rows).to_markdown(index=False, disable_numparse=True)
    return f"# Claims\n\n{len(entries)} claims: {total}.\n\n{rule(paper.decides)}\n\n{table}\n"


def write(entries: list[Entry], paper: Paper, inputs: Inputs, folder: Path) -> list[Path]:
    """Write claims.csv, .json and .md, verdicts.json and the routing by precision.

    Args:
        entries: the ledger.
        paper: whose claims they are.
        inputs: the files that were judged.
        folder: where the files go.

    Returns:
        The paths. The routing is left out where the table names no cells or experts.

    """
    texts = {
        "claims.csv": frame(entries).to_csv(index=False),
        "claims.json": to_json(entries),
        "claims.md": to_markdown(entries, paper),
        "verdicts.json": json.dumps(counts(entries), indent=1) + "\n",
    }
    if inputs.routing is not None:
        texts["significance/precision_routing.csv"] = inputs.routing.to_csv(index=False)
    return write_whole({folder / name: text for name, text in texts.items()})
