"""The clips in a folder, with their class, recording and official fold."""

import re
from pathlib import Path, PurePosixPath

import pandas as pd

from qmoe.errors import UserError

SUFFIXES = (".wav", ".ogg", ".flac")
PICTURES = (".png",)
ESC = r"(?P<fold>\d+)-(?P<recording>[^-]+)-(?P<take>[^-]+)(-(?P<target>\d+))?"
_GROUPS = ["fold", "recording", "class", "target"]
# Our columns, each with its names in our own CSV files and in those of ESC-50 and UrbanSound8K.
_ALIASES = {
    "file": ("file", "filename", "slice_file_name"),
    "class_name": ("class", "category"),
    "recording": ("recording", "src_file", "fsID"),
    "fold": ("fold",),
}
# ESC-50's five categories of ten classes each, in the order of its targets (from its README).
CATEGORIES = (
    "Animals",
    "Natural soundscapes",
    "Human non-speech",
    "Interior sounds",
    "Exterior noises",
)
ABGQI = ("anthropophony", "biophony", "geophony", "quiet", "interference")
# SITE_DEPLOYMENT_DATE_TIME of a recorder, where the name of a clip contains it.
_ABGQI_NAME = r".*?(?P<recording>s2l[a-z]+\d+_\d{6}_\d{4}-\d{2}-\d{2}_\d{2}-\d{2}).*|.*"


def list_public(folder: Path, name: str, *, classes: int, categories: str) -> pd.DataFrame:
    """Return the clips of a public dataset of `qmoe.config.datasets`, in the columns of
    `list_clips`. ESC-50 has official folds, and 50 classes or its 5 `categories`: "official" is
    target // 10, "published" is (target // 5) % 5: defect D1 (docs/defects.md). In UrbanSound8K a
    recording is a Freesound ID, and there are ten official folds. ABGQI (Quinn) has a folder for
    each class, with audio or PNG pictures, and no folds. Raises UserError where it is not there."""
    if name == "urbansound8k":
        return list_clips(folder, metadata=folder / "metadata" / "UrbanSound8K.csv")
    if name == "esc50":
        clips = list_clips(folder, metadata=folder / "meta" / "esc50.csv")
        if classes == 50:
            return clips
        target = pd.to_numeric(fold_recording(clips["file"], "esc")["target"])
        code = target // 10 if categories == "official" else target // 5 % 5
        return clips.assign(class_name=[CATEGORIES[number] for number in code])
    files = [
        path.relative_to(folder)
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES + PICTURES
        and path.name[0] != "."
        and path.parent.name.lower() in ABGQI
    ]
    absent = set(ABGQI) - {file.parent.name.lower() for file in files}
    if absent:
        raise UserError(
            f"{folder}: no folder of clips called {min(absent)}; name an archive with a folder a "
            "class as `archive:` in the dataset's entry of params.yaml"
        )
    clips = list_clips(
        folder, name_pattern=_ABGQI_NAME, files=sorted(file.as_posix() for file in files)
    )
    return clips.assign(class_name=clips["class_name"].str.lower())


def list_clips(
    folder: Path,
    *,
    metadata: Path | None = None,
    name_pattern: str | None = None,
    files: list[str] | None = None,
) -> pd.DataFrame:
    """Return a row for each clip, sorted by clip (str, unique: its file without extension), with
    file (str, path below `folder`), recording (str, by default the clip), fold (Int64, NA without
    official folds) and class_name (str). `metadata` is a CSV file (docs/data.md), perhaps with the
    headings of ESC-50 or UrbanSound8K; only clips that it lists count. Without it the class is the
    group `class` of `name_pattern` (see `fold_recording`), or the parent folder without a leading
    'NNN - ', or the group `target`. `files` are paths below `folder`, by default of all wav, ogg
    and flac files. Raises UserError where a file or column is missing, names clash or do not match,
    a class is unknown, or only some clips have a fold."""
    if metadata and name_pattern:
        raise UserError(f"{metadata}: give a metadata file or a name pattern, not both")
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; check the path or download the data set")
    files = files or sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.name[0] != "." and path.is_file()
    )
    if not files:
        raise UserError(f"{folder}: no wav, ogg or flac file in it; check the path")
    if metadata:
        table = _from_metadata(metadata, folder, files)
    else:
        table = _from_names(folder, pd.Series(files, dtype="str"), name_pattern)
    table["clip"] = table["file"].map(lambda file: PurePosixPath(file).with_suffix("").as_posix())
    table["recording"] = table["recording"].astype("str").fillna(table["clip"])
    _require_consistent(folder, table)
    columns = ["clip", "file", "recording", "fold", "class_name"]
    return table[columns].sort_values("clip", ignore_index=True)


def _require_consistent(folder: Path, table: pd.DataFrame) -> None:
    double = table.loc[table["clip"].duplicated(), "clip"]
    if len(double):
        raise UserError(f"{folder}: clip {double.iloc[0]} exists twice; rename or remove one")
    unfolded = table.loc[table["fold"].isna(), "clip"]
    if 0 < len(unfolded) < len(table):
        raise UserError(
            f"{folder}: clip {unfolded.iloc[0]} has no fold but others have one; "
            "give every clip a fold, or none"
        )


def fold_recording(names: pd.Series, pattern: str) -> pd.DataFrame:
    """Return what a pattern reads from each file name, without folder and extension: fold (Int64),
    recording, class and target (str), NA where a group is absent. The pattern is a regular
    expression for the whole name with groups named fold, recording or class, or 'esc' for ESC-50's
    FOLD-CLIP-TAKE[-TARGET]. Raises UserError where it is not valid, or a name does not match."""
    try:
        regex = re.compile(ESC if pattern == "esc" else pattern)
    except re.error as error:
        raise UserError(f"name pattern {pattern!r}: not a regular expression ({error})") from error
    if not {"fold", "recording", "class"} & set(regex.groupindex):
        raise UserError(f"name pattern {pattern!r}: name a group fold, recording or class")
    rows = []
    for name in names:
        match = regex.fullmatch(PurePosixPath(name).stem)
        if not match:
            raise UserError(
                f"{name}: does not match name pattern {pattern!r}; rename it or correct the pattern"
            )
        rows.append(match.groupdict())
    groups = pd.DataFrame(rows, names.index, _GROUPS, dtype="str")
    bad = groups["fold"].notna() & ~groups["fold"].str.fullmatch(r"\d+", na=True)
    if bad.any():
        raise UserError(
            f"{names[bad].iloc[0]}: name pattern {pattern!r} finds a fold that is not a number"
        )
    return groups.assign(fold=pd.to_numeric(groups["fold"]).astype("Int64"))


def _from_names(folder: Path, files: pd.Series, pattern: str | None) -> pd.DataFrame:
    if pattern:
        groups = fold_recording(files, pattern)
    else:
        groups = pd.DataFrame(index=files.index, columns=_GROUPS, dtype="str")
    parents = [PurePosixPath(file).parent.name for file in files]
    named = pd.Series([re.sub(r"^\d+ - ", "", name) or pd.NA for name in parents], dtype="str")
    class_name = groups["class"].fillna(named).fillna(groups["target"].str.zfill(2))
    if class_name.isna().any():
        raise UserError(
            f"{folder / files[class_name.isna()].iloc[0]}: class unknown; put the clips in one "
            "folder a class, or give a metadata file"
        )
    return groups.assign(file=files, class_name=class_name, fold=groups["fold"].astype("Int64"))


def _from_metadata(metadata: Path, folder: Path, files: list[str]) -> pd.DataFrame:
    try:
        raw = pd.read_csv(metadata, dtype="str")
    except (OSError, ValueError) as error:
        raise UserError(f"{metadata}: cannot read it as CSV ({error}); check the path") from error
    table = pd.DataFrame(index=raw.index, columns=list(_ALIASES), dtype="str")
    for ours, aliases in _ALIASES.items():
        column = next((alias for alias in aliases if alias in raw), None)
        if column:
            table[ours] = raw[column]
        if ours in ("file", "class_name") and (not column or raw[column].isna().any()):
            raise UserError(
                f"{metadata}: column {aliases[0]} is missing or has empty cells; add it"
            )
    by_name: dict[str, list[str]] = {}
    for file in files:
        by_name.setdefault(PurePosixPath(file).name, []).append(file)
    known = set(files)
    matches = [[file] if file in known else by_name.get(file, []) for file in table["file"]]
    missing = [file for file, paths in zip(table["file"], matches, strict=True) if not paths]
    if missing:
        raise UserError(
            f"{metadata}: {len(missing)} of {len(table)} listed files are not in {folder}, first "
            f"{missing[0]}; check the folder or download the data set again"
        )
    double = [file for file, paths in zip(table["file"], matches, strict=True) if paths[1:]]
    if double:
        raise UserError(
            f"{folder}: {double[0]} is in several subfolders; give its path in {metadata}"
        )
    try:
        fold = pd.to_numeric(table["fold"]).astype("Int64")
    except (ValueError, TypeError) as error:
        raise UserError(f"{metadata}: column fold must hold whole numbers ({error})") from error
    return table.assign(file=[paths[0] for paths in matches], fold=fold)
