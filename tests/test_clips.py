import os
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmoe.data.clips import fold_recording, list_clips
from qmoe.errors import UserError

ESC10 = Path(os.environ.get("QMOE_ESC10", Path(__file__).parents[2] / "shared" / "data" / "esc10"))


def touch(folder: Path, *files: str) -> Path:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()
    return folder


def csv(folder: Path, text: str) -> Path:
    path = folder / "list.csv"
    path.write_text(text)
    return path


@pytest.mark.skipif(not ESC10.is_dir(), reason="ESC-10 is not here: set QMOE_ESC10")
def test_the_real_esc10() -> None:
    clips = list_clips(ESC10, name_pattern="esc")
    assert len(clips) == 400
    assert clips.groupby("class_name").size().tolist() == [40] * 10
    assert sorted(clips["fold"].unique()) == [1, 2, 3, 4, 5]
    assert "Dog bark" in set(clips["class_name"])
    assert clips.groupby("recording")["fold"].nunique().max() == 1
    assert all((ESC10 / file).is_file() for file in clips["file"])


def test_esc_names_with_folders(tmp_path: Path) -> None:
    touch(tmp_path, "007 - Rain/2-17-B.ogg", "001 - Dog bark/1-9-A.ogg", "ATTRIBUTION.md")
    clips = list_clips(tmp_path, name_pattern="esc")
    assert clips.to_dict("records") == [
        {
            "clip": "001 - Dog bark/1-9-A",
            "file": "001 - Dog bark/1-9-A.ogg",
            "recording": "9",
            "fold": 1,
            "class_name": "Dog bark",
        },
        {
            "clip": "007 - Rain/2-17-B",
            "file": "007 - Rain/2-17-B.ogg",
            "recording": "17",
            "fold": 2,
            "class_name": "Rain",
        },
    ]


def test_esc_names_with_target(tmp_path: Path) -> None:
    clips = list_clips(touch(tmp_path, "1-9-A-3.wav", "5-8-A-41.wav"), name_pattern="esc")
    assert clips["class_name"].tolist() == ["03", "41"]
    assert clips["fold"].tolist() == [1, 5]


def test_a_pattern_of_ones_own(tmp_path: Path) -> None:
    touch(tmp_path, "a/site1_rain_2.flac", "a/site2_wind_3.WAV")
    pattern = r"(?P<recording>site\d)_(?P<class>[a-z]+)_\d"
    clips = list_clips(tmp_path, name_pattern=pattern)
    assert clips["recording"].tolist() == ["site1", "site2"]
    assert clips["class_name"].tolist() == ["rain", "wind"]
    assert clips["fold"].isna().all()


def test_without_metadata_or_pattern_folders_are_classes(tmp_path: Path) -> None:
    clips = list_clips(touch(tmp_path, "rain/x.wav", "wind/x.wav"))
    assert clips["class_name"].tolist() == ["rain", "wind"]
    assert clips["recording"].tolist() == clips["clip"].tolist() == ["rain/x", "wind/x"]


@pytest.mark.parametrize(
    "text",
    [
        "file,class,recording,fold\nb.wav,wind,r2,2\na.wav,rain,r1,1\n",
        "filename,fold,target,category,esc10,src_file,take\n"
        "b.wav,2,1,wind,T,r2,A\na.wav,1,0,rain,T,r1,A\n",
        "slice_file_name,fsID,start,end,salience,fold,classID,class\n"
        "b.wav,r2,0,1,1,2,1,wind\na.wav,r1,0,1,1,1,0,rain\n",
    ],
    ids=["ours", "esc50", "urbansound8k"],
)
@pytest.mark.parametrize("below", ["", "fold1/"])
def test_metadata_of_three_kinds(tmp_path: Path, text: str, below: str) -> None:
    touch(tmp_path, f"{below}a.wav", f"{below}b.wav", "unlisted.wav")
    clips = list_clips(tmp_path, metadata=csv(tmp_path, text))
    assert clips["file"].tolist() == [f"{below}a.wav", f"{below}b.wav"]
    assert clips["class_name"].tolist() == ["rain", "wind"]
    assert clips["recording"].tolist() == ["r1", "r2"]
    assert clips["fold"].dtype == "Int64"
    assert clips["fold"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,class\na.wav,rain\nz.wav,rain\ny.wav,x\n", r"2 of 3 listed files .* first z\.wav"),
        ("file\na.wav\n", "column class is missing"),
        ("class\nrain\n", "column file is missing"),
        ("file,class\na.wav,\n", "column class is missing or has empty cells"),
        ("file,class\na.wav,rain\na.wav,wind\n", "clip a exists twice"),
        ("file,class,fold\na.wav,rain,1\nb.wav,wind,\n", "clip b has no fold"),
        ("file,class,fold\na.wav,rain,one\nb.wav,wind,2\n", "fold must hold whole numbers"),
        ("file,class,fold\na.wav,rain,1.5\nb.wav,wind,2\n", "fold must hold whole numbers"),
        ("", "cannot read it as CSV"),
    ],
)
def test_bad_metadata(tmp_path: Path, text: str, message: str) -> None:
    touch(tmp_path, "a.wav", "b.wav")
    with pytest.raises(UserError, match=message) as caught:
        list_clips(tmp_path, metadata=csv(tmp_path, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "pattern", "message"),
    [
        ((), None, "no wav, ogg or flac"),
        (("x/a.wav", "x/a.ogg"), None, "clip x/a exists twice"),
        (("x/1-2-A.wav", "x/nonsense.wav"), "esc", "nonsense.wav: does not match"),
        (("1-2-A.wav",), "esc", "class unknown"),
        (("x/a.wav",), "(", "not a regular expression"),
        (("x/a.wav",), "(?P<site>a)", "name a group"),
        (("x/a.wav",), "(?P<fold>a)", "a fold that is not a number"),
        (("x/a1.wav", "x/b.wav"), r"[ab](?P<fold>\d)?", "clip x/b has no fold"),
    ],
)
def test_bad_folders_and_names(
    tmp_path: Path, files: tuple[str, ...], pattern: str | None, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        list_clips(touch(tmp_path, *files), name_pattern=pattern)


def test_a_missing_folder_and_two_sources(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such folder"):
        list_clips(tmp_path / "nowhere")
    with pytest.raises(UserError, match="not both"):
        list_clips(tmp_path, metadata=tmp_path / "x.csv", name_pattern="esc")


@given(
    st.integers(0, 99),
    st.integers(0, 10**6),
    st.sampled_from("ABCDEFGH"),
    st.none() | st.integers(0, 49),
    st.sampled_from(["", ".wav", ".ogg"]),
)
def test_every_esc_name_is_understood(
    fold: int, clip: int, take: str, target: int | None, suffix: str
) -> None:
    name = f"{fold}-{clip}-{take}" + ("" if target is None else f"-{target}") + suffix
    groups = fold_recording(pd.Series([name]), "esc").iloc[0]
    assert (groups["fold"], groups["recording"]) == (fold, str(clip))
    assert pd.isna(groups["target"]) if target is None else groups["target"] == str(target)
