"""One finding of the audit, as plain data."""

from dataclasses import dataclass
from typing import Any, Literal, get_args

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

# Ids of claims.yaml, or a table as a whole, by what they rest on.
F1 = ("table1", "table5", "q4_keeps_f1", "q4_q8_parity")
SPREAD = ("table5", "quinn_var_85", "var_50_94", "no_false_stability")
CURIOSITY = ("table1", *SPREAD, "quinn_f1_up", "q8_gets_uncertain", "latency_std_82")


@dataclass(frozen=True)
class Finding:
    """What was found, where (dataset/protocol), with which numbers, and what follows for what.

    claims: ids of claims.yaml, or `table1` and `table5` for all of their numbers.
    """

    check: str
    severity: Severity
    where: str
    evidence: dict[str, Any]
    consequence: str
    claims: tuple[str, ...] = ()
