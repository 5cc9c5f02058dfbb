"""The audit finds each defect in data made to have it, and is silent on the clean twin."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from conftest import ROOT, TINY

from qmoe import cells as cells_on_disk
from qmoe import cli
from qmoe.collect import collect
from qmoe.config import load, merge
from qmoe.data import sources
from qmoe.data.table import EmbeddingTable
from qmoe.describe import dataset_facts, describe, effect, facts_of_file
from qmoe.errors import UserError
from qmoe.grid import Grid
from qmoe.nn.curiosity import STRATEGIES
from qmoe.nn.experts import BITS
from records import record
from referee import cli as judge
from referee import paper as papers
from referee.audit import catalogue
from referee.audit import findings as audit
from referee.contract import Finding, Run, read_scores
from referee.contract.run import DatasetFacts
from referee.errors import InputError

PAPER = papers.read(ROOT / "papers/curious_qmoe")

RECORDINGS = r"(?P<recording>r\d+)-\d+"
CLEAN: dict[str, Any] = {
    "datasets": {"small": {"name_pattern": RECORDINGS}},
    "training": {"single": {"epochs": 2}, "mixture": {"epochs": 2}},
    "grid": {"curiosity": [{"strategy": "none"}, {"strategy": "precision_prior", "alpha": [1.0]}]},
}


def takes_csv(path: Path) -> None:
    """The authors' form: two classes, six recordings of each, two takes of each recording."""
    rng = np.random.default_rng(7)
    class_id = np.repeat([0, 1], 12)
    frame = pd.DataFrame(rng.normal(size=(24, 8)) + class_id[:, None]).rename(columns=str)
    frame.insert(0, "class_id", class_id)
    frame.insert(0, "name", [f"r{clip // 2}-{clip % 2}" for clip in range(24)])
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, index=False)


@pytest.fixture
def ran(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[Grid, pd.DataFrame]]:
    """Trains a tiny grid with the changes; cells that are there already stay."""
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(1)
    takes_csv(tmp_path / "data/raw/small.csv")
    (tmp_path / "papers").symlink_to(ROOT / "papers")
    params = merge(yaml.safe_load((ROOT / "params.yaml").read_text()), merge(TINY, CLEAN))

    def run(**changes: Any) -> tuple[Grid, pd.DataFrame]:
        changed = merge(params, changes)
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(changed))
        grid = Grid(load(changed))
        for name, made in grid.sources.items():
            sources.write_table(grid.params, name, made, workers=1)
        for experiment in grid.experiments:
            list(cells_on_disk.train(experiment.spec, list(experiment.folds), experiment.path))
        return grid, collect(grid)

    return run


def protocol(**changes: Any) -> dict[str, Any]:
    return {"protocols": {"corrected": changes}}


def curiosity(strategy: str, *alpha: float) -> dict[str, Any]:
    return {"curiosity": [{"strategy": "none"}, {"strategy": strategy, "alpha": list(alpha)}]}


def grave(findings: list[Finding]) -> dict[str, Finding]:
    """Errors and warnings by their check."""
    return {f.check: f for f in findings if f.severity != "note"}


Ran = Callable[..., tuple[Grid, pd.DataFrame]]


def run_of(grid: Grid) -> Run:
    """What `qmoe describe` would write, read again."""
    return Run.model_validate_json(json.dumps(describe(grid)))


def audited(grid: Grid, cells: pd.DataFrame) -> list[Finding]:
    cells.to_csv("results/cells.csv", index=False)
    scores = read_scores(Path("results/cells.csv"), PAPER)
    made = audit.audit(scores, run_of(grid), PAPER)
    assert made.unchecked == []
    return made.findings


def test_a_clean_grid_has_no_error_and_no_warning(ran: Ran) -> None:
    found = audited(*ran())
    assert grave(found) == {}
    notes = {finding.check: finding for finding in found}
    assert set(notes) == {"few_folds", "unknown_embedding"}
    assert notes["few_folds"].evidence["lowest_two_sided_p_of_signs_and_ranks"] == 0.5


def test_d3_takes_of_a_recording_on_both_sides(ran: Ran) -> None:
    grid, cells = ran(**protocol(folds="random"))
    found = audited(grid, cells)
    assert set(grave(found)) == {"recordings_on_both_sides"}
    split, predictions = [f for f in found if f.check == "recordings_on_both_sides"]
    one = cells[cells["arm"] == "FP32-Base"]["cell"]
    first, second = (set(pd.read_parquet(f"{cell}/predictions.parquet")["clip"]) for cell in one)
    torn = [clip for clip in first if clip[:-1] + str(1 - int(clip[-1])) in second]
    for finding in (split, predictions):
        evidence = finding.evidence
        assert evidence["test_clips_with_their_recording_in_training"] == 2 * len(torn) > 0
        assert evidence["test_clips"] == 24
    assert {split.evidence["seen_in"], predictions.evidence["seen_in"]} == {
        "the split",
        "the predictions",
    }


def test_d5_last_epoch_beside_best_epoch(ran: Ran) -> None:
    grid, cells = ran(**protocol(single_checkpoint="last"))
    found = grave(audited(grid, cells))
    assert set(found) == {"unequal_checkpoints"}
    assert found["unequal_checkpoints"].evidence == {
        "last": ["FP32-Base"],
        "best": ["BitNet-Q4/8-QMoE", "BitNet-Q4/8-QMoE-C"],
    }


def test_d5_scored_clips_that_stop_training(ran: Ran) -> None:
    grid, cells = ran(**protocol(stop_on="test"))
    found = grave(audited(grid, cells))
    assert set(found) == {"test_data_select"}
    evidence = found["test_data_select"].evidence
    assert evidence["cells"] == 6
    gains = []
    for cell in cells["cell"]:
        rows = Path(cell, "history.csv").read_text().splitlines()
        f1 = [float(row.split(",")[2]) for row in rows[1:]]
        gains.append(max(f1) - f1[-1])
    assert evidence["best_minus_last_epoch_f1_mean"] == pytest.approx(sum(gains) / 6)


def test_the_identity_map(ran: Ran) -> None:
    grid, cells = ran(grid=curiosity("kl_global", 0.3))
    found = grave(audited(grid, cells))
    assert "identity_map" in found
    assert set(found) <= {"identity_map", "equal_predictions"}
    evidence = found["identity_map"].evidence
    assert evidence["arm"] == "BitNet-Q4/8-QMoE-C kl_global 0.3"
    assert evidence["largest_change_of_a_probability"] < 1e-14
    assert evidence["same_network_as_the_plain_router"]
    f1 = cells.pivot(index="fold", columns="arm", values="f1_weighted")
    difference = f1["BitNet-Q4/8-QMoE-C kl_global 0.3"] - f1["BitNet-Q4/8-QMoE"]
    assert evidence["f1_minus_plain_router_mean"] == pytest.approx(difference.mean())
    assert "table5" in found["identity_map"].claims


def test_a_rule_that_only_sharpens_is_no_identity_but_chooses_nothing_new(ran: Ran) -> None:
    grid, cells = ran(grid=curiosity("kl_divergence", 0.3))
    found = audited(grid, cells)
    assert grave(found) == {}
    note = next(f for f in found if f.check == "order_preserving")
    sharpened = note.evidence["BitNet-Q4/8-QMoE-C kl_divergence 0.3"]
    assert sharpened["largest_change_of_a_probability"] > 0.05
    assert not sharpened["looks_at_uncertainty"]


def test_d4_routing_that_depends_on_the_batch(ran: Ran) -> None:
    grid, cells = ran(**protocol(uncertainty_scale="per_batch"))
    found = grave(audited(grid, cells))
    assert set(found) == {"batch_dependent_routing"}
    arm = found["batch_dependent_routing"].evidence["BitNet-Q4/8-QMoE-C precision_prior 1"]
    assert arm["curiosity_is_off_in_a_batch_of_one"]


def test_d4_is_silent_where_the_rule_does_not_look_at_uncertainty(ran: Ran) -> None:
    grid, _ = ran(**protocol(uncertainty_scale="per_batch"), grid=curiosity("kl_divergence", 0.3))
    run = run_of(grid)
    assert list(catalogue.batches("here", run.experiments, run)) == []


def test_d4_activations_that_depend_on_the_batch(ran: Ran) -> None:
    sets = {"expert_sets": ["FP32-Base", "Q8-Base-PTQ"]}
    grid, cells = ran(**protocol(ptq8_activations="per_batch"), grid=sets)
    found = grave(audited(grid, cells))
    assert set(found) == {"batch_dependent_activations"}
    assert found["batch_dependent_activations"].evidence == {"arms": ["Q8-Base-PTQ"]}
    assert grave(audited(*ran(grid=sets))) == {}


def test_arms_that_lack_cells_of_others(ran: Ran) -> None:
    grid, cells = ran()
    gone = (cells["arm"] == "FP32-Base") & (cells["fold"] == 1)
    found = grave(audited(grid, cells[~gone]))
    assert set(found) == {"unequal_coverage"}
    assert found["unequal_coverage"].evidence == {
        "FP32-Base": {"cells_missing": 1, "of": 2, "first": "small seed 0 fold 1"}
    }


def test_cells_of_another_grid_are_refused(ran: Ran) -> None:
    _, old = ran()
    grid, _ = ran(split_seed=1)
    with pytest.raises(InputError, match="is not of this run"):
        audited(grid, old)
    with pytest.raises(InputError, match="is not of this run"):
        audited(grid, old.drop(columns="cell"))


def test_arms_that_are_one(ran: Ran) -> None:
    grid, cells = ran()
    plain, curious = (
        cells.loc[cells["arm"] == arm, "cell"]
        for arm in ("BitNet-Q4/8-QMoE", "BitNet-Q4/8-QMoE-C precision_prior 1")
    )
    for here, there in zip(plain, curious, strict=True):
        predictions, its_record = Path(there, "predictions.parquet"), Path(there, "provenance.json")
        key, names = (record.read(its_record)[about] for about in ("key", "files"))
        shutil.copy(Path(here, predictions.name), predictions)
        with pytest.raises(record.Damaged, match=r"predictions\.parquet"):
            audited(grid, cells)
        record.seal(its_record, key, [Path(there, name) for name in names])
    found = grave(audited(grid, cells))
    assert found["equal_predictions"].evidence["arms"] == [
        "BitNet-Q4/8-QMoE",
        "BitNet-Q4/8-QMoE-C precision_prior 1",
    ]


def esc50(category: Callable[[int], int], names: list[str]) -> pd.DataFrame:
    """Two clips of each of the fifty classes, under five names, labels in alphabetical order."""
    rows = [
        (f"{1 + take}-{100 + t}-A-{t}", names[category(t)]) for t in range(50) for take in (0, 1)
    ]
    clips = pd.DataFrame(rows, columns=["clip", "class_name"])
    order = sorted(set(names))
    return clips.assign(label=clips["class_name"].map(order.index), recording=clips["clip"])


NAMES = ["animals", "natural soundscapes", "human", "interior/domestic", "exterior/urban"]


def test_d1_a_category_table_that_is_not_the_datasets() -> None:
    (found,) = PAPER.checks.categories("esc50", esc50(lambda t: (t // 5) % 5, NAMES))
    assert found.severity == "error"
    assert found.evidence == {
        "classes": 50,
        "classes_in_their_own_category": 10,
        "at_best_under_other_names": 25,
        "is_target_div_5_mod_5": True,
    }
    assert not list(PAPER.checks.categories("esc50", esc50(lambda t: t // 10, NAMES)))


def test_d1_under_names_that_say_nothing() -> None:
    numbers = ["3", "1", "4", "0", "2"]
    assert not list(PAPER.checks.categories("esc50", esc50(lambda t: t // 10, numbers)))
    (found,) = PAPER.checks.categories("esc50", esc50(lambda t: (t // 5) % 5, numbers))
    assert found.evidence["classes_in_their_own_category"] == 25
    (other,) = PAPER.checks.categories("esc50", esc50(lambda t: min(t // 9, 4), numbers))
    assert not other.evidence["is_target_div_5_mod_5"]


def test_d1_passes_over_other_data() -> None:
    clips = esc50(lambda t: (t // 5) % 5, NAMES)
    assert not list(PAPER.checks.categories("x", clips.assign(clip=clips["clip"] + "x")))
    assert not list(PAPER.checks.categories("x", clips.assign(label=np.arange(len(clips)) % 7)))


def embeddings(**metadata: object) -> EmbeddingTable:
    clips = pd.DataFrame({"clip": list("abcdef"), "recording": list("aabbcc"), "label": [0, 1] * 3})
    clips["fold"] = pd.array([pd.NA] * 6, "Int64")
    clips["class_name"] = clips["label"].astype(str)
    vectors = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    return EmbeddingTable(clips, vectors, {"backbone": "some", **metadata})


def checks(table: EmbeddingTable) -> dict[str, dict[str, Any]]:
    facts = DatasetFacts.model_validate_json(json.dumps(dataset_facts(table)))
    return {f.check: f.evidence for f in audit.audit_dataset("x", facts, PAPER)}


def test_checks_of_the_paper_see_the_clips_of_a_table() -> None:
    clips = esc50(lambda t: (t // 5) % 5, NAMES).assign(fold=pd.array([pd.NA] * 100, "Int64"))
    vectors = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    table = EmbeddingTable(clips, vectors, {"backbone": "some"})
    assert checks(table)["category_table"]["classes_in_their_own_category"] == 10
    facts = DatasetFacts.model_validate_json(json.dumps(dataset_facts(table)))
    without_paper = audit.audit_dataset("x", facts, None)
    assert [(f.check, f.claims) for f in without_paper] == [("unknown_recordings", ())]


def test_columns_that_are_constant_or_twice_there() -> None:
    table = embeddings()
    assert checks(table) == {}
    table.vectors[:, 1] = 3
    table.vectors[:, 4] = table.vectors[:, 0]
    assert checks(table) == {
        "constant_columns": {"columns": 1, "of": 5},
        "duplicate_columns": {"columns": 1, "of": 5},
    }


def test_copies_of_a_clip_under_another_recording() -> None:
    table = embeddings()
    table.vectors[1] = table.vectors[0]  # both of recording a
    assert checks(table) == {}
    table.vectors[5] = table.vectors[0]
    assert checks(table)["duplicate_clips"]["vectors_in_several_recordings"] == 1


def test_d2_vectors_behind_a_random_layer() -> None:
    assert set(checks(embeddings(backbone="b3", published=True))) == {"random_head"}
    assert checks(embeddings(backbone="b3", published=False)) == {}


def test_a_table_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    takes_csv(tmp_path / "theirs.csv")
    frame = pd.read_csv(tmp_path / "theirs.csv")
    frame["1"] = frame["0"]
    frame.to_csv(tmp_path / "theirs.csv", index=False)
    cli.audit(tmp_path / "theirs.csv")
    printed = capsys.readouterr().out
    assert "1 warning" in printed
    assert "## warning: duplicate_columns, theirs" in printed
    with pytest.raises(UserError, match="give a table of embeddings"):
        facts_of_file(tmp_path / "theirs.txt")


def test_the_command_writes_both_files(ran: Ran) -> None:
    _, cells = ran(**protocol(folds="random", stop_on="test"))
    with pytest.raises(UserError, match=r"--params params\.yaml"):
        cli.audit(Path("results"))
    with pytest.raises(InputError, match=r"cells\.csv is not here"):
        cli.audit(Path("results"), Path("params.yaml"))
    cells.to_csv("results/cells.csv", index=False)
    cli.audit(Path("results"), Path("params.yaml"))
    records = json.loads(Path("results/audit.json").read_text())
    assert [record["severity"] for record in records[:3]] == ["error"] * 3
    text = Path("results/audit.md").read_text()
    assert text.startswith("# Audit\n\n3 errors, 0 warnings, ")
    assert "## error: recordings_on_both_sides, small/corrected" in text
    known = {claim.partition("/")[0] for claim in PAPER.claims}
    assert {claim for record in records for claim in record["claims"]} <= known
    Path(cells["cell"].iloc[0], "predictions.parquet").unlink()
    with pytest.raises(InputError, match="is not here"):
        cli.audit(Path("results"), Path("params.yaml"))


def test_bits_are_those_of_the_networks() -> None:
    assert {name: expert.bits for name, expert in PAPER.experts.items()} == BITS


def test_run_json_is_the_same_for_the_same_run(ran: Ran) -> None:
    ran()
    cli.describe(Path("first.json"), Path("params.yaml"))
    cli.describe(Path("second.json"), Path("params.yaml"))
    assert Path("first.json").read_bytes() == Path("second.json").read_bytes()


def test_the_classes_of_run_json_hold_every_clip_under_its_label(ran: Ran) -> None:
    grid, _ = ran()
    clips = run_of(grid).datasets["small"].clips
    theirs = pd.read_csv("data/raw/small.csv")
    assert dict(zip(clips["clip"], clips["label"], strict=True)) == dict(
        zip(theirs["name"], theirs["class_id"], strict=True)
    )


def test_a_run_whose_embeddings_are_gone_is_audited_without_them(ran: Ran) -> None:
    grid, cells = ran(**protocol(folds="random"))
    grid.sources["small"].table.unlink()
    cells.to_csv("results/cells.csv", index=False)
    scores = read_scores(Path("results/cells.csv"), PAPER)
    made = audit.audit(scores, run_of(grid), PAPER)
    assert made.unchecked == [audit.WITHOUT_EMBEDDINGS.format("small")]
    (leak,) = [f for f in made.findings if f.check == "recordings_on_both_sides"]
    assert leak.evidence["seen_in"] == "the predictions"


def test_anybodys_table_of_scores(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        {"dataset": "d", "arm": arm, "seed": 0, "fold": fold, "f1_weighted": 0.5}
        for arm in ("a", "b")
        for fold in range(3)
    ]
    pd.DataFrame(rows[:-1]).to_csv(tmp_path / "scores.csv", index=False)
    judge.audit(tmp_path / "scores.csv", ROOT / "papers/curious_qmoe")
    printed = capsys.readouterr().out
    assert "0 errors, 1 warning, 1 note." in printed
    assert "- b: cells_missing: 1; of: 3; first: d seed 0 fold 2" in printed
    assert "- folds: 3" in printed
    assert printed.endswith(f"{audit.WITHOUT_RUN}\n{audit.WITHOUT_PREDICTIONS}\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scores.csv"]


def test_one_fold_has_no_spread() -> None:
    (note,) = catalogue.few_folds("here", 1, 2)
    assert note.evidence == {"folds": 1, "seeds": 2, "lowest_two_sided_p_of_signs_and_ranks": 1.0}
    assert not list(catalogue.few_folds("here", 6, 1))


def test_predictions_of_anybodys_table_are_compared(ran: Ran) -> None:
    _, cells = ran(**protocol(folds="random"))
    cells.to_csv("results/cells.csv", index=False)
    scores = read_scores(Path("results/cells.csv"), PAPER)
    made = audit.audit(scores, None, PAPER)
    assert [f.check for f in made.findings] == ["recordings_on_both_sides", "few_folds"]
    assert made.unchecked == [audit.WITHOUT_RUN]


def test_every_check_that_a_claim_names_exists() -> None:
    of_paper = {"category_table"}
    parts = [*PAPER.claims.values(), PAPER.printed["table1"], PAPER.printed["table5"]]
    assert {check for part in parts for check in part.findings} <= set(catalogue.CHECKS) | of_paper


@pytest.mark.parametrize(
    ("check", "claims"),
    [
        ("unequal_checkpoints", ("table1", "moe_overhead_11")),
        ("test_data_select", ("table1", "table5", "q4_keeps_f1", "q4_q8_parity")),
        ("order_preserving", ("q8_gets_uncertain",)),
        ("unknown_embedding", ()),
    ],
)
def test_the_claims_that_a_finding_touches(check: str, claims: tuple[str, ...]) -> None:
    assert PAPER.touched_by(check) == claims


@pytest.mark.parametrize(
    ("strategy", "alpha", "experts", "identity"),
    [
        ("kl_global", 0.3, ("bitnet", "q4", "q8"), True),
        ("kl_global", 5.0, ("bitnet", "q4"), True),
        ("kl_divergence", 0.3, ("bitnet", "q4", "q8"), False),
        ("kl_divergence", 0.0, ("bitnet", "q4", "q8"), True),
        ("entropy_regularization", 0.3, ("bitnet", "q4", "q8"), False),  # not so as written
        ("precision_prior", 1.0, ("bitnet", "q4"), False),
        ("precision_prior", 1.0, ("q8", "ptq8"), True),  # equally precise
        ("escalation", 0.2, ("bitnet", "q4"), False),
        ("information_gain", 1.0, ("bitnet", "q4"), False),
    ],
)
def test_which_rules_change_nothing(
    strategy: str, alpha: float, experts: tuple[str, ...], identity: bool
) -> None:
    change = effect(strategy, alpha, experts)["largest_change"]
    assert (change < catalogue.SAME) == identity


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
def test_what_a_batch_of_one_leaves_of_a_rule(strategy: str) -> None:
    off = {"kl_global", "entropy_regularization", "precision_prior", "escalation"}
    alone = effect(strategy, 0.3, ("bitnet", "q4", "q8"))["change_in_a_batch_of_one"]
    assert (alone < 1e-12) == (strategy in off | {"soft_escalation"})
