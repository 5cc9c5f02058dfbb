"""Every check of the audit: `checks.yaml` holds the severity and the consequence of each."""

from pathlib import Path
from typing import Any

import yaml

from referee.contract import Finding

CHECKS: dict[str, dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("checks.yaml").read_text(encoding="utf-8")
)


def finding(check: str, where: str, /, **evidence: Any) -> Finding:
    """Return the finding of a check of `CHECKS`.

    `where` is the dataset, the protocol, or both as `dataset/protocol`; `evidence` is what was
    counted or measured, by name.
    """
    return Finding(check=check, where=where, evidence=evidence, **CHECKS[check])


def leak(where: str, siblings: int, test_clips: int, seen_in: str) -> Finding:
    """Return the finding that `siblings` of the test clips have their recording in training too."""
    evidence = {
        "test_clips_with_their_recording_in_training": siblings,
        "test_clips": test_clips,
        "share": siblings / test_clips,
        "seen_in": seen_in,
    }
    return finding("recordings_on_both_sides", where, **evidence)
