"""From a dataset's entry in params.yaml to its table of embeddings."""

import shutil
from pathlib import Path

from qmoe.config import Audio, Csv, Params, Public
from qmoe.data import clips, embed, table
from qmoe.data.audio import Recipe
from qmoe.grid import Source, recipe_of


def write_table(params: Params, name: str, source: Source, workers: int) -> None:
    """Write the table of dataset `name` to `source.table`.

    Raises:
        UserError: the audio or the CSV is not as described.

    """
    dataset = params.datasets[name]
    if isinstance(dataset, Csv) or source.audio is None:
        assert isinstance(dataset, Csv)
        made = table.read_authors_csv(Path(dataset.path), name_pattern=dataset.name_pattern)
    else:
        if isinstance(dataset, Public):
            how = dataset.model_dump(include={"name", "classes", "categories"})
            listed = clips.list_public(source.audio, **how)
        elif isinstance(dataset, Audio):
            metadata = source.audio / dataset.metadata if dataset.metadata else None
            listed = clips.list_clips(
                source.audio, metadata=metadata, name_pattern=dataset.name_pattern
            )
        else:
            listed = clips.list_clips(source.audio, metadata=source.audio / "metadata.csv")
        recipe = recipe_of(params, name)
        backbone, head = recipe.pop("backbone"), recipe.pop("recipe")
        scratch = source.table.with_name(f".{source.table.stem}.parts")
        made = embed.embed(
            source.audio,
            listed,
            Recipe(**recipe),
            backbone,
            published=head == "published",
            workers=workers,
            scratch=scratch,
        )
    table.write(source.table, made)
    if source.audio is not None:
        shutil.rmtree(scratch)
