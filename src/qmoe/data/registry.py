"""The paper's public datasets: where they are, what they hold, under which licence.

Checksums are those that loaders of others publish (named beside each). Where none is public,
the first download tells its SHA-256, to be pinned as `sha256` of the dataset's entry.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Remote:
    """An address and the checksum (`algorithm:hexadecimal`) of what it gives; None: not public."""

    url: str
    checksum: str | None


@dataclass(frozen=True)
class Public:
    """A dataset others published. Its `remotes` are tried in order and hold the same clips."""

    title: str
    home: str
    licence: str
    citation: str
    remotes: tuple[Remote, ...]
    suffix: str  # of the archive
    metadata: str | None  # its CSV of clips, below the archive's root
    folds: int  # official ones, else as many as the paper made
    official_folds: bool
    clips: int
    classes: int
    duration_s: float  # the longest clip
    archive_gb: float
    audio_gb: float
    random_head: bool  # whether the published embeddings end in a random layer (D2)


REGISTRY = {
    "esc50": Public(
        title="ESC-50: Dataset for Environmental Sound Classification",
        home="https://github.com/karolpiczak/ESC-50",
        licence="CC BY-NC 3.0",
        citation="Piczak, ESC: Dataset for Environmental Sound Classification, ACM MM 2015, "
        "doi:10.1145/2733373.2806390",
        # GitHub makes the archive of a branch anew whenever its README changes (soundata issue
        # 208); that of a commit keeps its bytes. MD5: public benchmark loaders for the
        # commit, PaddleSpeech and soundata for the older archive of the branch.
        remotes=(
            Remote(
                "https://github.com/karolpiczak/ESC-50/archive/"
                "33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6.zip",
                "md5:071b44018315e034b2c6e8064543d19c",
            ),
            Remote(
                "https://paddleaudio.bj.bcebos.com/datasets/ESC-50-master.zip",
                "md5:7771e4b9d86d0945acce719c7a59305a",
            ),
        ),
        suffix=".zip",
        metadata="meta/esc50.csv",
        folds=5,
        official_folds=True,
        clips=2000,
        classes=50,
        duration_s=5.0,
        archive_gb=0.65,
        audio_gb=0.89,
        random_head=True,
    ),
    "urbansound8k": Public(
        title="UrbanSound8K",
        home="https://zenodo.org/records/1203745",
        licence="CC BY-NC 3.0",
        citation="Salamon, Jacoby, Bello, A Dataset and Taxonomy for Urban Sound Research, "
        "ACM MM 2014, doi:10.1145/2647868.2655045",
        remotes=(  # MD5: soundata
            Remote(
                "https://zenodo.org/records/1203745/files/UrbanSound8K.tar.gz?download=1",
                "md5:9aa69802bbf37fb986f71ec1483a196e",
            ),
        ),
        suffix=".tar.gz",
        metadata="metadata/UrbanSound8K.csv",
        folds=10,
        official_folds=True,
        clips=8732,
        classes=10,
        duration_s=4.0,
        archive_gb=6.0,
        audio_gb=7.1,
        random_head=True,
    ),
    # The record is cited by github.com/CQuinn8/ABGQI-CNN for its code; a notebook there says that
    # the clips are to be had from the author, and the paper's own script reads ready pictures
    # (`ABGQI_mel_spectrograms/CLASS/*.png`), not audio. Neither a checksum nor the size of the
    # record is public; 5,000 clips stand in for the number, for `qmoe estimate`.
    "quinn": Public(
        title="Soundscapes to Landscapes, ABGQI",
        home="https://doi.org/10.5281/zenodo.6038459",
        licence="see the record",
        citation="Quinn et al., Soundscape classification with convolutional neural networks "
        "reveals temporal and geographic patterns in ecoacoustic data, Ecological Indicators 2022, "
        "doi:10.1016/j.ecolind.2022.108831",
        remotes=(Remote("https://zenodo.org/api/records/6038459/files-archive", None),),
        suffix=".zip",
        metadata=None,
        folds=5,
        official_folds=False,
        clips=5000,
        classes=5,
        duration_s=2.0,
        archive_gb=1.0,
        audio_gb=1.0,
        random_head=False,
    ),
}
