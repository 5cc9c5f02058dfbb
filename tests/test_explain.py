"""From every number in a table back to its cells, and from them to the number again."""

import json
import statistics
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import copy_project

from qmoe.analysis import explain as why
from qmoe.analysis import measured, tables
from qmoe.errors import UserError
from qmoe.grid import training_source

HERE = training_source()
ARMS = [
    ("F", "none", None, "fp32"),
    ("Q", "none", None, "q4"),
    ("M", "none", None, "bitnet+q4"),
    ("M-C", "kl_divergence", 0.1, "bitnet+q4"),
    ("M-C", "kl_divergence", 0.3, "bitnet+q4"),
]


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cells and tables of two protocols, five arms, three datasets, one of them not in all arms."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(3)
    rows = []
    for protocol in ("as_published", "corrected"):
        for dataset, synthetic in (("demo", True), ("esc50", False), ("quinn", False)):
            for model, strategy, alpha, experts in ARMS:
                if (dataset, model) == ("quinn", "Q"):
                    continue
                for seed in (0, 1):
                    name = f"{dataset}/{protocol}/{experts}/{strategy}-{alpha}/seed{seed}-abc"
                    folder = Path("results/cells") / name
                    folder.mkdir(parents=True)
                    spec = {
                        "seed": seed,
                        "experts": experts.split("+"),
                        "curiosity": {"strategy": strategy, "alpha": alpha},
                        "embeddings": f"data/embeddings/{dataset}-0123456789.parquet",
                        "source": HERE if protocol == "corrected" else "0000000000",
                        "versions": {"torch": "9.9"},
                    }
                    (folder / "spec.json").write_text(json.dumps(spec))
                    rows += [
                        {
                            "dataset": dataset,
                            "synthetic": synthetic,
                            "protocol": protocol,
                            "model": model,
                            "strategy": strategy,
                            "alpha": alpha,
                            "seed": seed,
                            "experts": experts,
                            "fold": fold,
                            "f1_weighted": rng.uniform(),
                            "parameter_count": 100 + len(dataset) + len(experts),
                            "embeddings_sha256": "feed",
                            "cell": f"{folder.as_posix()}/fold{fold}",
                        }
                        for fold in range(5)
                    ]
    frame = pd.DataFrame(rows)
    folder = tmp_path / "results/tables"
    frame.to_csv(tmp_path / "results/cells.csv", index=False)
    named = tables.marked(frame)
    timed = named[measured.ROW].drop_duplicates().assign(latency_batch1_ms=1.5)
    tables.write(tables.table1(frame), folder / "table1", "")
    tables.write(measured.table2(named, timed), folder / "table2", "")
    tables.write(measured.table3(named, timed), folder / "table3", "")
    return tmp_path / "results"


def numbers(table: Path) -> Iterator[tuple[int, str, str]]:
    """Row from 1, column and text of every number of a CSV that comes from scores alone."""
    frame = pd.read_csv(table, dtype=str)
    for number, row in enumerate(frame.to_dict("records"), 1):
        for column, text in row.items():
            try:
                float(text)
            except ValueError:
                continue
            measured_there = column.startswith(("latency", "f1_percent"))
            if str(text) != "nan" and not measured_there:
                yield number, str(column), text


@pytest.mark.parametrize(("table", "count"), [("table1", 104), ("table2", 30), ("table3", 36)])
def test_every_number_comes_back_to_the_last_digit(
    results: Path, table: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(why, "training_source", lambda: "")  # hashes the package, each time
    found = 0
    for row, column, text in numbers(results / f"tables/{table}.csv"):
        printed = json.dumps(asdict(why.explain(table, str(row), column)))
        again = why.recompute(why.Explanation(**json.loads(printed)))
        assert again == float(text), (row, column)
        found += 1
    assert found == count


def test_the_cells_are_those_of_the_arm(results: Path) -> None:
    found = why.explain("table1", "corrected M-C 0.3", "esc50_f1_std")
    frame = pd.read_csv(results / "cells.csv")
    own = frame.query(
        "dataset == 'esc50' and protocol == 'corrected' and model == 'M-C' and alpha == 0.3"
    )
    assert [cell["cell"] for cell in found.cells] == own["cell"].tolist()
    assert len(found.cells) == 10
    assert found.value == pytest.approx(statistics.stdev(own["f1_weighted"]))
    average = why.explain("table1", "corrected M-C 0.3", "avg_f1_mean")
    assert len(average.cells) == 30
    means = [
        statistics.fmean(cell["value"] for cell in average.cells if cell["dataset"] == dataset)
        for dataset in ("demo_synthetic", "esc50", "quinn")
    ]
    assert average.value == pytest.approx(statistics.fmean(means))


def test_a_row_by_number_and_by_words_is_the_same(results: Path) -> None:
    by_number = why.explain(results / "tables/table3.csv", "3", "n")
    assert by_number.keys == {
        "protocol": "as_published",
        "model": "M-C",
        "strategy": "kl_divergence",
        "alpha": 0.1,
    }
    assert why.explain("table3", "as_published M-C 0.1", "n").cells == by_number.cells


def test_it_says_how_to_make_the_cells_again(results: Path) -> None:
    found = why.explain("table1", "1", "demo_synthetic_f1_mean")
    first = found.experiments[0]
    folder = "results/cells/demo/as_published/fp32/none-None/seed0-abc"
    assert first["commands"][1] == f"qmoe train {folder}/spec.json --folds 0,1,2,3,4"
    assert first["commands"][0].startswith(f"snakemake -j1 {folder}/fold0/scores.json ")
    assert first["spec"]["versions"] == {"torch": "9.9"}
    assert first["embeddings_sha256"] == "feed"
    assert not first["same_training_code"]
    assert why.explain("table1", "6", "demo_synthetic_f1_mean").experiments[0]["same_training_code"]
    text = why.explanation_markdown(found)
    for needed in (repr(found.value), "feed", "torch 9.9", "OTHER code", *first["commands"]):
        assert needed in text


def test_the_commit_and_whether_files_differ_from_it(tmp_path: Path, results: Path) -> None:
    assert why.explain("table3", "1", "n").code == {"commit": None, "dirty": None}
    project = copy_project(tmp_path)
    project.run("git", "init", "-q")
    project.run("git", "add", "-A")
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    project.run("git", *identity, "commit", "-qm", "first")
    commit = project.run("git", "rev-parse", "HEAD").strip()
    assert why.explain("table3", "1", "n").code == {"commit": commit, "dirty": False}
    (tmp_path / "params.yaml").write_text("changed: 1\n")
    assert why.explain("table3", "1", "n").code == {"commit": commit, "dirty": True}


@pytest.mark.parametrize(
    ("table", "row", "column", "message"),
    [
        ("table9", "1", "n", "table1, table2, table3"),
        ("table3", "1", "f1", "avg_f1_mean, avg_f1_std"),
        ("table3", "1", "type", "these do: alpha, parameters, n, avg_f1_mean"),
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
    with pytest.raises(UserError, match=message):
        why.explain(table, row, column)


def test_an_edited_or_old_table_is_noticed(results: Path) -> None:
    path = results / "tables/table1.csv"
    frame = pd.read_csv(path)
    frame.loc[0, "avg_f1_mean"] = np.nextafter(frame.loc[0, "avg_f1_mean"], 1)  # one last digit
    frame.to_csv(path, index=False)
    with pytest.raises(UserError, match="the table is not of these cells"):
        why.explain("table1", "1", "avg_f1_mean")


def test_a_cell_by_its_folder(results: Path) -> None:
    cell = Path("results/cells/esc50/corrected/fp32/none-None/seed1-abc/fold3")
    with pytest.raises(UserError, match="is not a cell"):
        why.explain_cell(cell)
    cell.mkdir()
    (cell / "scores.json").write_text('{"f1_weighted": 0.1234, "embeddings_sha256": "feed"}')
    found = why.explain_cell(cell)
    assert why.recompute(found) == 0.1234
    assert found.experiments[0]["commands"][1].endswith("seed1-abc/spec.json --folds 3")
    assert found.experiments[0]["same_training_code"]
    assert "0.1234" in why.explanation_markdown(found)
