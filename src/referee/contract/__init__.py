"""The contract: every file that referee reads, written down once and checked when it is read.

Any program that writes these files can have its results judged. `columns` describes the tables,
`run` the file `run.json`, and `records` the other JSON files; `readers` reads the tables;
`markdown` prints the contract. Every reader raises `InputError` with one line that names the file
and, in a table, the column and the first row that is wrong. Rows are counted from 1, without the
heading.
"""

from referee.contract.columns import (
    IDENTITY,
    INFERENCE,
    MEASUREMENTS,
    NO_RULE,
    PACKED,
    PACKED_MODELS,
    PREDICTIONS,
    SCORES,
    SIGNIFICANCE,
    WHAT,
)
from referee.contract.readers import (
    Measured,
    is_mixture,
    of_packed,
    read_csv,
    read_history,
    read_measurements,
    read_predictions,
    read_scores,
    read_table,
)
from referee.contract.records import Finding, read_audit, read_claims
from referee.contract.run import Run, read_run

__all__ = [
    "IDENTITY",
    "INFERENCE",
    "MEASUREMENTS",
    "NO_RULE",
    "PACKED",
    "PACKED_MODELS",
    "PREDICTIONS",
    "SCORES",
    "SIGNIFICANCE",
    "WHAT",
    "Finding",
    "Measured",
    "Run",
    "is_mixture",
    "of_packed",
    "read_audit",
    "read_claims",
    "read_csv",
    "read_history",
    "read_measurements",
    "read_predictions",
    "read_run",
    "read_scores",
    "read_table",
]
