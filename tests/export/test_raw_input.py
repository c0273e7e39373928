"""The first layers read the frame's bytes: what the graph means stays, and no rounding comes before them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeseg.backends.base import EngineOptions
from edgeseg.backends.onnxruntime import OnnxRuntimeEngine
from edgeseg.export import forms, parity
from edgeseg.export.layers import layers
from edgeseg.export.raw_input import read_raw
from tests.export.conftest import HEIGHT, WIDTH, table_of

EQUAL = ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))
UNEQUAL = ((0.24, 0.41, 0.65), (0.08, 0.13, 0.22))


def changed(graph: bytes, mean: Sequence[float], std: Sequence[float]) -> bytes:
    """The small graph with another normalisation."""
    model = onnx.load_from_string(graph)
    by_output = {node.output[0]: node for node in model.graph.node}
    numbers = {one.name: one for one in model.graph.initializer}
    for kind, value in (("Sub", mean), ("Div", std)):
        for node in by_output.values():
            held = numbers.get(node.input[1]) if len(node.input) > 1 and node.op_type == kind else None
            if held is not None and numpy_helper.to_array(held).size == 3:
                array = np.asarray(value, np.float32).reshape(1, 3, 1, 1)
                held.CopyFrom(numpy_helper.from_array(array, held.name))
    return model.SerializeToString(deterministic=True)


def raw(graph: bytes) -> tuple[bytes, Any]:
    model = ir.from_proto(onnx.load_from_string(graph))
    found = read_raw(model, layers(model), layers(model))
    proto = ir.to_proto(model)
    del proto.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(proto).SerializeToString(), found


@pytest.mark.parametrize(
    ("mean", "std"), [EQUAL, UNEQUAL, ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), ((0.3, 0.3, 0.3), (0.1, 0.2, 0.3))]
)
def test_the_graph_means_what_it_meant(small: Any, mean: Sequence[float], std: Sequence[float]) -> None:
    """In float, borders included: to a level where padding is no whole byte, else to rounding."""
    graph = changed(small.graph, mean, std)
    moved, found = raw(graph)
    assert found is not None
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    frames = [*small.frames, noise, np.zeros_like(noise), np.full_like(noise, 255)]
    off = np.abs(parity.meaning(moved, frames).astype(int) - parity.meaning(graph, frames).astype(int))
    assert off.max() <= 2
    assert off[:, :, 8:-8, 8:-8].max() <= 1
    padded = any(node.op_type == "Pad" for node in onnx.load_from_string(moved).graph.node)
    assert padded == (len({round(255 * one) for one in mean}) > 1)
    # Channel means of what the layers read now, from those of what they read before.
    before = [(128 / 255 - m) / s for m, s in zip(mean, std, strict=True)]
    assert found.means(before) == pytest.approx([(128 - found.zero_point) * float(found.scale)] * 3, abs=1e-5)


def test_any_batch(small: Any) -> None:
    from edgeseg.export import variants

    graph = changed(small.graph, *UNEQUAL)
    emitted = forms.emit("int8-cpu", graph, table_of(graph, small.frames)).data
    alone = parity.meaning(emitted, small.frames[:3])
    engine = OnnxRuntimeEngine(variants.with_batch(emitted, 0), EngineOptions(optimise=False))
    assert np.array_equal(engine.run(np.stack(small.frames[:3])), alone)


@pytest.mark.parametrize("normalisation", [EQUAL, UNEQUAL])
def test_int8_is_nearer_to_float(small: Any, normalisation: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = changed(small.graph, *normalisation)
    table = table_of(graph, small.frames)
    wanted = parity.meaning(graph, small.frames).astype(float)

    def error() -> float:
        return float(np.square(parity.meaning(forms.emit("int8-cpu", graph, table).data, small.frames) - wanted).mean())

    here = error()
    monkeypatch.setattr("edgeseg.export.qdq.read_raw", lambda *_: None)
    there = error()
    assert here < 0.9 * there


def left_alone(graph: bytes, exclude: Sequence[str] = ()) -> bool:
    model = ir.from_proto(onnx.load_from_string(graph))
    before = ir.to_proto(model).SerializeToString(deterministic=True)
    chosen = [one for one in layers(model) if one.name not in exclude]
    found = read_raw(model, chosen, chosen)
    return found is None and ir.to_proto(model).SerializeToString(deterministic=True) == before


def test_it_stays_where_it_does_not_fit(small: Any) -> None:
    assert left_alone(small.graph, ["stem"])  # a first layer that stays in float
    assert left_alone(changed(small.graph, (1.5, 0.5, 0.5), (0.25,) * 3))  # a mean that is no byte
    assert left_alone(changed(small.graph, (0.5,) * 3, (0.25, -0.25, 0.25)))
    model = onnx.load_from_string(small.graph)
    stem = next(node for node in model.graph.node if node.op_type == "Conv")
    model.graph.node.append(helper.make_node("Relu", [stem.input[0]], ["also"], name="also"))
    model.graph.output.append(helper.make_tensor_value_info("also", TensorProto.FLOAT, [1, 3, HEIGHT, WIDTH]))
    assert left_alone(model.SerializeToString())  # somebody else reads the normalised frame


def test_tensorrt_forms_keep_the_normalisation(small: Any) -> None:
    kinds = {
        name: [n.op_type for n in onnx.load_from_string(forms.emit(name, small.graph, small.table).data).graph.node]
        for name in forms.GRAPHS
        if name.startswith("int8")
    }
    assert {name: "Sub" in found for name, found in kinds.items()} == {
        "int8-cpu": False, "int8-cpu-7bit": False, "int8-trt-typed": True, "int8-trt-legacy": True,
    }  # fmt: skip


def two_readers(name: str) -> bytes:
    """Two convolutions read the frame, one of them called ``name``; their sum goes to the head."""
    rng = np.random.default_rng(0)
    weights = [
        numpy_helper.from_array(np.float32(255), "full"),
        numpy_helper.from_array(np.full((1, 3, 1, 1), 0.5, np.float32), "mean"),
    ]
    nodes = [
        helper.make_node("Cast", ["frame"], ["cast"], "cast", to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["cast"], ["nchw"], "nchw", perm=[0, 3, 1, 2]),
        helper.make_node("Div", ["nchw", "full"], ["unit"], "unit"),
        helper.make_node("Sub", ["unit", "mean"], ["normal"], "normal"),
    ]
    for one, source, inputs, outputs in (("left", "normal", 3, 8), (name, "normal", 3, 8), ("head", "both", 8, 1)):
        if one == "head":
            nodes.append(helper.make_node("Add", ["left", name], ["both"], "both"))
        array = rng.normal(0, 0.3, (outputs, inputs, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(array, f"{one}.w"))
        nodes.append(helper.make_node("Conv", [source, f"{one}.w"], [one], one, pads=[1] * 4))
    nodes += [
        helper.make_node("Sigmoid", ["head"], ["p"], "p"),
        helper.make_node("Mul", ["p", "full"], ["grey"], "grey"),
        helper.make_node("Cast", ["grey"], ["probability"], "out", to=TensorProto.UINT8),
    ]
    graph = helper.make_graph(
        nodes, "two", [helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, HEIGHT, WIDTH, 3])],
        [helper.make_tensor_value_info("probability", TensorProto.UINT8, [1, 1, HEIGHT, WIDTH])], weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model).SerializeToString(deterministic=True)


@pytest.mark.parametrize("name", ["right", "raw", "frame.bytes"])
def test_names_of_the_network_are_its_own(small: Any, name: str) -> None:
    graph = two_readers(name)
    emitted = forms.emit("int8-cpu", graph, table_of(graph, small.frames))
    assert emitted.quantised == ["left", name, "head"]


def test_the_ranking_sees_first_layers_as_they_are_emitted(small: Any) -> None:
    """One layer at a time is quantised there; both readers of the frame read bytes all the same."""
    graph = two_readers("right")
    alone = forms.emit("int8-cpu", graph, table_of(graph, small.frames), ["right", "head"], alone=True)
    kinds = [node.op_type for node in onnx.load_from_string(alone.data).graph.node]
    assert alone.quantised == ["left"]
    assert "Sub" not in kinds
