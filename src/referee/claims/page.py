"""The ledger as files; `referee.report` shows it on the results page."""

import json
from collections import Counter
from pathlib import Path
from typing import get_args

import pandas as pd

from referee.claims.evidence import Inputs
from referee.claims.ledger import (
    DECIDES,
    PROTOCOLS,
    Entry,
    Outcome,
    frame,
    to_json,
)
from referee.claims.verdicts import Verdict
from referee.files import write_whole

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
    """Write claims.{csv,json,md}, verdicts.json and the routing by precision; their paths."""
    table = frame(entries)
    texts = {
        "claims.csv": table.to_csv(index=False),
        "claims.json": to_json(table),
        "claims.md": to_markdown(entries),
        "verdicts.json": json.dumps(counts(entries), indent=1) + "\n",
    }
    if inputs.routing is not None:
        texts["significance/precision_routing.csv"] = inputs.routing.to_csv(index=False)
    return write_whole({folder / name: text for name, text in texts.items()})


def _ours(outcome: Outcome) -> str:
    own = f": {outcome.evidence.measured}" if outcome.evidence else ""
    return outcome.verdict + own
