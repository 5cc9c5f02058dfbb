"""The steps from a dataset's entry in params.yaml to its table of embeddings."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qmoe.config import AudioDataset, CsvDataset, Params, PublicDataset
from qmoe.data.sources import DataSource, recipe_of
from qmoe.keys import require_same


def render(params: Params, name: str, source: DataSource, folder: Path) -> None:
    """Render the clips of a synthetic dataset.

    Args:
        params: the configuration.
        name: of the dataset.
        source: where its clips and its table lie.
        folder: where the caller expects the clips.

    Raises:
        UserError: the clips of the dataset do not belong into `folder`.
    """
    from qmoe.data import synth

    require_same(source.audio, folder)
    recipe = params.datasets[name].model_dump(exclude={"kind", "folds"})
    sound = params.embedding.model_dump(include={"duration_s", "sample_rate_hz"})
    synth.render(folder, **recipe, **sound)


def download(sources: Mapping[str, DataSource], archive: Path) -> None:
    """Download the archive of one of the sources, or the rest of it after an interruption.

    Raises:
        UserError: no source has this archive, or no address serves it.
    """
    from qmoe.data import acquire

    remotes = next((s.remotes for s in sources.values() if s.archive == archive), ())
    require_same(archive if remotes else "no such archive", archive)
    acquire.download(archive, remotes)


def unpack(sources: Mapping[str, DataSource], folder: Path) -> None:
    """Unpack the archive of one of the sources to its folder of clips.

    Raises:
        UserError: no source has this folder, or the archive is damaged.
    """
    from qmoe.data.unpack import unpack as extract

    archive = next((s.archive for s in sources.values() if s.audio == folder), None)
    require_same(folder if archive else "no such folder", folder)
    if archive:
        extract(archive, folder)


def write_table(params: Params, name: str, source: DataSource, workers: int = 1) -> None:
    """Write the table of embeddings of dataset `name` to `source.table`.

    Args:
        params: the configuration.
        name: of the dataset.
        source: where its clips and its table lie.
        workers: threads that embed, at most one for each processor; the bytes do not depend on it.

    Raises:
        UserError: the audio or the CSV file is not as params.yaml describes it.
    """
    from qmoe.data import embed, table
    from qmoe.data.audio import Recipe

    dataset = params.datasets[name]
    if isinstance(dataset, CsvDataset):
        read = table.read_authors_csv(Path(dataset.path), name_pattern=dataset.name_pattern)
        return table.write(source.table, read)
    assert source.audio is not None
    recipe = recipe_of(params, name)
    backbone, head = recipe.pop("backbone"), recipe.pop("recipe")
    scratch = source.table.with_name(f".{source.table.stem}.parts")
    made = embed.embed(
        source.audio,
        _clips(params, name, source.audio),
        Recipe(**recipe),
        backbone,
        published=head == "published",
        workers=min(workers, os.cpu_count() or 1),
        scratch=scratch,
    )
    table.write(source.table, made)
    shutil.rmtree(scratch)
    return None


def _clips(params: Params, name: str, audio: Path) -> Any:
    """The clips of a dataset of audio, as `qmoe.data.clips.list_clips` returns them."""
    from qmoe.data import clips

    dataset = params.datasets[name]
    if isinstance(dataset, PublicDataset):
        which = dataset.model_dump(include={"name", "classes", "categories"})
        return clips.list_public(audio, **which)
    if isinstance(dataset, AudioDataset):
        metadata = audio / dataset.metadata if dataset.metadata else None
        return clips.list_clips(audio, metadata=metadata, name_pattern=dataset.name_pattern)
    return clips.list_clips(audio, metadata=audio / "metadata.csv")
