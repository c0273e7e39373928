"""What is in a float frame graph: its layers that INT8 serves, its gates, which tensors can be negative."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgeseg.errors import ModelError

LAYERS = ("Conv", "ConvTranspose", "Gemm")
# Ops the emitters know what to do with: quantised around, or left in float.
KNOWN = {
    *LAYERS, "MatMul", "Add", "Sub", "Mul", "Div", "Relu", "Sigmoid", "Softmax", "Concat", "Resize",
    "GlobalAveragePool", "AveragePool", "MaxPool", "Cast", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze",
    "Slice", "Gather", "Split", "Shape", "Identity", "Constant", "Round", "Clip", "Sqrt",
    "Pow", "ReduceMean", "ReduceSum", "ReduceL2", "ReduceMax", "LeakyRelu", "PRelu", "Tanh", "Exp", "Pad",
    "BatchNormalization", "Neg", "Reciprocal", "Max", "Min", "HardSigmoid", "HardSwish", "Where", "Equal",
    "LpNormalization", "Abs", "Log", "Erf",
}  # fmt: skip
_NON_NEGATIVE = ("Relu", "Sigmoid", "Softmax", "HardSigmoid", "Abs", "Sqrt", "Exp", "ReduceL2")
_KEEPS_SIGN = (
    "MaxPool", "AveragePool", "GlobalAveragePool", "Resize", "Concat", "Add", "Mul", "Identity", "Reshape", "Flatten",
    "Transpose", "Squeeze", "Unsqueeze", "Slice", "Split", "ReduceMean", "ReduceSum", "ReduceMax", "Gather",
)  # fmt: skip


@dataclass(frozen=True)
class Layer:
    """A convolution (or other product with constant weights) that INT8 is meant for."""

    name: str
    node: ir.Node

    @property
    def input(self) -> ir.Value:
        return _given(self.node.inputs[0])

    @property
    def weight(self) -> NDArray[np.float32]:
        return constant(_given(self.node.inputs[1]))

    @property
    def axis(self) -> int:
        """Of the weights' output channels."""
        if self.node.op_type == "Gemm":
            return 0 if self.node.attributes.get_int("transB", 0) else 1
        return 1 if self.node.op_type == "ConvTranspose" else 0

    @property
    def bias(self) -> NDArray[np.float32] | None:
        value = self.node.inputs[2] if len(self.node.inputs) > 2 else None
        return None if value is None else constant(value)


def layers(model: ir.Model) -> list[Layer]:
    """The layers to quantise, in graph order: products with constant weights, gates left out.

    A *gate* works on globally pooled values (all spatial sizes 1): its few products cost nothing in
    float and scale whole channels.
    """
    return [Layer(node.name or "", node) for node in model.graph if _is_layer(node)]


def _is_layer(node: ir.Node) -> bool:
    if node.op_type not in LAYERS or len(node.inputs) < 2 or node.inputs[0] is None or node.inputs[1] is None:
        return False
    return node.inputs[1].const_value is not None and not _is_gate(node.inputs[0])


def _is_gate(value: ir.Value) -> bool:
    shape = value.shape
    return shape is not None and len(shape) > 2 and all(size == 1 for size in list(shape)[2:])


def check_known(model: ir.Model) -> None:
    """Every op must be one the emitters know.

    Raises:
        ModelError: names the op and the node.
    """
    for node in model.graph:
        if node.op_type not in KNOWN or node.domain not in ("", "ai.onnx"):
            name = f"{node.domain}.{node.op_type}".lstrip(".")
            raise ModelError(
                f"the graph has an op that no INT8 emitter knows ({name} at {node.name}); export without --int8, "
                "or teach edgeseg/export/layers.py what it does to a range"
            )


def activations(model: ir.Model) -> list[ir.Value]:
    """Float tensors of the graph that are no constants, in graph order."""
    return [
        value
        for node in model.graph
        for value in node.outputs
        if value.dtype == ir.DataType.FLOAT
        and value.const_value is None
        and value.shape is not None
        and len(value.shape) > 1
    ]


def never_negative(value: ir.Value, depth: int = 64) -> bool:
    """Whether the graph alone proves that no value is below 0."""
    if value.const_value is not None:
        return bool((value.const_value.numpy() >= 0).all())
    node = value.producer()
    if node is None or depth == 0:
        return False
    if node.op_type in _NON_NEGATIVE:
        return True
    if node.op_type not in _KEEPS_SIGN:
        return False
    if node.op_type == "Resize" and node.attributes.get_string("mode", "nearest") == "cubic":
        return False
    inputs = node.inputs if node.op_type in ("Concat", "Add", "Mul") else node.inputs[:1]
    return all(one is not None and never_negative(one, depth - 1) for one in inputs)


def consumers(value: ir.Value) -> Iterator[tuple[ir.Node, int]]:
    """Users of a value in a stable order."""
    return iter(sorted(((use.node, use.idx) for use in value.uses()), key=lambda use: (use[0].name or "", use[1])))


def constant(value: ir.Value) -> NDArray[np.float32]:
    """A constant's value.

    Raises:
        ModelError: it is none.
    """
    if value.const_value is None:
        raise ModelError(f"tensor {value.name} must be a constant")
    return value.const_value.numpy()


def initializer(graph: ir.Graph, name: str, array: NDArray[np.generic]) -> ir.Value:
    """A new constant of a graph."""
    tensor = ir.tensor(array, name=name)
    value = ir.Value(name=name, const_value=tensor, shape=ir.Shape(array.shape), type=ir.TensorType(tensor.dtype))
    graph.register_initializer(value)
    return value


def _given(value: ir.Value | None) -> ir.Value:
    if value is None:
        raise ModelError("a layer lacks an input")
    return value
