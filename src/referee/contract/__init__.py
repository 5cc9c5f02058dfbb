"""The contract: every file that referee reads, written down once and checked when it is read.

Any program that writes these files can have its results judged. `tables.yaml` and `records.yaml`
describe them. Every reader raises `InputError` with one line that names the file and, in a table,
the column and the first row that is wrong. Rows are counted from 1, without the heading.
"""

from referee.contract.columns import IDENTITY, NO_RULE, PACKED, PACKED_MODELS, WHAT
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
from referee.contract.run import Finding, Run, read_run
