"""From a dataset's entry in params.yaml to its table of embeddings."""

from pathlib import Path

from qmoe.config import Audio, Csv, Params
from qmoe.data import clips, embed, table
from qmoe.data.audio import Recipe
from qmoe.grid import Source


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
        metadata: str | None = "metadata.csv"
        pattern: str | None = None
        if isinstance(dataset, Audio):
            metadata, pattern = dataset.metadata, dataset.name_pattern
        listed = clips.list_clips(
            source.audio,
            metadata=source.audio / metadata if metadata else None,
            name_pattern=pattern,
        )
        recipe = params.embedding.model_dump(exclude={"backbone"})
        made = embed.embed(
            source.audio, listed, Recipe(**recipe), params.embedding.backbone, workers=workers
        )
    table.write(source.table, made)
