"""spec.json: all that training is told of an experiment, in the folder that is named after it."""

import json
from pathlib import Path
from typing import Any

from qmoe.errors import UserError
from qmoe.keys import key
from qmoe.paths import RECORD, SPEC
from records import files, record


def write(spec: dict[str, Any], experiment: Path) -> None:
    """Write the specification of an experiment into its folder, and its record."""
    content, recorded = _texts(spec)
    files.write(experiment / SPEC, content)
    files.write(experiment / RECORD, recorded)


def hash_of(spec: dict[str, Any]) -> str:
    """Return the hash in the record that `write` writes, which stands for the content."""
    recorded: dict[str, str] = json.loads(_texts(spec)[1])
    return recorded[record.SELF]


def _texts(spec: dict[str, Any]) -> tuple[str, str]:
    content = json.dumps(spec, indent=1, sort_keys=True) + "\n"
    return content, record.text(key(spec), {SPEC: content.encode()})


def read(file: Path) -> dict[str, Any]:
    """Read spec.json. Raises UserError where it is missing, Damaged where it was changed."""
    try:
        record.require_whole(file, recorded=True)
        spec: dict[str, Any] = json.loads(file.read_bytes())
    except FileNotFoundError:
        raise UserError(f"{file} is not here: `snakemake cells` writes it") from None
    made = record.read(file.with_name(RECORD))["key"]
    if key(spec) != made:
        raise record.Damaged(f"{file} is not the specification of {made}: {record.AGAIN}")
    return spec
