"""INT8 on x86 and Arm reads the frame's own bytes: no normalisation before the first layers, nothing rounded there.

A frame is uint8 already. Normalised and quantised again, its levels fall between those of the new grid. So
(x/255 - mean) / std moves into the weights and bias of the layers that read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgeseg.errors import ModelError
from edgeseg.export.layers import Layer, constant, consumers, initializer

# Padding is 0 after normalisation, thus the mean frame. One byte says it where all channels' means are within half a
# level of it; else the frame is padded before the layer, with a byte for each channel.
_HALF = 0.5 + 1e-4
_NCHW = (0, 3, 1, 2)
Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Raw:
    """The frame as layers now read it: value = (byte - zero_point) · scale.

    Attributes:
        value: the dequantised bytes.
        scale: a number.
        zero_point: the byte that is 0; where channels have a rim of their own, about the mean of theirs.
        shares: what the layers read before is ``value`` times these plus ``lacks``; [channels].
        lacks: as said; [channels].
    """

    value: ir.Value
    scale: np.float32
    zero_point: int
    shares: NDArray[np.float64]
    lacks: NDArray[np.float64]

    def means(self, before: Sequence[float]) -> list[float]:
        """Channel means of ``value`` from those of what the layers read before.

        Raises:
            ModelError: they are of another number of channels.
        """
        if len(before) not in (0, self.shares.size):
            raise ModelError(
                f"the calibration table has {len(before)} channel means for a frame of {self.shares.size} channels; "
                "calibrate again with: edgeseg calibrate MODEL --data DIR"
            )
        return [float(one) for one in (np.asarray(before) - self.lacks) / self.shares] if before else []


def read_raw(model: ir.Model, chosen: Sequence[Layer], towards: Sequence[Layer]) -> Raw | None:
    """Lets layers read the frame's bytes, and adjusts their weights and bias.

    Args:
        model: the float frame graph, changed in place.
        chosen: the layers to be quantised, in graph order; the first must read the frame.
        towards: all that may read bytes; more than the chosen for the ranking, which quantises one at a time.

    Returns:
        None, and nothing is changed, where something else than convolutions without groups (pooling, a residual, a
        layer that stays in float) reads the normalised frame, means are no bytes, or means and padding differ.
    """
    readers = {id(layer.node): layer for layer in towards if layer.node.op_type == "Conv"}
    frame = model.graph.inputs[0]
    if not chosen:
        return None
    read = chosen[0].input
    found = _affine(read, frame)
    users = list(consumers(read))
    if found is None or any(id(node) not in readers or index != 0 for node, index in users):
        return None
    gain, offset = found
    weights = [readers[id(node)].weight for node, _ in users]
    if any(one.shape[1] != gain.size for one in weights):
        return None  # groups: the weights' second axis is not the frame's channels
    if (gain <= 0).any():
        return None
    points = -offset / gain
    zero_point = int(np.clip(np.rint(points.mean()), 0, 255))
    if (points < -_HALF).any() or (points > 255 + _HALF).any():
        return None
    padding = None
    if np.abs(points - zero_point).max() > _HALF:
        padding = _same_padding([node for node, _ in users])
        if padding is None:
            return None
        padding = padding if any(padding) else None
    scale = np.float32(gain[0])
    shares, lacks = gain / float(scale), (zero_point - points) * gain
    prefix = _free_name(model.graph)
    mean = np.clip(np.rint(points), 0, 255).astype(np.uint8)
    raw = _dequantised(model.graph, prefix, _planes(model.graph, prefix, frame, padding, mean), scale, zero_point)
    for node, _ in users:
        if padding is not None:
            node.attributes["pads"] = ir.AttrInt64s("pads", [0, 0, 0, 0])
        _adjust(model.graph, readers[id(node)], shares, lacks)
        node.replace_input_with(0, raw)
    return Raw(raw, scale, zero_point, shares, lacks)


def _affine(value: ir.Value, frame: ir.Value) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Gain and offset per channel, if the value is the frame times one plus the other, in float and channels first."""
    steps: list[tuple[str, NDArray[np.float64]]] = []
    node = value.producer()
    while node is not None and node.op_type in ("Div", "Mul", "Sub", "Add"):
        first, second = node.inputs
        if first is None or second is None or second.const_value is None or first.const_value is not None:
            return None
        steps.append((node.op_type, constant(second).astype(np.float64).reshape(-1)))
        node = first.producer()
    if node is None or node.op_type != "Transpose" or tuple(node.attributes["perm"].as_ints()) != _NCHW:
        return None
    cast = node.inputs[0].producer() if node.inputs[0] is not None else None
    if cast is None or cast.op_type != "Cast" or cast.inputs[0] is not frame:
        return None
    channels = frame.shape[-1] if frame.shape is not None else None
    if not isinstance(channels, int) or any(one.size not in (1, channels) for _, one in steps):
        return None
    gain, offset = np.ones(channels), np.zeros(channels)
    for kind, number in reversed(steps):
        if kind in ("Div", "Mul"):
            factor = 1 / number if kind == "Div" else number
            gain, offset = gain * factor, offset * factor
        else:
            offset = offset + (number if kind == "Add" else -number)
    return gain, offset


def _free_name(graph: ir.Graph) -> str:
    """Of nothing in the graph, nor of what the emitters derive from its names."""
    names = {value.name or "" for node in graph for value in node.outputs} | set(graph.initializers)
    prefix = "frame.bytes"
    while any(name.startswith(prefix) for name in names):
        prefix += "_"
    return prefix


def _same_padding(nodes: Sequence[ir.Node]) -> tuple[int, int, int, int] | None:
    """Top, left, bottom, right that all the convolutions pad; None where they differ or do not say."""
    if any(node.attributes.get_string("auto_pad", "NOTSET") != "NOTSET" for node in nodes):
        return None
    found = {tuple(node.attributes.get_ints("pads", (0, 0, 0, 0))) for node in nodes}
    pads = found.pop()
    return None if found or len(pads) != 4 else (pads[0], pads[1], pads[2], pads[3])


def _adjust(graph: ir.Graph, layer: Layer, shares: NDArray[np.float64], lacks: NDArray[np.float64]) -> None:
    """Weights for channels of one scale; the bias takes what the channels lack."""
    weight, bias = layer.weight.astype(np.float64), layer.bias
    more = np.tensordot(weight.sum(axis=(2, 3)), lacks, axes=1)
    whole = (np.zeros(weight.shape[0]) if bias is None else bias) + more
    moved = (weight * shares[None, :, None, None]).astype(np.float32)
    layer.node.replace_input_with(1, initializer(graph, f"{layer.name}.bytes.weight", moved))
    if len(layer.node.inputs) < 3:
        layer.node.resize_inputs(3)
    layer.node.replace_input_with(2, initializer(graph, f"{layer.name}.bytes.bias", whole.astype(np.float32)))


def _planes(
    graph: ir.Graph, prefix: str, frame: ir.Value, pads: tuple[int, int, int, int] | None, mean: Bytes
) -> list[ir.Node]:
    """The frame's bytes, channels first; with ``pads`` every channel has a rim of its mean, for any batch."""
    planes = ir.Value(name=f"{prefix}.planes")
    perm = {"perm": ir.AttrInt64s("perm", _NCHW)}
    nodes = [ir.Node("", "Transpose", [frame], perm, outputs=[planes], name=f"{prefix}.transpose")]
    if pads is None:
        return nodes
    sizes = initializer(graph, f"{prefix}.split.sizes", np.ones(mean.size, np.int64))
    apart = [ir.Value(name=f"{prefix}.plane{index}") for index in range(mean.size)]
    nodes.append(
        ir.Node("", "Split", [planes, sizes], {"axis": ir.AttrInt64("axis", 1)}, outputs=apart, name=f"{prefix}.split")
    )
    top, left, bottom, right = pads
    rim = initializer(graph, f"{prefix}.rim", np.asarray([0, 0, top, left, 0, 0, bottom, right], np.int64))
    padded = [ir.Value(name=f"{prefix}.plane{index}.padded") for index in range(mean.size)]
    for index, byte in enumerate(mean):
        value = initializer(graph, f"{prefix}.plane{index}.mean", np.asarray(byte, np.uint8))
        nodes.append(
            ir.Node("", "Pad", [apart[index], rim, value], outputs=[padded[index]], name=f"{prefix}.plane{index}.pad")
        )
    whole = ir.Value(name=f"{prefix}.planes.padded")
    nodes.append(
        ir.Node("", "Concat", padded, {"axis": ir.AttrInt64("axis", 1)}, outputs=[whole], name=f"{prefix}.join")
    )
    return nodes


def _dequantised(graph: ir.Graph, prefix: str, nodes: list[ir.Node], scale: np.float32, zero_point: int) -> ir.Value:
    """What the last of the nodes gives as floats; all of them go to the graph's start."""
    out = ir.Value(name=f"{prefix}.dequantized")
    step = initializer(graph, f"{prefix}.scale", np.asarray(scale, np.float32))
    zero = initializer(graph, f"{prefix}.zero_point", np.asarray(zero_point, np.uint8))
    last = ir.Node(
        "", "DequantizeLinear", [nodes[-1].outputs[0], step, zero], outputs=[out], name=f"{prefix}.dequantize"
    )
    graph.insert_before(graph.node(0), [*nodes, last])
    return out
