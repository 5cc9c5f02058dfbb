"""The ledger: every claim of a paper against the cells of a run.

Verdicts are reached under each protocol; the overall one is that of the protocol that decides,
unless the paper's own printed numbers disagree: then it is `inconsistent`, whatever the cells say.

reproduced          shown at the 5 % level; kinds order and pvalue after Holm's correction, in one
                    family of each protocol
not reproduced      what contradicts the claim is shown at the same level, by the same family
inconclusive        neither: a sample of this size could not tell
not testable here   a dataset, arm or measurement is absent; or the claim is about the paper's
                    hardware: ours is shown as a ratio, and never passed or failed
inconsistent        the paper's own numbers disagree

Values are judged one by one, each claim by itself. The judges are in `referee.claims.judges`.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import jinja2
import pandas as pd

from referee.claims import arithmetic
from referee.claims.functions import named
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
    """Read the files of a run; of those that are optional, the missing ones are left out.

    Args:
        paper: whose columns and protocols the files have.
        cells: the tidy table of scores.
        packed: the table of packed models.
        measurements: the folder of the measurements.

    Raises:
        InputError: there is no table of scores, or a table is not as the contract says.

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

    Raises:
        InputError: arms that a claim compares cover different cells, or a claim names a function
            that does not exist or lacks a number that it needs.

    """
    judges = {
        id: named(claim.judge, JUDGES, claim, paper)
        for id, claim in paper.claims.items()
        if claim.judge
    }
    contradictions = inconsistencies(paper)
    views = {name: View(name, paper, inputs) for name in paper.protocols}
    judged = {name: _judged(view, judges) for name, view in views.items()}
    entries = []
    for claim in paper.claims.values():
        outcomes = {
            name: _outcome(claim, view, judged[name].get(claim.id)) for name, view in views.items()
        }
        decided = outcomes[paper.decides]
        several = len(paper.protocols) > 1
        under = f"Under the protocol {paper.decides}: " if several else ""
        verdict, sentence = decided.verdict, under + decided.sentence
        if claim.id in contradictions:
            verdict, sentence = "inconsistent", contradictions[claim.id]
            if not claim.judge:
                outcomes = dict.fromkeys(outcomes, Outcome(verdict, sentence))
        width, reason = stated_tolerance(claim)
        made = command(claim, paper)
        entries.append(Entry(claim, verdict, sentence, width, reason, outcomes, made))
    return entries


def inconsistencies(paper: Paper) -> dict[str, str]:
    """Return a sentence by the id of each claim whose printed numbers disagree."""
    wrong = {
        id: [check.sentence for check in checks if not check.consistent]
        for id, checks in arithmetic.checks(paper).items()
    }
    return {
        id: f"The paper's own numbers disagree: {' '.join(sentences)}"
        for id, sentences in wrong.items()
        if sentences
    }


def _judged(view: View, judges: dict[str, Judge]) -> dict[str, Judgement | str]:
    """A judgement of every claim that has a judge, or what is absent; Holm's correction in it.

    The size of the family is known only when it is known which of its claims can be tested:
    they are judged twice.
    """
    claims = view.paper.claims

    def judge(id: str, view: View) -> Judgement | str:
        try:
            return _noted(judges[id](claims[id], view), claims[id], view)
        except Absent as absent:
            return str(absent)

    first = {id: judge(id, view) for id in judges}
    family = [
        id
        for id, judgement in first.items()
        if isinstance(judgement, Judgement) and claims[id].kind in FAMILY
    ]
    sized = replace(view, family=len(family))
    again = {id: judge(id, sized) for id in family}
    return first | settle({id: j for id, j in again.items() if isinstance(j, Judgement)})


def _noted(judgement: Judgement, claim: Claim, view: View) -> Judgement:
    """The judgement, with what differs from the paper in its data and arms."""
    notes, cells, dimension = [], view.used(claim), view.paper.dimension
    if claim.datasets and dimension is not None and "dimension" in cells:
        others = sorted(set(cells["dimension"]) - {dimension})
        notes = [f"embeddings have {d} values here, {dimension} in the paper" for d in others]
    strategies = sorted(set(cells["strategy"]) - {NO_RULE})
    if strategies:
        strength = "" if claim.alpha is None else f" {claim.alpha:g}"
        notes.append(f"the strategy of the varied model is {', '.join(strategies)}{strength}")
    return judgement.noted(*notes)


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
    sentence = (
        f"The {judgement.quantity} is {judgement.measured} on this machine{machine}; the paper's "
        f"hardware is not here.{note}"
    )
    return Outcome("not testable here", sentence, judgement, view.used(claim))


def stated_tolerance(claim: Claim) -> tuple[str, str]:
    """Return how far ours may lie, and why; for tests, what would contradict the claim."""
    given = claim.tolerance
    if given is None:
        if claim.kind == "hardware":
            return "none", "the number depends on the machine: it is shown, never passed or failed"
        return "rounding", "a printed number stands for every value that rounds to it"
    reason, count = given.reason, len(claim.datasets)
    if given.standard_deviations is not None and count > 1:
        reason += f"; the mean of {count} datasets varies less, by a factor of 1/√{count}"
    return f"{'x/÷' if given.factor else '±'} {number(claim.width)}", reason


def command(claim: Claim, paper: Paper) -> str:
    """Return the command that makes the cells of a claim and their verdict, by the template."""
    suffix = paper.varied_suffix
    varied = bool(suffix) and any(model.endswith(suffix) for model in claim.models)
    strategies = [s for of_protocol in paper.strategies.values() for s in of_protocol]
    return jinja2.Template(paper.command, undefined=jinja2.StrictUndefined).render(
        datasets=claim.datasets,
        models=list(dict.fromkeys(model.removesuffix(suffix) for model in claim.models)),
        strategies=list(dict.fromkeys(strategies)),
        alpha=f"{claim.alpha:g}" if varied and claim.alpha is not None else None,
    )
