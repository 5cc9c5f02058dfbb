"""Snakemake on a tiny grid: what runs, what does not, and the table is always the right one."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from conftest import Project, authors_csv, copy_project

pytestmark = pytest.mark.pipeline
NOTHING = "Nothing to be done"
ALPHAS = [{"strategy": "none"}, {"strategy": "kl_divergence", "alpha": [0.3, 1]}]


def digests(project: Project) -> dict[str, str]:
    root = project.folder / "results"
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and path.name != ".snakemake_timestamp"
    }


def test_table1_from_an_empty_start_and_a_second_call_does_nothing(project: Project) -> None:
    said = project.snakemake("results/tables/table1.csv", "--printshellcmds")
    assert "qmoe work .store/orders/" in said  # to run by hand
    table = project.table1()
    assert list(table["model"]) == ["FP32-Base", "BitNet-Q4/8-QMoE", "BitNet-Q4/8-QMoE-C"]
    assert (table["small_n"] == 2).all()
    cells = pd.read_csv(project.folder / "results/cells.csv")
    assert len(cells) == 6
    own = cells[cells["model"] == "FP32-Base"]["f1_weighted"]
    assert table["avg_f1_mean"][0] == pytest.approx(sum(own) / 2)
    assert table["avg_f1_std"][0] == pytest.approx(abs(own.iloc[0] - own.iloc[1]) / 2**0.5)
    assert NOTHING in project.snakemake("results/tables/table1.csv")


def test_summary_has_the_keys_of_the_original(finished: Project) -> None:
    summary = json.loads(
        (
            finished.folder / "results/summaries/small/corrected/fp32/none/seed0/summary.json"
        ).read_text()
    )
    f1 = [fold["best_f1"] for fold in summary["folds"]]
    mean = sum(f1) / 2
    assert summary["f1_mean"] == pytest.approx(mean)
    assert summary["f1_std"] == pytest.approx((sum((v - mean) ** 2 for v in f1) / 2) ** 0.5)
    assert set(summary) == {
        "f1_mean", "f1_std", "accuracy_mean", "accuracy_std", "parameter_count", "folds",
    }  # fmt: skip
    # 8-8-4-2 with two LayerNorms: weights 64+32+8, biases 8+4+2, norms 16+8
    assert summary["parameter_count"] == 142


def test_bytes_do_not_depend_on_the_number_of_jobs(finished: Project, tmp_path: Path) -> None:
    first = digests(finished)
    for name in ("results", ".snakemake", "logs"):
        (finished.folder / name).rename(tmp_path / f"old-{name}")
    finished.run("snakemake", "-j1", "tables")
    assert digests(finished) == first


def test_an_alpha_more_trains_its_cells_only_and_one_fewer_none(finished: Project) -> None:
    before, table = finished.cells(), finished.table1()
    finished.set(grid={"curiosity": ALPHAS})
    finished.snakemake("tables")
    after = finished.cells()
    assert {name: after[name] for name in before} == before
    assert {name.split("/")[3] for name in set(after) - set(before)} == {"kl_divergence-1"}
    assert len(finished.table1()) == len(table) + 1
    finished.set(grid={"curiosity": [{"strategy": "none"}]})
    finished.snakemake("tables")
    assert finished.cells() == {n: t for n, t in after.items() if n.split("/")[3] == "none"}
    assert finished.cells(".store/results/cells") == after
    assert list(finished.table1()["model"]) == ["FP32-Base", "BitNet-Q4/8-QMoE"]


def test_a_fold_more_trains_its_cells_only(project: Project) -> None:
    project.set(grid={"folds": [0]})
    project.snakemake("tables")
    before = project.cells()
    project.set(grid={"folds": "all"})
    project.snakemake("tables")
    after = project.cells()
    assert {name: after[name] for name in before} == before
    assert {name.rsplit("/", 1)[1] for name in set(after) - set(before)} == {"fold1"}
    assert (project.table1()["small_n"] == 2).all()


def test_parameters_changed_and_changed_back_give_the_first_table(finished: Project) -> None:
    table, cells = finished.table1(), finished.cells()
    finished.set(training={"single": {"learning_rate": 0.5}})
    finished.snakemake("tables")
    assert {n.split("/")[2] for n in set(finished.cells()) - set(cells)} == {"fp32"}
    made = finished.cells(".store/results/cells")
    finished.set(training={"single": {"learning_rate": 5.793146438537801e-4}})
    finished.snakemake("tables")
    assert finished.cells(".store/results/cells") == made  # nothing was trained
    assert finished.cells() == cells
    pd.testing.assert_frame_equal(finished.table1(), table)


def test_snakemake_config_overrides_any_key(project: Project) -> None:
    project.snakemake(
        "tables",
        "--config",
        "grid={seeds: [3], expert_sets: [FP32-Base]}",
        "training={single: {epochs: 1}}",
    )
    cells = pd.read_csv(project.folder / "results/cells.csv")
    assert set(cells["seed"]) == {3}
    assert set(cells["epochs"]) == {1}


def test_a_stale_or_edited_table_is_made_anew(finished: Project) -> None:
    path = finished.folder / "results/tables/table1.csv"
    good = path.read_text()
    path.write_text(good.replace("FP32-Base", "Better-Base"))
    finished.snakemake("results/tables/table1.csv")
    assert path.read_text() == good


def test_a_lost_cell_comes_back_from_the_store(finished: Project) -> None:
    first, times = digests(finished), finished.cells()
    shutil.rmtree(finished.folder / "results/cells")
    finished.snakemake("cells")
    assert digests(finished) == first
    assert finished.cells() == times


def test_a_cell_lost_there_too_is_trained_again_to_the_same_bytes(finished: Project) -> None:
    first, times = digests(finished), finished.cells()
    lost = next(iter(times))
    for root in ("results/cells", ".store/results/cells"):
        shutil.rmtree(finished.folder / root / lost)
    finished.snakemake("cells")
    assert digests(finished) == first
    changed = {name for name, t in finished.cells().items() if times[name] != t}
    assert changed == {lost}


def test_missing_cells_and_edited_scores_are_named(finished: Project) -> None:
    collect = ("qmoe", "collect", "results/again.csv", "--params", "params.yaml")
    scores = next((finished.folder / "results/cells").rglob("scores.json"))
    edited = json.loads(scores.read_text()) | {"f1_weighted": 0.99}
    scores.unlink()  # and not its other name in the store
    scores.write_text(json.dumps(edited))
    said = finished.run(*collect, check=False)
    assert str(scores.relative_to(finished.folder)) in said and "Traceback" not in said
    assert "qmoe verify --repair" in said
    scores.unlink()
    said = finished.run(*collect, check=False)
    assert "1 of 6 cells are missing" in said
    assert not (finished.folder / "results/again.csv").exists()


def test_after_a_kill_only_unfinished_cells_are_trained(project: Project) -> None:
    project.set(training={"single": {"epochs": 3}, "mixture": {"epochs": 400, "patience": 400}})
    running = subprocess.Popen(
        ["snakemake", "-j1"],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 90
    while len(project.cells()) < 3 and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    finished = {n: t for n, t in project.cells().items() if (
        project.folder / "results/cells" / n / "scores.json").exists()}  # fmt: skip
    assert 0 < len(finished) < 6
    project.snakemake("--unlock")
    project.snakemake("tables")
    after = project.cells()
    assert len(after) == 6
    assert {name: after[name] for name in finished} == finished


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("grid={datasets: [smal]}", "did you mean 'small'?"),
        ("device=cdua", "did you mean 'cuda'?"),
        ("sede=3", "unknown key 'sede'"),
    ],
)
def test_a_wrong_configuration_stops_before_the_dag(
    project: Project, override: str, message: str
) -> None:
    said = project.snakemake("-n", "--config", override, check=False)
    assert message in said
    assert "Traceback" not in said
    assert "Building DAG" not in said


def test_commands_by_hand_name_what_is_not_there(finished: Project) -> None:
    assert "'nope' is not in grid.datasets" in finished.run(
        "qmoe", "embed", "nope", "x", "--params", "params.yaml", check=False
    )
    spec = str(next((finished.folder / "results/cells").rglob("spec.json")))
    train = ("qmoe", "train", spec, "--into", "again")
    said = finished.run(*train, "--folds", "2", check=False)
    assert "folds 0 to 1, not 2" in said and "Traceback" not in said
    shutil.rmtree(finished.folder / "data/embeddings")
    said = finished.run(*train, "--folds", "0", check=False)
    assert "`snakemake data/embeddings/small-" in said  # the table that is missing, and its command
    said = finished.run("qmoe", "work", ".store/orders/x.json", check=False)
    assert "is not here" in said and "Traceback" not in said


def test_a_cell_trained_by_hand_has_the_same_bytes(finished: Project) -> None:
    spec = next((finished.folder / "results/cells").rglob("spec.json"))
    finished.run("qmoe", "train", str(spec), "--folds", "0,1", "--into", "again")
    for fold in ("fold0", "fold1"):
        made = {p.name: p.read_bytes() for p in (finished.folder / "again" / fold).iterdir()}
        assert made == {p.name: p.read_bytes() for p in (spec.parent / fold).iterdir()}


def test_a_bad_csv_leaves_nothing_half_written(project: Project) -> None:
    path = project.folder / "data/raw/small.csv"
    frame = pd.read_csv(path).drop(columns="class_id")
    frame.to_csv(path, index=False)
    said = project.snakemake("tables", check=False)
    assert "no column class_id" in said
    assert not list((project.folder / "data").rglob("*.parquet"))


def test_audio_rendered_embedded_trained(tmp_path: Path) -> None:
    """The default dataset, smaller: synthesis, pictures, frozen network, table."""
    made = copy_project(tmp_path)
    made.set(
        datasets={"demo": {"recordings_per_class": 4, "takes_per_recording": 2, "folds": 2}},
        grid={
            "expert_sets": ["FP32-Base"],
            "curiosity": [{"strategy": "none"}],
            "protocols": ["corrected"],
        },
        training={"single": {"epochs": 2}},
    )
    made.snakemake("tables")
    assert "demo_synthetic_f1_mean" in made.table1()
    assert "synthetic" in (tmp_path / "results/tables/table1.md").read_text()
    assert NOTHING in made.snakemake("tables")


def test_ones_own_audio_and_csv_from_an_empty_start(tmp_path: Path) -> None:
    """As the README says: put the data in data/raw, name them, list them."""
    made = copy_project(tmp_path)
    rng = np.random.default_rng(5)
    rows = ["file,class,recording,fold"]
    for name, pitch_hz in (("hum", 200), ("whistle", 3000)):
        for number in range(6):
            path = tmp_path / f"data/raw/mine/{name}/{number}.flac"
            path.parent.mkdir(parents=True, exist_ok=True)
            wave = np.sin(2 * np.pi * pitch_hz * rng.uniform(0.9, 1.1) * np.arange(8000) / 16000)
            soundfile.write(path, wave / 2, 16000)
            rows.append(f"{name}/{number}.flac,{name},{name}{number // 2},{number // 2 + 1}")
    (tmp_path / "data/raw/mine/labels.csv").write_text("\n".join(rows))
    authors_csv(tmp_path / "data/raw/theirs.csv")
    made.set(
        datasets={
            "mine": {
                "kind": "audio",
                "path": "data/raw/mine",
                "metadata": "labels.csv",
                "folds": 3,
            },
            "theirs": {"kind": "csv", "path": "data/raw/theirs.csv", "folds": 2},
        },
        embedding={"duration_s": 0.5},
        grid={
            "datasets": ["mine", "theirs"],
            "protocols": ["corrected"],
            "expert_sets": ["FP32-Base"],
            "curiosity": [{"strategy": "none"}],
        },
        training={"single": {"epochs": 2}},
    )
    made.snakemake("tables")
    cells = pd.read_csv(tmp_path / "results/cells.csv")
    assert cells.groupby("dataset")["fold"].apply(list).to_dict() == {
        "mine": [0, 1, 2],
        "theirs": [0, 1],
    }
    tested = [
        set(pd.read_parquet(tmp_path / cell / "predictions.parquet")["clip"])
        for cell in cells.loc[cells["dataset"] == "mine", "cell"]
    ]
    assert tested == [
        {f"{name}/{number}" for name in ("hum", "whistle") for number in (2 * fold, 2 * fold + 1)}
        for fold in range(3)
    ]  # the folds of labels.csv
