"""The claim ledger: every claim of `claims.yaml` against the cells of this run.

Verdicts are reached under each protocol; the overall one is that of `corrected`, unless the paper's
own printed numbers disagree: then it is `inconsistent`, whatever the cells say.

reproduced          shown at the 5 % level; kinds order and pvalue after Holm, in one family of
                    each protocol
not reproduced      what contradicts the claim is shown at the same level, by the same family
inconclusive        neither: this n could not have told
not testable here   a dataset, arm or measurement is absent; or the claim is about the paper's
                    hardware: ours is shown as a ratio, and never passed or failed
inconsistent        the paper's own numbers disagree

Values are judged one by one, each claim by itself. How evidence is made of cells: `verdicts`.
"""

import json
import re
from dataclasses import dataclass, field, replace
from math import isnan, nan
from pathlib import Path
from typing import Any

import pandas as pd

from referee.claims import arithmetic, verdicts
from referee.claims.evidence import (
    CURIOSITY,
    DIMENSION,
    Absent,
    Inputs,
    View,
    evidence,
    measured_in,
    tolerance,
)
from referee.claims.verdicts import Evidence, Verdict
from referee.errors import InputError
from referee.paper import Paper
from referee.paper.claims import Claim
from referee.words import number

PROTOCOLS = ("as_published", "corrected")
DECIDES = "corrected"


@dataclass(frozen=True)
class Outcome:
    """What one protocol says of a claim; `cells` are those of the arms that it names."""

    verdict: Verdict
    sentence: str
    evidence: Evidence | None = None
    cells: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class Entry:
    """One claim, judged."""

    claim: Claim
    verdict: Verdict
    sentence: str
    tolerance: str
    tolerance_reason: str
    outcomes: dict[str, Outcome]
    command: str


def stated_tolerance(claim: Claim) -> tuple[str, str]:
    """How far ours may lie, and why; for tests what would contradict the claim."""
    if claim.tolerance is None:
        if claim.kind == "hardware":
            return "none", "it depends on the machine: shown, never passed or failed"
        return "rounding", "a printed number stands for every value that rounds to it"
    width, reason = tolerance(claim)
    return f"{'x/÷' if claim.tolerance.factor else '±'} {number(width)}", reason


def inconsistencies(paper: Paper) -> dict[str, str]:
    """Sentence by the id of each claim whose printed numbers disagree."""
    found: dict[str, str] = {}
    for check in arithmetic.checks(paper):
        claim = re.sub(r"/(mean|std)$", "", check.id)
        if check.verdict == "inconsistent" and claim in paper.claims:
            said = f"the paper's own numbers disagree: {check.sentence}"
            found[claim] = f"{found[claim]} {said}" if claim in found else said
    return found


def _found(claim: Claim, view: View) -> Evidence | str:
    """Evidence on a claim, or what is absent."""
    try:
        return _noted(evidence(claim, view), claim, view)
    except Absent as absent:
        return str(absent)


def _noted(evidence: Evidence, claim: Claim, view: View) -> Evidence:
    """The evidence, with what differs from the paper in its data and arms."""
    notes = [evidence.note]
    used = view.used(claim)
    if claim.datasets:
        dimensions = sorted(set(used["dimension"]) - {DIMENSION})
        notes += [f"embeddings of {d} values, the paper's have {DIMENSION}" for d in dimensions]
    strategies = set(used["strategy"]) - {"none"}
    if strategies:
        notes.append(f"curiosity: {', '.join(sorted(strategies))} {view.alpha(claim.alpha):g}")
    return replace(evidence, note="; ".join(filter(None, notes)))


def _settled(view: View) -> dict[str, Evidence | str]:
    """What is found on every claim but the arithmetic, Holm's correction in it.

    The family is known only when it is known which of its claims can be tested: they are judged
    twice.
    """
    claims = view.paper.claims
    found = {name: _found(c, view) for name, c in claims.items() if c.kind != "arith"}
    family = {
        name: own
        for name, own in found.items()
        if isinstance(own, Evidence) and claims[name].kind in ("order", "pvalue")
    }
    sized = replace(view, family=len(family))
    again = {name: _found(claims[name], sized) for name in family}
    return found | verdicts.settle({n: e for n, e in again.items() if isinstance(e, Evidence)})


def _outcome(claim: Claim, view: View, found: Evidence | str | None) -> Outcome:
    if found is None:
        return Outcome("reproduced", "the printed numbers agree.")
    if isinstance(found, str):
        return Outcome("not testable here", f"{found}.")
    if claim.kind == "hardware":
        processor = view.inputs.machines.get(measured_in(claim))
        machine = f" ({processor})" if processor else ""
        note = f" ({claim.note})" if claim.note else ""
        sentence = (
            f"{found.quantity} is {found.measured} on this machine{machine}; the paper's hardware "
            f"is not here{note}."
        )
        return Outcome("not testable here", sentence, found, view.used(claim))
    return Outcome(found.verdict, found.sentence, found, view.used(claim))


def ledger(paper: Paper, inputs: Inputs) -> list[Entry]:
    """Every claim, judged.

    Raises:
        InputError: arms that a claim compares cover different cells.

    """
    views = {name: View(name, paper, inputs) for name in PROTOCOLS}
    found = {name: _settled(view) for name, view in views.items()}
    contradictions = inconsistencies(paper)
    entries = []
    for claim in paper.claims.values():
        outcomes = {
            name: _outcome(claim, view, found[name].get(claim.id)) for name, view in views.items()
        }
        decided = outcomes[DECIDES]
        verdict, sentence = decided.verdict, f"{DECIDES}: {decided.sentence}"
        if claim.id in contradictions:
            verdict, sentence = "inconsistent", contradictions[claim.id]
            if claim.kind == "arith":
                outcomes = dict.fromkeys(outcomes, Outcome(verdict, sentence))
        width, reason = stated_tolerance(claim)
        entries.append(Entry(claim, verdict, sentence, width, reason, outcomes, command(claim)))
    return entries


def command(claim: Claim) -> str:
    """What makes the evidence and this ledger."""
    if not claim.datasets:
        return "snakemake -j8 results/claims.csv"
    sets = list(dict.fromkeys(model.removesuffix("-C") for model in claim.models))
    grid = f"datasets: [{', '.join(claim.datasets)}], expert_sets: [{', '.join(sets)}]"
    if sets != list(claim.models):
        alpha = 0.3 if claim.alpha is None else claim.alpha
        arms = [f"{{strategy: {s}, alpha: [{alpha:g}]}}" for s in CURIOSITY["as_published"]]
        grid += f", curiosity: [{{strategy: none}}, {', '.join(arms)}]"
    return (
        "snakemake -j8 results/claims.csv --configfile configs/paper.yaml "
        f"--config 'grid={{{grid}}}'"
    )


def quoted(claim: Claim) -> str:
    """The printed numbers, for people."""
    if "f1_mean" in claim.printed:
        return f"{claim.printed['f1_mean'].text} ± {claim.printed['f1_std'].text}"
    return "; ".join(f"{name.replace('_', ' ')} {n.text}" for name, n in claim.printed.items())


def frame(entries: list[Entry]) -> pd.DataFrame:
    """One row a claim; columns `NAME_PROTOCOL` hold what was reached under the protocol.

    value, ci_low and ci_high are in the unit of that column, p_for and p_against are after Holm
    where the claim is of the family.
    """
    rows = []
    for entry in entries:
        claim = entry.claim
        row: dict[str, Any] = {
            "id": claim.id,
            "locus": claim.locus,
            "kind": claim.kind,
            "says": claim.says,
            "quoted": quoted(claim),
            "verdict": entry.verdict,
            "verdict_as_published": entry.outcomes["as_published"].verdict,
            "verdict_corrected": entry.outcomes["corrected"].verdict,
            "sentence": entry.sentence,
            "tolerance": entry.tolerance,
            "tolerance_reason": entry.tolerance_reason,
        }
        for protocol, outcome in entry.outcomes.items():
            own = outcome.evidence
            row |= {
                f"quantity_{protocol}": own.quantity.rstrip(",") if own else "",
                f"unit_{protocol}": own.unit.strip() if own else "",
                f"value_{protocol}": own.value if own else nan,
                f"ci_low_{protocol}": own.ci_low if own else nan,
                f"ci_high_{protocol}": own.ci_high if own else nan,
                f"n_{protocol}": own.n if own else 0,
                f"p_for_{protocol}": own.p_for if own and not own.exact else nan,
                f"p_against_{protocol}": own.p_against if own and not own.exact else nan,
                f"family_size_{protocol}": own.family if own else 0,
                f"smallest_detectable_{protocol}": own.detectable if own else nan,
                f"power_{protocol}": own.power if own else "",
                f"sentence_{protocol}": outcome.sentence,
            }
        rows.append(row | {"command": entry.command})
    return pd.DataFrame(rows)


def to_json(table: pd.DataFrame) -> str:
    """The same as records; null where nothing can be told."""
    records = [
        {k: None if isinstance(v, float) and isnan(v) else v for k, v in row.items()}
        for row in table.to_dict("records")
    ]
    return json.dumps(records, indent=1, ensure_ascii=False) + "\n"


def read_inputs(cells: Path, packed: Path | None, measurements: Path | None) -> Inputs:
    """The files of a run; those that are not there are left out.

    Raises:
        InputError: there is no table of cells.

    """
    from referee.claims.precision_routing import precision_routing

    if not cells.exists():
        raise InputError(f"{cells} is not here: `snakemake -j8 tables` makes it")
    scored = pd.read_csv(cells)

    def optional(path: Path | None) -> pd.DataFrame | None:
        return pd.read_csv(path) if path is not None and path.exists() else None

    def measured(name: str) -> Path | None:
        return None if measurements is None else measurements / name

    return Inputs(
        cells=scored,
        packed=optional(packed),
        latency=optional(measured("latency.csv")),
        energy=optional(measured("energy.csv")),
        routing=precision_routing(scored),
        machines={
            path.stem: json.loads(path.read_text(encoding="utf-8"))["processor"]
            for path in sorted(measurements.glob("*.json") if measurements else [])
        },
    )
