"""Every check of the audit, with the severity and the consequence of what it finds.

D2 to D5 are the defects of docs/defects.md. A paper may add checks of its own datasets.
"""

from typing import Any

from referee.contract import Finding
from referee.contract.records import Severity

CHECKS: dict[str, tuple[Severity, str]] = {
    # of a table of embeddings
    "constant_columns": (
        "note",
        "These embedding values are the same in every clip. They cannot tell clips apart, so the "
        "embedding has fewer dimensions than stated.",
    ),
    "duplicate_columns": (
        "warning",
        "Some embedding values are copies of others; the table was probably exported wrongly.",
    ),
    "duplicate_clips": (
        "warning",
        "The same clip appears under the names of several recordings. Its copies can lie on both "
        "sides of a split that keeps recordings together.",
    ),
    "random_head": (  # D2
        "error",
        "The embeddings come out of a layer with random weights, computed from pictures without "
        "the normalisation that the network was trained with. They are not features of the named "
        "network.",
    ),
    "unknown_embedding": ("note", "The table does not say how its embeddings were made."),
    "unknown_recordings": (
        "note",
        "Every clip counts as a recording of its own, and there are no official folds. If clips "
        "of one recording lie on both sides of a split, this audit cannot see it.",
    ),
    # of a split
    "recordings_on_both_sides": (  # D3
        "error",
        "Test clips come from recordings that were also trained on. The score shows how well a "
        "recording is remembered, not how well a class is recognised.",
    ),
    "few_folds": (
        "note",
        "No rank or sign test over so few folds can reach p < 0.05, and spreads often differ "
        "widely without any effect. More seeds do not replace folds, because the seeds of a fold "
        "share their clips.",
    ),
    # of the protocol
    "unequal_checkpoints": (  # D5
        "error",
        "Some arms are scored at their best epoch and others at their last, which favours the "
        "former. A difference between them does not show a difference between the models.",
    ),
    "test_data_select": (  # D5
        "error",
        "The clips that are scored also decide when training stops and which epoch is kept. "
        "Scores are those of the luckiest epoch: they are too high, by an amount that differs "
        "between arms.",
    ),
    "batch_dependent_routing": (  # D4
        "warning",
        "Uncertainty is scaled by its range over the batch, so the route of a clip depends on the "
        "clips beside it. Scores depend on the batch size and do not hold when clips are "
        "classified one at a time.",
    ),
    "batch_dependent_activations": (  # D4
        "warning",
        "Activations are quantised by their range over the batch, so the prediction for a clip "
        "depends on the clips beside it.",
    ),
    "identity_map": (
        "error",
        "This strategy changes no routing probability: the arm is the plain router under another "
        "name. If both have the same network, a difference between their scores is rounding that "
        "training amplified; otherwise it comes from the arm's additional dropout layer.",
    ),
    "order_preserving": (
        "note",
        "These strategies sharpen or flatten the routing probabilities, but in no random routing "
        "did another network become the most probable. They can change how the networks are "
        "trained, but they send no clip to another network.",
    ),
    # of the results
    "equal_predictions": (
        "warning",
        "The predictions of these arms are equal byte for byte: they are one arm under several "
        "names.",
    ),
    "unequal_coverage": (
        "warning",
        "The mean of an arm over the cells that it has is compared with means over more cells. "
        "Compare arms on the cells that both have.",
    ),
}


def found(check: str, where: str, evidence: dict[str, Any]) -> Finding:
    """Return the finding of a check of `CHECKS`.

    Args:
        check: its name.
        where: the dataset, the protocol, or both as `dataset/protocol`.
        evidence: what was counted or measured, by name.

    """
    severity, consequence = CHECKS[check]
    return Finding(
        check=check, severity=severity, where=where, evidence=evidence, consequence=consequence
    )
