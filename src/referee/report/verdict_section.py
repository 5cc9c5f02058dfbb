"""The ledger of claims as the results page shows it: reads files, judges nothing."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from referee.report.parts import Shown, plain_table, read_text, used_experiments
from referee.words import number, p_value, spaced

LAST = "not testable here"


def read(results: Path, anchors: Mapping[str, str]) -> Shown:
    """The claims, starting with those that the run could judge; the counts; and the rule.

    `anchors` says where experiments are shown, by folder. The rule, how the verdict follows from
    those of the protocols, is the text above the table of claims.md.

    Raises:
        InputError: claims.json, claims.md or verdicts.json is missing.

    """
    ledger = json.loads(read_text(results / "claims.json"))
    counts = json.loads(read_text(results / "verdicts.json"))
    order = sorted(counts, key=lambda verdict: verdict == LAST)
    return {
        "claims": [
            _claim(claim, anchors)
            for claim in sorted(ledger, key=lambda claim: order.index(claim["verdict"]))
        ],
        "counts": counts,
        "rule": read_text(results / "claims.md").split("\n\n")[-2].replace("`", ""),
    }


def anchor(claim: str) -> str:
    """The anchor of the evidence on a claim, from its id."""
    return "claim-" + re.sub(r"[^A-Za-z0-9.]+", "-", claim)


def _claim(claim: dict[str, Any], anchors: Mapping[str, str]) -> Shown:
    protocols = [
        _protocol(f"{claim['id']}, {spaced(protocol)}", evidence, anchors)
        | {"name": spaced(protocol)}
        for protocol, evidence in claim["evidence"].items()
    ]
    return claim | {"anchor": anchor(claim["id"]), "protocols": protocols}


def _protocol(title: str, evidence: dict[str, Any], anchors: Mapping[str, str]) -> Shown:
    """What the cells of a protocol say; p-values only where something was tested."""
    tests = [
        (evidence[region], "no test" if evidence[p] is None else "p " + p_value(evidence[p]))
        for region, p in (("supported", "p_for"), ("contradicted", "p_against"))
        if evidence["supported"] and not evidence["exact"]
    ]
    numbers = pd.DataFrame(evidence["numbers"])
    table = plain_table(f"{title}, numbers of each dataset", numbers, number)
    return evidence | {
        "tests": tests,
        "numbers": table if len(numbers) else None,
        "cells": len(evidence["cells"]),
        "experiments": used_experiments(evidence["cells"], anchors),
    }
