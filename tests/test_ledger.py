"""The ledger: verdicts from made cells, and the files that hold them."""

import json
import math
import shlex
from pathlib import Path
from tempfile import TemporaryDirectory
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
from referee.claims import effects, judgement, ledger, output
from referee.claims.judgement import Judgement, Verdict
from referee.claims.precision_routing import of_cell, precision_routing
from referee.claims.view import Inputs, plain_name
from referee.contract import Measured, read_scores
from referee.errors import InputError
from referee.paper import Paper, read

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
SIZES = PAPER.for_checks["sizes"]
SHAPE = SIZES["dimension"], SIZES["hidden"]
BITS = {name: expert.bits for name, expert in PAPER.experts.items()}


def make_cells(*datasets: str, synthetic: bool = False, seeds: int = 3, sd: float = 0.02):
    """Both protocols and every arm on five folds, F1 about 0.8; quinn has cells 'quinn/...'."""
    rng = np.random.default_rng(11)
    rows = []
    for dataset in datasets:
        classes = CLASSES.get(plain_name(dataset), 5)
        for protocol in PAPER.protocols:
            for arm, (model, strategy, alpha, experts) in ARMS.items():
                scheme = experts if "+" not in experts else "q4"
                count = PAPER.checks.parameters(scheme, SHAPE[0], classes, SHAPE[1])
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


def as_read(cells: pd.DataFrame, paper: Paper = PAPER) -> pd.DataFrame:
    """The cells as `read_scores` gives them."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "cells.csv")
        cells.to_csv(path, index=False)
        return read_scores(path, paper)


def judged(cells: pd.DataFrame, **files: object) -> dict[str, ledger.Entry]:
    entries = ledger.ledger(PAPER, Inputs(as_read(cells), **files))
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
    found = effects.rise(pairs(shift + sd * NOISE, 0.8), 0.005)
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
    found = effects.within(pairs(shift + sd * NOISE), (-0.01, 0.01))
    assert found.verdict == verdict
    se = sd * math.sqrt(1 / 15 + 0.25)
    assert found.p_for == pytest.approx(stats.t.cdf((abs(shift) - 0.01) / se, 14), abs=1e-9)


def test_datasets_are_averaged_not_pooled() -> None:
    parts = pd.concat([pairs(0.02 + 0.001 * NOISE), pairs(-0.02 + 0.001 * NOISE, 0.0, "b")])
    mean, numbers = effects.mean_over_datasets(parts)
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
    found = effects.spread_falls(frame, 0.625)
    assert found.verdict == falls
    assert effects.spread_stays(frame, 0.7).verdict == stays
    a, b = frame.groupby("fold")[["score", "score_baseline"]].mean().to_numpy().T
    r, p = stats.pearsonr(a + b, a - b)  # Pitman and Morgan
    assert found.p_for == pytest.approx(p if r < 0 else min(1, 2 * (1 - p / 2)))
    assert found.n == 5


def test_a_tolerance_that_holds_no_change_does_not_reproduce_a_change() -> None:
    same = pairs(0.01 * NOISE, 0.8)
    same["score"] = same["score_baseline"] = 0.8 + 0.01 * FOLDS
    found = effects.variance_within(same, (0.05, 5))
    assert found.verdict != "reproduced"
    rng = np.random.default_rng(1)
    folds = np.tile(rng.normal(size=5), 3)
    fallen = pairs(0.01 * (0.1 * folds + 0.01 * FOLDS) - 0.01 * folds, 0.01 * folds)
    assert effects.variance_within(fallen, (1e-3, 2)).verdict == "reproduced"
    grown = effects.variance_within(fallen, (2, 200))
    assert grown.verdict == "not reproduced"


def test_identical_arms() -> None:
    same = pairs(np.zeros(15), 0.8 + 0.01 * FOLDS)
    rise = effects.rise(same, 0.005)
    assert rise.verdict == "not reproduced"
    assert "identical" in rise.sentence
    assert effects.within(same, (-0.01, 0.01)).verdict == "reproduced"
    assert effects.spread_falls(same, 0.6).verdict == "not reproduced"
    assert effects.spread_stays(same, 0.7).verdict == "reproduced"


def test_what_has_no_spread_cannot_be_tested() -> None:
    shifted = effects.rise(pairs(np.full(15, 0.1), 0.5), 0.005)
    assert shifted.verdict == "inconclusive"
    assert "no test is possible" in shifted.sentence
    assert effects.rise(pairs(NOISE)[:1], 0.005).verdict == "inconclusive"
    flat = pairs(0.01 * FOLDS, 0.0)
    assert effects.spread_falls(flat, 0.6).verdict == "inconclusive"


def test_holm_within_the_family_both_ways() -> None:
    noises = [np.random.default_rng(i).normal(size=15) for i in range(4)]
    found = {str(i): effects.rise(pairs(0.3 + x), 0.1) for i, x in enumerate(noises)}
    settled = judgement.settle(found)
    for name in ("p_for", "p_against"):
        before = [getattr(e, name) for e in found.values()]
        after = [getattr(e, name) for e in settled.values()]
        assert after == pytest.approx(multipletests(before, method="holm")[1])
    assert {e.family for e in settled.values()} == {4}
    assert judgement.settle({}) == {}


def test_all_parts_must_hold_and_one_refutes() -> None:
    def part(shift: float, sd: float) -> Judgement:
        return effects.within(pairs(shift + sd * NOISE), (-0.01, 0.01)).of(f"{shift}")

    good, open_, bad = part(0, 0.001), part(0, 0.05), part(0.1, 0.001)
    assert judgement.weakest([good, good]).verdict == "reproduced"
    assert judgement.weakest([good, open_]).verdict == "inconclusive"
    refuted = judgement.weakest([good, open_, bad])
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
            assert outcome.judgement is not None
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
    assert entry.sentence.startswith("Under the protocol corrected: ")
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
    found = entry.outcomes["corrected"].judgement
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
    assert outcome.judgement is not None


def test_names_of_datasets_and_other_tasks() -> None:
    assert JUDGED["table5/esc50/baseline"].verdict != "not testable here"
    assert JUDGED["q4_q8_parity"].outcomes["corrected"].judgement.n == 15
    one = THREE[THREE["dataset"] == "ESC-50"]
    fifty = judged(one.assign(n_classes=50))["table5/esc50/baseline"]
    assert (fifty.verdict, "50 classes here, 5" in fifty.sentence) == ("not testable here", True)
    small = judged(one.assign(dimension=1280))["table5/esc50/baseline"]
    assert "1280 values here, 1536 in the paper" in small.sentence
    with pytest.raises(InputError, match="quinn and Quinn are both"):
        judged(pd.concat([one.assign(dataset="quinn"), one.assign(dataset="Quinn")]))
    with pytest.raises(InputError, match="different cells"):
        judged(make_cells("quinn").iloc[:-1])


def latencies(cells: pd.DataFrame, **factors: float) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    own = cells.loc[cells.index.repeat(20)].assign(runtime="packed", batch_size=1)
    own["repeat"] = np.arange(len(own)) % 20
    factor = own["model"].map(factors).fillna(1.0)
    return own.assign(latency_ms=factor * np.exp(0.05 * rng.normal(size=len(own))))


def energies(cells: pd.DataFrame) -> pd.DataFrame:
    about = {"runtime": "packed", "per": "inference", "batch_size": 1, "energy_j": 0.01}
    return cells[cells["fold"] < 2].assign(**about)


def test_hardware_is_shown_never_passed_or_failed() -> None:
    latency = latencies(DEMO, **{"Q1-Base": 0.5, "BitNet-Q4/8-QMoE": 3.0})
    entries = judged(
        DEMO,
        measured=Measured(
            latency=latency,
            energy=energies(DEMO),
            machines={
                "latency": {"processor": "a chip"},
                "energy": {"processor": "an engine"},
            },
        ),
    )
    for entry in entries.values():
        if entry.claim.kind == "hardware":
            assert entry.verdict in ("not testable here", "inconsistent")
            assert {o.verdict for o in entry.outcomes.values()} == {"not testable here"}
    fast = entries["one_bit_fastest"].outcomes["corrected"]
    medians = latency[latency["protocol"] == "corrected"]
    medians = medians.groupby(["model", "fold"])["latency_ms"].median().unstack(0)
    logs = np.log(medians["Q1-Base"] / medians["FP32-Base"])
    assert fast.judgement.value == pytest.approx(stats.gmean(np.exp(logs)))
    interval = stats.ttest_1samp(logs, 0).confidence_interval()
    assert fast.judgement.ci_high == pytest.approx(math.exp(interval.high))
    assert "a chip" in fast.sentence
    burnt = entries["f1_per_mj"].outcomes["corrected"].sentence
    assert "an engine" in burnt and "a chip" not in burnt
    assert entries["moe_overhead_11"].outcomes["corrected"].judgement.value == pytest.approx(
        200, 0.1
    )
    per_mj = entries["f1_per_mj"].outcomes["corrected"].judgement.value
    assert per_mj == pytest.approx(0.8 / 10, rel=0.1)
    dark = judged(DEMO, measured=Measured(energy=energies(DEMO).assign(energy_j=np.nan)))[
        "f1_per_mj"
    ]
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
    assert "1536 values and 5 classes (in the paper: 1536 values and 50 classes)" in entry.sentence


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
    found = {row["expert"]: row for row in of_cell(clips, MOE.split("+"), BITS)}
    bits = clips["expert"].map({"q8": 8, "bitnet": 1.58})
    rho = stats.spearmanr(clips["uncertainty"], bits).statistic
    assert found["q8"]["rank_correlation"] == pytest.approx(rho)
    assert found["q8"]["share"] == (clips["expert"] == "q8").mean()
    assert found["q8"]["top_decile_share"] == 1.0
    assert (found["q4"]["clips"], found["q8"]["confidence_mean"]) == (0, 0.5)
    assert of_cell(predictions(rng, routed=False), MOE.split("+"), BITS)[0]["rank_correlation"] == 0
    cells = THREE[THREE["alpha"] == 0.3].copy()
    cells["cell"] = [f"{tmp_path}/{i}" for i in range(len(cells))]
    curious = cells[cells["strategy"] == "kl_divergence"]
    for folder, protocol in zip(curious["cell"], curious["protocol"], strict=True):
        Path(folder).mkdir()
        made = predictions(rng, routed=protocol == "corrected")
        made.to_parquet(Path(folder) / "predictions.parquet")
    routing = precision_routing(cells, PAPER)
    assert len(routing) == 3 * len(curious)
    entry = judged(cells, routing=routing)["q8_gets_uncertain"]
    assert entry.verdict == "reproduced"
    assert "100% of the most uncertain tenth" in entry.sentence
    assert entry.outcomes["as_published"].verdict == "not testable here"  # kl_global: no u
    unknown = judged(cells, routing=precision_routing(cells.assign(cell="nowhere"), PAPER))
    assert "no uncertainty" in unknown["q8_gets_uncertain"].sentence


def test_csv_and_json_hold_the_same() -> None:
    entries = list(JUDGED.values())
    table = output.frame(entries)
    records = json.loads(output.to_json(entries))
    again = pd.DataFrame(records).drop(columns=["note", "findings", "evidence"])
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
    assert isinstance(absent, InputError)
    assert str(absent).endswith(f"cells.csv is not here: `snakemake -j1 {cells}` makes it")
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
        found[name].outcomes["corrected"].judgement for name in ("quinn_f1_up", "quinn_var_85")
    ]
    assert [own.family for own in tested] == [2, 2]


def test_the_json_holds_the_whole_ledger() -> None:
    records = {record["id"]: record for record in json.loads(output.to_json([*JUDGED.values()]))}
    for entry in JUDGED.values():
        record = records[entry.claim.id]
        assert record["findings"] == list(entry.claim.findings)
        assert record["note"] == entry.claim.note
        for protocol, outcome in entry.outcomes.items():
            evidence = record["evidence"][protocol]
            assert evidence["verdict"] == outcome.verdict == record[f"verdict_{protocol}"]
            assert evidence["sentence"] == outcome.sentence
            if outcome.judgement is None:
                assert evidence["measured"] == "" and evidence["p_for"] is None
                assert evidence["numbers"] == evidence["cells"] == []
                continue
            assert evidence["measured"] in outcome.sentence
            assert evidence["cells"] == outcome.cells["cell"].tolist()
            assert len(evidence["numbers"]) == len(outcome.judgement.numbers)
    parity = records["q4_q8_parity"]["evidence"]["corrected"]
    assert parity["family"] > 1 and len(parity["numbers"]) == 2 * 3
    assert parity["p_for"] == records["q4_q8_parity"]["p_for_corrected"]
    assert "test_data_select" in records["table1/BitNet-Q8PTQ-QMoE-C/quinn"]["findings"]


TOY = """
title: A toy
prose:
  - {id: up, locus: text, kind: order, says: new beats old, judge: rises, models: [new, old],
     datasets: [some-sounds], tolerance: {absolute: 0.01, reason: small}}
  - {id: same, locus: text, kind: value, says: new is 0.5, judge: mean_within, models: [new],
     datasets: [some-sounds], printed: {mean: "0.5"}, tolerance: {absolute: 0.01, reason: small}}
"""


def toy_paper(folder: Path, more: str = "") -> Paper:
    folder.mkdir(exist_ok=True)
    (folder / "paper.yaml").write_text(TOY + more)
    return read(folder)


def toy_scores(path: Path) -> Path:
    """Ten cells of two arms with the least that the contract asks for: new is 0.1 better."""
    cells = [("Some Sounds", arm, 0, fold) for arm in ("new", "old") for fold in range(5)]
    frame = pd.DataFrame(cells, columns=["dataset", "arm", "seed", "fold"])
    noise = np.tile([0.001, -0.002, 0.0, 0.003, 0.001], 2) * np.repeat([1, -1], 5)
    frame.assign(score=noise + np.repeat([0.8, 0.7], 5)).to_csv(path, index=False)
    return path


def test_a_paper_without_protocols_strategies_and_measurements(tmp_path: Path) -> None:
    more = """
  - {id: fast, kind: hardware, says: new is fast, judge: time_ratio, models: [new, old]}
  - {id: small, kind: value, says: new is half as large, judge: size_ratio, models: [new, old],
     printed: {ratio: "2"}, tolerance: {absolute: 0.5, reason: it is rounded}}
  - {id: sure, kind: order, says: unsure clips to b, judge: {uncertain_to_precise: {expert: b}},
     models: [new], datasets: [some-sounds], tolerance: {absolute: 0.1, reason: small}}
"""
    paper = toy_paper(tmp_path / "toy", more)
    inputs = ledger.read_inputs(paper, toy_scores(tmp_path / "scores.csv"))
    entries = {entry.claim.id: entry for entry in ledger.ledger(paper, inputs)}
    assert (entries["up"].verdict, entries["same"].verdict) == ("reproduced", "not reproduced")
    assert "latency was not measured" in entries["fast"].sentence
    assert "no packed models" in entries["small"].sentence
    assert "no uncertainty" in entries["sure"].sentence
    for id in ("fast", "small", "sure"):
        assert entries[id].verdict == "not testable here"
    files = output.write([*entries.values()], paper, inputs, tmp_path / "out")
    assert {path.name for path in files} == {
        *(f"claims.{suffix}" for suffix in ("csv", "json", "md")),
        "verdicts.json",
    }
    assert pd.read_csv(tmp_path / "out/claims.csv")["verdict_main"].iloc[0] == "reproduced"
    assert "()" not in (tmp_path / "out/claims.md").read_text()  # some claims state no locus


@pytest.mark.parametrize(
    ("judge", "message"),
    [
        ("no_such_judge", "claim 'x' names the function 'no_such_judge'"),
        ("{rises: {colour: red}}", "claim 'x': rises: .*colour"),
        ("mean_within", "claim 'x' has no printed number 'mean'"),
        ("time_ratio", "claim 'x' names 1 model, but its judge needs 2"),
    ],
)
def test_a_mistake_in_the_naming_of_a_judge_is_told(
    tmp_path: Path, judge: str, message: str
) -> None:
    more = f"  - {{id: x, kind: order, says: x, judge: {judge}, models: [new],\n"
    paper = toy_paper(tmp_path / "toy", more + "     datasets: [some-sounds]}\n")
    inputs = ledger.read_inputs(paper, toy_scores(tmp_path / "scores.csv"))
    with pytest.raises(InputError, match=message):
        ledger.ledger(paper, inputs)


@pytest.mark.parametrize(
    ("judge", "models", "tolerance", "message"),
    [
        ("rises", "[new, old]", "factor: 1.5", "absolute or in standard_deviations"),
        ("{mean_within: {printed: [p]}}", "[new]", "factor: 1.5", "absolute or in standard"),
        ("spread_stays", "[new, old]", "absolute: 0.01", "a tolerance that is a factor"),
        ("spread_falls", "[new, old]", "absolute: 0.01", "a tolerance that is a factor"),
        ("equivalent", "[new]", "absolute: 0.01", "its judge needs 2"),
    ],
)
def test_a_judge_takes_its_own_kind_of_tolerance_and_models(
    tmp_path: Path, judge: str, models: str, tolerance: str, message: str
) -> None:
    """A factor taken for a width, or the reverse, would give a confident wrong verdict."""
    more = f"  - {{id: x, kind: order, says: x, judge: {judge}, models: {models},\n"
    more += f"     datasets: [some-sounds], printed: {{p: '0.5'}}, tolerance: {{{tolerance},\n"
    paper = toy_paper(tmp_path / "toy", more + "     reason: made up}}\n")
    inputs = ledger.read_inputs(paper, toy_scores(tmp_path / "scores.csv"))
    with pytest.raises(InputError, match=message):
        ledger.ledger(paper, inputs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title: 'open", "paper.yaml is no YAML"),
        ("- a list", "paper.yaml must hold keys with values"),
        ("title: t\ndecides: nope", "decides: 'nope' is none of the protocols"),
        (
            "title: t\nprose: [{id: x, kind: order, says: x, "
            "tolerance: {absolute: -1, reason: r}}]",
            "prose.0.tolerance.absolute",
        ),
    ],
)
def test_a_mistake_in_the_files_of_a_paper_is_one_line(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "paper.yaml").write_text(text)
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path)
    assert "\n" not in str(error.value)


def test_a_module_of_checks_that_cannot_be_loaded_is_named(tmp_path: Path) -> None:
    paper = toy_paper(tmp_path / "toy", "")
    (tmp_path / "toy/checks.py").write_text("def broken(:\n")
    with pytest.raises(InputError, match=r"checks\.py cannot be loaded"):
        _ = paper.checks


def test_a_judge_of_the_papers_own(tmp_path: Path) -> None:
    more = "  - {id: x, kind: order, says: x, judge: {always: {p: 0.01}}, models: [new]}\n"
    paper = toy_paper(tmp_path / "toy", more)
    (tmp_path / "toy/checks.py").write_text(
        "from referee.claims.judgement import Judgement\n"
        "def always(claim, view, p):\n"
        "    return Judgement(quantity=claim.id, unit='', value=1, ci_low=0, ci_high=2, n=1,\n"
        "                     p_for=p, p_against=1)\n"
    )
    inputs = ledger.read_inputs(paper, toy_scores(tmp_path / "scores.csv"))
    entries = {entry.claim.id: entry for entry in ledger.ledger(paper, inputs)}
    assert entries["x"].verdict == "reproduced"


def test_findings_of_the_audit_name_the_claims_that_they_touch() -> None:
    assert PAPER.touched_by("test_data_select") == (
        "table1",
        "table5",
        "q4_keeps_f1",
        "q4_q8_parity",
    )
    assert PAPER.touched_by("unequal_checkpoints") == ("table1", "moe_overhead_11")
    assert PAPER.touched_by("no_such_check") == ()
