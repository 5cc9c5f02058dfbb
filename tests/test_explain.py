"""From every number in a table back to its cells, and from them to the number again."""

import json
import math
import shutil
import statistics
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import copy_project
from scipy import stats

from records.record import seal
from referee.errors import InputError
from referee.explain import explain as why
from referee.explain import written_table as written
from referee.explain.written_table import origins
from referee.paper import read
from referee.tables import significance
from referee.tables import write as make
from referee.tables.sheet import told
from referee.tables.tidy import TableFiles

PAPER = read(Path(__file__).parents[1] / "papers/curious_qmoe")
HERE = "0123456789"
ARMS = [
    ("FP32-Base", "none", None, "fp32"),
    ("Q16-Base", "none", None, "q16"),
    ("M", "none", None, "bitnet+q4"),
    ("M-C", "kl_divergence", 0.1, "bitnet+q4"),
    ("M-C", "kl_divergence", 0.3, "bitnet+q4"),
]
DATASETS = (("demo", True), ("esc50", False), ("quinn", False))
RUNTIMES = {"onnx_fp32": 1.3, "torch_eager": 2.1}
SIGNIFICANCE = ["table1_f1", "table3_energy", "table4_latency", "latency_variance", "table5"]


FEW = {"n", "mean", "std", "corrected_p", "published_p", "sd_ratio", "holm_p", "batch_size"}
FEW |= {"smallest_detectable"}


def make_cells() -> pd.DataFrame:
    """Two protocols, five arms, three datasets (one not in all arms), two seeds, five folds."""
    rng = np.random.default_rng(3)
    rows = []
    for protocol in ("as_published", "corrected"):
        for dataset, synthetic in DATASETS:
            for model, strategy, alpha, experts in ARMS:
                if (dataset, model) == ("quinn", "Q16-Base"):
                    continue
                for seed in (0, 1):
                    folder = f"{dataset}/{protocol}/{experts}/{strategy}-{alpha}/seed{seed}-abc"
                    rows += [
                        {
                            "dataset": dataset,
                            "synthetic": synthetic,
                            "protocol": protocol,
                            "arm": model if alpha is None else f"{model} {strategy} {alpha}",
                            "model": model,
                            "strategy": strategy,
                            "alpha": alpha,
                            "seed": seed,
                            "experts": experts,
                            "fold": fold,
                            "f1_weighted": rng.uniform(),
                            "stop_f1_weighted": 0.5,
                            "n_fit": 70,
                            "n_stop": 10,
                            "n_test": 20 + fold,
                            "parameter_count": 100 + len(dataset) + len(experts),
                            "embeddings_sha256": "feed",
                            "cell": f"results/cells/{folder}/fold{fold}",
                        }
                        for fold in range(5)
                    ]
    return pd.DataFrame(rows)


def make_measurements(cells: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Latency, energy and memory; seeds take turns, an energy is empty, two more runtimes."""
    rng = np.random.default_rng(4)
    about = [name for name in cells if cells.columns.get_loc(name) < 10]
    packed = cells[about].assign(runtime="packed")
    first = packed[(packed["seed"] == 0) & (packed["protocol"] == "corrected")]
    full = first[first["model"] == "FP32-Base"]
    empty = dict.fromkeys(["protocol", "strategy", "alpha", "seed"])
    others = [full.assign(runtime=runtime, **empty) for runtime in RUNTIMES]
    subjects = pd.concat([packed, *others]).astype({"alpha": float, "seed": float})
    turns = [
        subjects.assign(batch_size=size, repeat=repeat) for size in (1, 64) for repeat in range(3)
    ]
    calls = pd.concat(turns, ignore_index=True)
    latency = calls.assign(latency_ms=np.exp(rng.normal(size=len(calls))))
    energy = calls[calls["repeat"] == 0].drop(columns="repeat").assign(per="inference")
    for name in ("energy_j", "carbon_g", "resolution_j", "idle_w", "duration_s"):
        energy[name] = rng.uniform(size=len(energy))
    energy = energy.assign(runs=9, source="made up")
    where = (energy["arm"] == "M") & (energy["dataset"] == "demo") & (energy["fold"] == 1)
    energy.loc[where, ["energy_j", "carbon_g"]] = None
    memory = packed[packed["fold"] == 0].assign(peak_rss_bytes=range(1, 1 + len(packed) // 5))
    return latency, energy, memory.drop(columns="runtime")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `results` with all tables."""
    root = tmp_path_factory.mktemp("made") / "results"
    cells = make_cells()
    latency, energy, memory = make_measurements(cells)
    sizes = {"disk_bytes": 30, "resident_bytes": 20, "published_bytes": 10}
    packed = cells.drop(columns="embeddings_sha256").assign(
        **{name: size + cells["fold"] for name, size in sizes.items()}
    )
    for experiment, own in cells.groupby(cells["cell"].str.rpartition("/")[0]):
        folder = root.parent / str(experiment)
        folder.mkdir(parents=True)
        row = own.iloc[0]
        alpha = None if pd.isna(row["alpha"]) else row["alpha"]
        spec = {
            "seed": int(row["seed"]),
            "experts": row["experts"].split("+"),
            "curiosity": {"strategy": row["strategy"], "alpha": alpha},
            "embeddings": f"data/embeddings/{row['dataset']}-0123456789.parquet",
            "source": HERE if row["protocol"] == "corrected" else "0000000000",
            "versions": {"torch": "9.9"},
        }
        (folder / "spec.json").write_text(json.dumps(spec))
    measurements = root / "measurements/key"
    measurements.mkdir(parents=True)
    cells.to_csv(root / "cells.csv", index=False)
    packed.to_csv(root / "packed.csv", index=False)
    for name, frame in (("latency", latency), ("energy", energy), ("memory", memory)):
        frame.to_csv(measurements / f"{name}.csv", index=False)
    run = {"grid": "", "params": {}, "training_source": HERE}
    (root / "run.json").write_text(json.dumps(run))
    everything = TableFiles(PAPER, root / "cells.csv", root / "packed.csv", measurements)
    write("tables", everything, root)
    seal(root / "tables/measured.provenance.json", "", [], measurements="../measurements/key")
    # few rows are enough: the tables of significance are large and slow
    few = tmp_path_factory.mktemp("few")
    for name, frame in (("cells", cells), ("latency", latency), ("energy", energy)):
        rows = frame["arm"].isin(["FP32-Base", "M", "M-C kl_divergence 0.3"])
        rows &= frame["protocol"] != "as_published"
        rows &= (frame["batch_size"] == 64) if name != "cells" else True
        frame[rows].to_csv(few / f"{name}.csv", index=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(significance, "REPEATS", 3)
        write("significance", TableFiles(PAPER, few / "cells.csv", None, few), root)
    seal(root / "significance/provenance.json", "", [], measurements="../measurements/key")
    return root


def write(folder: str, inputs: TableFiles, root: Path) -> None:
    names = [name for name, layout in PAPER.tables.items() if layout.folder == folder]
    make.write_all(names, inputs, root / folder)


def explain(table: str | Path, row: str, column: str) -> why.Explanation:
    return why.explain(table, row, column, PAPER)


@pytest.fixture
def results(made: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(made.parent)
    return made


@pytest.fixture
def own_results(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that a test may change."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(made, tmp_path / "results"))


def numbers(table: Path) -> Iterator[tuple[int, str, str]]:
    """Row from 1, column and text of every number of a CSV."""
    frame = pd.read_csv(table)
    numeric = [name for name in frame if pd.api.types.is_numeric_dtype(frame[name])]
    for number, row in enumerate(pd.read_csv(table, dtype=str).to_dict("records"), 1):
        yield from ((number, name, row[name]) for name in numeric if pd.notna(row[name]))


def round_trip(table: str, row: int, column: str) -> float:
    printed = json.dumps(asdict(explain(table, str(row), column)), allow_nan=False)
    return why.recompute(why.Explanation(**json.loads(printed)))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what takes long: calls of git, files read and indexed again and again."""
    read: dict[Path, written.WrittenTable] = {}

    def once(path: Path, paper: Any) -> written.WrittenTable:
        return read.setdefault(path, written.WrittenTable(path, paper))

    monkeypatch.setattr(why, "code", dict)
    monkeypatch.setattr(why, "_experiments", lambda groups, source: [])
    monkeypatch.setattr(why, "WrittenTable", once)
    monkeypatch.setattr(significance, "REPEATS", 3)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("table", "step", "count"),
    [
        ("table1", 3, 41),
        ("table2", 3, 55),
        ("table3", 3, 41),
        ("table4", 9, 110),
        ("carbon", 9, 57),
    ],
)
def test_every_number_comes_back_to_the_last_digit(
    results: Path, table: str, step: int, count: int
) -> None:
    """Of every `step`th row."""
    every = numbers(results / f"tables/{table}.csv")
    found = [line for line in every if line[0] % step == 1]
    for row, column, text in found:
        assert round_trip(table, row, column) == float(text), (row, column)
    assert len(found) == count


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("table", SIGNIFICANCE)
def test_significance_comes_back_to_the_last_digit(results: Path, table: str) -> None:
    """Every column of a row of one dataset; a few where times or means over datasets are slow."""
    path = results / f"significance/{table}.csv"
    rows = pd.read_csv(path)
    over = rows["dataset"] == "mean over datasets"
    last = rows.groupby(over).tail(1).index + 1
    slow = set(rows.index[over | (table in ("table3_energy", "table4_latency"))] + 1)
    found = [
        line
        for line in numbers(path)
        if line[0] in last and (line[0] not in slow or line[1] in FEW)
    ]
    found = [line for line in found if line[1] != "margin"]
    for row, column, text in found:
        assert round_trip(table, row, column) == float(text), (row, column)
    columns = {column for _, column, _ in found}
    p = {"brown_forsythe_p", "holm_p", "published_levene_p"}
    spread = table in ("table5", "latency_variance")
    assert columns >= {"n"} | (p if spread else {"corrected_p", "published_p"})


def test_a_corrected_p_from_its_pairs(results: Path) -> None:
    found = explain("table3_f1", "corrected esc50 M none", "corrected_p")
    arm, baseline = found.groups
    assert [cell["arm"] for cell in (arm["cells"][0], baseline["cells"][0])] == ["M", "FP32-Base"]
    mine, its = (
        {(cell["seed"], cell["fold"]): cell["value"] for cell in group["cells"]}
        for group in found.groups
    )
    d = [mine[key] - its[key] for key in mine]
    ratio = statistics.fmean((20 + fold) / 80 for fold in range(5))
    t = statistics.fmean(d) / (statistics.stdev(d) * math.sqrt(1 / len(d) + ratio))
    assert len(d) == 10
    assert found.value == pytest.approx(2 * stats.t.sf(abs(t), 9))
    assert found.arguments == {"test_train_ratio": pytest.approx(ratio), "family": 6}
    assert found.aggregation == "referee.stats.paired.corrected_t"
    assert found.part == "p"


def test_a_speed_up_lists_the_calls_of_both(results: Path) -> None:
    found = explain("table4", "esc50 corrected M-C 0.3 packed 64", "speedup_over_onnx_fp32")
    own, base = (
        [call for cell in group["cells"] for call in cell["value"]] for group in found.groups
    )
    assert (len(own), len(base)) == (2 * 5 * 3, 5 * 3)
    assert found.value == pytest.approx(statistics.median(base) / statistics.median(own))
    assert {group["file"] for group in found.groups} == {"results/measurements/key/latency.csv"}
    assert found.groups[1]["cells"][0]["seed"] is None  # of no cell
    assert len(found.experiments) == 2


def test_tables_that_do_not_name_their_measurements(own_results: Path) -> None:
    (own_results / "tables/measured.provenance.json").unlink()
    assert explain("table4", "1", "f1_mean").value > 0
    with pytest.raises(InputError, match=r"does not name the measurements"):
        explain("table4", "1", "median_ms")


def test_the_cells_are_those_of_the_arm(results: Path) -> None:
    found = explain("table1", "corrected M-C 0.3", "esc50_f1_std")
    frame = pd.read_csv(results / "cells.csv")
    own = frame.query(
        "dataset == 'esc50' and protocol == 'corrected' and model == 'M-C' and alpha == 0.3"
    )
    assert [cell["cell"] for cell in found.groups[0]["cells"]] == own["cell"].tolist()
    assert len(found.groups[0]["cells"]) == 10
    assert found.value == pytest.approx(statistics.stdev(own["f1_weighted"]))
    average = explain("table1", "corrected M-C 0.3", "avg_f1_mean")
    assert len(average.groups[0]["cells"]) == 30
    means = [
        statistics.fmean(
            cell["value"] for cell in average.groups[0]["cells"] if cell["dataset"] == dataset
        )
        for dataset in ("demo_synthetic", "esc50", "quinn")
    ]
    assert average.value == pytest.approx(statistics.fmean(means))


def test_a_row_by_number_and_by_words_is_the_same(results: Path) -> None:
    by_number = explain(results / "tables/table3.csv", "3", "n")
    assert by_number.keys == {
        "protocol": "as_published",
        "model": "M-C",
        "strategy": "kl_divergence",
        "alpha": 0.1,
    }
    assert (
        explain("table3", "as_published M-C 0.1", "n").groups[0]["cells"]
        == by_number.groups[0]["cells"]
    )


def test_it_says_how_to_make_the_cells_again(results: Path) -> None:
    found = explain("table1", "1", "demo_synthetic_f1_mean")
    first = found.experiments[0]
    folder = "results/cells/demo/as_published/fp32/none-None/seed0-abc"
    again = "--folds 0,1,2,3,4 --into trained_again"
    assert first["commands"] == [f"qmoe train {folder}/spec.json {again}"]
    assert first["spec"]["versions"] == {"torch": "9.9"}
    assert first["embeddings_sha256"] == "feed"
    assert not first["same_training_code"]
    assert explain("table1", "6", "demo_synthetic_f1_mean").experiments[0]["same_training_code"]
    text = why.markdown(found)
    for needed in (repr(found.value), "feed", "torch 9.9", "OTHER code", *first["commands"]):
        assert needed in text


def test_the_training_code_is_that_of_the_run_or_of_the_argument(own_results: Path) -> None:
    def told(source: str | None = None) -> tuple[bool | None, str]:
        found = why.explain("table1", "1", "demo_synthetic_f1_mean", PAPER, source)
        return found.experiments[0]["same_training_code"], why.markdown(found)

    assert told()[0] is False
    assert told("0000000000")[0] is True
    (own_results / "run.json").unlink()
    same, text = told()
    assert same is None
    assert "it cannot be told whether" in text
    assert told("0000000000")[0] is True


def test_the_commit_and_whether_files_differ_from_it(tmp_path: Path, own_results: Path) -> None:
    assert explain("table3", "1", "n").code == {"commit": None, "dirty": None}
    project = copy_project(tmp_path)
    project.run("git", "init", "-q")
    project.run("git", "add", "-A")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    project.run("git", *identity, "commit", "-qm", "first")
    commit = project.run("git", "rev-parse", "HEAD").strip()
    assert explain("table3", "1", "n").code == {"commit": commit, "dirty": False}
    (tmp_path / "params.yaml").write_text("changed: 1\n")
    assert explain("table3", "1", "n").code == {"commit": commit, "dirty": True}


@pytest.mark.parametrize(
    ("table", "row", "column", "message"),
    [
        ("table9", "1", "n", "table1, table2, table3, table4, carbon"),
        ("table3", "1", "f1", "avg_f1_mean, avg_f1_std"),
        ("table3", "1", "type", "these do: alpha, parameters, n, avg_f1_mean"),
        ("table1_f1", "1", "margin", "these do: alpha, n, mean, std, baseline_mean"),
        ("precision_routing", "1", "n", "carbon, table5, table1_f1"),
        ("table3", "0", "n", "rows 1 to 8, not 0"),
        ("table3", "9", "n", "8 corrected M-C kl_divergence 0.3"),
        ("table3", "M-C", "n", "4 rows have the words 'M-C'"),
        ("table3", "nonsense", "n", "0 rows"),
        ("table3", "", "n", "8 rows have the words ''"),
        ("table3", "1", "", "has no column ''; it has: protocol"),
        ("table1", "2", "quinn_f1_mean", "is empty"),
        ("elsewhere/table1.csv", "1", "n", "snakemake -j1 elsewhere/table1.csv"),
    ],
)
def test_what_does_not_exist_is_named_beside_what_does(
    results: Path, table: str, row: str, column: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        explain(table, row, column)


def test_an_edited_or_old_table_is_noticed(own_results: Path) -> None:
    path = own_results / "tables/table1.csv"
    frame = pd.read_csv(path)
    frame.loc[0, "avg_f1_mean"] = np.nextafter(frame.loc[0, "avg_f1_mean"], 1)  # one last digit
    frame.to_csv(path, index=False)
    with pytest.raises(InputError, match="the table is not of these cells"):
        explain("table1", "1", "avg_f1_mean")


def test_a_cell_by_its_folder(own_results: Path) -> None:
    cell = Path("results/cells/esc50/corrected/fp32/none-None/seed1-abc/fold3")
    with pytest.raises(InputError, match="is not a cell"):
        why.explain_cell(cell, PAPER)
    cell.mkdir()
    (cell / "scores.json").write_text('{"f1_weighted": 0.1234, "embeddings_sha256": "feed"}')
    found = why.explain_cell(cell, PAPER)
    assert why.recompute(found) == 0.1234
    assert found.experiments[0]["commands"][0].endswith("spec.json --folds 3 --into trained_again")
    assert found.experiments[0]["same_training_code"]
    assert "0.1234" in why.markdown(found)


@pytest.mark.parametrize(
    "table", [name for name in PAPER.tables if name not in ("table2_f1", "table3_f1")]
)
def test_origins_say_what_explain_says(results: Path, quick: None, table: str) -> None:
    path = results.name / Path(PAPER.tables[table].folder) / f"{table}.csv"
    found = origins(path, PAPER)
    listed = {(n, o.column): str(o.value) for n, row in enumerate(found, 1) for o in row}
    wanted = {(n, column) for n, column, _ in numbers(path)}
    assert set(listed) <= wanted
    assert {column for _, column in wanted - set(listed)} <= {"margin", "published_n"}
    for number, origin in list(enumerate((row[-1] for row in found), 1))[::5]:
        explained = explain(table, str(number), origin.column)
        assert origin.value == explained.value
        steps = [told(why.function_at(step)) for step in explained.steps]
        words = [*steps, explained.aggregation, explained.part]
        assert all(word in origin.made for word in [*words, *explained.arguments])
        for (source, file, rows, cells), group in zip(origin.groups, explained.groups, strict=True):
            own = group["cells"]
            assert (source, file) == (group["source"], group["file"])
            assert set(cells) == {cell["cell"] for cell in own if cell.get("cell")}
            values = [cell["value"] for cell in own]
            assert rows == sum(len(v) if isinstance(v, list) else 1 for v in values)


def test_origins_of_what_is_not_explained(results: Path) -> None:
    with pytest.raises(InputError, match="no table 'cells' is explained"):
        origins(results / "cells.csv", PAPER)
