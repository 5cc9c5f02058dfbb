"""The ledger: verdicts from made cells, and the files that hold them."""

import json
import math
import shlex
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import Result
from scipy import stats
from statsmodels.stats.multitest import multipletests
from typer.testing import CliRunner

from qmoe.cli import app
from qmoe.errors import UserError
from referee.claims import arithmetic, ledger, verdicts
from referee.claims.evidence import Inputs, paper_name
from referee.claims.precision_routing import of_cell, precision_routing
from referee.claims.verdicts import Verdict
from referee.paper import read

PAPER = read()
MOE = "bitnet+q4+q8"
ARMS = {  # arm: model, strategy, alpha, experts
    "FP32-Base": ("FP32-Base", "none", None, "fp32"),
    **{f"Q{b}-Base": (f"Q{b}-Base", "none", None, f"q{b}") for b in (1, 4, 8)},
    "BitNet-Q4/8-QMoE": ("BitNet-Q4/8-QMoE", "none", None, MOE),
    **{
        f"BitNet-Q4/8-QMoE-C {s} {a}": ("BitNet-Q4/8-QMoE-C", s, a, MOE)
        for s in ("kl_global", "kl_divergence")
        for a in (0.2, 0.3)
    },
}
CLASSES = {"esc50": 5, "quinn": 5, "urbansound8k": 10}
SHAPE = PAPER.sizes.dimension, PAPER.sizes.hidden


def make_cells(*datasets: str, synthetic: bool = False, seeds: int = 3, sd: float = 0.02):
    """Both protocols and every arm on five folds, F1 about 0.8; quinn has cells 'quinn/...'."""
    rng = np.random.default_rng(11)
    rows = []
    for dataset in datasets:
        classes = CLASSES.get(paper_name(dataset), 5)
        for protocol in ledger.PROTOCOLS:
            for arm, (model, strategy, alpha, experts) in ARMS.items():
                scheme = experts if "+" not in experts else "q4"
                count = arithmetic.parameters(scheme, SHAPE[0], classes, SHAPE[1])
                for seed in range(seeds):
                    for fold in range(5):
                        rows.append(
                            {"dataset": dataset, "synthetic": synthetic, "protocol": protocol}
                            | {"arm": arm, "model": model, "strategy": strategy, "alpha": alpha}
                            | {"experts": experts, "seed": seed, "fold": fold}
                            | {"f1_weighted": 0.8 + sd * rng.normal(), "stop_f1_weighted": 0.5}
                            | {"n_fit": 70, "n_stop": 10, "n_test": 20, "n_classes": classes}
                            | {"dimension": SHAPE[0], "parameter_count": count}
                            | {"embeddings_sha256": "feed"}
                            | {"cell": f"x/{dataset}/{protocol}/{arm}/{seed}/fold{fold}"}
                        )
    return pd.DataFrame(rows)


def judged(cells: pd.DataFrame, **files: object) -> dict[str, ledger.Entry]:
    entries = ledger.ledger(PAPER, Inputs(cells, **files))
    return {entry.claim.id: entry for entry in entries}


def pairs(d: np.ndarray, baseline: np.ndarray | float = 0.0, dataset: str = "a") -> pd.DataFrame:
    """3 seeds x 5 folds whose score is baseline + d."""
    cells = [(dataset, s, f) for s in range(3) for f in range(5)]
    frame = pd.DataFrame(cells, columns=["dataset", "seed", "fold"])
    return frame.assign(score=baseline + d, score_baseline=baseline, ratio=0.25)


NOISE = np.random.default_rng(5).normal(size=15)
NOISE = (NOISE - NOISE.mean()) / NOISE.std(ddof=1)
FOLDS = np.tile([-2.0, -1.0, 0.0, 1.0, 2.0], 3)  # sd of a fold's mean: sqrt(2.5)
DEMO = make_cells("demo", synthetic=True, seeds=1)
THREE = make_cells("ESC-50", "quinn", "UrbanSound8K", seeds=1)
JUDGED = judged(THREE)


@pytest.mark.parametrize(
    ("shift", "sd", "verdict"),
    [
        (0.02, 0.001, "reproduced"),
        (-0.02, 0.001, "not reproduced"),
        (0.0, 0.001, "not reproduced"),
        (0.002, 0.02, "inconclusive"),
    ],
)
def test_an_order_is_shown_refuted_or_left_open(shift: float, sd: float, verdict: str) -> None:
    found = verdicts.rise(pairs(shift + sd * NOISE, 0.8), 0.005, quantity="it")
    assert found.verdict == verdict
    se = sd * math.sqrt(1 / 15 + 0.25)
    one_sided = stats.t.sf(abs(shift) / se, 14)
    assert found.p_for == pytest.approx(2 * one_sided if shift >= 0 else 1.0, abs=1e-9)
    assert found.p_against == pytest.approx(stats.t.cdf((shift - 0.005) / se, 14), abs=1e-9)
    assert found.ci_high - found.value == pytest.approx(stats.t.ppf(0.975, 14) * se)


@pytest.mark.parametrize(
    ("shift", "sd", "verdict"),
    [
        (0.001, 0.003, "reproduced"),
        (0.05, 0.003, "not reproduced"),
        (-0.05, 0.003, "not reproduced"),
        (0.0, 0.03, "inconclusive"),  # not significant is not equal
    ],
)
def test_equality_needs_two_one_sided_tests(shift: float, sd: float, verdict: str) -> None:
    found = verdicts.within(pairs(shift + sd * NOISE), -0.01, 0.01, quantity="it")
    assert found.verdict == verdict
    se = sd * math.sqrt(1 / 15 + 0.25)
    assert found.p_for == pytest.approx(stats.t.cdf((abs(shift) - 0.01) / se, 14), abs=1e-9)


def test_datasets_are_averaged_not_pooled() -> None:
    parts = pd.concat([pairs(0.02 + 0.001 * NOISE), pairs(-0.02 + 0.001 * NOISE, 0.0, "b")])
    mean, numbers = verdicts.mean_over_datasets(parts)
    assert mean.estimate == pytest.approx(0)
    se = 0.001 * math.sqrt(1 / 15 + 0.25)
    assert mean.se == pytest.approx(se / math.sqrt(2))  # the gap between datasets is no noise
    assert mean.df == pytest.approx(28)
    assert numbers["difference"].tolist() == pytest.approx([0.02, -0.02])


@pytest.mark.parametrize(
    ("ratio", "falls", "stays"),
    [
        (0.05, "reproduced", "not reproduced"),
        (8.0, "not reproduced", "reproduced"),
        (0.8, "inconclusive", "inconclusive"),
    ],
)
def test_spreads_over_folds(ratio: float, falls: str, stays: str) -> None:
    baseline = 0.8 + 0.01 * np.tile([1.0, -1.0, 0.5, 1.5, -2.0], 3)
    frame = pairs(0.8 + 0.01 * ratio * FOLDS - baseline, baseline)
    found = verdicts.spread_falls(frame, 0.625, quantity="it")
    assert found.verdict == falls
    assert verdicts.spread_stays(frame, 0.7, quantity="it").verdict == stays
    a, b = frame.groupby("fold")[["score", "score_baseline"]].mean().to_numpy().T
    r, p = stats.pearsonr(a + b, a - b)  # Pitman and Morgan
    assert found.p_for == pytest.approx(p if r < 0 else min(1, 2 * (1 - p / 2)))
    assert found.n == 5


def test_a_tolerance_that_holds_no_change_does_not_reproduce_a_change() -> None:
    same = pairs(0.01 * NOISE, 0.8)
    same["score"] = same["score_baseline"] = 0.8 + 0.01 * FOLDS
    found = verdicts.variance_within(same, 0.05, 5, quantity="it")
    assert found.verdict != "reproduced"
    rng = np.random.default_rng(1)
    folds = np.tile(rng.normal(size=5), 3)
    fallen = pairs(0.01 * (0.1 * folds + 0.01 * FOLDS) - 0.01 * folds, 0.01 * folds)
    assert verdicts.variance_within(fallen, 1e-3, 2, quantity="it").verdict == "reproduced"
    grown = verdicts.variance_within(fallen, 2, 200, quantity="it")
    assert grown.verdict == "not reproduced"


def test_identical_arms() -> None:
    same = pairs(np.zeros(15), 0.8 + 0.01 * FOLDS)
    rise = verdicts.rise(same, 0.005, quantity="it")
    assert rise.verdict == "not reproduced"
    assert "identical" in rise.sentence
    assert verdicts.within(same, -0.01, 0.01, quantity="it").verdict == "reproduced"
    assert verdicts.spread_falls(same, 0.6, quantity="it").verdict == "not reproduced"
    assert verdicts.spread_stays(same, 0.7, quantity="it").verdict == "reproduced"


def test_what_has_no_spread_cannot_be_tested() -> None:
    shifted = verdicts.rise(pairs(np.full(15, 0.1), 0.5), 0.005, quantity="it")
    assert shifted.verdict == "inconclusive"
    assert "no test" in shifted.sentence
    assert verdicts.rise(pairs(NOISE)[:1], 0.005, quantity="it").verdict == "inconclusive"
    flat = pairs(0.01 * FOLDS, 0.0)
    assert verdicts.spread_falls(flat, 0.6, quantity="it").verdict == "inconclusive"


def test_holm_within_the_family_both_ways() -> None:
    noises = [np.random.default_rng(i).normal(size=15) for i in range(4)]
    found = {str(i): verdicts.rise(pairs(0.3 + x), 0.1, quantity="") for i, x in enumerate(noises)}
    settled = verdicts.settle(found)
    for name in ("p_for", "p_against"):
        before = [getattr(e, name) for e in found.values()]
        after = [getattr(e, name) for e in settled.values()]
        assert after == pytest.approx(multipletests(before, method="holm")[1])
    assert {e.family for e in settled.values()} == {4}
    assert verdicts.settle({}) == {}


def test_all_parts_must_hold_and_one_refutes() -> None:
    def part(shift: float, sd: float) -> verdicts.Evidence:
        return verdicts.within(pairs(shift + sd * NOISE), -0.01, 0.01, quantity=f"{shift}")

    good, open_, bad = part(0, 0.001), part(0, 0.05), part(0.1, 0.001)
    assert verdicts.weakest([good, good]).verdict == "reproduced"
    assert verdicts.weakest([good, open_]).verdict == "inconclusive"
    refuted = verdicts.weakest([good, open_, bad])
    assert refuted.verdict == "not reproduced"
    assert refuted.quantity.startswith("0.1")
    assert refuted.p_against == pytest.approx(3 * bad.p_against)


def test_the_demo_tests_no_claim_about_a_dataset() -> None:
    entries = judged(DEMO)
    for entry in entries.values():
        if entry.claim.datasets and entry.verdict != "inconsistent":
            assert entry.verdict == "not testable here"
            assert all(name in entry.sentence for name in entry.claim.datasets)
            assert "demo (synthetic)" in entry.sentence
    assert entries["params_1_2m"].verdict == "reproduced"
    assert "not measured" in entries["one_bit_fastest"].sentence
    assert "no packed models" in entries["compression_4x"].sentence


@pytest.mark.parametrize("name", ["quinn", "Quinn"])
def test_quinn_is_judged_unless_it_is_synthetic(name: str) -> None:
    entries = judged(make_cells(name))
    of_quinn = [e for e in entries.values() if e.claim.datasets == ("quinn",)]
    own = [e for e in of_quinn if e.claim.id.startswith(("quinn", "table5"))]
    assert len(own) == 7
    for entry in own:
        assert entry.verdict in ("reproduced", "not reproduced", "inconclusive")
        for outcome in entry.outcomes.values():
            assert outcome.evidence is not None
            assert len(outcome.cells) == 15 * len(entry.claim.models)
    missing = entries["q4_keeps_f1"]
    assert (missing.verdict, "esc50" in missing.sentence) == ("not testable here", True)
    fake = judged(make_cells(name, synthetic=True))
    assert fake["quinn_f1_up"].verdict == "not testable here"


def test_corrected_decides_and_each_protocol_has_its_curiosity() -> None:
    cells = make_cells("quinn", sd=0.001)
    risen = (cells["strategy"] == "kl_divergence") & (cells["alpha"] == 0.2)
    cells.loc[risen, "f1_weighted"] += 0.02
    entry = judged(cells)["quinn_f1_up"]
    assert entry.outcomes["as_published"].verdict == "not reproduced"  # ran kl_global
    assert (entry.outcomes["corrected"].verdict, entry.verdict) == ("reproduced", "reproduced")
    assert entry.sentence.startswith("corrected: ")
    assert "kl_global 0.2" in entry.outcomes["as_published"].sentence
    alone = judged(cells[cells["protocol"] == "as_published"])["quinn_f1_up"]
    assert (alone.verdict, "protocol corrected" in alone.sentence) == ("not testable here", True)
    other = judged(cells[cells["alpha"] != 0.2])["quinn_f1_up"]
    assert "no cells of BitNet-Q4/8-QMoE-C with kl_divergence 0.2" in other.sentence


def test_a_value_by_hand() -> None:
    cells = make_cells("quinn", sd=0.001)
    entry = judged(cells)["table5/quinn/0.3"]  # 0.805 ± 0.007
    own = cells.query("protocol == 'corrected' and strategy == 'kl_divergence' and alpha == 0.3")
    scores = own["f1_weighted"]
    found = entry.outcomes["corrected"].evidence
    assert found is not None
    assert found.value == pytest.approx(scores.mean())
    se = scores.std(ddof=1) * math.sqrt(1 / 15 + 20 / 80)
    assert found.ci_low == pytest.approx(scores.mean() - stats.t.ppf(0.975, 14) * se)
    assert entry.tolerance == "± 0.0153"  # 2.19 deviations
    assert entry.verdict == "reproduced"  # 0.800, within 0.0153 of 0.805
    lower = judged(cells.assign(f1_weighted=cells["f1_weighted"] - 0.02))
    assert lower["table5/quinn/0.3"].verdict == "not reproduced"


def test_printed_numbers_that_disagree_stay_inconsistent() -> None:
    cells = make_cells("esc50", "quinn", "urbansound8k", sd=0.01, seeds=1)
    curious = cells["strategy"] != "none"  # a fall of 75 % everywhere, as the abstract has it
    plain = cells.loc[cells["model"] == "BitNet-Q4/8-QMoE", "f1_weighted"].to_numpy()
    for _, own in cells[curious].groupby("arm"):
        cells.loc[own.index, "f1_weighted"] = 0.8 + 0.5 * (plain - 0.8)
    entries = judged(cells)
    for name in ("var_50_94", "latency_std_82", "q4_energy_31"):
        assert entries[name].verdict == "inconsistent"
        assert "own numbers disagree" in entries[name].sentence
    outcome = entries["var_50_94"].outcomes["corrected"]
    assert outcome.verdict != "not testable here"  # still shown beside it
    assert outcome.evidence is not None


def test_names_of_datasets_and_other_tasks() -> None:
    assert JUDGED["table5/esc50/baseline"].verdict != "not testable here"
    assert JUDGED["q4_q8_parity"].outcomes["corrected"].evidence.n == 15
    one = THREE[THREE["dataset"] == "ESC-50"]
    fifty = judged(one.assign(n_classes=50))["table5/esc50/baseline"]
    assert (fifty.verdict, "50 classes here, 5" in fifty.sentence) == ("not testable here", True)
    small = judged(one.assign(dimension=1280))["table5/esc50/baseline"]
    assert "1280 values, the paper's have 1536" in small.sentence
    with pytest.raises(UserError, match="quinn and Quinn are both"):
        judged(pd.concat([one.assign(dataset="quinn"), one.assign(dataset="Quinn")]))
    with pytest.raises(UserError, match="different cells"):
        judged(make_cells("quinn").iloc[:-1])


def latencies(cells: pd.DataFrame, **factors: float) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    own = cells.loc[cells.index.repeat(20)].assign(runtime="packed", batch_size=1)
    factor = own["model"].map(factors).fillna(1.0)
    return own.assign(latency_ms=factor * np.exp(0.05 * rng.normal(size=len(own))))


def energies(cells: pd.DataFrame) -> pd.DataFrame:
    about = {"runtime": "packed", "per": "inference", "batch_size": 1, "energy_j": 0.01}
    return cells[cells["fold"] < 2].assign(**about)


def test_hardware_is_shown_never_passed_or_failed() -> None:
    latency = latencies(DEMO, **{"Q1-Base": 0.5, "BitNet-Q4/8-QMoE": 3.0})
    entries = judged(
        DEMO,
        latency=latency,
        energy=energies(DEMO),
        machines={"latency": "a chip", "energy": "an engine"},
    )
    for entry in entries.values():
        if entry.claim.kind == "hardware":
            assert entry.verdict in ("not testable here", "inconsistent")
            assert {o.verdict for o in entry.outcomes.values()} == {"not testable here"}
    fast = entries["one_bit_fastest"].outcomes["corrected"]
    medians = latency[latency["protocol"] == "corrected"]
    medians = medians.groupby(["model", "fold"])["latency_ms"].median().unstack(0)
    logs = np.log(medians["Q1-Base"] / medians["FP32-Base"])
    assert fast.evidence.value == pytest.approx(stats.gmean(np.exp(logs)))
    interval = stats.ttest_1samp(logs, 0).confidence_interval()
    assert fast.evidence.ci_high == pytest.approx(math.exp(interval.high))
    assert "a chip" in fast.sentence
    burnt = entries["f1_per_mj"].outcomes["corrected"].sentence
    assert "an engine" in burnt and "a chip" not in burnt
    assert entries["moe_overhead_11"].outcomes["corrected"].evidence.value == pytest.approx(
        200, 0.1
    )
    per_mj = entries["f1_per_mj"].outcomes["corrected"].evidence.value
    assert per_mj == pytest.approx(0.8 / 10, rel=0.1)
    dark = judged(DEMO, energy=energies(DEMO).assign(energy_j=np.nan))["f1_per_mj"]
    assert "below the resolution" in dark.sentence


@pytest.mark.parametrize(
    ("q4", "verdict"),
    [([25, 26], "reproduced"), ([14, 14], "not reproduced"), ([25, 14], "inconclusive")],
)
def test_bytes_are_counted(q4: list[int], verdict: str) -> None:
    two = DEMO[DEMO["fold"] < 2]
    packed = two.assign(disk_bytes=100)
    for fold, size in enumerate(q4):
        packed.loc[(packed["model"] == "Q4-Base") & (packed["fold"] == fold), "disk_bytes"] = size
    entry = judged(two, packed=packed)["compression_4x"]
    assert entry.verdict == verdict
    assert "1536 values and 5 classes (paper: 1536 and 50)" in entry.sentence


def test_other_networks_are_not_those_of_the_claim() -> None:
    entry = judged(DEMO.assign(parameter_count=1000))["params_1_2m"]
    assert (entry.verdict, "1000 parameters" in entry.sentence) == ("not testable here", True)


def test_all_five_verdicts_are_reached() -> None:
    cells = make_cells("quinn", sd=0.002)
    lower = cells.assign(f1_weighted=cells["f1_weighted"] - 0.02)
    found = {e.verdict for run in (cells, lower) for e in judged(run).values()}
    assert found == set(get_args(Verdict))


def predictions(rng: np.random.Generator, routed: bool) -> pd.DataFrame:
    """40 clips; where routed, the more uncertain half goes to eight bits."""
    u = rng.uniform(size=40)
    rank = u.argsort().argsort() + rng.integers(5) * (np.arange(40) % 7 == 0)
    expert = np.where(rank >= 20, "q8", "bitnet") if routed else np.full(40, "q4")
    half = np.full(40, 0.5)
    return pd.DataFrame({"expert": expert, "uncertainty": u, "p_0": half, "p_1": half})


def test_routing_by_precision(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    clips = predictions(rng, routed=True)
    found = {row["expert"]: row for row in of_cell(clips, MOE)}
    bits = clips["expert"].map({"q8": 8, "bitnet": 1.58})
    rho = stats.spearmanr(clips["uncertainty"], bits).statistic
    assert found["q8"]["rank_correlation"] == pytest.approx(rho)
    assert found["q8"]["share"] == (clips["expert"] == "q8").mean()
    assert found["q8"]["top_decile_share"] == 1.0
    assert (found["q4"]["clips"], found["q8"]["confidence_mean"]) == (0, 0.5)
    assert of_cell(predictions(rng, routed=False), MOE)[0]["rank_correlation"] == 0
    cells = THREE[THREE["alpha"] == 0.3].copy()
    cells["cell"] = [f"{tmp_path}/{i}" for i in range(len(cells))]
    curious = cells[cells["strategy"] == "kl_divergence"]
    for folder, protocol in zip(curious["cell"], curious["protocol"], strict=True):
        Path(folder).mkdir()
        made = predictions(rng, routed=protocol == "corrected")
        made.to_parquet(Path(folder) / "predictions.parquet")
    routing = precision_routing(cells)
    assert len(routing) == 3 * len(curious)
    entry = judged(cells, routing=routing)["q8_gets_uncertain"]
    assert entry.verdict == "reproduced"
    assert "100% of the most uncertain tenth" in entry.sentence
    assert entry.outcomes["as_published"].verdict == "not testable here"  # kl_global: no u
    unknown = judged(cells, routing=precision_routing(cells.assign(cell="nowhere")))
    assert "no uncertainty" in unknown["q8_gets_uncertain"].sentence


def test_csv_and_json_hold_the_same() -> None:
    table = ledger.frame(list(JUDGED.values()))
    records = json.loads(ledger.to_json(table))
    again = pd.DataFrame(records)
    assert again.columns.tolist() == table.columns.tolist()
    pd.testing.assert_frame_equal(again, table, check_dtype=False)
    assert table["id"].tolist() == list(PAPER.claims)
    tested = table[table["verdict_corrected"].isin(["reproduced", "inconclusive"])]
    assert (tested["power_corrected"] != "").all()
    assert (tested["tolerance_reason"] != "").all()


def test_commands_ask_for_what_the_claim_needs() -> None:
    known = yaml.safe_load(Path("params.yaml").read_text())["expert_sets"]
    for entry in judged(DEMO).values():
        words = shlex.split(entry.command)
        assert words[:3] == ["snakemake", "-j8", "results/claims.csv"]
        if entry.claim.datasets:
            grid = yaml.safe_load(words[-1].removeprefix("grid="))
            assert grid["datasets"] == list(entry.claim.datasets)
            models = {model.removesuffix("-C") for model in entry.claim.models}
            assert models == set(grid["expert_sets"]) <= set(known)
            curious = any(model.endswith("-C") for model in entry.claim.models)
            assert curious == ("curiosity" in grid)


def test_the_command(tmp_path: Path) -> None:
    cells, out = tmp_path / "cells.csv", tmp_path / "results"

    def run(*options: str) -> Result:
        return CliRunner().invoke(app, ["claims", str(cells), str(out), *options])

    absent = run().exception
    assert isinstance(absent, UserError)
    assert str(absent).endswith("cells.csv is not here: `snakemake -j8 tables` makes it")
    DEMO.to_csv(cells, index=False)
    latencies(DEMO).to_csv(tmp_path / "latency.csv", index=False)
    (tmp_path / "latency.json").write_text('{"processor": "a chip"}')
    done = run("--packed", str(tmp_path / "none.csv"), "--measurements", str(tmp_path))
    assert (done.exit_code, "1 reproduced, 0 not reproduced" in done.output) == (0, True)
    made = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert made == {
        *(f"claims.{suffix}" for suffix in ("csv", "json", "md", "provenance.json")),
        "significance/precision_routing.csv",
        "verdicts.json",
    }
    found = pd.read_csv(out / "claims.csv")["verdict"].value_counts()
    said = json.loads((out / "verdicts.json").read_text())
    assert {verdict: n for verdict, n in said.items() if n} == found.to_dict()
    assert pd.read_csv(out / "claims.csv")["verdict"].isin(get_args(Verdict)).all()
    assert "a chip" in (out / "claims.md").read_text()


def test_a_claim_of_no_test_is_not_in_the_family() -> None:
    found = judged(make_cells("quinn"))
    tested = [
        found[name].outcomes["corrected"].evidence for name in ("quinn_f1_up", "quinn_var_85")
    ]
    assert [own.family for own in tested] == [2, 2]
