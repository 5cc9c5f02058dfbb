"""The whole of params.yaml: the grid, measurements, and checks of one section against another."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from qmoe.config.datasets import Dataset, Embedding
from qmoe.config.messages import hint
from qmoe.config.section import Count, Index, Name, NonNegative, Positive, Section, about
from qmoe.config.training import NetworkSettings, Protocol, RouterSettings, Training

PAPER = "papers/curious_qmoe"

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


class Measurement(Section):
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


class Curiosity(Section):
    """A curiosity strategy and the alphas to run it with."""

    strategy: Strategy = about("rule that changes the router's probabilities, or `none`")
    alpha: list[NonNegative] | None = about("strengths of the rule; each makes an arm", None)
    expert_sets: list[str] | None = about(
        "mixtures that run with it; by default all mixtures of the grid", None
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
        """Return a pair of strategy and alpha for each alpha."""
        return [(self.strategy, alpha) for alpha in self.alpha] if self.alpha else [("none", None)]


class GridSettings(Section):
    """What is run: every combination of these lists. Curiosity applies to mixtures only."""

    datasets: list[str] = about("names in `datasets`", min_length=1)
    protocols: list[str] = about("names in `protocols`", min_length=1)
    expert_sets: list[str] = about("names in `expert_sets`", min_length=1)
    curiosity: list[Curiosity] = about(
        "strategies with their alphas; `none` is the plain router", min_length=1
    )
    seeds: list[Index] = about("seeds of model and training", min_length=1)
    folds: Literal["all"] | list[Index] = about(
        "`all`, or the numbers of the folds to run, counted from 0", "all"
    )


def _canonical_scheme(value: Any) -> Any:
    return f"q{value}" if isinstance(value, int) or str(value).isdigit() else value


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
    expert_sets: dict[
        str,
        Annotated[list[Annotated[Scheme, BeforeValidator(_canonical_scheme)]], Field(min_length=1)],
    ]
    grid: GridSettings
    split_seed: int = about("seed of the folds; 42 in the paper", ge=0)
    device: Literal["cpu", "cuda", "mps"] = about("device that trains")
    measurement: Measurement
    experiments_per_job: Count = about("experiments that one job trains in turn; changes no result")
    paper: str = about("folder of the paper whose claims are judged", PAPER)

    @model_validator(mode="after")
    def _consistent(self) -> "Params":
        for field in ("datasets", "protocols", "expert_sets"):
            wanted = getattr(self.grid, field)
            _all_known(f"grid.{field}", wanted, getattr(self, field))
            _no_repeats(f"grid.{field}", wanted)
        curiosities = self.grid.curiosity
        for curiosity in curiosities:
            _all_known("grid.curiosity", curiosity.expert_sets or [], self.expert_sets)
        _no_repeats("grid.seeds", self.grid.seeds)
        _no_repeats("grid.curiosity", [arm for c in curiosities for arm in c.arms()])
        for name, experts in self.expert_sets.items():
            _no_repeats(f"expert_sets.{name}", experts)
            if 1 < len(experts) < self.router.top_k:
                raise ValueError(
                    f"router.top_k is {self.router.top_k}, expert set {name!r} has {len(experts)}"
                )
        _no_repeats("expert_sets", [tuple(experts) for experts in self.expert_sets.values()])
        if self.grid.folds != "all":
            self._check_folds(self.grid.folds)
        return self

    def _check_folds(self, folds: list[int]) -> None:
        _no_repeats("grid.folds", folds)
        for name in self.grid.datasets:
            n_folds = min(self.n_folds(name, protocol) for protocol in self.grid.protocols)
            if max(folds, default=0) >= n_folds:
                raise ValueError(
                    f"grid.folds: dataset {name!r} has folds 0 to {n_folds - 1}, not {max(folds)}"
                )

    def n_folds(self, dataset: str, protocol: str) -> int:
        """Return the number of folds of a dataset under a protocol."""
        return self.protocols[protocol].n_folds or self.datasets[dataset].folds


def _all_known(where: str, wanted: list[str], known: Iterable[str]) -> None:
    for name in wanted:
        if name not in known:
            raise ValueError(f"{where}: {name!r} is not defined{hint(name, known)}")


def _no_repeats(where: str, values: list[Any]) -> None:
    repeated = [value for index, value in enumerate(values) if value in values[:index]]
    if repeated:
        raise ValueError(f"{where}: {repeated[0]!r} is listed twice")
