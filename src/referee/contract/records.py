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
    severity: Severity = Field(description="how grave it is")
    where: str = Field(description="a dataset, a protocol, or both as `dataset/protocol`")
    evidence: dict[str, Any] = Field(description="what was counted or measured, by name")
    consequence: str = Field(description="what follows for the results, in words")
    claims: tuple[str, ...] = Field(
        default=(), description="printed tables and ids of the claims that the finding touches"
    )


class ClaimEvidence(BaseModel):
    """What the results say of a claim under one protocol."""

    model_config = ConfigDict(extra="allow", frozen=True)

    verdict: str = Field(description="under this protocol")
    sentence: str = Field(description="why, in words")
    measured: str = Field(default="", description="the value with its interval, in words")
    supported: str = Field(default="", description="values that support the claim, in words")
    contradicted: str = Field(default="", description="values that contradict it, in words")
    p_for: float | None = Field(default=None, description="p of the test for the claim")
    p_against: float | None = Field(default=None, description="p of the test against it")
    exact: bool = Field(default=False, description="whether the value has no sampling error")
    family: int = Field(default=0, description="tests that are corrected together")
    power: str = Field(default="", description="what so many cells could show, in words")
    numbers: tuple[dict[str, Any], ...] = Field(default=(), description="one object per dataset")
    cells: tuple[str, ...] = Field(default=(), description="folders of the cells behind it")


class ClaimRecord(BaseModel):
    """One claim of the paper with its verdict; the columns of `claims.csv` are keys as well."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str = Field(description="name of the claim")
    locus: str = Field(description="where the paper states it")
    kind: str = Field(description="what sort of statement it is")
    says: str = Field(description="the statement")
    verdict: str = Field(description="under the protocol that decides")
    note: str = Field(default="", description="a remark on how the claim is read")
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
