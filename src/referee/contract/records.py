"""The JSON files that referee writes and reads again: `audit.json` and `claims.json`."""

from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from referee.contract.run import first_mistake
from referee.errors import InputError

Severity = Literal["error", "warning", "note"]


class Finding(BaseModel):
    """One finding of the audit.

    An `error` makes a number something other than its name says, a `warning` may do so, and a
    `note` limits what can be concluded from it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: str = Field(description="name of the check")
    severity: Severity
    where: str = Field(description="a dataset, a protocol, or both as `dataset/protocol`")
    evidence: dict[str, Any] = Field(description="what was counted or measured, by name")
    consequence: str = Field(description="what follows for the results, in words")
    claims: tuple[str, ...] = Field(
        default=(), description="printed tables and ids of the claims that the finding touches"
    )


class ClaimEvidence(BaseModel):
    """What the results say of a claim under one protocol."""

    model_config = ConfigDict(extra="allow", frozen=True)

    verdict: str
    sentence: str = Field(description="why, in words")


class ClaimRecord(BaseModel):
    """One claim of the paper with its verdict; the columns of `claims.csv` are keys as well."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str
    locus: str = Field(description="where the paper states it")
    kind: str
    says: str = Field(description="the statement")
    verdict: str = Field(description="under the protocol that decides")
    note: str = ""
    findings: tuple[str, ...] = Field(
        default=(), description="checks of the audit that touch the claim"
    )
    evidence: dict[str, ClaimEvidence] = Field(default={}, description="by protocol")


RecordType = TypeVar("RecordType", bound=BaseModel)


def read_audit(path: Path) -> list[Finding]:
    """Read `audit.json`: the findings, the gravest first.

    Raises:
        InputError: the file is missing or not as the contract says.

    """
    return _read(path, Finding)


def read_claims(path: Path) -> list[ClaimRecord]:
    """Read `claims.json`: the claims in the order of the paper's list.

    Raises:
        InputError: the file is missing or not as the contract says.

    """
    return _read(path, ClaimRecord)


def _read(path: Path, record: type[RecordType]) -> list[RecordType]:
    try:
        return TypeAdapter(list[record]).validate_json(path.read_bytes())  # type: ignore[valid-type]
    except FileNotFoundError:
        raise InputError(f"{path} is not here: `snakemake -j1 {path}` makes it") from None
    except ValidationError as error:
        raise InputError(f"{path}: {first_mistake(error)}") from None
