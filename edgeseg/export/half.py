"""FP32 → strongly typed FP16, with the islands that FP16 would break left in FP32.

In FP32 stay: preprocessing (before the first layer), everything after the last one, and the parts
of non-local blocks that overflow or vanish in FP16: products of two activations, softmax, norms and
their reductions (logits pass 65504 when embeddings reach about 32 at 64 channels; a norm's eps of
1e-12 becomes 0), with what stands between them and the layers around: the division by N, the eps, reshapes.
Scales of Resize are FP32 by its definition.
"""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from edgeseg.export.layers import LAYERS, constant

_FLOAT, _HALF = ir.DataType.FLOAT, ir.DataType.FLOAT16
ISLAND = (
    "MatMul", "Softmax", "LpNormalization", "ReduceL2", "ReduceSum", "Sqrt", "Pow", "Exp", "Log", "Div", "Reciprocal",
    "Erf",
)  # fmt: skip
# Q and DQ follow their neighbours; pooling maps is safe (sums are kept in FP32 inside) and belongs to the body.
_OWN = ("QuantizeLinear", "DequantizeLinear", "GlobalAveragePool", "AveragePool", "MaxPool", "Concat", "Resize")
_NOT_FLOAT = ("Shape", "Gather", "Cast", "ConstantOfShape", "Equal")


def to_half(model: ir.Model) -> None:
    """Converts a graph (with or without Q/DQ) in place; graph inputs and outputs keep their types."""
    graph = model.graph
    nodes = list(graph)
    positions = [index for index, node in enumerate(nodes) if node.op_type in (*LAYERS, "MatMul")]
    first, last = positions[0], positions[-1]
    half = {id(n) for index, n in enumerate(nodes) if first <= index <= last and _may_be_half(n)}
    _grow_islands(nodes, half)
    # A pair's Q is in the precision of what it reads, its DQ in that of who reads it.
    for node in nodes:
        if node.op_type == "QuantizeLinear":
            producer = node.inputs[0].producer() if node.inputs[0] is not None else None
            is_half = producer is not None and id(producer) in half
            (half.add if is_half else half.discard)(id(node))
        elif node.op_type == "DequantizeLinear":
            users = [user for user, _ in node.outputs[0].uses()]
            (half.add if any(id(user) in half for user in users) else half.discard)(id(node))
    for node in nodes:
        _convert_inputs(graph, node, half)
    for node in nodes:
        for value in node.outputs:
            value.type, value.shape = None, None


def _may_be_half(node: ir.Node) -> bool:
    return node.op_type not in ISLAND and node.op_type not in _NOT_FLOAT


def _grow_islands(nodes: list[ir.Node], half: set[int]) -> None:
    """Takes out of FP16 what reads only from islands, or is read only by them, up to the layers around.

    Islands are the listed ops behind the first layer; what merges one with the FP16 body stays FP16.
    """
    island = {id(node) for node in nodes if node.op_type in ISLAND}
    open_ = {id(node) for node in nodes if id(node) in half and node.op_type not in (*LAYERS, *_OWN)}
    grown = True
    while grown:
        grown = False
        for node in nodes:
            if id(node) not in open_:
                continue
            sources = [one.producer() for one in node.inputs if one is not None and one.const_value is None]
            users = [user for value in node.outputs for user, _ in value.uses()]
            inside = (sources and all(one is not None and id(one) in island for one in sources)) or (
                users and all(id(user) in island for user in users)
            )
            if inside:
                island.add(id(node))
                open_.discard(id(node))
                half.discard(id(node))
                grown = True


def _convert_inputs(graph: ir.Graph, node: ir.Node, half: set[int]) -> None:
    """Gives a node its float inputs in its own precision: constants as such, tensors through a Cast that is shared."""
    wants_half = id(node) in half
    for index, value in enumerate(node.inputs):
        if value is None or (node.op_type == "Resize" and index > 0) or node.op_type == "Cast":
            continue
        if value.const_value is not None:
            if wants_half and value.dtype == _FLOAT:
                node.replace_input_with(index, _half_constant(graph, value))
            continue
        producer = value.producer()
        if producer is None or not _is_float(value):
            continue
        if (id(producer) in half) != wants_half:
            node.replace_input_with(index, _cast(graph, value, _HALF if wants_half else _FLOAT))


def _is_float(value: ir.Value) -> bool:
    producer = value.producer()
    if producer is not None and producer.op_type in ("QuantizeLinear", "Shape"):
        return False
    return producer is not None and (producer.op_type == "DequantizeLinear" or value.dtype == _FLOAT)


def _half_constant(graph: ir.Graph, value: ir.Value) -> ir.Value:
    name = f"{value.name}.half"
    if name not in graph.initializers:
        limit = float(np.finfo(np.float16).max)
        array = np.clip(constant(value), -limit, limit).astype(np.float16)
        tensor = ir.tensor(array, name=name)
        graph.register_initializer(
            ir.Value(name=name, const_value=tensor, shape=value.shape, type=ir.TensorType(ir.DataType.FLOAT16))
        )
    return graph.initializers[name]


def _cast(graph: ir.Graph, value: ir.Value, to: ir.DataType) -> ir.Value:
    name = f"{value.name}.{'half' if to == _HALF else 'single'}"
    for user, _ in value.uses():
        if user.op_type == "Cast" and user.outputs[0].name == name:
            return user.outputs[0]
    out = ir.Value(name=name)
    node = ir.Node("", "Cast", [value], {"to": ir.AttrInt64("to", int(to))}, outputs=[out], name=f"{name}.cast")
    producer = value.producer()
    if producer is None:
        raise ValueError(name)
    graph.insert_after(producer, node)
    return out
