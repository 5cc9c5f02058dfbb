"""Untrained models, built from the specification of an experiment."""

from typing import Any

import torch

from qmoe.nn.experts import BITS, build_expert
from qmoe.nn.mixture import Mixture, Single
from qmoe.nn.router import Router

Model = Single | Mixture


def build_model(spec: dict[str, Any], d_in: int, classes: int, *, seed: int) -> Model:
    """Return the model of `spec` (see `qmoe.grid`), with weights drawn from `seed`, for D =
    `d_in` and C = `classes`: one expert alone, or several behind a router. The router is built
    first, so that all mixtures of a seed start with the same one."""
    torch.manual_seed(seed)
    protocol = spec["protocol"]

    def expert(scheme: str) -> torch.nn.Module:
        return build_expert(
            scheme,
            d_in,
            classes,
            **spec["network"],
            q16=protocol["q16"],
            popcount_gradient=protocol["popcount_gradient"],
            ptq8_activations=protocol["ptq8_activations"],
        )

    schemes = spec["experts"]
    if len(schemes) == 1:
        return Single(expert(schemes[0]))
    strategy, alpha = spec["curiosity"]["strategy"], spec["curiosity"]["alpha"]
    settings = spec["router"]
    router = Router(
        d_in,
        len(schemes),
        hidden=settings["hidden"],
        dropout=settings["dropout"],
        bayesian=strategy != "none" or protocol["bayesian_router"] == "always",
        samples=settings["monte_carlo_samples"],
        seed=seed,
    )
    return Mixture(
        router,
        [expert(scheme) for scheme in schemes],
        bits=[BITS[scheme] for scheme in schemes],
        strategy=strategy,
        alpha=alpha or 0.0,
        top_k=settings["top_k"],
        per_batch=protocol["uncertainty_scale"] == "per_batch",
    )
