"""Moves a graph to another opset, 17 to 20, where what its nodes mean is written differently there.

From 18 on ReduceMax, ReduceMean, ReduceL2 and their kin take their axes as an input, before that as an attribute
(ReduceSum does so since 13). A parser that looks in the wrong place reduces all axes and says nothing:
TensorRT 8.6 does. Split without sizes must say its number of outputs from 18 on.
"""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir

from edgeseg.errors import ModelError
from edgeseg.export.layers import initializer

MOVED = (
    "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp",
    "ReduceSumSquare",
)  # fmt: skip
_AXES_ARE_INPUT = 18


def to_opset(model: ir.Model, wanted: int) -> None:
    """Rewrites the nodes whose form differs, in place, and sets the opset.

    Raises:
        ModelError: axes that are no constants cannot become an attribute.
    """
    graph = model.graph
    now = graph.opset_imports[""]
    for node in list(graph):
        if node.op_type in MOVED and now < _AXES_ARE_INPUT <= wanted:
            _axes_to_input(graph, node)
        elif node.op_type in MOVED and wanted < _AXES_ARE_INPUT <= now:
            _axes_to_attribute(node)
        elif node.op_type == "Split" and now < _AXES_ARE_INPUT <= wanted and len(node.inputs) < 2:
            node.attributes["num_outputs"] = ir.AttrInt64("num_outputs", len(node.outputs))
        elif node.op_type == "Split" and wanted < _AXES_ARE_INPUT <= now:
            node.attributes.pop("num_outputs", None)
    graph.opset_imports[""] = wanted


def _axes_to_input(graph: ir.Graph, node: ir.Node) -> None:
    axes = node.attributes.pop("axes", None)
    if axes is None:
        return
    node.resize_inputs(2)
    node.replace_input_with(1, initializer(graph, f"{node.name}.axes", np.asarray(axes.as_ints(), np.int64)))


def _axes_to_attribute(node: ir.Node) -> None:
    axes = node.inputs[1] if len(node.inputs) > 1 else None
    if axes is None:
        if node.attributes.get_int("noop_with_empty_axes", 0):
            raise ModelError(f"{node.op_type} at {node.name}: reduces nothing, which opset 17 cannot say; leave it out")
        node.attributes.pop("noop_with_empty_axes", None)
        return
    if axes.const_value is None:
        raise ModelError(f"{node.op_type} at {node.name}: its axes are computed; opset 17 wants them fixed")
    node.attributes["axes"] = ir.AttrInt64s("axes", [int(one) for one in axes.const_value.numpy().ravel()])
    node.attributes.pop("noop_with_empty_axes", None)
    node.resize_inputs(1)


def opset_of(graph: bytes) -> int:
    """The opset that a graph names."""
    imports = onnx.load_from_string(graph).opset_import
    return next(int(one.version) for one in imports if one.domain in ("", "ai.onnx"))
