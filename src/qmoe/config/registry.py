"""The paper's public datasets, as `registry.yaml` beside this module describes them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Remote:
    """An address and the checksum (`algorithm:hexadecimal`, or None) of what it serves."""

    url: str
    checksum: str | None


@dataclass(frozen=True)
class RegistryEntry:
    """A public dataset; `registry.yaml` explains the fields."""

    title: str
    home: str
    licence: str
    citation: str
    remotes: tuple[Remote, ...]
    suffix: str
    folds: int
    clips: int
    duration_s: float
    archive_gb: float
    audio_gb: float
    random_head: bool


def _entry(fields: dict[str, Any]) -> RegistryEntry:
    remotes = tuple(Remote(**remote) for remote in fields["remotes"])
    return RegistryEntry(**fields | {"remotes": remotes})


_FILE = Path(__file__).with_suffix(".yaml")
REGISTRY = {k: _entry(v) for k, v in yaml.safe_load(_FILE.read_text(encoding="utf-8")).items()}
