"""The sentences about a run say what its numbers say, whatever they are."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from referee import words
from referee.paper import Story, read
from referee.report import sentences

PAPER = read(Path(__file__).parents[1] / "papers/curious_qmoe")


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
    first, second = sentences.of_run(cells())
    assert first == (
        "This run has 4 cells: 1 arm under the protocols “as published” and “corrected”, 1 seed, "
        "on demo (22 clips in 5 classes, 2 folds, embeddings of 1280 values)."
    )
    assert "demo are synthetic" in second
    assert len(list(sentences.of_run(cells(synthetic=False)))) == 1


def test_a_run_of_one_protocol_without_embeddings() -> None:
    frame = cells(protocol="main", synthetic=False).drop(columns=["dimension", "n_classes"])
    assert list(sentences.of_run(frame)) == [
        "This run has 4 cells: 1 arm under the protocol “main”, 1 seed, on demo (2 folds)."
    ]


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
    published, corrected, both = sentences.of_averages(table1(-0.1, 0.2, -0.3), PAPER)
    assert "0.520 (M2 kl_divergence 0.3), the lowest 0.500 (M0)" in published
    assert "0.700 (M1 kl_divergence 0.3), the lowest 0.200 (M2 kl_divergence 0.3)" in corrected
    assert "lower in 2 of 3 arms under the protocol “corrected” than under “as published”" in both
    assert "mean change is -0.077" in both  # (-0.1 + 0.19 - 0.32) / 3
    one = table1(0.1)
    assert len(list(sentences.of_averages(one[one["protocol"] == "corrected"], PAPER))) == 1


def test_averages_of_a_paper_of_one_protocol_and_another_score() -> None:
    score = PAPER.score.model_copy(update={"name": "accuracy"})
    paper = PAPER.model_copy(update={"protocols": ("main",), "decides": "main", "score": score})
    table = pd.DataFrame({"protocol": "main", "model": ["A", "B"], "avg_accuracy_mean": [0.4, 0.6]})
    assert list(sentences.of_averages(table, paper)) == [
        "Under the protocol “main”, the highest average accuracy is 0.600 (B), the lowest 0.400 "
        "(A)."
    ]


def test_a_ratio_tells_what_the_smaller_network_keeps_and_costs() -> None:
    row = {"dataset": "demo_synthetic", "protocol": "corrected"}
    full = {"model": "FP32-Base", "f1_mean": 0.8, "disk_bytes": 400, "latency_batch1_ms": 2.0}
    four = {"model": "Q4-Base", "f1_mean": 0.6, "disk_bytes": 100, "latency_batch1_ms": 5.0}
    (told,) = sentences.of_ratio(pd.DataFrame([row | full, row | four]), PAPER)
    assert told == (
        "Under the protocol “corrected”, on demo synthetic, the packed 4-bit network has 75.0 % of "
        "the F1 of full precision, with 0.25 of its bytes on disk and 2.50 of its time for 1 clip."
    )
    scores = pd.DataFrame([row | full, row | four]).drop(
        columns=["disk_bytes", "latency_batch1_ms"]
    )
    (told,) = sentences.of_ratio(scores, PAPER)
    assert told.endswith("has 75.0 % of the F1 of full precision.")
    assert not list(sentences.of_ratio(pd.DataFrame([row | full]), PAPER))
    untold = PAPER.model_copy(update={"story": Story()})
    assert not list(sentences.of_ratio(pd.DataFrame([row | full, row | four]), untold))


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
    (told,) = sentences.of_families(judged(), "F1")
    assert told.startswith(
        "F1, all against FP32-Base, corrected: the tests as published give p < 0.05 in 2 of 3 "
        "comparisons, and the corrected tests, after Holm's correction, in 1 of 3."
    )
    assert "With n = 5, a typical test detects a difference of 0.2 with 80 % power" in told
    (untold,) = sentences.of_families(judged(smallest_detectable=math.nan), "F1")
    assert "power" not in untold
    counts = sentences.tests({"table1_f1": judged()}, PAPER)
    assert counts.iloc[0].tolist()[2:6] == [3, 2, 1, 1]
    assert counts["tests of"].tolist() == ["F1 of Table 1"]
    both = {"table1_f1": judged(), "table2_f1": judged()}
    assert list(sentences.of_tests(both, PAPER)) == [
        "Of 6 comparisons, the tests as published call 4 significant at the 5 % level and the "
        "corrected tests, after Holm's correction, 2; equivalence tests show 2 to be equivalent "
        "within the margin."
    ]
    assert not list(sentences.of_tests({}, PAPER))


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
    told, power = sentences.of_spread(frame, PAPER)
    assert "smaller with curiosity in 1 of 2 comparisons" in told
    assert f"after Holm's correction, {shown} of the 2 can be told from chance" in told
    assert (
        "range from -40 % to 82 %; even if nothing differed, a reduction of at least 82 %" in told
    )
    assert told.endswith("would have a probability of 0.061.")
    assert power == (
        "With 5 folds, the standard deviation has to fall to 13 % of its value without curiosity "
        "to be detected with 80 % power."
    )
    assert not list(sentences.of_spread(frame.iloc[2:], PAPER))


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
    assert list(sentences.of_latency(frame, PAPER)) == [
        "demo, 1 clip per call: the fastest packed arm is B (corrected) at 0.05 ms, 0.2 times as "
        "fast as ONNX Runtime in float32; the slowest is A (corrected) at 0.2 ms."
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
    assert list(sentences.of_verdicts(claims)) == [
        "Of 3 claims: 2 not testable here and 1 reproduced.",
        "“b” (abstract): reproduced. y.",
    ]
    errors = [
        {"severity": "error", "check": "identity_map", "where": "demo/as_published"},
        {"severity": "error", "check": "test_data_select", "where": "demo/as_published"},
        {"severity": "note", "check": "few_folds", "where": "demo/corrected"},
    ]
    assert list(sentences.of_audit(errors)) == [
        "The audit found 2 errors and 1 note.",
        "Checks that found errors (as published): identity map and test data select.",
    ]
    assert list(sentences.of_audit([])) == ["The audit found nothing."]


def test_names_as_words() -> None:
    assert words.heading("latency_batch1_ms") == "latency batch 1 (ms)"
    assert words.heading("energy batch64 J") == "energy batch 64 (J)"
    assert words.heading("f1_mean") == "F1 mean"
    assert words.heading("disk_kB") == "disk (kB)"
    assert words.spaced_names("b_c of a_b", ["a_b"]) == "b_c of a b"
    assert words.capitalised("with FP32") == "With FP32"
    assert words.arm_name("A") == words.arm_name("A", "rule", math.nan) == "A"
    assert words.arm_name("A", "rule", 0.30) == "A rule 0.3"
