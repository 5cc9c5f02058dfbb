"""The ledger: every claim of a paper against the cells of a run.

Verdicts are reached under each protocol; the overall one is that of the protocol that decides,
unless the paper's own printed numbers disagree (docs/statistics.md). Claims of the kinds order and
pvalue are one family of Holm's correction in each protocol; values are judged each by itself.
"""

from dataclasses import dataclass, field
from pathlib import Path

import jinja2
import pandas as pd

from referee.claims import arithmetic
from referee.claims.judgement import Judgement, Verdict, settle
from referee.claims.judges import JUDGES, Judge
from referee.claims.precision_routing import precision_routing
from referee.claims.view import Absent, Inputs, View
from referee.contract import NO_RULE, PACKED_MODELS, read_measurements, read_scores, read_table
from referee.paper import Paper
from referee.paper.claims import Claim
from referee.words import number

FAMILY = ("order", "pvalue")  # kinds of claims that Holm corrects together


@dataclass(frozen=True)
class Outcome:
    """What one protocol says of a claim; `cells` are those of the arms that it names."""

    verdict: Verdict
    sentence: str
    judgement: Judgement | None = None
    cells: pd.DataFrame = field(default_factory=pd.DataFrame)


@dataclass(frozen=True)
class Entry:
    """One claim, judged: overall, and by protocol in `outcomes`."""

    claim: Claim
    verdict: Verdict
    sentence: str
    tolerance: str
    tolerance_reason: str
    outcomes: dict[str, Outcome]
    command: str


def read_inputs(
    paper: Paper, cells: Path, packed: Path | None = None, measurements: Path | None = None
) -> Inputs:
    """Read the table of scores, and what there is of packed models and in a folder `measurements`.

    Raises InputError where there is no table of scores, or a table is not as the contract says.
    """
    scores, packed = read_scores(cells, paper), packed if packed and packed.exists() else None
    return Inputs(
        cells=scores,
        packed=read_table(packed, PACKED_MODELS, paper.decides) if packed else None,
        measured=read_measurements(measurements, paper),
        routing=precision_routing(scores, paper),
    )


def ledger(paper: Paper, inputs: Inputs) -> list[Entry]:
    """Judge every claim of a paper, in the order of its files.

    Raises InputError where the arms that a claim compares cover different cells, or a claim names
    a function that does not exist or lacks a number that it needs.
    """
    claims = paper.claims.values()
    judges = {c.id: c.function(c.judge, JUDGES, paper.checks) for c in claims if c.judge}
    checks = arithmetic.checks(paper)
    views = {name: View(name, paper, inputs) for name in paper.protocols}
    judged = {name: _judged(view, judges) for name, view in views.items()}
    under = f"Under the protocol {paper.decides}: " if len(views) > 1 else ""
    entries = []
    for claim in claims:
        outcomes = {
            name: _outcome(claim, view, judged[name].get(claim.id)) for name, view in views.items()
        }
        verdict = outcomes[paper.decides].verdict
        sentence = under + outcomes[paper.decides].sentence
        if wrong := [c.sentence for c in checks.get(claim.id, ()) if not c.consistent]:
            verdict = "inconsistent"
            sentence = f"The paper's own numbers disagree: {' '.join(wrong)}"
            if not claim.judge:
                outcomes = dict.fromkeys(outcomes, Outcome(verdict, sentence))
        tolerance, command = _tolerance(claim), _command(claim, paper)
        entries.append(Entry(claim, verdict, sentence, *tolerance, outcomes, command))
    return entries


def _judged(view: View, judges: dict[str, Judge]) -> dict[str, Judgement | str]:
    """A judgement of every claim that has a judge, or what is absent; Holm's correction in it."""
    claims, judged = view.paper.claims, dict[str, Judgement]()
    lacking: dict[str, str] = {}
    for id, judge in judges.items():
        try:
            judged[id] = judge(claims[id], view).noted(*_differences(claims[id], view))
        except Absent as absent:
            lacking[id] = str(absent)
    family = {id: judged[id] for id in judged if claims[id].kind in FAMILY}
    return judged | settle(family) | lacking


def _differences(claim: Claim, view: View) -> list[str]:
    """What differs from the paper in the data and arms of a claim."""
    notes, cells, dimension = [], view.used(claim), view.paper.dimension
    if claim.datasets and dimension is not None and "dimension" in cells:
        others = sorted(set(cells["dimension"]) - {dimension})
        notes = [f"embeddings have {d} values here, {dimension} in the paper" for d in others]
    if strategies := ", ".join(sorted(set(cells["strategy"]) - {NO_RULE})):
        notes.append(f"the strategy of the varied model is {strategies}{claim.strength}")
    return notes


def _outcome(claim: Claim, view: View, judgement: Judgement | str | None) -> Outcome:
    if judgement is None:
        return Outcome("reproduced", "The printed numbers agree.")
    if isinstance(judgement, str):
        return Outcome("not testable here", f"{judgement}.")
    if claim.kind != "hardware":
        return Outcome(judgement.verdict, judgement.sentence, judgement, view.used(claim))
    processor = view.inputs.measured.processors.get(judgement.measurement)
    machine = f" ({processor})" if processor else ""
    note = f" {claim.note}." if claim.note else ""
    here = f"The {judgement.quantity} is {judgement.measured} on this machine{machine}"
    sentence = f"{here}; the paper's hardware is not here.{note}"
    return Outcome("not testable here", sentence, judgement, view.used(claim))


def _tolerance(claim: Claim) -> tuple[str, str]:
    """How far ours may lie, and why; for tests, what would contradict the claim."""
    given = claim.tolerance
    if given is None:
        if claim.kind == "hardware":
            return "none", "the number depends on the machine: it is shown, never passed or failed"
        return "rounding", "a printed number stands for every value that rounds to it"
    reason, count = given.reason, len(claim.datasets)
    if given.standard_deviations is not None and count > 1:
        reason += f"; the mean of {count} datasets varies less, by a factor of 1/√{count}"
    return f"{'x/÷' if given.factor else '±'} {number(given.factor or claim.width)}", reason


def _command(claim: Claim, paper: Paper) -> str:
    """The command that makes the cells of a claim and their verdict, by the paper's template."""
    suffix = paper.varied_suffix
    varied = bool(suffix) and any(model.endswith(suffix) for model in claim.models)
    strategies = [s for of_protocol in paper.strategies.values() for s in of_protocol]
    return jinja2.Template(paper.command, undefined=jinja2.StrictUndefined).render(
        datasets=claim.datasets,
        models=list(dict.fromkeys(model.removesuffix(suffix) for model in claim.models)),
        strategies=list(dict.fromkeys(strategies)),
        alpha=f"{claim.alpha:g}" if varied and claim.alpha is not None else None,
    )
