"""Run the checks, put their findings in order, and write them down."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pandas as pd

from referee.audit import catalogue
from referee.contract import Finding, Run
from referee.contract.run import DatasetFacts, Severity
from referee.errors import InputError
from referee.paper import Paper
from referee.words import counted, listed

SEVERITIES: tuple[Severity, ...] = get_args(Severity)
WITHOUT_RUN = (
    "Not checked without run.json: how arms were trained, what their strategies do, and the "
    "embeddings and their splits."
)
WITHOUT_EMBEDDINGS = "Not checked, because run.json has no facts of them: the embeddings of {}."
WITHOUT_PREDICTIONS = (
    "Not checked without the predictions of all cells: whether arms are equal, and whether "
    "recordings lie in several folds."
)


class Audit(NamedTuple):
    """The findings, the gravest first, and what could not be checked, a sentence each."""

    findings: list[Finding]
    unchecked: list[str]


def audit(cells: pd.DataFrame, run: Run | None, paper: Paper) -> Audit:
    """Check data, protocol and results.

    `cells` is the table of scores as `read_scores` returns it; predictions and histories are read
    from the folders that its column `cell` names. Without `run`, what needs it is left out. Raises
    InputError if the table holds cells of another run, or cells of this run are not on disk.
    """
    findings: list[Finding] = []
    unchecked = []
    if run is None:
        unchecked.append(WITHOUT_RUN)
    else:
        _require_cells(cells, run)
        findings += _of_run(cells, run, paper)
        if absent := sorted({e.dataset for e in run.experiments} - set(run.datasets)):
            unchecked.append(WITHOUT_EMBEDDINGS.format(listed(absent)))
    has_predictions = "cell" in cells and all(map(_has_predictions, cells["cell"]))
    if not has_predictions:
        unchecked.append(WITHOUT_PREDICTIONS)
    for (dataset, protocol), rows in cells.groupby(["dataset", "protocol"], sort=False):
        where, seeds = f"{dataset}/{protocol}", rows["seed"].nunique()
        folds = run.n_folds(str(dataset), str(protocol)) if run else None
        findings += catalogue.few_folds(where, folds or rows["fold"].nunique(), seeds)
        if has_predictions:
            findings += catalogue.leaks(where, rows)
            findings += catalogue.equal_predictions(where, rows)
    for protocol, rows in cells.groupby("protocol", sort=False):
        findings += catalogue.coverage(str(protocol), rows)
    return Audit(_finished(findings, paper), unchecked)


def audit_dataset(name: str, facts: DatasetFacts, paper: Paper | None) -> list[Finding]:
    """Check one table of embeddings; return the findings, the gravest first."""
    return _finished(_of_dataset(name, facts, paper), paper)


def _of_run(cells: pd.DataFrame, run: Run, paper: Paper) -> Iterator[Finding]:
    for name, facts in run.datasets.items():
        yield from _of_dataset(name, facts, paper)
    for split in run.splits:
        yield from catalogue.split_leak(split)
    for (dataset, protocol), experiments in run.groups.items():
        where, score = f"{dataset}/{protocol}", paper.score
        rows = cells[(cells["dataset"] == dataset) & (cells["protocol"] == protocol)]
        yield from catalogue.checkpoints(where, experiments)
        yield from catalogue.selection(where, experiments, rows, score)
        yield from catalogue.batches(where, experiments, run)
        yield from catalogue.identities(where, experiments, rows, run, score)


def _of_dataset(name: str, facts: DatasetFacts, paper: Paper | None) -> Iterator[Finding]:
    """Check a table of embeddings; `DATA_CHECKS` of the paper's checks.py are called as well."""
    yield from catalogue.embeddings(name, facts)
    for check in getattr(paper and paper.checks, "DATA_CHECKS", ()):
        yield from check(name, facts.clips)


def _has_predictions(cell: Any) -> bool:
    return isinstance(cell, str) and Path(cell, "predictions.parquet").is_file()


def _require_cells(cells: pd.DataFrame, run: Run) -> None:
    """Refuse a table that is not of this run, or whose cells are not on disk."""
    folders = cells["cell"].tolist() if "cell" in cells else [None]
    foreign = set(folders) - {cell for e in run.experiments for cell in e.cells}
    if foreign:
        remedy = "`snakemake -j1 results/cells.csv` makes the table anew"
        raise InputError(f"{min(map(str, foreign))} is not of this run: {remedy}")
    for cell in folders:
        if not _has_predictions(cell):
            raise InputError(f"{cell} is not here: `snakemake -j8 cells` trains it")


def _finished(findings: Iterable[Finding], paper: Paper | None) -> list[Finding]:
    """Name the claims that each finding touches; the gravest first, then by check and place."""
    if paper:
        findings = [f.model_copy(update={"claims": paper.touched_by(f.check)}) for f in findings]
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), f.check, f.where))


def to_json(findings: list[Finding]) -> str:
    """Return the content of `audit.json`."""
    return json.dumps([finding.model_dump() for finding in findings], indent=1) + "\n"


def summary(findings: list[Finding]) -> str:
    """Count the findings by severity: `1 error, 0 warnings, 2 notes.`"""
    severities = [finding.severity for finding in findings]
    return ", ".join(counted(severities.count(name), name) for name in SEVERITIES) + "."


def to_markdown(findings: list[Finding]) -> str:
    """Return the content of `audit.md`."""
    parts = ["# Audit", summary(findings)]
    for finding in findings:
        claims = f" Claims: {', '.join(finding.claims)}." if finding.claims else ""
        evidence = [f"- {name}: {_shown(value)}" for name, value in finding.evidence.items()]
        heading = f"## {finding.severity}: {finding.check}, {finding.where}"
        parts += [heading, finding.consequence + claims, "\n".join(evidence)]
    return "\n\n".join(parts) + "\n"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_shown(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
