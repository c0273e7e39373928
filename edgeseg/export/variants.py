"""A graph for one fitted frame → the same graph for a fixed batch, any batch, or a camera's whole frame.

Variants stand beside the graph they come from, under its name and an ending ("-b8", "-dynamic", "-1080x1920").
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from edgeseg import fit
from edgeseg import manifest as mf
from edgeseg.backends.base import EngineOptions
from edgeseg.backends.onnxruntime import OnnxRuntimeEngine
from edgeseg.errors import GateError, ModelError
from edgeseg.export import parity
from edgeseg.export.check import Image
from edgeseg.export.layers import initializer
from edgeseg.steps import network_input

_DYNAMIC = "batch"


def make(graph: bytes, variant: str, manifest: mf.Manifest) -> tuple[bytes, list[int]]:
    """A variant and its input shape (batch 0 is any).

    Args:
        graph: for one fitted frame.
        variant: "-b8", "-dynamic" or "-1080x1920".
        manifest: of the model.

    Raises:
        ModelError: the graph cannot be changed so, or the model's frames cannot be fitted inside a graph.
    """
    size = re.fullmatch(r"-(\d+)x(\d+)", variant)
    if size:
        height, width = int(size[1]), int(size[2])
        return with_camera(graph, manifest, height, width), [1, height, width, 3]
    batch = 0 if variant == "-dynamic" else int(variant.removeprefix("-b"))
    return with_batch(graph, batch), [batch, manifest.frame.height, manifest.frame.width, 3]


def why_no_camera(manifest: mf.Manifest) -> str | None:
    """Why frames of this model cannot be fitted inside a graph; None if they can."""
    if manifest.frame.fit.region != "frame":
        return "its content area is found in each stream, outside the graph"
    if manifest.frame.steps:
        return f"the host step {manifest.frame.steps[0].op} lies between fit and graph"
    return None


def with_batch(graph: bytes, batch: int) -> bytes:
    """The graph with another batch, 0 for any.

    Raises:
        ModelError: it has batch 1 written into its shapes.
    """
    model = onnx.load_from_string(graph)
    shapes = {
        one.name: [axis.dim_value for axis in one.type.tensor_type.shape.dim]
        for one in onnx.shape_inference.infer_shapes(model).graph.value_info
    }
    for value in (*model.graph.input, *model.graph.output):
        first = value.type.tensor_type.shape.dim[0]
        first.Clear()
        if batch:
            first.dim_value = batch
        else:
            first.dim_param = _DYNAMIC
    constants = {one.name: one for one in model.graph.initializer}
    copied: dict[str, str] = {}
    for node in model.graph.node:
        if node.op_type == "Reshape" and node.input[1] in constants:
            node.input[1] = _batch_free(model, constants[node.input[1]], node, copied)
        elif node.op_type == "Resize" and len(node.input) > 3 and node.input[3] in constants:
            _sizes_to_scales(model, constants[node.input[3]], node, shapes.get(node.input[0], []))
    del model.graph.value_info[:]
    try:
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True)
        onnx.checker.check_model(model, full_check=True)
    except (onnx.shape_inference.InferenceError, onnx.checker.ValidationError) as error:
        raise ModelError(
            f"the graph has its batch written into its shapes ({str(error).splitlines()[0][:120]}); use batch 1"
        ) from error
    return model.SerializeToString(deterministic=True)


def _batch_free(model: onnx.ModelProto, shape: onnx.TensorProto, node: onnx.NodeProto, copied: dict[str, str]) -> str:
    """The target of a Reshape with 0 ("as it is") for its first axis, where that axis was the batch of 1."""
    sizes = onnx.numpy_helper.to_array(shape).copy()
    if any(one.name == "allowzero" and one.i for one in node.attribute) or sizes.size < 2 or sizes[0] != 1:
        return shape.name
    if shape.name not in copied:
        sizes[0] = 0
        copied[shape.name] = f"{shape.name}.any-batch"
        model.graph.initializer.append(onnx.numpy_helper.from_array(sizes, copied[shape.name]))
    return copied[shape.name]


def _sizes_to_scales(model: onnx.ModelProto, sizes: onnx.TensorProto, node: onnx.NodeProto, source: list[int]) -> None:
    """Gives a Resize factors for its sizes: those name the batch, and unlike a Reshape's none can say "as it is"."""
    if any(one.name == "axes" for one in node.attribute):
        return  # sizes of some axes alone leave the batch out
    target = onnx.numpy_helper.to_array(sizes)
    if len(source) != len(target) or not all(source):
        raise ModelError(f"the graph has its batch written into the sizes of Resize {node.name}; use batch 1")
    scales = (target / source).astype(np.float32)
    # Runtimes round size times factor down, so a factor below the exact one would lose a row (50 to 101 gives 100).
    short = scales * np.asarray(source, np.float64) < target
    scales[short] = np.nextafter(scales[short], np.float32(np.inf))
    name = f"{node.output[0]}.scales"
    model.graph.initializer.append(onnx.numpy_helper.from_array(scales, name))
    node.input[2] = name
    del node.input[3]


def with_camera(graph: bytes, manifest: mf.Manifest, height: int, width: int) -> bytes:
    """The graph with fit in front: takes a camera's frame of that size, shrinks it as the host would.

    The host rounds to grey levels after each step, this does not: results differ by rounding.

    Raises:
        ModelError: the model's fit cannot be written into a graph.
    """
    why = why_no_camera(manifest)
    if why is not None:
        raise ModelError(f"no graph takes the camera's frame of {manifest.name}: {why}")
    model = ir.from_proto(onnx.load_from_string(graph))
    entry = model.graph.inputs[0]
    start = next(node for node, _ in entry.uses())
    if start.op_type != "Cast" or len(list(entry.uses())) != 1:
        raise ModelError("the graph does not begin with a Cast of its frame; export the run again")
    transpose = next(node for node, _ in start.outputs[0].uses())
    if transpose.op_type != "Transpose":
        raise ModelError("the graph does not bring its frame to NCHW first; export the run again")
    entry.shape = ir.Shape([1, height, width, 3])
    plan = fit.place(height, width, manifest.frame)
    value = transpose.outputs[0]
    users = list(value.uses())
    nodes, out = _fit_nodes(model.graph, value, plan, manifest.frame.fit.pad_value)
    for user, index in users:
        user.replace_input_with(index, out)
    model.graph.insert_after(transpose, nodes)
    for node in (start, transpose):
        node.outputs[0].shape = None
    proto = ir.to_proto(model)
    del proto.graph.value_info[:]
    proto = onnx.shape_inference.infer_shapes(proto, strict_mode=True)
    onnx.checker.check_model(proto, full_check=True)
    return proto.SerializeToString(deterministic=True)


def _fit_nodes(graph: ir.Graph, value: ir.Value, plan: fit.Placement, pad: int) -> tuple[list[ir.Node], ir.Value]:
    """Slice, Resize, 2×2 mean and Pad of :func:`edgeseg.fit.fit` on float NCHW, those that do something."""
    nodes: list[ir.Node] = []

    def add(op: str, inputs: Sequence[ir.Value | None], **attributes: ir.Attr) -> ir.Value:
        name = f"fit.{op.lower()}"
        nodes.append(ir.Node("", op, inputs, attributes.values(), outputs=[ir.Value(name=name)], name=name))
        return nodes[-1].outputs[0]

    def const(name: str, array: NDArray[np.generic]) -> ir.Value:
        return initializer(graph, f"fit.{name}", array)

    source, target, (tall, wide) = plan.source, plan.target, plan.network
    if (source.height, source.width) != plan.frame:
        starts = const("starts", np.array([source.top, source.left], np.int64))
        ends = const("ends", np.array([source.top + source.height, source.left + source.width], np.int64))
        value = add("Slice", [value, starts, ends, const("axes", np.array([2, 3], np.int64))])
    halves = [1 + (source.height > 2 * target.height), 1 + (source.width > 2 * target.width)]
    large = [target.height * halves[0], target.width * halves[1]]
    if large != [source.height, source.width]:
        sizes = const("sizes", np.array([1, 3, *large], np.int64))
        mode = ir.AttrString("mode", "linear")
        where = ir.AttrString("coordinate_transformation_mode", "half_pixel")
        value = add("Resize", [value, None, None, sizes], mode=mode, where=where)
    if halves != [1, 1]:
        kernel, stride = ir.AttrInt64s("kernel_shape", halves), ir.AttrInt64s("strides", halves)
        value = add("AveragePool", [value], kernel=kernel, stride=stride)
    if (target.height, target.width) != (tall, wide):
        after = [tall - target.top - target.height, wide - target.left - target.width]
        pads = const("pads", np.array([0, 0, target.top, target.left, 0, 0, *after], np.int64))
        value = add("Pad", [value, pads, const("pad_value", np.asarray(pad, np.float32))])
    return nodes, value


def check(name: str, graph: bytes, base: bytes, shape: Sequence[int], frames: Sequence[Image],
          manifest: mf.Manifest) -> parity.Agreement:  # fmt: skip
    """Runs a variant and its base in ONNX Runtime: every frame of a batch must give what it gives alone.

    Args:
        name: of the variant.
        graph: the variant.
        base: what it was made from.
        shape: input of the variant.
        frames: fitted.
        manifest: of the model.

    Raises:
        GateError: they differ.
    """
    alone, whole = (OnnxRuntimeEngine(one, EngineOptions(optimise=False)) for one in (base, graph))
    try:
        if shape[1:3] != [manifest.frame.height, manifest.frame.width]:
            return _check_camera(name, alone, whole, shape, manifest)
        number = shape[0] or 3
        batch = np.stack([frames[index % len(frames)] for index in range(number)])
        got = whole.run(batch)
        wanted = np.concatenate([alone.run(one[None]) for one in batch])
    finally:
        alone.close()
        whole.close()
    largest = int(np.abs(got.astype(int) - wanted.astype(int)).max())
    if largest > 1:
        raise GateError(f"{name}: a batch gives other results than single frames ({largest} grey levels); use batch 1")
    return parity.Agreement(name, "single frames", parity.snr_db(got, wanted), largest)


def _check_camera(
    name: str, alone: OnnxRuntimeEngine, whole: OnnxRuntimeEngine, shape: Sequence[int], manifest: mf.Manifest
) -> parity.Agreement:
    frame = camera_frame(shape[1], shape[2])
    wanted = alone.run(network_input(frame, fit.place(shape[1], shape[2], manifest.frame), manifest.frame)[None])
    got = whole.run(frame[None])
    snr, largest = parity.snr_db(got, wanted), int(np.abs(got.astype(int) - wanted.astype(int)).max())
    if snr < parity.FLOOR_DB and largest > parity.LEAST_LEVELS:
        raise GateError(f"{name}: resizing in the graph gives other results than on the host (SNR {snr:.1f} dB)")
    return parity.Agreement(name, "host fit", snr, largest)


def camera_frame(height: int, width: int, seed: int = 5) -> Image:
    """A phantom frame of a camera's size."""
    from edgeseg.data.phantom import PHANTOMS

    return PHANTOMS["colonoscopy"](8, width, height, seed)[4].image
