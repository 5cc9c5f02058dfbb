"""Packing of a trained cell: its weights in few bits, its graphs in ONNX, and a manifest."""

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from onnx import ModelProto
from safetensors.numpy import save
from torch import Tensor, nn

from qmoe.cells import load
from qmoe.deploy.bits import planes
from qmoe.deploy.graph import Graph
from qmoe.deploy.packed import FORMAT, MANIFEST
from qmoe.deploy.ternary import BLOCK
from qmoe.keys import sha256, versions, write_atomically
from qmoe.nn.layers import BitLinear, BitNetLinear, PopcountLinear
from qmoe.nn.mixture import Mixture
from qmoe.nn.quantizers import k_bit_weights, ternary_activations, ternary_weights
from qmoe.nn.router import Router
from records.files import draft_of


@dataclass(frozen=True)
class PackedExpert:
    """The file of an expert in a packed folder."""

    content: bytes
    suffix: str
    weights: str  # how the file stores those of the hidden layers


def export(cell: Path, folder: Path) -> None:
    """Pack a cell into a folder, whole or not at all; raises UserError where there is no cell."""
    trained = load(cell)
    draft = draft_of(folder)
    draft.mkdir(parents=True)
    experts = []
    for index, (scheme, expert) in enumerate(
        zip(trained.spec["experts"], trained.model.experts, strict=True)
    ):
        packed = pack_expert(scheme, expert)
        file = f"expert{index}-{scheme}{packed.suffix}"
        (draft / file).write_bytes(packed.content)
        experts.append({"scheme": scheme, "file": file, "weights": packed.weights})
    routing = None
    if isinstance(trained.model, Mixture):
        (draft / "router.onnx").write_bytes(_bytes(router_graph(trained.model.router)))
        routing = {"file": "router.onnx", **_routing(trained.model)}
    normalizer = {
        "offset": trained.normalizer.offset.numpy(),
        "scale": trained.normalizer.scale.numpy(),
    }
    (draft / "normalizer.safetensors").write_bytes(save(normalizer))
    manifest = {
        "format": FORMAT,
        "classes": trained.classes,
        "dimension": trained.dimension,
        "unit_rows": trained.normalizer.unit_rows,
        "experts": experts,
        "router": routing,
        "files": {
            path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)}
            for path in sorted(draft.iterdir())
        },
        "embedding": trained.embedding,
        "provenance": {
            "cell": cell.as_posix(),
            "spec": trained.spec,
            "model_sha256": sha256(cell / "model.safetensors"),
            "versions": versions("onnx", "onnxruntime", "numba", "numpy", "torch"),
        },
    }
    write_atomically(draft / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)


def pack_expert(scheme: str, expert: nn.Module) -> PackedExpert:
    """Return the file of an expert that `qmoe.nn.experts.build_expert` has built."""
    if scheme in ("bitnet", "popcount"):
        return PackedExpert(save(ternary_arrays(expert)), ".safetensors", "two bit-planes")
    model, stored = expert_graph(expert)
    if scheme == "ptq8":
        return PackedExpert(_quantized_after_training(model), ".onnx", "int8")
    return PackedExpert(_bytes(model), ".onnx", stored)


def _bytes(model: ModelProto) -> bytes:
    return model.SerializeToString(deterministic=True)


def _array(x: Any) -> Any:
    return x.detach().numpy()


def levels(weight: Tensor, bits: int) -> tuple[Any, float]:
    """Return integers (out, in) and a step whose product is `k_bit_weights(weight, bits)`. Raises
    ArithmeticError where the product differs from it, if only in the last digit."""
    quantized = k_bit_weights(weight, bits)
    centred = weight - weight.mean()
    step = torch.ones(()) if bits == 1 else centred.abs().max() / (2 ** (bits - 1) - 1)
    step = torch.where(step == 0, 1.0, step)
    whole = (quantized / step).round()
    if not torch.equal(whole * step, quantized):
        raise ArithmeticError(f"{bits}-bit weights are not whole multiples of their step")
    return whole.long().numpy(), float(step)


def expert_graph(expert: nn.Module) -> tuple[ModelProto, str]:
    """Return the graph of a float32 or k-bit expert, and how it stores the hidden weights."""
    layers = [module for module in expert.children() if not isinstance(module, nn.Dropout)]
    graph = Graph(_array(layers[0].weight).shape[1])
    stored = "float32"
    x = "x"
    for layer in layers:
        if isinstance(layer, BitLinear):
            x = graph.layer_norm(x, _array(layer.norm.weight), _array(layer.norm.bias))
        if isinstance(layer, BitLinear) and layer.quantize:
            whole, step = levels(layer.weight.detach(), layer.bits)
            x, bits = graph.k_bit_linear(x, whole, step, _array(layer.bias))
            stored = f"{bits} bit"
        elif isinstance(layer, nn.LayerNorm):
            x = graph.layer_norm(x, _array(layer.weight), _array(layer.bias))
        elif isinstance(layer, nn.ReLU):
            x = graph.node("Relu", x)
        else:
            x = graph.linear(x, _array(layer.weight), _array(layer.bias))
    return graph.model({"logits": (x, ["n", len(_array(layers[-1].weight))])}), stored


def _quantized_after_training(model: ModelProto) -> bytes:
    """ONNX Runtime's dynamic quantisation: int8 weights, one range of activations for a batch."""
    import tempfile

    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.disable(logging.WARNING)  # it recommends a pre-processing that has no effect here
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.onnx"
            quantize_dynamic(model, path, weight_type=QuantType.QInt8)
            return path.read_bytes()
    finally:
        logging.disable(logging.NOTSET)


def ternary_arrays(expert: nn.Module) -> dict[str, Any]:
    """Return the arrays of a BitNet or popcount expert, see `qmoe.deploy.ternary`."""
    arrays: dict[str, Any] = {}
    for number, (layer, norm) in enumerate(_blocks(expert)):
        if isinstance(layer, nn.Linear):
            arrays |= {
                f"{number}.weight": _array(layer.weight),
                f"{number}.bias": _array(layer.bias),
            }
            continue
        none, weight = torch.empty(0), layer.weight.detach()
        pre: tuple[Tensor, Tensor] = (none, none)
        if isinstance(layer, BitNetLinear):
            quantized = ternary_weights(weight)
            ternary, scale = quantized.sign(), quantized.abs().amax(dim=1)
            pre, bias = (layer.norm.weight, layer.norm.bias), layer.bias.detach()
        else:
            ternary, scale = ternary_activations(weight), torch.ones(len(weight))
            bias = torch.zeros(len(weight))
        post = (norm.weight, norm.bias) if norm else (none, none)
        values = (*pre, *planes(ternary.long().numpy()), scale, bias, *post)
        arrays |= {
            f"{number}.{part}": _array(value) if isinstance(value, Tensor) else value
            for part, value in zip(BLOCK, values, strict=True)
        }
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}


def _blocks(
    expert: nn.Module,
) -> Iterator[tuple[BitNetLinear | PopcountLinear | nn.Linear, nn.LayerNorm | None]]:
    """The layers of an expert, each with the LayerNorm that follows it."""
    modules = list(expert.children())
    for at, module in enumerate(modules):
        if isinstance(module, BitNetLinear | PopcountLinear | nn.Linear):
            behind = modules[at + 1] if at + 1 < len(modules) else None
            yield module, behind if isinstance(behind, nn.LayerNorm) else None


def router_graph(router: Router) -> ModelProto:
    """Return the graph for probabilities p (N, E) and, if Bayesian, samples (T, N, E): one product
    with a leading axis of T masks, for all of which the first layer runs once."""
    graph = Graph(router.first.in_features)
    linears = [m for m in router.middle if isinstance(m, nn.Linear)]

    def rest(h: str, mask_last: Tensor | None) -> str:
        for layer in linears:
            h = graph.node("Relu", graph.linear(h, _array(layer.weight), _array(layer.bias)))
        if mask_last is not None:
            h = graph.node("Mul", h, graph.constant(_array(mask_last)))
        logits = graph.linear(h, _array(router.last.weight), _array(router.last.bias))
        return graph.node("Softmax", logits, axis=-1)

    first = graph.linear("x", _array(router.first.weight), _array(router.first.bias))
    h = graph.node("Relu", first)
    experts = router.last.out_features
    outputs: dict[str, tuple[str, list[Any]]] = {"p": (rest(h, None), ["n", experts])}
    if router.bayesian:
        masked = graph.node("Mul", h, graph.constant(_array(router.mask_first)))
        samples = len(router.mask_first)
        outputs["samples"] = (rest(masked, router.mask_last), [samples, "n", experts])
    return graph.model(outputs)


def _routing(model: Mixture) -> dict[str, Any]:
    return {
        "bayesian": model.router.bayesian,
        "strategy": model.strategy,
        "alpha": model.alpha,
        "top_k": model.top_k,
        "bits": model.bits.tolist(),
        "u_range": None if model.per_batch else model.u_range.tolist(),
        "u_escalate": None if model.per_batch else _finite(float(model.u_escalate)),
    }


def _finite(value: float) -> float:
    """The nearest float32 value that is finite, because JSON has no infinity."""
    return max(min(value, float(np.finfo(np.float32).max)), float(np.finfo(np.float32).min))
