"""Sections of params.yaml about models: protocols, networks, and how they are trained."""

from typing import Literal

from pydantic import model_validator

from qmoe.config.section import Count, Index, NonNegative, Positive, Probability, Section, about

Epoch = Literal["last", "best"]


class Protocol(Section):
    """Switches between what the paper's code did and what careful practice asks for."""

    folds: Literal["random", "grouped"] = about(
        "`random`: stratified over clips; `grouped`: official folds, else whole recordings"
    )
    n_folds: int | None = about("number of `random` folds; by default the dataset's", None, ge=2)
    stop_on: Literal["test", "held_out"] = about(
        "clips that decide when training stops: the test fold, or some training clips"
    )
    held_out_fraction: float = about(
        "share of the training clips that `held_out` sets aside, in whole recordings",
        0.1,
        gt=0,
        le=0.5,
    )
    single_checkpoint: Epoch = about("epoch at which a single network is scored")
    mixture_checkpoint: Epoch = about("epoch at which a mixture is scored")
    uncertainty_scale: Literal["per_batch", "train_quantiles"] = about(
        "range over which the router's uncertainty is scaled to [0, 1]"
    )
    bayesian_router: Literal["with_curiosity", "always"] = about(
        "`always` gives arms without curiosity the same Bayesian router"
    )
    q16: Literal["float32", "k_bit"] = about(
        "whether the 16-bit scheme stays in float32 or is quantised"
    )
    popcount_gradient: Literal["zero", "straight_through"] = about(
        "gradient of the popcount network, which cannot learn with `zero`"
    )
    ptq8_activations: Literal["per_batch", "per_row"] = about(
        "range of the 8-bit activations of post-training quantisation"
    )

    @model_validator(mode="after")
    def _official(self) -> "Protocol":
        if self.n_folds and self.folds != "random":
            raise ValueError("n_folds is for folds: random; official folds have their own number")
        return self


class NetworkSettings(Section):
    """The networks that classify, alone or as experts of a mixture."""

    hidden: list[Count] = about("widths of the hidden layers", min_length=1)
    dropout: Probability = about("dropout of hidden units")


class RouterSettings(Section):
    """The router of a mixture."""

    hidden: list[Count] = about("widths of the hidden layers", min_length=1)
    dropout: Probability = about("dropout of hidden units; the paper does not state it")
    monte_carlo_samples: int = about("dropout masks from which the uncertainty is estimated", ge=2)
    top_k: Count = about("number of experts that run for each clip")


class Plateau(Section):
    """Lowers the learning rate when the F1 on the stopping clips no longer rises."""

    factor: float = about("multiplies the learning rate", gt=0, lt=1)
    patience: Index = about("epochs without a better F1 before that happens")


class Fit(Section):
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
