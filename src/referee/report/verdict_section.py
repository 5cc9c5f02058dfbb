"""The ledger of claims as the results page shows it: reads files, judges nothing."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from referee.report.parts import Shown, plain_table, read_text, used_experiments
from referee.words import number, p_value, spaced


def read(results: Path, anchors: Mapping[str, str]) -> Shown:
    """The claims, those first that the run could judge; the counts; and the rule of the verdict.

    `anchors` says where experiments are shown, by folder; the rule is the text above the table of
    claims.md. Raises InputError where claims.json, claims.md or verdicts.json is missing.
    """
    ledger = json.loads(read_text(results / "claims.json"))
    counts = json.loads(read_text(results / "verdicts.json"))
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
        "rule": read_text(results / "claims.md").split("\n\n")[-2].replace("`", ""),
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
        "numbers": plain_table(title, pd.DataFrame(numbers), number) if numbers else None,
        "experiments": used_experiments(evidence["cells"], anchors),
    }
