"""params.yaml, validated: the one description of datasets, protocols, networks and grid.

The field descriptions below are the configuration table of the README (`qmoe schema`).
"""

import difflib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from qmoe.data.registry import REGISTRY
from qmoe.errors import UserError

PARAMS = Path("params.yaml")

Scheme = Literal["fp32", "ptq8", "q1", "q2", "q4", "q8", "q16", "bitnet", "popcount"]
Strategy = Literal[
    "none",
    "kl_global",
    "kl_divergence",
    "entropy_regularization",
    "precision_prior",
    "precision_sharp",
    "escalation",
    "soft_escalation",
    "information_gain",
]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Probability = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A part of params.yaml: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Synthetic(Section):
    """Clips rendered by the pipeline itself."""

    kind: Literal["synthetic"]
    seed: int = Field(2511, description="of the synthesis")
    recordings_per_class: Count = Field(8, description="recordings of each of the five classes")
    takes_per_recording: Count = Field(4, description="clips cut from a recording")
    folds: int = Field(5, ge=2, description="folds where the dataset has no official ones")


class Audio(Section):
    """A folder of wav, ogg or flac files."""

    kind: Literal["audio"]
    path: str = Field(description="folder with the audio files")
    metadata: str | None = Field(
        None, description="CSV in it: file, class and, where known, recording and fold"
    )
    name_pattern: str | None = Field(
        None, description="`esc`, or a regular expression with groups fold, recording, class"
    )
    folds: int = Field(5, ge=2, description="number of official folds, else how many to make")

    @model_validator(mode="after")
    def _one_source(self) -> "Audio":
        if (self.metadata is None) == (self.name_pattern is None):
            raise ValueError("give either metadata or name_pattern")
        return self


class Csv(Section):
    """The authors' interchange file of embeddings."""

    kind: Literal["csv"]
    path: str = Field(description="CSV with class_id and one column a value, headed 0, 1, 2, ...")
    name_pattern: str | None = Field(
        None, description="finds fold and recording in the column `name`"
    )
    folds: int = Field(5, ge=2, description="number of official folds, else how many to make")


class Public(Section):
    """A dataset that others published, downloaded by the pipeline or given as its archive."""

    kind: Literal["public"]
    name: Literal["esc50", "urbansound8k", "quinn"] = Field(
        description="which one; address, checksum, licence and citation: `data/registry.py`"
    )
    archive: str | None = Field(None, description="its archive on this machine: no download")
    url: list[str] | None = Field(None, description="mirrors to try instead of the known address")
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        None, description="pins the archive's content; needed where no checksum is public"
    )
    classes: Literal[5, 50] = Field(5, description="of ESC-50: the paper's categories, or all")
    categories: Literal["official", "published"] = Field(
        "official", description="of ESC-50: target // 10, or the paper's (target // 5) % 5"
    )
    duration_s: Positive = Field(
        description="every clip is cut or padded to it; by default the dataset's 5, 4 or 2 s"
    )
    folds: int = Field(ge=2, description="by default the official 5 or 10; 5 are made for quinn")

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: Any) -> Any:
        known = REGISTRY.get(str(data.get("name"))) if isinstance(data, dict) else None
        if known is None:
            return data
        url = [data["url"]] if isinstance(data.get("url"), str) else data.get("url")
        return {"folds": known.folds, "duration_s": known.duration_s} | data | {"url": url}

    @model_validator(mode="after")
    def _fits(self) -> "Public":
        if self.archive and self.url:
            raise ValueError("give either archive or url")
        if self.name != "esc50" and {"classes", "categories"} & self.model_fields_set:
            raise ValueError(f"classes and categories are of esc50, not of {self.name}")
        return self


def _kind(value: Any) -> str | None:
    return value.get("kind") if isinstance(value, dict) else getattr(value, "kind", None)


Dataset = Annotated[
    Union[  # noqa: UP007 - pydantic wants the tags inside
        Annotated[Synthetic, Tag("synthetic")],
        Annotated[Audio, Tag("audio")],
        Annotated[Csv, Tag("csv")],
        Annotated[Public, Tag("public")],
    ],
    Discriminator(_kind),
]


class Embedding(Section):
    """From audio to a vector a clip."""

    backbone: Literal["efficientnet_lite0", "efficientnet_b3"] = Field(
        description="frozen ImageNet network: 1280 values offline, or the paper's 1536"
    )
    recipe: Literal["corrected", "published"] = Field(
        "corrected",
        description="`published` has a last layer of random weights and no ImageNet normalisation",
    )
    sample_rate_hz: Count = Field(description="every clip is resampled to it")
    duration_s: Positive = Field(description="every clip is cut or padded to it")
    n_fft: Count = Field(description="samples in a spectrum")
    hop_length: Count = Field(description="samples between spectra")
    n_mels: Count = Field(description="mel bands")
    f_min_hz: Annotated[float, Field(ge=0)] = Field(description="lowest mel band")
    f_max_hz: Positive = Field(description="highest mel band")
    top_db: Positive = Field(description="range below the loudest point")
    colormap: Literal["viridis", "magma", "gray"] = Field(description="of the picture")

    @model_validator(mode="after")
    def _band(self) -> "Embedding":
        if not self.f_min_hz < self.f_max_hz <= self.sample_rate_hz / 2:
            raise ValueError("f_min_hz < f_max_hz <= sample_rate_hz / 2 must hold")
        return self


class Protocol(Section):
    """Switches between what was published and what a careful scientist would run."""

    folds: Literal["random", "grouped"] = Field(
        description="stratified over clips, or official folds, else whole recordings"
    )
    n_folds: Annotated[int, Field(ge=2)] | None = Field(
        None, description="how many, for folds: random; the dataset's where it is left out"
    )
    stop_on: Literal["test", "held_out"] = Field(
        description="which clips stop training: the scored fold, or part of the training ones"
    )
    held_out_fraction: Annotated[float, Field(gt=0, le=0.5)] = Field(
        0.1,
        description="of the training clips for stop_on: held_out; whole recordings, "
        "one a class at least",
    )
    single_checkpoint: Literal["last", "best"] = Field(
        description="epoch at which a single network is scored"
    )
    mixture_checkpoint: Literal["last", "best"] = Field(
        description="epoch at which a mixture is scored"
    )
    uncertainty_scale: Literal["per_batch", "train_quantiles"] = Field(
        description="over what u is scaled to [0, 1]"
    )
    bayesian_router: Literal["with_curiosity", "always"] = Field(
        description="`always` gives arms without curiosity the same router"
    )
    q16: Literal["float32", "k_bit"] = Field(description="16 bit: not quantised, or quantised")
    popcount_gradient: Literal["zero", "straight_through"] = Field(
        description="whether the popcount network can learn"
    )
    ptq8_activations: Literal["per_batch", "per_row"] = Field(
        description="range of the dynamic activations after training"
    )

    @model_validator(mode="after")
    def _official(self) -> "Protocol":
        if self.n_folds and self.folds != "random":
            raise ValueError("n_folds is for folds: random; official folds have their own number")
        return self


class Network(Section):
    """Experts."""

    hidden: Annotated[list[Count], Field(min_length=1)] = Field(description="hidden widths")
    dropout: Probability = Field(description="of hidden units")


class Router(Section):
    """The gate of a mixture."""

    hidden: Annotated[list[Count], Field(min_length=1)] = Field(description="hidden widths")
    dropout: Probability = Field(description="the paper does not state it")
    monte_carlo_samples: int = Field(ge=2, description="dropout masks behind u")
    top_k: Count = Field(description="experts run for a clip")


class Plateau(Section):
    """Lowers the learning rate when the stopping F1 stands still."""

    factor: Annotated[float, Field(gt=0, lt=1)] = Field(description="of the learning rate")
    patience: Annotated[int, Field(ge=0)] = Field(description="epochs")


class Fit(Section):
    """One training procedure."""

    optimizer: Literal["adam", "adamw"] = Field(description="optimiser")
    learning_rate: Positive = Field(description="initial learning rate")
    weight_decay: Annotated[float, Field(ge=0)] = Field(description="weight decay")
    label_smoothing: Probability = Field(description="of the cross entropy")
    load_balance: Annotated[float, Field(ge=0)] = Field(description="weight of the balance term")
    plateau: Plateau | None = Field(description="learning-rate schedule, or null")
    batch_size: Count = Field(description="clips in a step")
    epochs: Count = Field(description="at most")
    patience: Count = Field(description="epochs without a better stopping F1 before the end")
    min_delta: Annotated[float, Field(ge=0)] = Field(description="how much better counts")


class Measurement(Section):
    """How time and energy are measured."""

    batch_sizes: Annotated[list[Count], Field(min_length=1)] = Field(
        description="clips in a timed call"
    )
    repeats: Annotated[int, Field(ge=2)] = Field(
        description="timed calls of every model and batch size; a spread needs 50"
    )
    energy_interval_s: Positive = Field(description="between two readings of the power")
    energy_intervals: Annotated[int, Field(ge=10)] = Field(description="readings in a loop")
    energy_folds: Count = Field(description="folds of every arm whose energy is measured")
    country_iso_code: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] = Field(
        description="three letters; its electricity turns joules into grams of CO2"
    )


class Training(Section):
    """The paper's procedure for single networks, and for mixtures."""

    single: Fit
    mixture: Fit


class Curiosity(Section):
    """A strategy and the alphas to run it with."""

    strategy: Strategy = Field(description="rule that bends the router's probabilities")
    alpha: list[Annotated[float, Field(ge=0)]] | None = Field(
        None, description="its strengths, each an arm of its own"
    )
    expert_sets: list[str] | None = Field(
        None, description="only for these mixtures; for all of the grid where it is left out"
    )

    @model_validator(mode="before")
    @classmethod
    def _one_or_many(cls, data: Any) -> Any:
        if isinstance(data, dict) and isinstance(data.get("alpha"), int | float | str):
            return {**data, "alpha": [data["alpha"]]}
        return data

    @model_validator(mode="after")
    def _alpha(self) -> "Curiosity":
        if self.strategy == "none" and self.alpha:
            raise ValueError("alpha without a strategy: name a strategy, or drop alpha")
        if self.strategy != "none" and not self.alpha:
            raise ValueError(f"strategy {self.strategy!r} needs alpha, for example alpha: [0.3]")
        return self

    def arms(self) -> list[tuple[str, float | None]]:
        """(strategy, alpha), one for each alpha."""
        return [(self.strategy, alpha) for alpha in self.alpha] if self.alpha else [("none", None)]


class Grid(Section):
    """What is run: every combination of these lists. Curiosity applies to mixtures only."""

    datasets: Annotated[list[str], Field(min_length=1)] = Field(description="from `datasets`")
    protocols: Annotated[list[str], Field(min_length=1)] = Field(description="from `protocols`")
    expert_sets: Annotated[list[str], Field(min_length=1)] = Field(description="from `expert_sets`")
    curiosity: Annotated[list[Curiosity], Field(min_length=1)] = Field(
        description="strategies with their alphas; `none` is the plain router"
    )
    seeds: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)] = Field(
        description="model seeds"
    )
    folds: Literal["all"] | list[Annotated[int, Field(ge=0)]] = Field(
        "all", description="`all`, or the numbers of the folds to run, from 0"
    )


def _canonical_scheme(value: Any) -> Any:
    return f"q{value}" if isinstance(value, int) or str(value).isdigit() else value


class Params(Section):
    """The whole file."""

    datasets: dict[Name, Dataset]
    embedding: Embedding
    normalization: Literal["standard", "l2", "min_max", "raw"] = Field(
        description="of the embeddings, learnt on the training clips"
    )
    network: Network
    router: Router
    training: Training
    protocols: dict[Name, Protocol]
    expert_sets: dict[
        str,
        Annotated[list[Annotated[Scheme, BeforeValidator(_canonical_scheme)]], Field(min_length=1)],
    ]
    grid: Grid
    split_seed: int = Field(ge=0, description="of the folds, 42 in the paper")
    device: Literal["cpu", "cuda", "mps"] = Field(description="where training runs")
    measurement: Measurement
    experiments_per_job: Count = Field(
        description="trained one after another by one job; changes no result"
    )

    @model_validator(mode="after")
    def _references(self) -> "Params":
        for field in ("datasets", "protocols", "expert_sets"):
            wanted = getattr(self.grid, field)
            _all_known(f"grid.{field}", wanted, getattr(self, field))
            _no_repeats(f"grid.{field}", wanted)
        for curiosity in self.grid.curiosity:
            _all_known("grid.curiosity", curiosity.expert_sets or [], self.expert_sets)
        _no_repeats("grid.seeds", self.grid.seeds)
        _no_repeats(
            "grid.curiosity", [arm for curiosity in self.grid.curiosity for arm in curiosity.arms()]
        )
        for name, experts in self.expert_sets.items():
            _no_repeats(f"expert_sets.{name}", experts)
            if 1 < len(experts) < self.router.top_k:
                raise ValueError(
                    f"router.top_k is {self.router.top_k}, expert set {name!r} has {len(experts)}"
                )
        _no_repeats("expert_sets", [tuple(experts) for experts in self.expert_sets.values()])
        if self.grid.folds != "all":
            _no_repeats("grid.folds", self.grid.folds)
            for name in self.grid.datasets:
                own = self.datasets[name].folds
                count = min(self.protocols[p].n_folds or own for p in self.grid.protocols)
                if max(self.grid.folds, default=0) >= count:
                    raise ValueError(
                        f"grid.folds: dataset {name!r} has folds 0 to {count - 1}, "
                        f"not {max(self.grid.folds)}"
                    )
        return self


def _all_known(where: str, wanted: list[str], known: Iterable[str]) -> None:
    for name in wanted:
        if name not in known:
            raise ValueError(f"{where}: {name!r} is not defined{_hint(name, list(known))}")


def _no_repeats(where: str, values: list[Any]) -> None:
    repeated = [value for index, value in enumerate(values) if value in values[:index]]
    if repeated:
        raise ValueError(f"{where}: {repeated[0]!r} stands twice")


def load(config: dict[str, Any]) -> Params:
    """Validate a configuration.

    Args:
        config: the content of params.yaml. Numbers may be strings, as `snakemake --config` gives
            those inside a mapping.

    Raises:
        UserError: every mistake on a line, with the nearest valid name.

    """
    try:
        return Params.model_validate(config)
    except ValidationError as error:
        lines = [_explain(dict(e)) for e in error.errors()]
        raise UserError("\n".join(f"params.yaml: {line}" for line in lines)) from None


def read(overrides: dict[str, Any] | None = None, path: Path = PARAMS) -> Params:
    """Read params.yaml and put `overrides` over it, as Snakemake does.

    Raises:
        UserError: the file is missing, not YAML, or does not validate.

    """
    return load(merge(read_yaml(path), overrides or {}))


def read_yaml(path: Path) -> dict[str, Any]:
    """The content of params.yaml, or of a file to put over it.

    Raises:
        UserError: the file is missing or not YAML.

    """
    try:
        data: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is not here: run from the project's folder") from None
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    return data


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`base` with the leaves of `over` put in its place; lists are replaced whole."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = (
            merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else (value)
        )
    return merged


def difference(base: dict[str, Any], changed: dict[str, Any]) -> dict[str, Any]:
    """The leaves of `changed` that are not so in `base`: what `merge` needs to make it of it."""
    return {
        key: difference(base[key], value)
        if isinstance(value, dict) and isinstance(base.get(key), dict)
        else value
        for key, value in changed.items()
        if base.get(key) != value or key not in base
    }


def _hint(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.4)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(known)}" if len(known) < 20 else ""


def _explain(error: dict[str, Any]) -> str:
    """One line for one pydantic error."""
    # pydantic names the kind of a dataset as a level of its own; the file has no such level.
    kinds = ("synthetic", "audio", "csv", "public")
    where = [str(part) for at, part in enumerate(error["loc"]) if at != 2 or part not in kinds]
    kind, value = error["type"], error.get("input")
    if kind == "extra_forbidden":
        return f"unknown key {'.'.join(where)!r}{_hint(where[-1], _all_keys())}"
    if kind in ("literal_error", "union_tag_invalid"):
        expected = error["ctx"]["expected" if kind == "literal_error" else "expected_tags"]
        known = [name.strip(" '") for name in expected.replace(" or ", ",").split(",")]
        said = value if kind == "literal_error" else error["ctx"]["tag"]
        return f"{'.'.join(where)}: {said!r} is not one of its values{_hint(str(said), known)}"
    if kind == "union_tag_not_found":
        return f"{'.'.join(where)}: needs kind: synthetic, audio, csv or public"
    if kind == "missing":
        return f"{'.'.join(where)}: is missing"
    message = error["msg"].removeprefix("Value error, ")
    shown = f" (it is {value!r})" if isinstance(value, str | int | float) else ""
    return ": ".join(filter(None, [".".join(where), message[0].lower() + message[1:] + shown]))


def _all_keys() -> list[str]:
    return [name for section in Section.__subclasses__() for name in section.model_fields]


def _flatten(annotation: Any) -> list[Any]:
    inner = [leaf for arg in get_args(annotation) for leaf in _flatten(arg)]
    return inner or [annotation]


def schema_table() -> str:
    """The configuration table of the README, in Markdown."""
    rows = ["| key | values | what it is |", "|---|---|---|"]
    sections: list[tuple[str, type[Section]]] = [
        ("", Params),
        ("datasets.NAME (synthetic)", Synthetic),
        ("datasets.NAME (audio)", Audio),
        ("datasets.NAME (csv)", Csv),
        ("datasets.NAME (public)", Public),
        ("embedding", Embedding),
        ("protocols.NAME", Protocol),
        ("network", Network),
        ("router", Router),
        ("training.{single,mixture}", Fit),
        ("training.*.plateau", Plateau),
        ("measurement", Measurement),
        ("grid", Grid),
        ("grid.curiosity[]", Curiosity),
    ]
    for prefix, section in sections:
        for name, field in section.model_fields.items():
            if field.description:
                key = f"{prefix}.{name}" if prefix else name
                rows.append(f"| `{key}` | {_values(field.annotation)} | {field.description} |")
    return "\n".join(rows)


def _values(annotation: Any) -> str:
    leaves = _flatten(annotation)
    names = [
        "null" if leaf is type(None) else f"`{leaf}`" if isinstance(leaf, str) else leaf.__name__
        for leaf in leaves
        if isinstance(leaf, str | type)
    ]
    many = "list of " if str(annotation).startswith(("list", "typing.Annotated[list")) else ""
    return many + ", ".join(dict.fromkeys(names))
