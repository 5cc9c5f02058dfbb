"""The whole of params.yaml: its sections, and checks of one section against another."""

import difflib
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from qmoe.config.datasets import Dataset, Embedding
from qmoe.config.section import (
    Count,
    Folder,
    Index,
    Name,
    NonNegative,
    OneOrMore,
    Positive,
    Section,
    SetName,
    about,
)

PAPER = "papers/curious_qmoe"

Probability = Annotated[float, Field(ge=0, lt=1)]
Epoch = Literal["last", "best"]
Scheme = Annotated[
    Literal["fp32", "ptq8", "q1", "q2", "q4", "q8", "q16", "bitnet", "popcount"],
    BeforeValidator(lambda given: f"q{given}" if str(given).isdigit() else given),
]
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


class Protocol(Section, title="protocols.NAME"):
    """Switches between what the paper's code did and what careful practice asks for."""

    folds: Literal["random", "grouped"] = about(
        "`random`: stratified over clips; `grouped`: official folds, else whole recordings"
    )
    n_folds: int | None = about("number of `random` folds; by default the dataset's", None, ge=2)
    stop_on: Literal["test", "held_out"] = about("clips that decide when training stops")
    held_out_fraction: float = about(
        "share of training clips that `held_out` sets aside, in whole recordings", 0.1, gt=0, le=0.5
    )
    single_checkpoint: Epoch = about("epoch at which a single network is scored")
    mixture_checkpoint: Epoch = about("epoch at which a mixture is scored")
    uncertainty_scale: Literal["per_batch", "train_quantiles"] = about(
        "range over which the router's uncertainty is scaled to [0, 1]"
    )
    bayesian_router: Literal["with_curiosity", "always"] = about(
        "`always` gives arms without curiosity the same Bayesian router"
    )
    q16: Literal["float32", "k_bit"] = about("the 16-bit scheme: kept in float32, or quantised")
    popcount_gradient: Literal["zero", "straight_through"] = about(
        "gradient of the popcount network, which cannot learn with `zero`"
    )
    ptq8_activations: Literal["per_batch", "per_row"] = about("range of `ptq8` activations")

    @model_validator(mode="after")
    def _official(self) -> "Protocol":
        if self.n_folds and self.folds != "random":
            raise ValueError("n_folds is for folds: random; official folds have their own number")
        return self


class NetworkSettings(Section, title="network"):
    """The networks that classify, alone or as experts of a mixture."""

    hidden: list[Count] = about("widths of the hidden layers", min_length=1)
    dropout: Probability = about("dropout of hidden units")


class RouterSettings(Section, title="router"):
    """The router of a mixture."""

    hidden: list[Count] = about("widths of the hidden layers", min_length=1)
    dropout: Probability = about("dropout of hidden units; the paper does not state it")
    monte_carlo_samples: int = about("dropout masks from which the uncertainty is estimated", ge=2)
    top_k: Count = about("number of experts that run for each clip")


class Plateau(Section, title="training.*.plateau"):
    """Lowers the learning rate when the F1 on the stopping clips no longer rises."""

    factor: float = about("multiplies the learning rate", gt=0, lt=1)
    patience: Index = about("epochs without a better F1 before that happens")


class Fit(Section, title="training.{single,mixture}"):
    """One training procedure."""

    optimizer: Literal["adam", "adamw"] = about("optimiser")
    learning_rate: Positive = about("learning rate at the start")
    weight_decay: NonNegative = about("weight decay")
    label_smoothing: Probability = about("label smoothing of the cross entropy")
    load_balance: NonNegative = about("weight of the load-balancing term in the loss")
    plateau: Plateau | None = about("schedule of the learning rate, or null for none")
    batch_size: Count = about("clips in each training step")
    epochs: Count = about("largest number of epochs")
    patience: Count = about("epochs without a better F1 before training stops")
    min_delta: NonNegative = about("gain in F1 that counts as better")


class Training(Section):
    """The paper's training procedures: one for single networks, one for mixtures."""

    single: Fit
    mixture: Fit


class Measurement(Section, title="measurement"):
    """How time and energy are measured."""

    batch_sizes: list[Count] = about("numbers of clips in a timed call", min_length=1)
    repeats: int = about("timed calls of every model and batch size; a spread needs about 50", ge=2)
    energy_interval_s: Positive = about("seconds between two readings of the power")
    energy_intervals: int = about("readings of the power in each measured loop", ge=10)
    energy_folds: Count = about("folds of each arm whose energy is measured")
    country_iso_code: str = about(
        "country (three letters, ISO 3166-1) whose electricity turns joules into grams of CO2",
        pattern=r"^[A-Z]{3}$",
    )


class Curiosity(Section, title="grid.curiosity[]"):
    """A curiosity strategy and the alphas to run it with."""

    strategy: Strategy = about("rule that changes the router's probabilities, or `none`")
    alpha: OneOrMore[NonNegative] = about("strengths of the rule; each makes an arm", None)
    expert_sets: list[str] | None = about("mixtures that run with it; by default all of them", None)

    @model_validator(mode="after")
    def _alpha(self) -> "Curiosity":
        if self.strategy == "none" and self.alpha:
            raise ValueError("alpha without a strategy: name a strategy, or drop alpha")
        if self.strategy != "none" and not self.alpha:
            raise ValueError(f"strategy {self.strategy!r} needs alpha, for example alpha: [0.3]")
        return self

    def arms(self) -> list[tuple[str, float | None]]:
        """Return a pair of strategy and alpha for each alpha."""
        return [(self.strategy, alpha) for alpha in self.alpha] if self.alpha else [("none", None)]


class GridSettings(Section, title="grid"):
    """What is run: every combination of these lists. Curiosity applies to mixtures only."""

    datasets: list[str] = about("names in `datasets`", min_length=1)
    protocols: list[str] = about("names in `protocols`", min_length=1)
    expert_sets: list[str] = about("names in `expert_sets`", min_length=1)
    curiosity: list[Curiosity] = about("strategies and alphas; `none`: plain router", min_length=1)
    seeds: list[Index] = about("seeds of model and training", min_length=1)
    folds: Literal["all"] | list[Index] = about("`all`, or numbers of folds, from 0", "all")


class Params(Section):
    """The whole file."""

    datasets: dict[Name, Dataset]
    embedding: Embedding
    normalization: Literal["standard", "l2", "min_max", "raw"] = about(
        "how embeddings are normalised; learnt from the training clips"
    )
    network: NetworkSettings
    router: RouterSettings
    training: Training
    protocols: dict[Name, Protocol]
    expert_sets: dict[SetName, Annotated[list[Scheme], Field(min_length=1)]]
    grid: GridSettings
    split_seed: int = about("seed of the folds; 42 in the paper", ge=0)
    device: Literal["cpu", "cuda", "mps"] = about("device that trains")
    measurement: Measurement
    paper: Folder = about("folder of the paper whose claims are judged", PAPER)

    @model_validator(mode="after")
    def _consistent(self) -> "Params":
        for field in ("datasets", "protocols", "expert_sets"):
            wanted = getattr(self.grid, field)
            _all_known(f"grid.{field}", wanted, getattr(self, field))
            _no_repeats(f"grid.{field}", wanted)
        curiosities, top_k = self.grid.curiosity, self.router.top_k
        for curiosity in curiosities:
            _all_known("grid.curiosity", curiosity.expert_sets or [], self.expert_sets)
        _no_repeats("grid.seeds", self.grid.seeds)
        _no_repeats("grid.curiosity", [arm for c in curiosities for arm in c.arms()])
        for name, experts in self.expert_sets.items():
            _no_repeats(f"expert_sets.{name}", experts)
            if 1 < len(experts) < top_k:
                raise ValueError(f"router.top_k is {top_k}, expert set {name!r} has {len(experts)}")
        _no_repeats("expert_sets", [tuple(experts) for experts in self.expert_sets.values()])
        folds = [] if self.grid.folds == "all" else self.grid.folds
        _no_repeats("grid.folds", folds)
        last = max(folds, default=0)
        for name in self.grid.datasets:
            n_folds = min(self.n_folds(name, protocol) for protocol in self.grid.protocols)
            if last >= n_folds:
                allowed = f"has folds 0 to {n_folds - 1}, not {last}"
                raise ValueError(f"grid.folds: dataset {name!r} {allowed}")
        return self

    def n_folds(self, dataset: str, protocol: str) -> int:
        """Return the number of folds of a dataset under a protocol."""
        return self.protocols[protocol].n_folds or self.datasets[dataset].folds


def hint(name: str, known: Iterable[str]) -> str:
    """Return the end of a message that suggests the nearest known name, or lists all of them. It is
    empty where no name is near and more than twenty are known."""
    names = list(known)
    close = difflib.get_close_matches(str(name), names, n=1, cutoff=0.4)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(names)}" if len(names) < 20 else ""


def _all_known(where: str, wanted: list[str], known: Iterable[str]) -> None:
    for name in wanted:
        if name not in known:
            raise ValueError(f"{where}: {name!r} is not defined{hint(name, known)}")


def _no_repeats(where: str, values: list[Any]) -> None:
    repeated = [value for index, value in enumerate(values) if value in values[:index]]
    if repeated:
        raise ValueError(f"{where}: {repeated[0]!r} is listed twice")
