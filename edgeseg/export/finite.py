"""Does a graph stay finite on frames that no training set holds? Every tensor is looked at, not only the output.

An overflow inside can be swallowed on the way (ReLU of NaN is 0 in some runtimes) and show on a device only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from numpy.typing import NDArray
from onnx import TensorProto

from edgeseg import onnx_metadata
from edgeseg.backends.onnxruntime import first_line
from edgeseg.errors import BackendError, ModelError

Image = NDArray[np.uint8]
# A graph of 608x608 has gigabytes of tensors inside.
AT_ONCE = 256 << 20
_FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE)


def extreme_frames(height: int, width: int) -> dict[str, Image]:
    """Black, white, noise and a checkerboard of single pixels, uint8 [height, width, 3]."""
    board = ((np.indices((height, width)).sum(0) % 2) * 255).astype(np.uint8)
    return {
        "black": np.zeros((height, width, 3), np.uint8),
        "white": np.full((height, width, 3), 255, np.uint8),
        "noise": np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8),
        "checkerboard": np.repeat(board[..., None], 3, axis=2),
    }


def parsed(graph: bytes, shape: Sequence[int]) -> onnx.ModelProto:
    """The graph with its tensors' shapes, if it takes what it should.

    Args:
        graph: ONNX bytes.
        shape: that its input must have, batch 0 for any.

    Raises:
        ModelError: it is no ONNX file, holds what a bundle's graph may not hold, or takes something else.
    """
    try:
        fault = onnx_metadata.fault(graph)
        model = onnx.shape_inference.infer_shapes(onnx.load_from_string(graph))
    except (DecodeError, ValueError, onnx.shape_inference.InferenceError) as error:
        raise ModelError("is no ONNX graph, or a damaged one; get the bundle again") from error
    if fault:
        raise ModelError(fault)
    weights = {one.name for one in model.graph.initializer}  # old graphs list them as inputs too
    inputs = [one.type.tensor_type for one in model.graph.input if one.name not in weights]
    takes = [[dim.dim_value for dim in one.shape.dim] for one in inputs if one.elem_type == TensorProto.UINT8]
    if len(inputs) != 1 or takes != [list(shape)] or not all(shape[1:]):
        raise ModelError(f"takes other frames than uint8 {list(shape)}, which the manifest says; export it again")
    return model


def first_overflow(graph: bytes, shape: Sequence[int]) -> str | None:
    """The first tensor, in graph order, that is not finite on an extreme frame; None if all are.

    Args:
        graph: a frame graph of any form.
        shape: of its input, batch 0 for any.

    Raises:
        ModelError: it is no graph that takes this shape, see :func:`parsed`.
        BackendError: ONNX Runtime refuses the graph, or fails on it.
    """
    import onnxruntime as ort

    model = parsed(graph, shape)
    kept = [one.name for one in model.graph.output]
    order = {name: index for index, node in enumerate(model.graph.node) for name in node.output}
    floats = [
        one for one in model.graph.value_info if one.type.tensor_type.elem_type in _FLOATS and one.name not in kept
    ]
    floats.sort(key=lambda one: order.get(one.name, 0))
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    batch = shape[0] or 1
    frames = extreme_frames(shape[1], shape[2])
    for group in _groups(floats, batch):
        del model.graph.output[len(kept) :]
        model.graph.output.extend(group)
        try:
            session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions share no base but Exception
            raise BackendError(f"onnxruntime refuses the graph: {first_line(error)[:200]}") from error
        names = [one.name for one in group]
        for kind, frame in frames.items():
            try:
                values = session.run(names, {session.get_inputs()[0].name: np.repeat(frame[None], batch, axis=0)})
            except Exception as error:
                raise BackendError(f"onnxruntime fails on a {kind} frame: {first_line(error)[:200]}") from error
            bad = [name for name, value in zip(names, values, strict=True) if not np.isfinite(value).all()]
            if bad:
                return f"{bad[0]} on a {kind} frame"
    return None


def _groups(tensors: Sequence[onnx.ValueInfoProto], batch: int) -> Iterator[list[onnx.ValueInfoProto]]:
    """Tensors in order, as many at once as fit into the memory that looking at them may take."""
    group: list[onnx.ValueInfoProto] = []
    size = 0
    for one in tensors:
        sides = [dim.dim_value or batch for dim in one.type.tensor_type.shape.dim]
        own = 4 * math.prod(sides)
        if group and size + own > AT_ONCE:
            yield group
            group, size = [], 0
        group.append(one)
        size += own
    if group:
        yield group
