"""Checks of the data: tables of embeddings, their splits, and the number of folds."""

from collections.abc import Iterable

from scipy.stats import f as f_distribution

from referee.audit.catalogue import found
from referee.contract import Finding
from referee.contract.run import DatasetFacts, SplitFacts


def of_dataset(name: str, facts: DatasetFacts) -> Iterable[Finding]:
    """Yield every finding on the table of embeddings of the dataset `name`."""
    n_clips, of = len(facts.clips), facts.dimension
    if facts.constant_columns:
        yield found("constant_columns", name, {"columns": facts.constant_columns, "of": of})
    if facts.duplicate_columns:
        yield found("duplicate_columns", name, {"columns": facts.duplicate_columns, "of": of})
    if copies := facts.vectors_in_several_recordings:
        evidence = {"vectors_in_several_recordings": copies, "clips": n_clips}
        yield found("duplicate_clips", name, evidence)
    if facts.random_layer:
        yield found("random_head", name, {"backbone": facts.backbone, "published": True})
    elif not facts.embedding_known:
        yield found("unknown_embedding", name, {"source": facts.source})
    if not facts.recordings_known:
        yield found("unknown_recordings", name, {"clips": n_clips})


def split_leak(split: SplitFacts) -> Iterable[Finding]:
    """Yield a finding if recordings lie on both sides of a split."""
    if split.test_clips and split.test_clips_with_their_recording_in_training:
        siblings = split.test_clips_with_their_recording_in_training
        yield leak(f"{split.dataset}/{split.protocol}", siblings, split.test_clips, "the split")


def leak(where: str, siblings: int, test_clips: int, seen_in: str) -> Finding:
    """Return the finding of recordings on both sides of a split.

    Args:
        where: dataset and protocol.
        siblings: test clips whose recording is in training as well.
        test_clips: all test clips.
        seen_in: where they were counted.

    """
    evidence = {
        "test_clips_with_their_recording_in_training": siblings,
        "test_clips": test_clips,
        "share": siblings / test_clips,
        "seen_in": seen_in,
    }
    return found("recordings_on_both_sides", where, evidence)


def few_folds(where: str, folds: int, seeds: int) -> Iterable[Finding]:
    """Yield a finding if no rank or sign test over so few folds can reach p < 0.05."""
    lowest, df = 2.0 ** (1 - folds), folds - 1
    if lowest <= 0.05:
        return
    evidence: dict[str, float] = {
        "folds": folds,
        "seeds": seeds,
        "lowest_two_sided_p_of_signs_and_ranks": lowest,
    }
    if df:
        evidence |= {
            "variance_ratio_that_an_f_test_needs": float(f_distribution.ppf(0.975, df, df)),
            "chance_of_half_the_variance_without_effect": float(f_distribution.cdf(0.5, df, df)),
        }
    yield found("few_folds", where, evidence)
