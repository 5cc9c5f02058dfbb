"""The steps from a dataset's entry in params.yaml to its table of embeddings."""

import os
import shutil
from pathlib import Path
from typing import Any

from qmoe.config import AudioDataset, CsvDataset, Params, PublicDataset
from qmoe.data.sources import DataSource, recipe_of


def render(params: Params, name: str, folder: Path) -> None:
    """Render the clips of synthetic dataset `name` to a folder."""
    from qmoe.data import synth

    recipe = params.datasets[name].model_dump(exclude={"kind", "folds"})
    sound = params.embedding.model_dump(include={"duration_s", "sample_rate_hz"})
    synth.render(folder, **recipe, **sound)


def write_table(params: Params, name: str, source: DataSource, workers: int = 1) -> None:
    """Write the embeddings of dataset `name` to `source.table`, the same for any `workers`.

    At most one thread for each processor embeds. Raises UserError where the audio or the CSV file
    is not as params.yaml describes it.
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
        _clips(dataset, source.audio),
        Recipe(**recipe),
        backbone,
        published=head == "published",
        workers=min(workers, os.cpu_count() or 1),
        scratch=scratch,
    )
    table.write(source.table, made)
    shutil.rmtree(scratch)
    return None


def _clips(dataset: Any, audio: Path) -> Any:
    from qmoe.data import clips

    if isinstance(dataset, PublicDataset):
        which = dataset.model_dump(include={"name", "classes", "categories"})
        return clips.list_public(audio, **which)
    if isinstance(dataset, AudioDataset):
        metadata = audio / dataset.metadata if dataset.metadata else None
        return clips.list_clips(audio, metadata=metadata, name_pattern=dataset.name_pattern)
    return clips.list_clips(audio, metadata=audio / "metadata.csv")
