"""Significance files from hand-made cells and measurements."""

import math
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from referee.contract import read_measurements, read_scores
from referee.errors import InputError
from referee.paper import read
from referee.tables import write as make
from referee.tables.sheet import OVER_DATASETS
from referee.tables.tidy import TableFiles, tidy_tables

PAPER = read(Path(__file__).parents[1] / "papers/curious_qmoe")
NAMES = [name for name, layout in PAPER.tables.items() if layout.folder == "significance"]
CURIOSITY = "curiosity against the same experts without"
KEYS = ["dataset", "protocol", "arm", "model", "strategy", "alpha", "seed", "fold"]
ARMS = {  # arm: model, strategy, alpha, experts
    "FP32-Base": ("FP32-Base", "none", None, "fp32"),
    "Q4-Base": ("Q4-Base", "none", None, "q4"),
    "Q8-Base": ("Q8-Base", "none", None, "q8"),
    "Q16-Base": ("Q16-Base", "none", None, "q16"),
    "M": ("M", "none", None, "bitnet+q4"),
    "M-C kl_global 0.3": ("M-C", "kl_global", 0.3, "bitnet+q4"),
    "M-C kl_divergence 0.3": ("M-C", "kl_divergence", 0.3, "bitnet+q4"),
}


def make_cells(datasets: tuple[str, ...] = ("demo", "real")) -> pd.DataFrame:
    """Two protocols, five folds; kl_global is an identity map, Q16 is missing from `real`."""
    rng = np.random.default_rng(4)
    rows = []
    for dataset in datasets:
        for protocol in ("as_published", "corrected"):
            for arm, (model, strategy, alpha, experts) in ARMS.items():
                if dataset == "real" and arm == "Q16-Base":
                    continue
                scores = 0.8 + 0.03 * rng.normal(size=5)
                if strategy == "kl_global":
                    scores = np.array([row["f1_weighted"] for row in rows[-5:]])
                for fold, f1 in enumerate(scores):
                    published = protocol == "as_published"
                    rows.append(
                        dict(zip(KEYS[:3], (dataset, protocol, arm), strict=True))
                        | {"synthetic": dataset == "demo", "model": model, "strategy": strategy}
                        | {"alpha": alpha, "experts": experts, "seed": 0, "fold": fold}
                        | {"f1_weighted": f1, "stop_f1_weighted": f1 if published else 0.5}
                        | {"n_fit": 80 if published else 70, "n_stop": 20 if published else 10}
                        | {"n_test": 20}
                    )
    return pd.DataFrame(rows)


CELLS = make_cells()


def latencies(repeats: int, cells: pd.DataFrame = CELLS) -> pd.DataFrame:
    """Packed times of every arm, and another runtime of the full-precision network."""
    rng = np.random.default_rng(5)
    cells = cells[cells["protocol"] == "corrected"]
    named = cells[[*KEYS, "synthetic"]]
    own = named.loc[named.index.repeat(repeats)].reset_index(drop=True)
    own["repeat"] = own.groupby(KEYS, dropna=False).cumcount()
    wide = own["arm"].map({"M": 0.2}).fillna(0.05)
    own["latency_ms"] = np.exp(wide * rng.normal(size=len(own)))
    other = own[own["arm"] == "FP32-Base"].assign(runtime="onnx_fp32", protocol=None)
    other["latency_ms"] *= 2
    return pd.concat([own.assign(runtime="packed"), other]).assign(batch_size=1)


def energies(cells: pd.DataFrame = CELLS) -> pd.DataFrame:
    rng = np.random.default_rng(6)
    energy = 0.01 + 0.001 * rng.normal(size=len(cells))
    about = {"runtime": "packed", "per": "inference", "batch_size": 1}
    return cells[[*KEYS, "synthetic"]].assign(**about, energy_j=energy, carbon_g=1e-6)


def through_a_file(cells: pd.DataFrame) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        cells.to_csv(Path(folder) / "cells.csv", index=False)
        return read_scores(Path(folder) / "cells.csv", PAPER)


def tables(
    cells: pd.DataFrame, latency: pd.DataFrame | None = None, energy: pd.DataFrame | None = None,
    names: list[str] = NAMES,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    frames = {"cells": through_a_file(cells), "latency": latency, "energy": energy}
    tidy = tidy_tables(frames.get)
    made = {name: make.table(PAPER.tables[name], PAPER, tidy) for name in names}
    return {name: table for name, table in made.items() if table is not None}


MADE = tables(CELLS, latencies(50), energies())


def one(name: str, **keys: object) -> pd.Series:
    table = MADE[name]
    for key, value in keys.items():
        table = table[table[key] == value]
    assert len(table) == 1
    return table.iloc[0]


def f1(dataset: str, protocol: str, arm: str) -> np.ndarray:
    own = CELLS[(CELLS[["dataset", "protocol", "arm"]] == [dataset, protocol, arm]).all(axis=1)]
    return own["f1_weighted"].to_numpy()


def test_published_and_corrected_from_the_same_cells() -> None:
    where = {"protocol": "as_published", "baseline": "FP32-Base", "dataset": "real"}
    row = one("table1_f1", arm="Q4-Base", **where)
    a, b = f1("real", "as_published", "Q4-Base"), f1("real", "as_published", "FP32-Base")
    published = stats.ttest_rel(a, b, alternative="greater")
    assert (row["published_t"], row["published_p"]) == pytest.approx(tuple(published))
    d = a - b
    se = d.std(ddof=1) * math.sqrt(1 / 5 + 20 / 80)
    assert row["corrected_p"] == pytest.approx(2 * stats.t.sf(abs(d.mean()) / se, 4))
    assert row["holm_p"] >= row["corrected_p"]
    assert (row["published_alternative"], row["alternative"]) == ("greater", "two-sided")
    for column in ("n", "pairing", "family", "family_size", "smallest_p", "smallest_detectable"):
        assert pd.notna(row[column])


def test_clips_that_stop_training_count_as_training_unless_they_are_the_test() -> None:
    frame = through_a_file(CELLS).groupby("protocol")["n_train"].unique()
    assert frame["as_published"].tolist() == [80]
    assert frame["corrected"].tolist() == [80]  # 70 fitted, 10 held out


@pytest.mark.parametrize("name", ["table1_f1", "table3_f1", "table3_energy", "table5"])
def test_curiosity_is_compared_with_the_same_experts(name: str) -> None:
    table = MADE[name]
    own = table[table["family"].str.startswith(CURIOSITY)]
    assert set(own["model"]) == {"M-C"}
    assert set(own["baseline"]) == {"M"}


def test_baselines_of_the_tables() -> None:
    assert set(MADE["table2_f1"]["baseline"]) == {"Q16-Base"}
    assert set(MADE["table2_f1"]["arm"]) == {"FP32-Base", "Q4-Base", "Q8-Base"}
    assert set(MADE["table2_f1"]["dataset"]) == {"demo_synthetic"}  # the other has no 16 bit
    assert set(MADE["table3_f1"]["model"]) == {"M", "M-C"}
    assert set(MADE["latency_variance"]["baseline"]) == {"FP32-Base"}
    onnx = MADE["table4_latency"].query("baseline == 'FP32-Base onnx_fp32'")
    assert len(onnx.query("dataset == 'demo_synthetic' and protocol == 'corrected'")) == len(ARMS)
    assert not MADE["table4_latency"]["arm"].str.contains("onnx").any()


def test_an_identity_map_is_a_clear_row() -> None:
    rows = MADE["table1_f1"].query("strategy == 'kl_global' and baseline == 'M'")
    assert set(rows["verdict"]) == {"identical"}
    assert set(rows["corrected_p"]) == {1.0}
    assert set(rows["difference"]) == {0.0}
    spread = MADE["table5"].query("strategy == 'kl_global'")
    assert spread["variance_reduction_percent"].to_numpy() == pytest.approx(0)


def test_table5_by_hand() -> None:
    row = one("table5", strategy="kl_divergence", dataset="demo_synthetic", protocol="corrected")
    a = f1("demo", "corrected", "M-C kl_divergence 0.3")
    b = f1("demo", "corrected", "M")
    assert (row["f1_mean"], row["f1_std"]) == pytest.approx((a.mean(), a.std(ddof=1)))
    ratio = a.var(ddof=1) / b.var(ddof=1)
    assert row["variance_reduction_percent"] == pytest.approx(100 * (1 - ratio))
    assert row["published_variance_reduction_percent"] == pytest.approx(100 * (1 - 0.8 * ratio))
    z = ratio / (1 + ratio)
    assert row["null_probability"] == pytest.approx(3 * z**2 - 2 * z**3)
    assert row["published_levene_p"] == pytest.approx(stats.levene(a, b, center="mean").pvalue)
    assert row["sd_ratio_high"] / row["sd_ratio"] == pytest.approx(3.1, rel=0.01)


def test_published_timings_are_pooled_over_datasets() -> None:
    keys = {"arm": "Q4-Base", "protocol": "corrected", "baseline": "FP32-Base"}
    row = one("table4_latency", dataset=OVER_DATASETS, **keys)
    medians = latencies(50).query("runtime == 'packed' and protocol == 'corrected'")
    values = medians.groupby(["arm", "dataset", "fold"])["latency_ms"].median()
    pooled = stats.ttest_rel(values["Q4-Base"], values["FP32-Base"], alternative="less")
    assert row["published_n"] == 10
    assert row["published_p"] == pytest.approx(pooled.pvalue)
    of_datasets = (values["Q4-Base"] - values["FP32-Base"]).groupby("dataset").mean()
    assert row["difference"] == pytest.approx(of_datasets.mean())
    f1_row = one("table1_f1", dataset=OVER_DATASETS, **keys)
    assert pd.isna(f1_row["published_p"])  # F1 was not pooled


def test_a_wider_timing_is_found_with_fifty_repeats_only() -> None:
    enough = MADE["latency_variance"].query("arm == 'M'")
    assert (enough["sd_ratio"] > 3).all()
    assert set(enough["stars"]) == {"***"}
    assert set(enough["n"]) == {250}
    # that one fold is slower throughout is no spread of its timings
    slower = latencies(50).query("arm == ['M', 'FP32-Base']")
    slower["latency_ms"] *= 1 + slower["fold"] * (slower["arm"] == "M")
    shifted = tables(CELLS, slower, names=["latency_variance"])["latency_variance"]
    assert shifted["sd_ratio"].tolist() == pytest.approx(enough["sd_ratio"].tolist())
    few = tables(CELLS, latencies(49), names=["latency_variance"])["latency_variance"]
    assert few["sd_ratio"].isna().all()
    assert set(few["stars"]) == {""}
    assert few["note"].str.contains("49 repeats").all()


def of_energy(energy: pd.DataFrame) -> pd.DataFrame:
    return tables(CELLS, energy=energy, names=["table3_energy"])["table3_energy"]


def test_energy_below_resolution_is_counted_not_guessed() -> None:
    energy = energies()
    dark = (energy["arm"] == "M") & (energy["fold"] < 2)
    energy.loc[dark, "energy_j"] = np.nan
    made = of_energy(energy)
    rows = made.query("arm == 'M' and dataset == 'real'")
    assert set(rows["n"]) == {3}
    assert rows["note"].str.contains("2 of 5 cells without a value").all()
    assert rows["published_p"].isna().all()  # 3 values cannot be paired with 5 by their order
    none = energy.assign(energy_j=np.nan)
    empty = of_energy(none).query("dataset == 'real'")
    assert set(empty["n"]) == {0}
    assert empty["corrected_p"].isna().all()


def test_mistakes_in_measurements_are_named(tmp_path: Path) -> None:
    latencies(2).drop(columns="latency_ms").to_csv(tmp_path / "latency.csv", index=False)
    with pytest.raises(InputError, match="no column latency_ms"):
        read_measurements(tmp_path, PAPER)
    without = CELLS[CELLS["arm"] != "Q4-Base"]
    with pytest.raises(InputError, match="Q4-Base has no cell"):
        tables(without, energy=energies(), names=["table3_energy"])
    with pytest.raises(InputError, match="different cells"):
        tables(CELLS.drop(index=CELLS.index[CELLS["arm"] == "M"][0]))


def test_without_measurements_the_f1_is_tested() -> None:
    assert set(tables(CELLS)) == {"table1_f1", "table2_f1", "table3_f1", "table5"}


def test_a_grid_without_mixtures_has_files_all_the_same(tmp_path: Path) -> None:
    alone = CELLS[CELLS["arm"] == "FP32-Base"]
    for frame, name in ((alone, "cells"), (latencies(50, alone), "latency"),
                        (energies(alone), "energy")):  # fmt: skip
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    inputs = TableFiles(PAPER, tmp_path / "cells.csv", None, tmp_path)
    made = make.write_all(NAMES, inputs, tmp_path / "made")
    assert {p.stem for p in (tmp_path / "made").iterdir()} == set(NAMES) == set(made)
    assert pd.read_csv(tmp_path / "made/table3_f1.csv").empty


def test_a_table_of_scores_alone_is_enough() -> None:
    """No strategies, experts, protocols, training clips or measurements: arms and their scores."""
    few = CELLS.query("protocol == 'corrected'")[["dataset", "arm", "seed", "fold", "f1_weighted"]]
    made = tables(few)
    table = made["table1_f1"]
    assert set(table["baseline"]) == {"FP32-Base"}
    assert set(table["arm"]) == set(ARMS) - {"FP32-Base"}
    assert (table.query("dataset == 'demo'")["test_train_ratio"] == 1 / 4).all()  # five folds
    of_means = make.table(
        PAPER.tables["table1"], PAPER, tidy_tables({"cells": through_a_file(few)}.get)
    )
    assert of_means is not None
    assert set(of_means["model"]) == set(ARMS)


def test_the_commands(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("cells.csv", "latency.csv", "energy.csv")]
    for frame, path in zip((CELLS, latencies(2), energies()), paths, strict=True):
        frame.to_csv(path, index=False)
    command = [sys.executable, "-m", "qmoe.cli"]
    folder = tmp_path / "significance"
    options = [str(paths[0]), str(folder), "--measurements", str(tmp_path)]
    subprocess.run([*command, "significance", *options], check=True)
    assert {p.name for p in folder.iterdir()} == {"provenance.json"} | {
        f"{name}.{suffix}" for name in NAMES for suffix in ("csv", "md")
    }
    assert "demo_synthetic" in (folder / "table5.md").read_text()
    scores = CELLS.query("protocol == 'corrected'").rename(columns={"f1_weighted": "score"})
    scores.to_csv(tmp_path / "scores.csv", index=False)
    asked = [*command, "compare", str(tmp_path / "scores.csv"), "--baseline"]
    out = tmp_path / "out.csv"
    subprocess.run([*asked, "M", "--out", str(out)], check=True)
    made = pd.read_csv(out)
    assert set(made["dataset"]) == {"demo", "real", OVER_DATASETS}
    failed = subprocess.run([*asked, "N"], capture_output=True, text=True)
    assert failed.returncode == 1
    assert failed.stderr.startswith("qmoe: no arm 'N' in the table; its arms: FP32-Base")
