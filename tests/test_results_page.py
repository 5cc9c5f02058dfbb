"""The results page from files alone: what it reads, and what it leaves out."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from referee.errors import InputError
from referee.paper import Paper, Story, read
from referee.report import results_page

ROOT = Path(__file__).parents[1]
LEDGER = {
    "id": "a_above_b",
    "locus": "abstract",
    "kind": "order",
    "says": "A is above B",
    "quoted": "0.9",
    "verdict": "reproduced",
    "sentence": "main: A - B is 0.1: above 0 (p = 0.01).",
    "tolerance": "± 0.01",
    "tolerance_reason": "of the score",
    "command": "make verdicts",
    "note": "",
    "findings": [],
    "evidence": {
        "main": {
            "verdict": "reproduced",
            "sentence": "A - B is 0.1: above 0 (p = 0.01).",
            "measured": "0.1 (95 % 0.05 to 0.15, n = 5)",
            "supported": "above 0",
            "contradicted": "below 0",
            "p_for": 0.01,
            "p_against": None,
            "exact": False,
            "family": 3,
            "power": "n = 5 would show 0.08 with 80 % power",
            "numbers": [{"dataset": "toy", "A": 0.9, "B": None}],
            "cells": ["results/cells/toy/main/a/none/seed0-abc/fold0"],
        }
    },
}
UNTESTED = LEDGER["evidence"]["main"] | {  # type: ignore[index]
    "verdict": "not testable here",
    "sentence": "toy2 is not in this run.",
    "measured": "",
    "supported": "",
    "contradicted": "",
    "p_for": None,
    "power": "",
    "numbers": [],
    "cells": [],
}


@pytest.fixture
def plain_paper() -> Paper:
    """A paper of one protocol, without varied arms, measurements or words of its own."""
    about = {"protocols": ("main",), "decides": "main", "title": "Plain", "story": Story()}
    score = read(ROOT / "papers/curious_qmoe").score.model_copy(update={"column": "accuracy"})
    return read(ROOT / "papers/curious_qmoe").model_copy(update=about | {"score": score})


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The fewest files of a run that make a page: scores without a protocol, and two claims."""
    rows = [
        {"dataset": "toy", "arm": arm, "seed": 0, "fold": fold, "accuracy": 0.5 + fold / 10}
        for arm in ("A", "B")
        for fold in (0, 1)
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "cells.csv", index=False)
    untested = LEDGER | {
        "id": "a_on_toy2",
        "verdict": "not testable here",
        "evidence": {"main": UNTESTED},
    }
    finding = {
        "check": "few_folds",
        "severity": "note",
        "where": "toy/main",
        "evidence": {"folds": 2},
        "consequence": "Two folds show little.",
        "claims": ["a_above_b", "table1"],
    }
    files: dict[str, Any] = {
        "claims.json": [untested, LEDGER],
        "verdicts.json": {"reproduced": 1, "not testable here": 1, "inconclusive": 0},
        "audit.json": [finding],
    }
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    (tmp_path / "claims.md").write_text("# Claims\n\n2 claims.\n\nThe `rule`.\n\n| claim |\n")
    return tmp_path


def test_a_run_of_scores_alone_has_a_page(results: Path, plain_paper: Paper) -> None:
    pages = results_page.render(results, plain_paper)
    assert set(pages) == {"index.html", "pages/Claims/claims.html", "pages/Audit/audit.html"}
    page = pages["index.html"]
    assert "This run has 4 cells: 2 arms under the protocol “main”" in page
    assert "<h1>Plain</h1>" in page
    for absent in ('id="tables"', 'id="significance"', 'id="numbers"', "Measured on", "Grid"):
        assert absent not in page
    links = set(re.findall(r'href="#([^"]+)"', page))
    assert links <= set(re.findall(r' id="([^"]+)"', page))


def test_the_page_shows_the_ledger_as_it_is(results: Path, plain_paper: Paper) -> None:
    page = results_page.render(results, plain_paper)["index.html"]
    assert page.index('id="claim-a-above-b"') < page.index('id="claim-a-on-toy2"')
    assert "a value above 0 supports the claim: p = 0.01 (after Holm’s correction over 3" in page
    assert "a value below 0 contradicts the claim: no test" in page
    assert '<button type="button">Main</button>' in page
    assert "1 cell of the arms" in page and ">toy/main/a/none/seed0, fold 0<" in page
    assert ">The rule.<" in page
    assert '<a href="#claim-a-above-b">a_above_b</a>' in page
    assert "table1" in page and 'href="#table1"' not in page  # the table is not on the page


def test_exact_and_untested_claims_have_no_p(results: Path) -> None:
    ledger = json.loads((results / "claims.json").read_text())
    ledger[1]["evidence"]["main"]["exact"] = True
    (results / "claims.json").write_text(json.dumps(ledger))
    shown = results_page.verdicts(results, {})
    assert [claim["protocols"][0]["tests"] for claim in shown["claims"]] == [[], []]
    assert shown["claims"][0]["protocols"][0]["numbers"]["rows"] == [
        [{"text": text, "href": None} for text in ("toy", "0.9", "")]
    ]
    assert shown["claims"][1]["protocols"][0]["numbers"] is None


@pytest.mark.parametrize("name", ["cells.csv", "claims.json", "verdicts.json", "audit.json"])
def test_a_file_that_must_be_there_is_named(results: Path, plain_paper: Paper, name: str) -> None:
    (results / name).unlink()
    with pytest.raises(InputError, match=f"{name} is not here: `snakemake"):
        results_page.render(results, plain_paper)


def test_the_page_loads_no_judge() -> None:
    code = "import sys; from referee.report import results_page, show; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert not [name for name in loaded.stdout.split() if name.startswith("referee.claims")]
