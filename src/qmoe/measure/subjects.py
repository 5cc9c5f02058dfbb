"""What is measured: the packed models of the grid, and two baselines in full precision."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from qmoe.data import table as tables
from qmoe.deploy.export import expert_graph
from qmoe.deploy.packed import Network, PackedModel, session
from qmoe.grid import Grid
from qmoe.nn.experts import build_expert

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Subject:
    """A model that takes normalised embeddings (N, D), and the columns that name it."""

    about: dict[str, Any]
    run: Any  # Floats -> anything
    x: Floats  # the normalised embeddings of its dataset


def pin_to_one_thread() -> int:
    """Limit every library to one thread on one processor; return its number, -1 if unpinned."""
    torch.set_num_threads(1)
    threadpool_limits(1)
    if not hasattr(os, "sched_setaffinity"):  # macOS
        return -1
    processor = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {processor})
    return processor


def subjects(grid: Grid, dataset: str, fold: int) -> list[Subject]:
    """Return the packed models of all measured arms of a dataset and fold, and the baselines."""
    vectors = np.array(tables.read(grid.sources[dataset].table).vectors)
    arms = [e for e in grid.measured if e.dataset == dataset and fold in e.folds]
    models = []
    for experiment in arms:
        packed = PackedModel(grid.packed(experiment, fold))
        about = experiment.columns | {"fold": fold, "runtime": "packed"}
        models.append(Subject(about, packed, packed.normalize(vectors)))
    if arms:
        classes = len(packed.manifest["classes"])
        x = models[0].x
        for runtime, network in baselines(arms[0].spec, x.shape[1], classes):
            about = dict.fromkeys(models[0].about) | {
                "dataset": dataset,
                "synthetic": arms[0].synthetic,
                "arm": "FP32-Base",
                "model": "FP32-Base",
                "experts": "fp32",
                "fold": fold,
                "runtime": runtime,
            }
            models.append(Subject(about, network, x))
    return models


def baselines(spec: dict[str, Any], d_in: int, classes: int) -> Iterator[tuple[str, Network]]:
    """Yield runtime and float32 network (N, D) -> (N, C), in torch's eager mode and ONNX Runtime.
    `spec` gives its widths; its weights are random, which does not change its time."""
    expert = build_expert(
        "fp32",
        d_in,
        classes,
        **spec["network"],
        q16="float32",
        popcount_gradient="zero",
        ptq8_activations="per_row",
    ).eval()

    def eager(x: Floats) -> Any:
        with torch.inference_mode():
            return expert(torch.from_numpy(x))

    compiled = session(expert_graph(expert)[0].SerializeToString())
    yield "torch_eager", eager
    yield "onnx_fp32", lambda x: compiled.run(None, {"x": x})[0]
