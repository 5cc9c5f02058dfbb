"""Which clips a folder holds, with their class, recording and official fold."""

import re
from pathlib import Path, PurePosixPath

import pandas as pd

from qmoe.errors import UserError

SUFFIXES = (".wav", ".ogg", ".flac")
PICTURES = (".png",)
ESC = r"(?P<fold>\d+)-(?P<recording>[^-]+)-(?P<take>[^-]+)(-(?P<target>\d+))?"
_GROUPS = ["fold", "recording", "class", "target"]

# Our column: its names in our own CSV, ESC-50's and UrbanSound8K's.
_ALIASES = {
    "file": ("file", "filename", "slice_file_name"),
    "class_name": ("class", "category"),
    "recording": ("recording", "src_file", "fsID"),
    "fold": ("fold",),
}


# ESC-50's five categories in the order of its targets: ten classes each (its README).
CATEGORIES = (
    "Animals",
    "Natural soundscapes",
    "Human non-speech",
    "Interior sounds",
    "Exterior noises",
)
ABGQI = ("anthropophony", "biophony", "geophony", "quiet", "interference")
# SITE_DEPLOYMENT_DATE_TIME of a recorder, where the name of a clip has kept it.
_ABGQI_NAME = r".*?(?P<recording>s2l[a-z]+\d+_\d{6}_\d{4}-\d{2}-\d{2}_\d{2}-\d{2}).*|.*"


def list_public(folder: Path, name: str, *, classes: int, categories: str) -> pd.DataFrame:
    """The clips of an unpacked public dataset (see `qmoe.data.registry`), as `list_clips` has them.

    ESC-50: recording and official fold from meta/esc50.csv; 50 classes, or the 5 categories by
    target: `official` is target // 10, `published` the paper's (target // 5) % 5 (D1).
    UrbanSound8K: recording is the Freesound ID, folds are its own 10. ABGQI: a folder a class,
    with audio or ready pictures (PNG), and no folds.

    Raises:
        UserError: the folder does not hold the dataset.

    """
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
    """One row a clip, sorted by `clip`.

    Columns: clip (str, unique: path below folder without its extension), file (str, path below
    folder), recording (str), fold (Int64, NA without official folds), class_name (str).

    With metadata, a CSV with columns file and class, optionally recording and fold (or ESC-50's
    or UrbanSound8K's names for them), decides; audio files it does not list are left out, and a
    file given by its bare name is found in any subfolder. Otherwise every wav, ogg and flac file,
    or those that `files` names, counts and name_pattern reads its name, see fold_recording. The
    class is then the group `class`, or the parent folder's name less a leading 'NNN - ', or the
    group `target` as two digits. Without recordings each clip is its own.

    Raises UserError when the folder or its audio is missing, files or columns are missing, names
    are double or do not match, a class is unknown, or only some clips have a fold.
    """
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
    double = table.loc[table["clip"].duplicated(), "clip"]
    if len(double):
        raise UserError(f"{folder}: clip {double.iloc[0]} exists twice; rename or remove one")
    unfolded = table.loc[table["fold"].isna(), "clip"]
    if 0 < len(unfolded) < len(table):
        raise UserError(
            f"{folder}: clip {unfolded.iloc[0]} has no fold but others have one; "
            "give every clip a fold, or none"
        )
    columns = ["clip", "file", "recording", "fold", "class_name"]
    return table[columns].sort_values("clip", ignore_index=True)


def fold_recording(names: pd.Series, pattern: str) -> pd.DataFrame:
    """What a pattern reads from file names: a row a name, a column a group, NA where absent.

    pattern is a regular expression over the whole name without folder and extension, with named
    groups among fold, recording, class; or 'esc' for ESC-50's FOLD-CLIP-TAKE[-TARGET]. Columns
    fold (Int64), recording, class and target (str) always exist. Raises UserError for a bad
    pattern and for the first name that does not match.
    """
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
                f"{name}: does not match name pattern {pattern!r}; rename it or mend it"
            )
        rows.append(match.groupdict())
    groups = pd.DataFrame(rows, names.index, _GROUPS, dtype="str")
    bad = groups["fold"].notna() & ~groups["fold"].str.fullmatch(r"\d+", na=True)
    if bad.any():
        raise UserError(f"{names[bad].iloc[0]}: name pattern {pattern!r} finds no number as fold")
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
        found = next((alias for alias in aliases if alias in raw), None)
        if found:
            table[ours] = raw[found]
        if ours in ("file", "class_name") and (not found or raw[found].isna().any()):
            raise UserError(
                f"{metadata}: column {aliases[0]} is missing or has empty cells; add it"
            )
    by_name: dict[str, list[str]] = {}
    for file in files:
        by_name.setdefault(PurePosixPath(file).name, []).append(file)
    known = set(files)
    found_files = [[file] if file in known else by_name.get(file, []) for file in table["file"]]
    missing = [file for file, found in zip(table["file"], found_files, strict=True) if not found]
    if missing:
        raise UserError(
            f"{metadata}: {len(missing)} of {len(table)} listed files are not in {folder}, first "
            f"{missing[0]}; check the folder or download the data set again"
        )
    double = [file for file, found in zip(table["file"], found_files, strict=True) if found[1:]]
    if double:
        raise UserError(
            f"{folder}: {double[0]} is in several subfolders; give its path in {metadata}"
        )
    try:
        fold = pd.to_numeric(table["fold"]).astype("Int64")
    except (ValueError, TypeError) as error:
        raise UserError(f"{metadata}: column fold must hold whole numbers ({error})") from error
    return table.assign(file=[found[0] for found in found_files], fold=fold)
