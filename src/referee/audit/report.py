"""The audit: what in data, protocol and results stands between the numbers and what they claim.

Checks live in `data` and `cells`; here they are run, ordered and written down. An
`error` makes a number something else than it is called, a `warning` may, a `note` limits what can
be concluded from it.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from qmoe.data import table as tables
from qmoe.data.table import EmbeddingTable
from qmoe.grid import Grid
from referee.audit import cells as audit_cells
from referee.audit import data as audit_data
from referee.audit.finding import SEVERITIES, Finding
from referee.errors import InputError


def audit(grid: Grid, cells: pd.DataFrame) -> list[Finding]:
    """Every finding on a grid, the gravest first.

    Args:
        grid: what was run. Tables of embeddings that are not on disk are passed over.
        cells: its tidy table; predictions and histories are read from the folders it names.

    Raises:
        InputError: the table holds cells of another grid, or one that is not on disk.

    """
    foreign = sorted(set(cells["cell"]) - {cell.as_posix() for cell in grid.cells})
    if foreign:
        raise InputError(
            f"{foreign[0]} is not of this grid: `snakemake -j1 results/cells.csv` makes the table "
            "anew"
        )
    read = {
        name: tables.read(source.table)
        for name, source in grid.sources.items()
        if source.table.exists()
    }
    found = [finding for name, table in read.items() for finding in audit_data.check(name, table)]
    found += audit_data.check_splits(grid.experiments, read)
    found += audit_cells.check(grid.experiments, cells)
    return ordered(found)


def audit_file(path: Path) -> list[Finding]:
    """Every finding on one table of embeddings, ours (.parquet) or the authors' (.csv).

    Raises:
        InputError: it cannot be read.

    """
    return ordered(audit_data.check(path.stem, _read(path)))


def _read(path: Path) -> EmbeddingTable:
    if path.suffix == ".csv":
        return tables.read_authors_csv(path)
    if path.suffix == ".parquet":
        return tables.read(path)
    raise InputError(f"{path}: give a table of embeddings, .parquet or .csv, or a results folder")


def ordered(findings: Iterable[Finding]) -> list[Finding]:
    """The gravest first, then by check and place."""
    return sorted(findings, key=lambda f: (SEVERITIES.index(f.severity), f.check, f.where))


def to_json(findings: list[Finding]) -> str:
    """The records, for machines."""
    return json.dumps([asdict(finding) for finding in findings], indent=1) + "\n"


def to_markdown(findings: list[Finding]) -> str:
    """The records, for people."""
    counts = [(s, sum(f.severity == s for f in findings)) for s in SEVERITIES]
    lines = ["# Audit", "", ", ".join(f"{n} {s}{'' if n == 1 else 's'}" for s, n in counts) + "."]
    for finding in findings:
        claims = f" Claims: {', '.join(finding.claims)}." if finding.claims else ""
        lines += [
            "",
            f"## {finding.severity}: {finding.check}, {finding.where}",
            "",
            finding.consequence + claims,
            "",
            *(f"- {name}: {_shown(value)}" for name, value in finding.evidence.items()),
        ]
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_shown(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_shown, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
