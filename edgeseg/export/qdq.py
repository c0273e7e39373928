"""Inserts quantise/dequantise pairs into the float frame graph, by one style per runtime family.

What the styles share stands here: scales from the calibration table, weights per output channel,
tensors that must share a scale. What differs is data (:class:`Style`), see :mod:`edgeseg.export.forms`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from edgeseg.calibration.table import Table, Tensor
from edgeseg.errors import ModelError
from edgeseg.export.layers import Layer, consumers, initializer, layers
from edgeseg.export.raw_input import read_raw
from edgeseg.export.rounding import nearest, round_weights

Use = tuple[ir.Node, int]
# Between two quantised layers these run on 8-bit values (form cpu), so that nothing is stored as float in between.
PASSIVE = ("Add", "Mul", "Concat", "Resize", "GlobalAveragePool", "AveragePool", "MaxPool")
_ONE_SCALE = ("Concat", "MaxPool", "Resize")
_ACTIVATION = ("Relu", "Clip")


@dataclass(frozen=True)
class Style:
    """How a family of runtimes wants its quantised graph.

    Attributes:
        unsigned: activations uint8 (zero point 0, or 128 where they can be negative) instead of int8, zero point 0.
        outputs: outputs of layers, and what lies between layers, are quantised too.
        weight_levels: 127, or 63 where 16-bit partial sums would saturate.
        stored_weights: weights as int8 with a DQ; else as float with Q and DQ.
        int_bias: bias as int32 with a DQ of the product of the scales, which ONNX Runtime needs to fuse.
        half: scales and weights of layers in FP16.
        raw: the first layers read the frame's bytes, see :mod:`edgeseg.export.raw_input`.
    """

    unsigned: bool
    outputs: bool
    weight_levels: int = 127
    stored_weights: bool = True
    int_bias: bool = False
    half: bool = False
    raw: bool = False


@dataclass(frozen=True)
class Scale:
    """Of a tensor or of weights: value = (q - zero_point) · scale."""

    scale: NDArray[np.float32]
    zero_point: int
    unsigned: bool


def quantise(
    model: ir.Model, table: Table, style: Style, exclude: Iterable[str] = (), *, alone: bool = False
) -> list[str]:
    """Quantises the layers of a graph in place.

    Args:
        model: the float frame graph.
        table: of this very graph.
        style: of the form.
        exclude: names of layers that stay in float.
        alone: a layer also bears what quantising its output costs, though the next layer is in float (for the ranking).

    Returns:
        The names of the quantised layers, in graph order.

    Raises:
        ModelError: the table lacks a tensor.
    """
    left = set(exclude)
    every = layers(model)
    chosen = [layer for layer in every if layer.name not in left]
    read_before = chosen[0].input.name if chosen else None
    raw = read_raw(model, chosen, every if alone else chosen) if style.raw else None
    points = _points(model, chosen, style, every if alone else chosen)
    scales = _scales(points, table.ranges(), style)
    means = {name: one.channel_mean for name, one in table.ranges().items()}
    if raw is not None:
        scales[id(raw.value)] = Scale(np.asarray(raw.scale, np.float32), raw.zero_point, unsigned=True)
        means[raw.value.name or ""] = raw.means(means.get(read_before or "", []))
    for layer in chosen:
        _quantise_weights(model.graph, layer, scales[id(layer.input)], style, means.get(layer.input.name or "", []))
    for value, uses in points.values():
        _insert_pair(model.graph, value, uses, scales[id(value)])
    return [layer.name for layer in chosen]


def _points(
    model: ir.Model, chosen: list[Layer], style: Style, towards: list[Layer]
) -> dict[int, tuple[ir.Value, list[Use]]]:
    """Which tensors are quantised, and for which of their users; none behind the last of the layers ``towards``."""
    points: dict[int, tuple[ir.Value, list[Use]]] = {}

    def add(value: ir.Value | None, use: Use) -> None:
        if value is None or value.const_value is not None or _is_raw(value):
            return
        uses = points.setdefault(id(value), (value, []))[1]
        if all(node is not use[0] or index != use[1] for node, index in uses):
            uses.append(use)

    for layer in chosen:
        add(layer.input, (layer.node, 0))
    leading = _leading(model, towards)
    for layer in chosen if style.outputs else []:
        out = _activated(layer.node.outputs[0])
        for node, index in consumers(out):
            if node.op_type in PASSIVE and id(node) in leading:
                add(out, (node, index))
    for node in reversed(list(model.graph)):  # users before producers: a Concat's inputs follow from its output
        if style.outputs and node.op_type in _ONE_SCALE and id(node.outputs[0]) in points:
            count = len(node.inputs) if node.op_type == "Concat" else 1
            for index in range(count):
                add(node.inputs[index], (node, index))
        if not style.outputs and node.op_type == "Add" and _residual(node, chosen) and id(node) in leading:
            for index in (0, 1):
                add(node.inputs[index], (node, index))
    return points


def _is_raw(value: ir.Value) -> bool:
    """The frame's own bytes, quantised from the start."""
    producer = value.producer()
    return producer is not None and producer.op_type == "DequantizeLinear"


def _leading(model: ir.Model, chosen: list[Layer]) -> set[int]:
    """Nodes from which a quantised layer can be reached: what comes after the last one stays in float."""
    leading = {id(layer.node) for layer in chosen}
    for node in reversed(list(model.graph)):
        if any(id(user) in leading for value in node.outputs for user, _ in consumers(value)):
            leading.add(id(node))
    return leading


def _activated(value: ir.Value) -> ir.Value:
    """The output of the ReLU behind a layer, where it is the only user."""
    users = list(consumers(value))
    if len(users) == 1 and users[0][0].op_type in _ACTIVATION:
        return users[0][0].outputs[0]
    return value


def _residual(node: ir.Node, chosen: list[Layer]) -> bool:
    outputs = {id(layer.node.outputs[0]) for layer in chosen}
    return all(one is not None and one.const_value is None for one in node.inputs) and any(
        id(one) in outputs for one in node.inputs
    )


def _scales(points: dict[int, tuple[ir.Value, list[Use]]], ranges: dict[str, Tensor], style: Style) -> dict[int, Scale]:
    """A scale per quantised tensor; tensors joined by a Concat (form cpu) get one and the same."""
    group = {key: key for key in points}

    def root(key: int) -> int:
        while group[key] != key:
            key = group[key]
        return key

    if style.outputs:
        for key, (value, _) in points.items():
            node = value.producer()
            if node is not None and node.op_type in _ONE_SCALE:
                for one in node.inputs[: None if node.op_type == "Concat" else 1]:
                    if id(one) in points:
                        group[root(id(one))] = root(key)
    members: dict[int, list[Tensor]] = {}
    for key, (value, _) in points.items():
        if value.name not in ranges:
            raise ModelError(f"the calibration table has no tensor {value.name}; calibrate again with this graph")
        members.setdefault(root(key), []).append(ranges[value.name])
    return {key: _scale(members[root(key)], style) for key in points}


def _scale(tensors: list[Tensor], style: Style) -> Scale:
    signed = any(one.signed for one in tensors)
    top = max(max(abs(end) for end in one.range) for one in tensors)
    unsigned = style.unsigned
    levels = 255 if unsigned and not signed else 127
    scale = _storable(np.float32(max(top, 1e-6) / levels), style)
    return Scale(np.asarray(scale, np.float32), 128 if unsigned and signed else 0, unsigned)


def _storable(scale: NDArray[np.float32] | np.float32, style: Style) -> NDArray[np.float32]:
    """Rounded up to FP16 where the form stores that, so that Q and DQ mean exactly what was intended."""
    array = np.asarray(scale, np.float32)
    if not style.half:
        return array
    half = array.astype(np.float16)
    return np.where(half.astype(np.float32) < array, np.nextafter(half, np.float16(np.inf)), half).astype(np.float32)


def weight_scale(weight: NDArray[np.float32], axis: int, style: Style) -> NDArray[np.float32]:
    """One scale per output channel, from its largest weight."""
    others = tuple(index for index in range(weight.ndim) if index != axis)
    return _storable(np.maximum(np.abs(weight).max(axis=others) / style.weight_levels, 1e-7).astype(np.float32), style)


def _quantise_weights(graph: ir.Graph, layer: Layer, source: Scale, style: Style, means: list[float]) -> None:
    weight, axis, bias = layer.weight, layer.axis, layer.bias
    scale = weight_scale(weight, axis, style)
    if style.int_bias and bias is not None:
        # An int32 bias must hold the value: a dead channel's scale is raised until it does.
        scale = np.maximum(scale, np.abs(bias) / (float(source.scale) * 2.0**30)).astype(np.float32)
    # A transposed convolution with a stride sees a part of each kernel at a time: sums over all of it tell nothing.
    rounding = nearest if layer.node.op_type == "ConvTranspose" else round_weights
    rounded = rounding(weight, scale, axis, style.weight_levels)
    shape = [-1 if index == axis else 1 for index in range(weight.ndim)]
    shift = _mean_shift(rounded * scale.reshape(shape) - weight, means, layer)
    if shift is not None:
        bias = (np.zeros(weight.shape[axis], np.float32) if bias is None else bias) - shift
    name = layer.name
    scale_value = initializer(graph, f"{name}.weight.scale", scale)
    zero = initializer(graph, f"{name}.weight.zero_point", np.zeros(scale.size, np.int8))
    if style.stored_weights:
        stored = initializer(graph, f"{name}.weight.int8", rounded)
    else:
        stored = ir.Value(name=f"{name}.weight.int8")
        # The float weights already lie on the grid, so the runtime's own rounding cannot differ.
        exact = initializer(graph, f"{name}.weight.float", (rounded * scale.reshape(shape)).astype(np.float32))
        node = ir.Node("", "QuantizeLinear", [exact, scale_value, zero], {"axis": ir.AttrInt64("axis", axis)},
                       outputs=[stored], name=f"{name}.weight.quantize")  # fmt: skip
        graph.insert_before(layer.node, node)
    layer.node.replace_input_with(1, _dequantized(graph, layer.node, stored, scale_value, zero, axis, f"{name}.weight"))
    if bias is None:
        return
    if len(layer.node.inputs) < 3:
        layer.node.resize_inputs(3)
    if style.int_bias:
        steps = (scale * source.scale).astype(np.float32)
        whole = np.clip(np.rint(bias / steps), -(2**31) + 1, 2**31 - 1).astype(np.int32)
        stored = initializer(graph, f"{name}.bias.int32", whole)
        bias_scale = initializer(graph, f"{name}.bias.scale", steps)
        zero = initializer(graph, f"{name}.bias.zero_point", np.zeros(steps.size, np.int32))
        layer.node.replace_input_with(2, _dequantized(graph, layer.node, stored, bias_scale, zero, 0, f"{name}.bias"))
    else:
        layer.node.replace_input_with(2, initializer(graph, f"{name}.bias.corrected", bias.astype(np.float32)))


def _mean_shift(error: NDArray[np.float32], means: list[float], layer: Layer) -> NDArray[np.float32] | None:
    """What rounding the weights adds to each output channel's mean (Nagel et al. 2019, section 4.2).

    From the means measured in calibration; only where input channels are the weights' second axis (no groups).
    """
    if layer.node.op_type != "Conv" or error.shape[1] != len(means):
        return None
    spatial = error.reshape(error.shape[0], error.shape[1], -1).sum(2)
    return (spatial @ np.asarray(means, np.float64)).astype(np.float32)


def _dequantized(
    graph: ir.Graph, before: ir.Node, stored: ir.Value, scale: ir.Value, zero: ir.Value, axis: int, name: str
) -> ir.Value:
    out = ir.Value(name=f"{name}.dequantized")
    node = ir.Node("", "DequantizeLinear", [stored, scale, zero], {"axis": ir.AttrInt64("axis", axis)},
                   outputs=[out], name=f"{name}.dequantize")  # fmt: skip
    graph.insert_before(before, node)
    return out


def _insert_pair(graph: ir.Graph, value: ir.Value, uses: list[Use], scale: Scale) -> None:
    """Value → Q → DQ → the given users; everybody else keeps reading the float value."""
    kind = np.uint8 if scale.unsigned else np.int8
    name = value.name or ""
    scale_value = initializer(graph, f"{name}.scale", scale.scale)
    zero = initializer(graph, f"{name}.zero_point", np.asarray(scale.zero_point, kind))
    stored, back = ir.Value(name=f"{name}.quantized"), ir.Value(name=f"{name}.dequantized")
    pair = [
        ir.Node("", "QuantizeLinear", [value, scale_value, zero], outputs=[stored], name=f"{name}.quantize"),
        ir.Node("", "DequantizeLinear", [stored, scale_value, zero], outputs=[back], name=f"{name}.dequantize"),
    ]
    producer = value.producer()
    if producer is None:
        graph.insert_before(graph.node(0), pair)
    else:
        graph.insert_after(producer, pair)
    for node, index in uses:
        node.replace_input_with(index, back)
