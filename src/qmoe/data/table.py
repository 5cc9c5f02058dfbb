"""Tables of embeddings: our Parquet files, and the CSV files of the paper's authors."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from qmoe.data.clips import fold_recording
from qmoe.errors import UserError

COLUMNS = ("clip", "recording", "fold", "label", "class_name")
_TEXT = ("folder", "name", "label", "category")
_KEY = b"qmoe"


@dataclass(frozen=True)
class EmbeddingTable:
    """N clips with a vector of D values each."""

    clips: pd.DataFrame  # clip, recording, class_name (str), fold (Int64, NA), label (0..C-1)
    vectors: NDArray[np.float32]  # (N, D), perhaps read-only
    metadata: dict[str, object]  # how the vectors were made, for JSON


def check(table: EmbeddingTable) -> None:
    """Raise UserError unless the table can train a classifier: at least two clips and classes,
    unique clip names, finite values, and labels 0..C-1, one to one with the class names."""
    clips, vectors = table.clips, table.vectors
    if len(clips) != len(vectors):
        raise UserError(f"{len(clips)} clips but {len(vectors)} vectors; make the table again")
    if len(clips) < 2:
        raise UserError(f"{len(clips)} clip in total; give clips of at least two classes")
    double = clips.loc[clips["clip"].duplicated(), "clip"]
    if len(double):
        raise UserError(f"clip {double.iloc[0]} appears twice; rename or remove one")
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        index = int(np.argmin(np.isfinite(vectors[row])))
        raise UserError(
            f"clip {clips['clip'].iloc[row]}: value {index} is {vectors[row, index]}; "
            "correct or remove the clip"
        )
    pairs = clips[["label", "class_name"]].drop_duplicates().sort_values("label")
    labels = pairs["label"].tolist()
    if sorted(set(labels)) != list(range(len(set(labels)))):
        raise UserError(f"labels must be 0..C-1 without gaps, found {sorted(set(labels))[:10]}")
    for column in ("label", "class_name"):
        clash = pairs[pairs[column].duplicated(keep=False)]
        if len(clash):
            listed = ", ".join(f"{row.label} = {row.class_name}" for row in clash.itertuples())
            raise UserError(f"labels and class names disagree: {listed}; give each class one label")
    if len(labels) < 2:
        raise UserError(f"only class {pairs['class_name'].iloc[0]}; give at least two classes")


def write(path: Path, table: EmbeddingTable) -> None:
    """Check a table and write it as Parquet, whole or not at all; equal tables give equal bytes."""
    check(table)
    n_clips, dim = table.vectors.shape
    # Uncompressed, without nulls and in one row group: read() then need not copy the vectors.
    item = pa.field("item", pa.float32(), nullable=False)
    vectors = pa.FixedSizeListArray.from_arrays(
        pa.array(np.ascontiguousarray(table.vectors, dtype=np.float32).ravel()),
        type=pa.list_(item, dim),
    )
    fields = [
        pa.field("clip", pa.string()),
        pa.field("recording", pa.string()),
        pa.field("fold", pa.int64()),
        pa.field("label", pa.int64()),
        pa.field("class_name", pa.string()),
        pa.field("vector", vectors.type, nullable=False),
    ]
    schema = pa.schema(fields, {_KEY: json.dumps(table.metadata, sort_keys=True).encode()})
    columns = [pa.array(table.clips[field.name], field.type) for field in fields[:-1]]
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        pq.write_table(
            pa.table([*columns, vectors], schema=schema),
            partial,
            compression="none",
            use_dictionary=False,
            write_statistics=False,
            row_group_size=n_clips,
        )
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path) -> EmbeddingTable:
    """Return a table that `write` wrote, its vectors read-only; raises UserError for any other."""
    try:
        raw = pq.read_table(path, memory_map=True)
        metadata = json.loads(raw.schema.metadata[_KEY])
        clips = raw.select(COLUMNS).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        vectors = raw["vector"].combine_chunks()
    except (OSError, pa.ArrowException, KeyError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{path}: not a table of embeddings of qmoe ({reason}); make it again"
        ) from error
    clips = clips.astype({"label": "int64"})
    return EmbeddingTable(clips, vectors.values.to_numpy().reshape(len(raw), -1), metadata)


def read_authors_csv(path: Path, *, name_pattern: str | None = None) -> EmbeddingTable:
    """Return the authors' interchange file (docs/data.md). A clip is called folder/name, or
    'row-000001' and so on. Its class is category; else label, where it is one to one with class_id;
    else class_id. Its recording and fold are what `name_pattern` reads from name (see
    `clips.fold_recording`); without a pattern each clip is its own recording and has no fold.
    Raises UserError with file, column and row for columns that are missing, unknown or at odds, and
    for values that are not finite."""
    try:
        return _read_authors_csv(path, name_pattern)
    except (OSError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{path}: cannot read it as CSV ({reason}); export it again") from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def _read_authors_csv(path: Path, name_pattern: str | None) -> EmbeddingTable:
    text = pa.csv.ConvertOptions(column_types=dict.fromkeys(_TEXT, pa.string()))
    raw = pa.csv.read_csv(path, convert_options=text)
    names = raw.column_names
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        raise UserError(f"column {double} appears twice; remove one")
    if "class_id" not in names:
        raise UserError("no column class_id; add it (alphabetical code of category)")
    numbered = {name for name in names if name.isdecimal()}
    wanted = [str(index) for index in range(len(numbered))]
    if not wanted:
        raise UserError("no embedding columns 0,1,2,...; export the embeddings with the labels")
    gap = next((name for name in wanted if name not in numbered), None)
    if gap:
        raise UserError(f"embedding column {gap} is missing; export all of 0..D-1")
    unknown = set(names) - numbered - {*_TEXT, "class_id"}
    if unknown:
        raise UserError(f"unknown column {sorted(unknown)[0]!r}; remove it")
    vectors = np.column_stack([_numbers(raw[name], name).astype(np.float32) for name in wanted])
    label = _numbers(raw["class_id"], "class_id")
    if (label != label.round()).any():
        raise UserError("column class_id must hold whole numbers 0..C-1")
    clips = pd.DataFrame({"label": label.astype(np.int64)})
    text_columns = {name: raw[name].to_pandas().astype("str") for name in _TEXT if name in names}
    clips["class_name"] = _class_name(clips["label"], text_columns)
    parts = [text_columns[name] for name in ("folder", "name") if name in text_columns]
    if "name" in text_columns:
        clips["clip"] = parts[0] if len(parts) == 1 else parts[0] + "/" + parts[1]
    else:
        clips["clip"] = [f"row-{row:06d}" for row in range(1, len(clips) + 1)]
    if name_pattern and "name" not in text_columns:
        raise UserError("no column name to apply the name pattern to; add it or drop the pattern")
    if name_pattern:
        groups = fold_recording(text_columns["name"], name_pattern)
        clips["fold"], clips["recording"] = groups["fold"], groups["recording"]
    else:
        clips["fold"], clips["recording"] = pd.array([pd.NA] * len(clips), "Int64"), clips["clip"]
    clips["recording"] = clips["recording"].fillna(clips["clip"])
    table = EmbeddingTable(clips[list(COLUMNS)], vectors, {"source": path.name})
    check(table)
    return table


def _numbers(column: pa.ChunkedArray, name: str) -> NDArray[np.float64]:
    """The column as numbers; messages count rows from 1, without the header."""
    values = column.to_pandas()
    numbers = pd.to_numeric(values, errors="coerce")
    bad = np.flatnonzero(numbers.isna())
    if len(bad):
        cell = values.iloc[bad[0]]
        what = "empty or NaN" if pd.isna(cell) else f"{cell!r}, not a number"
        raise UserError(f"column {name}, row {bad[0] + 1}: {what}; correct or remove the row")
    return numbers.to_numpy(np.float64)


def _class_name(label: pd.Series, text: dict[str, pd.Series]) -> pd.Series:
    if "category" in text:
        names: pd.Series = text["category"]
        if names.groupby(label).nunique().max() > 1 or label.groupby(names).nunique().max() > 1:
            raise UserError("class_id and category disagree; give each category one class_id")
        return names
    if "label" in text:
        names = text["label"]
        one_to_one = names.groupby(label).nunique().max() == label.groupby(names).nunique().max()
        if one_to_one and names.nunique() == label.nunique():
            return names
    return label.astype("str")
