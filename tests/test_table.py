from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmoe.data.table import EmbeddingTable, check, read, read_authors_csv, write
from qmoe.errors import UserError


def table(n_clips: int = 6, dim: int = 4, folds: bool = True, seed: int = 0) -> EmbeddingTable:
    rng = np.random.default_rng(seed)
    label = np.arange(n_clips) % 3
    clips = pd.DataFrame(
        {
            "clip": [f"é{index}" for index in range(n_clips)],
            "recording": [f"r{index // 2}" for index in range(n_clips)],
            "fold": pd.array(
                [index % 5 + 1 if folds else pd.NA for index in range(n_clips)], "Int64"
            ),
            "label": label.astype("int64"),
            "class_name": [("rain", "sea", "wind")[code] for code in label],
        }
    )
    vectors = rng.standard_normal((n_clips, dim)).astype(np.float32)
    return EmbeddingTable(clips, vectors, {"backbone": "x", "recipe": {"top_db": 80.0}})


@given(st.integers(3, 9), st.integers(1, 20), st.booleans(), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_read_gives_back_what_write_took(
    tmp_path_factory: pytest.TempPathFactory, n_clips: int, dim: int, folds: bool, seed: int
) -> None:
    path = tmp_path_factory.mktemp("table") / "new" / "table.parquet"
    written = table(n_clips, dim, folds, seed)
    write(path, written)
    back = read(path)
    pd.testing.assert_frame_equal(back.clips, written.clips)
    assert back.vectors.dtype == np.float32
    np.testing.assert_array_equal(back.vectors, written.vectors)
    assert back.metadata == written.metadata
    first = path.read_bytes()
    write(path, back)
    assert path.read_bytes() == first
    assert [file.name for file in path.parent.iterdir()] == ["table.parquet"]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.parquet"
    write(path, table())
    before = path.read_bytes()

    def half(_: object, where: Path, **__: object) -> None:
        where.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("qmoe.data.table.pq.write_table", half)
    with pytest.raises(OSError, match="disk full"):
        write(path, table(seed=1))
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("clip,label")
    pd.DataFrame({"clip": ["a"]}).to_parquet(tmp_path / "foreign.parquet")
    for name in ("missing", "text", "foreign"):
        with pytest.raises(UserError, match=f"{name}.parquet: not a table of embeddings") as caught:
            read(tmp_path / f"{name}.parquet")
        assert "\n" not in str(caught.value)


def changed(column: str, values: list[object]) -> EmbeddingTable:
    good = table()
    return replace(good, clips=good.clips.assign(**{column: values}))


def with_value(value: float) -> EmbeddingTable:
    good = table()
    good.vectors[4, 2] = value
    return good


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (table(1), "1 clip in total"),
        (replace(table(), vectors=table().vectors[:5]), "6 clips but 5 vectors"),
        (changed("clip", list("abcdeb")), "clip b appears twice"),
        (with_value(np.nan), "clip é4: value 2 is nan"),
        (with_value(-np.inf), "clip é4: value 2 is -inf"),
        (changed("label", [0, 1, 3, 0, 1, 3]), r"0..C-1 without gaps, found \[0, 1, 3\]"),
        (changed("label", [1, 2, 3, 1, 2, 3]), "0..C-1"),
        (changed("label", [0, 1, 2, 0, 1, 1]), "disagree: 1 = sea, 2 = wind|1 = sea, 1 = wind"),
        (changed("class_name", ["rain", "sea", "sea"] * 2), "disagree: 1 = sea, 2 = sea"),
        (
            replace(
                changed("label", [0] * 6), clips=table().clips.assign(label=0, class_name="rain")
            ),
            "only class rain",
        ),
    ],
)
def test_tables_no_classifier_can_use_are_refused(
    bad: EmbeddingTable, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        check(bad)
    with pytest.raises(UserError, match=message):
        write(tmp_path / "t.parquet", bad)
    assert not (tmp_path / "t.parquet").exists()


def test_a_good_table_passes() -> None:
    check(table())


# ---- the authors' CSV

GOOD = """folder,name,label,category,class_id,0,1,2
a,1-9-A-0.wav,dog,animals,0,0.5,1,-2e-1
a,1-9-B-0.wav,dog,animals,0,0.25,2,0.125
b,2-7-A-10.wav,rain,water,1,1.5,3,7
"""


def authors(path: Path, text: str, name_pattern: str | None = None) -> EmbeddingTable:
    path.write_text(text)
    return read_authors_csv(path, name_pattern=name_pattern)


def test_authors_csv(tmp_path: Path) -> None:
    found = authors(tmp_path / "a.csv", GOOD, "esc")
    assert found.clips["clip"].tolist() == ["a/1-9-A-0.wav", "a/1-9-B-0.wav", "b/2-7-A-10.wav"]
    assert found.clips["recording"].tolist() == ["9", "9", "7"]
    assert found.clips["fold"].tolist() == [1, 1, 2]
    assert found.clips["label"].tolist() == [0, 0, 1]
    assert found.clips["class_name"].tolist() == ["animals", "animals", "water"]
    assert found.vectors.dtype == np.float32
    np.testing.assert_array_equal(
        found.vectors, np.array([[0.5, 1, -0.2], [0.25, 2, 0.125], [1.5, 3, 7]], np.float32)
    )
    write(tmp_path / "a.parquet", found)
    pd.testing.assert_frame_equal(read(tmp_path / "a.parquet").clips, found.clips)


def without(*columns: str) -> str:
    frame = pd.DataFrame([line.split(",") for line in GOOD.split()])
    frame = frame.loc[:, ~frame.iloc[0].isin(columns)]
    return "\n".join(",".join(row) for row in frame.to_numpy()) + "\n"


@pytest.mark.parametrize(
    ("dropped", "clip", "class_name"),
    [
        (("folder",), "1-9-A-0.wav", "animals"),
        (("name",), "row-000001", "animals"),
        (("category",), "a/1-9-A-0.wav", "dog"),
        (("category", "label"), "a/1-9-A-0.wav", "0"),
        (("folder", "name", "label", "category"), "row-000001", "0"),
    ],
)
def test_authors_csv_with_columns_missing(
    tmp_path: Path, dropped: tuple[str, ...], clip: str, class_name: str
) -> None:
    clips = authors(tmp_path / "a.csv", without(*dropped)).clips
    assert clips["clip"].iloc[0] == clips["recording"].iloc[0] == clip
    assert clips["class_name"].iloc[0] == class_name
    assert clips["fold"].isna().all()


def test_columns_in_any_order_and_a_label_finer_than_the_class(tmp_path: Path) -> None:
    text = "1,class_id,label,0\n10,0,dog,11\n20,0,cat,21\n30,1,rain,31\n"
    found = authors(tmp_path / "a.csv", text)
    np.testing.assert_array_equal(found.vectors, [[11, 10], [21, 20], [31, 30]])
    assert found.clips["class_name"].tolist() == ["0", "0", "1"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (without("class_id"), "no column class_id"),
        (without("1"), "embedding column 1 is missing"),
        (without("0", "1", "2"), "no embedding columns"),
        (GOOD.replace("0.25", "loud"), "column 0, row 2: 'loud', not a number"),
        (GOOD.replace("0.25", ""), "column 0, row 2: empty or NaN"),
        (GOOD.replace("0.125", "nan"), "column 2, row 2: empty or NaN"),
        (GOOD.replace("0.125", "inf"), "clip a/1-9-B-0.wav: value 2 is inf"),
        (GOOD.replace("animals,0", "animals,zero"), "column class_id, row 1: 'zero', not a number"),
        (GOOD.replace("animals,0", "animals,0.5"), "class_id must hold whole numbers"),
        (GOOD.replace("water,1", "water,2"), r"0..C-1 without gaps, found \[0, 2\]"),
        (GOOD.replace("water,1", "water,0"), "class_id and category disagree"),
        (GOOD.replace("water,1", "animals,1"), "class_id and category disagree"),
        (GOOD.replace("1-9-B", "1-9-A"), "clip a/1-9-A-0.wav appears twice"),
        (GOOD.replace("label", "0"), "column 0 appears twice"),
        (GOOD.replace("label", "weight"), "unknown column 'weight'"),
        ("\n".join(GOOD.split()[:2]), "1 clip in total"),
        (GOOD.split()[0] + "\n", "0 clip in total"),
        (GOOD + "b,short\n", "cannot read it as CSV"),
        ("", "cannot read it as CSV"),
    ],
)
def test_defects_of_authors_csv(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        authors(tmp_path / "a.csv", text)
    assert str(tmp_path / "a.csv") in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_that_do_not_fit_the_pattern(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dog\.wav: does not match"):
        authors(tmp_path / "a.csv", GOOD.replace("1-9-B-0.wav", "dog.wav"), "esc")
    with pytest.raises(UserError, match="no column name"):
        authors(tmp_path / "a.csv", without("name"), "esc")
    with pytest.raises(UserError, match="cannot read"):
        read_authors_csv(tmp_path / "missing.csv")
