"""ONNX graphs of experts and routers, built node by node, which compute in integers as trained.
Activations are uint8 with zero point 128, because int8 takes a slow path in ONNX Runtime. Weights
are packed in the file; the runtime folds their unpacking into int8 when it loads the model."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from qmoe.deploy.bits import narrowest, pack
from qmoe.nn.quantizers import ACTIVATION_FLOOR

OPSET = 18
LAYER_NORM_EPSILON = 1e-5
Weights = NDArray[Any]


class Graph:
    """The nodes and initialisers of an ONNX model; methods append a step and name its output."""

    def __init__(self, d_in: int) -> None:
        self.d_in = d_in
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[bytes, onnx.TensorProto] = {}  # by content: none is stored twice

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Append a node with one output, and return the output's name."""
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def constant(self, value: Any, dtype: Any = np.float32) -> str:
        """Return the name of an initialiser with this value."""
        array = np.ascontiguousarray(value, dtype=dtype).reshape(np.shape(value))
        content = f"{array.dtype}{array.shape}".encode() + array.tobytes()
        if content not in self.initializers:
            name = f"constant_{len(self.initializers)}"
            self.initializers[content] = numpy_helper.from_array(array, name)
        return self.initializers[content].name

    def linear(self, x: str, weight: Weights, bias: Weights) -> str:
        """Append a float32 layer with weight (out, in); x may have leading axes."""
        product = self.node("MatMul", x, self.constant(weight.T))
        return self.node("Add", product, self.constant(bias))

    def layer_norm(self, x: str, weight: Weights, bias: Weights) -> str:
        """Append a LayerNorm over the last axis."""
        return self.node(
            "LayerNormalization",
            x,
            self.constant(weight),
            self.constant(bias),
            axis=-1,
            epsilon=LAYER_NORM_EPSILON,
        )

    def unpacked(self, values: NDArray[np.int64], bits: int) -> str:
        """Append the unpacking to int8 of integers (K, N), which the file stores in `bits` bits."""
        if bits == 8:
            return self.constant(values, np.int8)
        packed = self.constant(pack(values, bits), np.uint8)
        mask = self.constant([2**bits - 1], np.uint8)
        parts = [packed]
        for shift in range(bits, 8, bits):
            amount = self.constant([shift], np.uint8)
            parts.append(self.node("BitShift", packed, amount, direction="RIGHT"))
        codes = self.node(
            "Concat", *(self.node("BitwiseAnd", part, mask) for part in parts), axis=1
        )
        if values.shape[1] % (8 // bits):
            start, end, axis = (self.constant([v], np.int64) for v in (0, values.shape[1], 1))
            codes = self.node("Slice", codes, start, end, axis)
        signed = self.node("Cast", codes, to=TensorProto.INT8)
        if bits == 1:
            signed = self.node("Mul", signed, self.constant([2], np.int8))
        offset = 1 if bits == 1 else 2 ** (bits - 1)
        return self.node("Sub", signed, self.constant([offset], np.int8))

    def _row_step(self, x: str) -> str:
        """(N,) max|x| / 127, the step of the int8 activations in each row."""
        axis = self.constant([-1], np.int64)
        largest = self.node("ReduceMax", self.node("Abs", x), axis, keepdims=0)
        floored = self.node("Max", largest, self.constant(ACTIVATION_FLOOR))
        return self.node("Mul", floored, self.constant(1 / 127))

    def integer_linear(
        self, x: str, levels: NDArray[np.int64], bits: int, step: float, bias: Weights
    ) -> str:
        """Append a layer with int8 activations (N, in) and weights `levels` (out, in), `step`
        apart, of at most 8 bits. Scaling rows by QuantizeLinear along axis 0 saves four passes over
        the data, and a product of two scales, which the runtime would fuse into
        MatMulIntegerToFloat, losing the bias."""
        row_step = self._row_step(x)
        zero = self.constant(128, np.uint8)
        zeros = self.node("Expand", zero, self.node("Shape", row_step))
        codes = self.node("QuantizeLinear", x, row_step, zeros, axis=0)
        total = self.node("MatMulInteger", codes, self.unpacked(levels.T, bits), zero)
        unit = self.node("Mul", row_step, self.constant(step))
        product = self.node("DequantizeLinear", total, unit, axis=0)
        return self.node("Add", product, self.constant(bias))

    def int16_linear(self, x: str, levels: NDArray[np.int64], step: float, bias: Weights) -> str:
        """Append the layer of `integer_linear` in 16 bits: int16 on disk, float32 in memory."""
        axis = self.constant([-1], np.int64)
        row_step = self.node("Unsqueeze", self._row_step(x), axis)
        quantized = self.node("Mul", self.node("Round", self.node("Div", x, row_step)), row_step)
        stored = self.node("Cast", self.constant(levels.T, np.int16), to=TensorProto.FLOAT)
        weight = self.node("Mul", stored, self.constant(step))
        return self.node("Add", self.node("MatMul", quantized, weight), self.constant(bias))

    def k_bit_linear(
        self, x: str, levels: NDArray[np.int64], step: float, bias: Weights
    ) -> tuple[str, int]:
        """Append a BitLinear without its LayerNorm; return its output's name and its bits."""
        bits = narrowest(levels)
        if bits == 16:
            return self.int16_linear(x, levels, step, bias), bits
        return self.integer_linear(x, levels, bits, step, bias), bits

    def model(self, outputs: dict[str, tuple[str, list[Any]]]) -> onnx.ModelProto:
        """Return the finished model; `outputs` maps each name to a node's output and its shape."""
        named = [
            helper.make_node("Identity", [value], [name]) for name, (value, _) in outputs.items()
        ]
        graph = helper.make_graph(
            [*self.nodes, *named],
            "qmoe",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", self.d_in])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
                for name, (_, shape) in outputs.items()
            ],
            list(self.initializers.values()),
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        model.ir_version = 9
        onnx.checker.check_model(model)
        return model
