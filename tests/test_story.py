"""The story's sentences say what the numbers say, whatever they are."""

import math
from typing import Any

import pandas as pd
import pytest

from referee.report import story


def cells(**about: Any) -> pd.DataFrame:
    """One arm under both protocols, two folds of 10 and 12 clips."""
    rows = [
        {
            "dataset": "demo",
            "synthetic": True,
            "protocol": protocol,
            "arm": "FP32-Base",
            "model": "FP32-Base",
            "strategy": "none",
            "alpha": None,
            "seed": 0,
            "fold": fold,
            "n_test": 10 + 2 * fold,
            "n_classes": 5,
            "dimension": 1280,
        }
        for protocol in ("as_published", "corrected")
        for fold in (0, 1)
    ]
    return pd.DataFrame(rows).assign(**about)


def test_the_run() -> None:
    first, second = story.of_run(cells())
    assert first == (
        "This run has 4 cells: 1 arm under the protocols as published and corrected, 1 seed, on "
        "demo (22 clips in 5 classes, 2 folds, embeddings of 1280 values)."
    )
    assert "demo are synthetic" in second
    assert len(story.of_run(cells(synthetic=False))) == 1


def table1(*shifts: float) -> pd.DataFrame:
    """An arm a shift: 0.5 as published, 0.5 + shift corrected."""
    rows = [
        {
            "protocol": protocol,
            "model": f"M{number}",
            "strategy": "kl_divergence" if number else "none",
            "alpha": 0.3 if number else None,
            "avg_f1_mean": 0.5 + (shift if protocol == "corrected" else number / 100),
        }
        for protocol in ("as_published", "corrected")
        for number, shift in enumerate(shifts)
    ]
    return pd.DataFrame(rows)


def test_table1_names_the_best_arm_and_counts_what_falls() -> None:
    published, corrected, both = story.of_table1(table1(-0.1, 0.2, -0.3))
    assert "0.520 (M2 kl_divergence 0.3), the lowest 0.500 (M0)" in published
    assert "0.700 (M1 kl_divergence 0.3), the lowest 0.200 (M2 kl_divergence 0.3)" in corrected
    assert "lower in 2 of 3 arms" in both
    assert "mean change is -0.077" in both  # (-0.1 + 0.19 - 0.32) / 3
    one = table1(0.1)
    assert len(story.of_table1(one[one["protocol"] == "corrected"])) == 1


def test_bits_are_ratios_to_full_precision() -> None:
    row = {"dataset": "demo_synthetic", "protocol": "corrected"}
    full = {"model": "FP32-Base", "f1_mean": 0.8, "disk_bytes": 400, "latency_batch1_ms": 2.0}
    four = {"model": "Q4-Base", "f1_mean": 0.6, "disk_bytes": 100, "latency_batch1_ms": 5.0}
    (told,) = story.of_bits(pd.DataFrame([row | full, row | four]))
    assert told == (
        "Corrected, demo synthetic: the packed 4-bit network has 75.0 % of the F1 of full "
        "precision, with 0.25 of its bytes on disk and 2.50 of its time for 1 clip."
    )
    assert story.of_bits(pd.DataFrame([row | full])) == []


def judged(**about: Any) -> pd.DataFrame:
    rows = {
        "protocol": "corrected",
        "family": "all against FP32-Base, corrected",
        "n": 5,
        "published_p": [0.01, 0.04, 0.2, math.nan],
        "holm_p": [0.03, 0.3, 1.0, math.nan],
        "tost_holm_p": [0.9, 0.9, 0.04, math.nan],
        "smallest_detectable": [0.1, 0.2, 0.3, math.nan],
    }
    return pd.DataFrame(rows | about)


def test_families_and_tests_are_counted() -> None:
    (told,) = story.of_mixtures(judged())
    assert "as published 2 of 3 tests are below 0.05; corrected and after Holm 1 of 3" in told
    assert "With n = 5 a typical test finds a difference of 0.2 with 80 % power" in told
    (untold,) = story.of_mixtures(judged(smallest_detectable=math.nan))
    assert "power" not in untold
    found = story.tests({"table1_f1": judged()})
    assert found.iloc[0].tolist()[2:6] == [3, 2, 1, 1]
    assert story.of_tests({"table1_f1": judged(), "table2_f1": judged()}) == [
        "Of 6 comparisons the tests as published call 4 significant at 5 %, the corrected ones "
        "after Holm 2; 2 are shown to be equivalent within the margin."
    ]
    assert story.of_tests({}) == []


@pytest.mark.parametrize(("holm", "shown"), [(0.5, 0), (0.001, 2)])
def test_curiosity_says_what_chance_does(holm: float, shown: int) -> None:
    frame = pd.DataFrame(
        {
            "protocol": "as_published",
            "n": 5,
            "variance_reduction_percent": [-40.0, 82.4, math.nan],
            "null_probability": [0.62, 0.061, math.nan],
            "holm_p": holm,
            "detectable_sd_ratio": 0.13,
        }
    )
    told, power = story.of_curiosity(frame)
    assert "smaller with curiosity in 1 of 2 comparisons" in told
    assert f"after Holm {shown} of them" in told
    assert "from -40 % to 82 %; one of at least 82 % has a probability of 0.061" in told
    assert power == (
        "With 5 folds the standard deviation has to fall to 13 % of what it was to be found with "
        "80 % power."
    )
    assert story.of_curiosity(frame.iloc[2:]) == []


def test_latency_names_the_fastest() -> None:
    frame = pd.DataFrame(
        {
            "dataset": "demo",
            "protocol": "corrected",
            "model": ["A", "B", "C"],
            "strategy": "none",
            "alpha": math.nan,
            "runtime": ["packed", "packed", "onnx_fp32"],
            "batch_size": 1,
            "median_ms": [0.2, 0.05, 0.01],
            "speedup_over_onnx_fp32": [0.05, 0.2, 1.0],
        }
    )
    assert story.of_latency(frame) == [
        "demo, 1 clip a call: the fastest packed arm is B (corrected) with 0.05 ms, 0.2 times as "
        "fast as ONNX Runtime in float32; the slowest A (corrected) with 0.2 ms."
    ]


def test_verdicts_and_audit() -> None:
    claims = pd.DataFrame(
        {
            "verdict": ["not testable here", "reproduced", "not testable here"],
            "says": ["a", "b", "c"],
            "locus": "abstract",
            "sentence": ["x.", "y.", "z."],
        }
    )
    assert story.of_verdicts(claims) == [
        "Of 3 claims: 2 not testable here and 1 reproduced.",
        "“b” (abstract): reproduced. y.",
    ]
    errors = [
        {"severity": "error", "check": "identity_map", "where": "demo/as_published"},
        {"severity": "error", "check": "test_data_select", "where": "demo/as_published"},
        {"severity": "note", "check": "few_folds", "where": "demo/corrected"},
    ]
    assert story.of_audit(errors) == [
        "The audit found 2 errors and 1 note.",
        "Errors, as published: identity map and test data select.",
    ]
    assert story.of_audit([]) == ["The audit found nothing."]
