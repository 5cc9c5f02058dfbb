"""A finding of the audit, as `audit.json` lists it."""

from typing import Any, Literal

from pydantic import BaseModel

Severity = Literal["error", "warning", "note"]


class Finding(BaseModel, extra="forbid", frozen=True):
    """One finding; `records.yaml` says what its fields hold."""

    check: str
    severity: Severity
    where: str
    evidence: dict[str, Any]
    consequence: str
    claims: tuple[str, ...] = ()
