"""Compare the speed of packed networks with full precision, and of Monte-Carlo passes with a loop.

It gives the table of speeds and sizes in docs/packed.md. `python benchmarks/inference.py` prints
ratios of median times; all models run in turns in one process, on one pinned thread. Their weights
are random, which does not change the times.
"""

from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import load

from qmoe.config import read
from qmoe.deploy.export import pack_expert, router_graph
from qmoe.deploy.packed import session
from qmoe.deploy.ternary import TernaryNetwork
from qmoe.measure.latency import interleave
from qmoe.measure.subjects import Subject, pin_to_one_thread
from qmoe.nn.experts import build_expert
from qmoe.nn.layers import quantize_after_training
from qmoe.nn.router import Router

D, CLASSES, REPEATS = 1536, 50, 200


def expert(scheme: str) -> torch.nn.Module:
    """Return an untrained expert of the paper's size, built as in the corrected protocol."""
    network = read().network.model_dump()
    switches = {"q16": "k_bit", "popcount_gradient": "zero", "ptq8_activations": "per_batch"}
    made = build_expert(scheme, D, CLASSES, **network, **switches).eval()
    quantize_after_training(made)
    return made


def packed(module: torch.nn.Module, scheme: str) -> tuple[Any, int]:
    """Return the packed network, a function (N, D) -> logits, and the bytes of its file."""
    file = pack_expert(scheme, module)
    if file.suffix == ".safetensors":
        return TernaryNetwork(load(file.content)), len(file.content)
    model = session(file.content)
    return lambda x: model.run(None, {"x": x})[0], len(file.content)


def eager(module: torch.nn.Module) -> Any:
    """Return the module as training runs it, a function (N, D) -> output."""

    def run(x: Any) -> Any:
        with torch.inference_mode():
            return module(torch.from_numpy(x))

    return run


def medians(models: dict[str, Any], x: Any, batch_size: int) -> pd.Series:
    """Return the median time of a call of each model in ms; the models run in turns."""
    subjects = [Subject({"name": name}, run, x) for name, run in models.items()]
    timed = [
        (subjects[i].about["name"], ms) for i, _, ms in interleave(subjects, batch_size, REPEATS)
    ]
    return pd.DataFrame(timed, columns=["model", "ms"]).groupby("model", sort=False)["ms"].median()


def networks(x: Any) -> None:
    """Print times of whole networks as ratios to ONNX Runtime in float32, sizes, and agreement."""
    schemes = ("fp32", "q1", "q2", "q4", "q8", "q16", "ptq8", "bitnet", "popcount")
    modules = {scheme: expert(scheme) for scheme in schemes}
    forms = {scheme: packed(module, scheme) for scheme, module in modules.items()}
    models = {f"packed {scheme}": run for scheme, (run, _) in forms.items()}
    models |= {f"eager {scheme}": eager(modules[scheme]) for scheme in schemes}
    table = pd.DataFrame({f"batch {n}": medians(models, x, n) for n in (1, 16, 64, 400)})
    print("Median time, ms\n", table.round(4).to_string())
    ratios = table / table.loc["packed fp32"]
    print("\nRatio to ONNX Runtime in float32\n", ratios.round(2).to_string())
    print(
        "\nSize of the file in bytes; how many times smaller than FP32's; largest difference of a "
        "logit; share of equal classes"
    )
    for scheme, (run, size) in forms.items():
        logits, expected = run(x), models[f"eager {scheme}"](x).numpy()
        same = (logits.argmax(1) == expected.argmax(1)).mean()
        times = forms["fp32"][1] / size
        print(f"{scheme:9} {size:8} {times:5.1f} {abs(logits - expected).max():.1e} {same:.4f}")


def routers(x: Any) -> None:
    """Print times of ten Monte-Carlo passes, in torch and packed, as ratios to a loop of ten."""
    settings = read().router
    router = Router(
        D,
        4,
        hidden=settings.hidden,
        dropout=settings.dropout,
        bayesian=True,
        samples=settings.monte_carlo_samples,
        seed=0,
    ).eval()

    def loop(x: Any) -> Any:
        with torch.inference_mode():
            inputs = torch.from_numpy(x)
            passes = []
            for first, last in zip(router.mask_first, router.mask_last, strict=True):
                h = router.middle(router.first(inputs).relu() * first)
                passes.append(router.last(h * last).softmax(dim=-1))
            return torch.stack(passes)

    def vectorised(x: Any) -> Any:
        with torch.inference_mode():
            return router.sample(torch.from_numpy(x))

    model = session(router_graph(router).SerializeToString())
    models = {
        "loop": loop,
        "vectorised": vectorised,
        "packed": lambda x: model.run(["samples"], {"x": x})[0],
    }
    print("\nMonte-Carlo passes: ratio to the loop, and largest difference of a probability")
    for batch_size in (1, 16, 64):
        ms = medians(models, x, batch_size)
        batch = x[:batch_size]
        expected = loop(batch).numpy()
        for name in ("vectorised", "packed"):
            difference = abs(np.asarray(models[name](batch)) - expected).max()
            print(f"batch {batch_size:3} {name:10} {ms[name] / ms['loop']:.2f} {difference:.1e}")


if __name__ == "__main__":
    pin_to_one_thread()
    torch.manual_seed(0)
    clips = np.random.default_rng(0).normal(size=(400, D)).astype(np.float32)
    networks(clips)
    routers(clips)
