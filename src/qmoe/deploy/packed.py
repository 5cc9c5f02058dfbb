"""A packed model, which loads its folder and classifies without torch or the training code."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from safetensors.numpy import load_file

from qmoe.errors import UserError
from qmoe.keys import sha256
from qmoe.nn.curiosity import STRATEGIES, uncertainty, weigh
from records.record import require_whole

MANIFEST = "manifest.json"
FORMAT = 1
Floats = NDArray[np.float32]
Network = Callable[[Floats], Floats]


@dataclass(frozen=True)
class PackedOutput:
    """The outputs of a packed model for N clips: `qmoe.nn.mixture.Output` in NumPy."""

    logits: Floats  # (N, C)
    expert: NDArray[np.int64]  # (N,)
    gate: Floats  # (N,)
    uncertainty: Floats  # (N,)

    @property
    def probabilities(self) -> Floats:
        """(N, C) softmax of the logits."""
        shifted = np.exp(self.logits - self.logits.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)


def session(model: Path | bytes, options: ort.SessionOptions | None = None) -> ort.InferenceSession:
    """Return an ONNX Runtime session on one CPU thread, for a file or the bytes of a model."""
    options = options or ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    content = model if isinstance(model, bytes) else str(model)
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


class PackedModel:
    """Router and experts of a packed folder; raises UserError where it is none, or damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
            if self.manifest["format"] != FORMAT:
                raise UserError(f"{folder} has another version: `qmoe export` makes it again")
            for name, file in self.manifest["files"].items():
                if sha256(folder / name) != file["sha256"]:
                    raise UserError(f"{folder / name} is damaged: `qmoe export` makes it again")
        except (FileNotFoundError, NotADirectoryError, KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"{folder} is not a packed model ({error}): `qmoe export` makes one"
            ) from None
        require_whole(folder / MANIFEST)
        self.experts = [self._network(e["file"]) for e in self.manifest["experts"]]
        self.routing = self.manifest["router"]
        if self.routing:
            self.router = session(folder / self.routing["file"])
            self.bits = np.asarray(self.routing["bits"], dtype=np.float32)
            scale = self.routing["u_range"]
            self.u_range = None if scale is None else np.asarray(scale, dtype=np.float32)
        normalizer = load_file(folder / "normalizer.safetensors")
        self.offset, self.scale = normalizer["offset"], normalizer["scale"]

    def _network(self, file: str) -> Network:
        path = self.folder / file
        if path.suffix == ".onnx":
            network = session(path)
            return lambda x: network.run(None, {"x": x})[0]
        from qmoe.deploy.ternary import TernaryNetwork  # numba is slow to import

        return TernaryNetwork(load_file(path))

    def normalize(self, vectors: Floats) -> Floats:
        """Return embeddings (N, D), normalised as in training."""
        x = np.asarray(vectors, dtype=np.float32)
        if self.manifest["unit_rows"]:
            x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
        return (x - self.offset) / self.scale

    def route(self, x: Floats) -> tuple[Floats, Floats]:
        """Normalised x (N, D) -> gates (N, E) after curiosity, and u (N,)."""
        if not self.routing["bayesian"]:
            return self.router.run(None, {"x": x})[0], np.full(len(x), np.nan, dtype=np.float32)
        p, samples = self.router.run(None, {"x": x})
        u = uncertainty(samples)
        if self.routing["strategy"] == "none":
            return p, u
        alpha = self.routing["alpha"]
        evidence = weigh(
            u,
            samples,
            self.bits,
            alpha,
            u_range=self.u_range,
            u_escalate=self.routing["u_escalate"],
        )
        return STRATEGIES[self.routing["strategy"]](p, alpha, evidence), u

    def __call__(self, x: Floats) -> PackedOutput:
        """Normalised x (N, D) -> PackedOutput. Each expert runs only on the clips routed to it."""
        if not self.routing:
            logits = self.experts[0](x)
            ones = np.ones(len(x), dtype=np.float32)
            return PackedOutput(logits, np.zeros(len(x), dtype=np.int64), ones, ones * np.nan)
        gates, u = self.route(x)
        order = np.argsort(-gates, axis=1, kind="stable")[:, : self.routing["top_k"]]
        logits = np.zeros((len(x), len(self.manifest["classes"])), dtype=np.float32)
        for index, expert in enumerate(self.experts):
            rows = np.flatnonzero((order == index).any(axis=1))
            if len(rows):
                logits[rows] += expert(x[rows]) * gates[rows, index, None]
        first = order[:, 0]
        return PackedOutput(logits, first, gates[np.arange(len(x)), first], u)

    def predict(self, vectors: Floats, batch_size: int = 64) -> PackedOutput:
        """Return the outputs for embeddings (N, D), in batches; raises UserError for a wrong D."""
        if vectors.ndim != 2 or vectors.shape[1] != len(self.offset):
            raise UserError(
                f"the model takes vectors of {len(self.offset)} values, "
                f"not an array of shape {vectors.shape}"
            )
        x = self.normalize(vectors)
        outs = [self(x[at : at + batch_size]) for at in range(0, len(x), batch_size)]
        names = PackedOutput.__dataclass_fields__
        return PackedOutput(
            **{name: np.concatenate([getattr(o, name) for o in outs]) for name in names}
        )

    @property
    def disk_bytes(self) -> int:
        """Bytes of all files, the manifest included."""
        files = [*self.manifest["files"], MANIFEST]
        return sum((self.folder / name).stat().st_size for name in files)

    @property
    def resident_bytes(self) -> int:
        """Bytes of the weights in memory, after the runtime has unpacked and folded them."""
        files = [expert["file"] for expert in self.manifest["experts"]]
        files += [self.routing["file"]] if self.routing else []
        total = self.offset.nbytes + self.scale.nbytes
        for file in files:
            if file.endswith(".onnx"):
                total += _folded_bytes(self.folder / file)
            else:
                total += self._network(file).resident_bytes  # type: ignore[attr-defined]
        return total


def _folded_bytes(path: Path) -> int:
    """Bytes of the initialisers that remain after the runtime's own optimisation."""
    import onnx

    options = ort.SessionOptions()
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "optimized.onnx")
        session(path, options)
        graph = onnx.load(options.optimized_model_filepath).graph
    return sum(onnx.numpy_helper.to_array(i).nbytes for i in graph.initializer)
