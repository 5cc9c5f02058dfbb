"""Sections of params.yaml about data: the four kinds of dataset, and how audio is embedded."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, TypeAdapter, model_validator

from qmoe.config.section import Count, NonNegative, OneOrMore, Positive, Section, about

_FOLDS = "number of official folds; without official folds, how many to make"


@dataclass(frozen=True)
class Remote:
    """An address and the checksum (`algorithm:hexadecimal`, or None) of what it serves."""

    url: str
    checksum: str | None


@dataclass(frozen=True)
class RegistryEntry:
    """A public dataset; `registry.yaml` beside this module explains the fields."""

    title: str
    home: str
    licence: str
    citation: str
    remotes: tuple[Remote, ...]
    suffix: str
    folds: int
    clips: int
    duration_s: float
    archive_gb: float
    audio_gb: float
    random_head: bool


REGISTRY = TypeAdapter(dict[str, RegistryEntry]).validate_python(
    yaml.safe_load(Path(__file__).with_name("registry.yaml").read_text(encoding="utf-8"))
)


class SyntheticDataset(Section, title="datasets.NAME (synthetic)"):
    """Clips that the pipeline itself renders."""

    kind: Literal["synthetic"]
    seed: int = about("seed of the synthesis", 2511)
    recordings_per_class: Count = about("recordings of each of the five classes", 8)
    takes_per_recording: Count = about("clips cut from each recording", 4)
    folds: int = about("how many folds to make", 5, ge=2)


class AudioDataset(Section, title="datasets.NAME (audio)"):
    """A folder of wav, ogg or flac files."""

    kind: Literal["audio"]
    path: str = about("folder that holds the audio files")
    metadata: str | None = about("CSV file in it: file, class, perhaps recording and fold", None)
    name_pattern: str | None = about("`esc`, or a regex with groups fold, recording or class", None)
    folds: int = about(_FOLDS, 5, ge=2)

    @model_validator(mode="after")
    def _one_source(self) -> "AudioDataset":
        if (self.metadata is None) == (self.name_pattern is None):
            raise ValueError("give either metadata or name_pattern")
        return self


class CsvDataset(Section, title="datasets.NAME (csv)"):
    """Embeddings in the interchange format of the paper's authors."""

    kind: Literal["csv"]
    path: str = about("CSV file with class_id and a column for each value: 0, 1, 2...")
    name_pattern: str | None = about("how to read fold and recording from the column `name`", None)
    folds: int = about(_FOLDS, 5, ge=2)


class PublicDataset(Section, title="datasets.NAME (public)"):
    """A published dataset that the pipeline downloads, or reads from an archive on disk."""

    kind: Literal["public"]
    name: Literal["esc50", "urbansound8k", "quinn"] = about(
        "which one; `config/registry.yaml` has its address, licence and citation"
    )
    archive: str | None = about("path of its archive on this machine, instead of a download", None)
    url: OneOrMore[str] = about("mirrors to use instead of the known address", None)
    sha256: str | None = about(
        "SHA-256 of the archive; needed where no checksum is public", None, pattern="^[0-9a-f]{64}$"
    )
    classes: Literal[5, 50] = about("ESC-50 only: the paper's 5 categories, or all 50 classes", 5)
    categories: Literal["official", "published"] = about(
        "ESC-50 only: target // 10 (official), or the paper's (target // 5) % 5", "official"
    )
    duration_s: Positive = about("seconds, as in `embedding`; by default the dataset's 5, 4 or 2")
    folds: int = about("by default the 5 or 10 official ones; for quinn 5 made", ge=2)

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        entry = REGISTRY.get(str(data.get("name"))) if isinstance(data, dict) else None
        if entry is None:
            return data
        return {"folds": entry.folds, "duration_s": entry.duration_s} | data

    @model_validator(mode="after")
    def _fits(self) -> "PublicDataset":
        if self.archive and self.url:
            raise ValueError("give either archive or url")
        if self.name != "esc50" and {"classes", "categories"} & self.model_fields_set:
            raise ValueError(f"classes and categories are for esc50, not for {self.name}")
        return self


Dataset = Annotated[
    SyntheticDataset | AudioDataset | CsvDataset | PublicDataset, Field(discriminator="kind")
]
KINDS = ("synthetic", "audio", "csv", "public")


class Embedding(Section, title="embedding"):
    """How audio becomes one vector for each clip."""

    backbone: Literal["efficientnet_lite0", "efficientnet_b3"] = about(
        "frozen ImageNet network: 1280 values, works offline, or the paper's 1536"
    )
    recipe: Literal["corrected", "published"] = about(
        "`published` ends in a random layer and skips the ImageNet normalisation", "corrected"
    )
    sample_rate_hz: Count = about("rate to which every clip is resampled")
    duration_s: Positive = about("seconds to which every clip is cut or padded")
    n_fft: Count = about("samples in each spectrum")
    hop_length: Count = about("samples from one spectrum to the next")
    n_mels: Count = about("number of mel bands")
    f_min_hz: NonNegative = about("lower edge of the lowest mel band")
    f_max_hz: Positive = about("upper edge of the highest mel band")
    top_db: Positive = about("decibels below the loudest point that are drawn")
    colormap: Literal["viridis", "magma", "gray"] = about("colours of the picture")

    @model_validator(mode="after")
    def _band(self) -> "Embedding":
        if not self.f_min_hz < self.f_max_hz <= self.sample_rate_hz / 2:
            raise ValueError("f_min_hz < f_max_hz <= sample_rate_hz / 2 must hold")
        return self
