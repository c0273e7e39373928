"""Opsets, FP32 islands, extreme frames, batches: what the emitters add beside quantisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeseg.backends.base import EngineOptions
from edgeseg.backends.onnxruntime import OnnxRuntimeEngine
from edgeseg.errors import GateError, ModelError
from edgeseg.export import finite, forms, half, parity, variants
from edgeseg.export.opset import to_opset


def reducing(op: str, opset: int) -> onnx.ModelProto:
    """float [1, 2, 3, 4] → reduced over the last two axes, in the form of an opset."""
    inputs, attributes, weights = ["x"], {"axes": [2, 3]}, []
    if opset >= 18:
        inputs, attributes = ["x", "axes"], {}
        weights = [numpy_helper.from_array(np.array([2, 3], np.int64), "axes")]
    node = helper.make_node(op, inputs, ["y"], name="reduce", keepdims=1, **attributes)
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 3, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 1, 1])], weights,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)


@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMean", "ReduceL2"])
@pytest.mark.parametrize(("before", "after"), [(17, 19), (18, 17), (17, 17), (19, 18)])
def test_axes_move_with_the_opset(op: str, before: int, after: int) -> None:
    import onnxruntime as ort

    model = ir.from_proto(reducing(op, before))
    to_opset(model, after)
    proto = ir.to_proto(model)
    onnx.checker.check_model(proto, full_check=True)
    assert (len(proto.graph.node[0].input) == 2) == (after >= 18)
    assert ("axes" in {one.name for one in proto.graph.node[0].attribute}) == (after < 18)
    x = np.random.default_rng(0).standard_normal((1, 2, 3, 4)).astype(np.float32)
    got, want = (
        ort.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
        for one in (proto, reducing(op, before))
    )
    assert got.shape == (1, 2, 1, 1)
    assert np.array_equal(got, want)


def test_computed_axes_cannot_be_fixed() -> None:
    proto = reducing("ReduceMax", 18)
    del proto.graph.initializer[:]
    proto.graph.input.append(helper.make_tensor_value_info("axes", TensorProto.INT64, [2]))
    with pytest.raises(ModelError, match="ReduceMax at reduce: its axes are computed"):
        to_opset(ir.from_proto(proto), 17)


def test_islands_hold_their_surroundings(make_small: Any) -> None:
    one = make_small(attention=True)
    model = onnx.load_from_string(forms.emit("fp16-trt-typed", one.graph, None).data)
    model = onnx.shape_inference.infer_shapes(model)
    kinds = {value.name: value.type.tensor_type.elem_type for value in model.graph.value_info}
    for node in model.graph.node:
        if node.op_type in ("MatMul", "Softmax") or node.name in ("logits.div", "scaled.div"):
            assert kinds[node.output[0]] == TensorProto.FLOAT, node.name
    assert any(kinds[n.output[0]] == TensorProto.FLOAT16 for n in model.graph.node if n.op_type == "Conv")


def test_fp16_means_what_float_means(make_small: Any) -> None:
    for attention in (False, True):
        one = make_small(attention=attention)
        emitted = forms.emit("fp16-trt-typed", one.graph, None).data
        assert parity.fp16_holds("fp16", emitted, one.graph, one.frames)[0].snr_db > 40
        assert finite.first_overflow(emitted, [1, 48, 64, 3]) is None


def huge_embeddings(graph: bytes, factor: float = 3000.0) -> bytes:
    """The small graph with embeddings whose products pass 65504."""
    model = onnx.load_from_string(graph)
    for value in model.graph.initializer:
        if value.name in ("theta.weight", "phi.weight", "theta.bias", "phi.bias"):
            value.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(value) * np.float32(factor), value.name))
    return model.SerializeToString()


def test_extreme_frames_find_what_overflows(make_small: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = huge_embeddings(make_small(attention=True).graph, 60.0)
    assert finite.first_overflow(graph, [1, 48, 64, 3]) is None
    monkeypatch.setattr(half, "ISLAND", ("none",))
    bad = finite.first_overflow(forms.emit("fp16-trt-typed", graph, None).data, [1, 48, 64, 3])
    assert bad is not None
    assert "frame" in bad


def test_weights_that_fp16_cannot_hold(make_small: Any) -> None:
    one = make_small()
    model = onnx.load_from_string(one.graph)
    for value in model.graph.initializer:
        factor = {"stem.weight": 1e8, "stem.bias": 1e8, "down.weight": 1e-8}.get(value.name)
        if factor:
            value.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(value) * np.float32(factor), value.name))
    graph = model.SerializeToString()
    with pytest.raises(GateError, match="do not fit FP16"):
        parity.fp16_holds("fp16", forms.emit("fp16-trt-typed", graph, None).data, graph, one.frames)


@pytest.mark.parametrize("batch", [0, 3])
@pytest.mark.parametrize("attention", [False, True])
def test_batches_give_what_single_frames_give(make_small: Any, batch: int, attention: bool) -> None:
    one = make_small(attention=attention)
    graph = variants.with_batch(one.graph, batch)
    engine = OnnxRuntimeEngine(graph, EngineOptions(optimise=False))
    assert engine.shape == (batch, 48, 64, 3)
    assert np.array_equal(engine.run(np.stack(one.frames[:3])), parity.meaning(one.graph, one.frames[:3]))


def enlarging(sizes: list[int], shape: list[int | str]) -> bytes:
    """float → the same enlarged to sizes that name the batch."""
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["large"], name="resize", mode="linear")
    graph = helper.make_graph(
        [helper.make_node("Relu", ["frame"], ["x"]), node, helper.make_node("Relu", ["large"], ["probability"])], "g",
        [helper.make_tensor_value_info("frame", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("probability", TensorProto.FLOAT, sizes)],
        [numpy_helper.from_array(np.array(sizes, np.int64), "sizes")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


@pytest.mark.parametrize("batch", [0, 3])
# 50 to 101 and 11 to 23: the nearest float32 factor is too small, so that rounding down gives a row less.
@pytest.mark.parametrize(("height", "width"), [(100, 22), (101, 23)])
def test_enlarging_to_sizes_takes_any_batch(batch: int, height: int, width: int) -> None:
    graph = enlarging([1, 2, height, width], [1, 2, 50, 11])
    alone, whole = (
        OnnxRuntimeEngine(one, EngineOptions(optimise=False)) for one in (graph, variants.with_batch(graph, batch))
    )
    frames: Any = np.random.default_rng(0).random((3, 2, 50, 11), np.float32)
    got = whole.run(frames)
    assert got.shape == (3, 2, height, width)
    assert np.abs(got - np.concatenate([alone.run(one[None]) for one in frames])).max() < 1e-4


def test_enlarging_from_an_unknown_size_keeps_its_batch() -> None:
    with pytest.raises(ModelError, match="batch written into the sizes of Resize resize; use batch 1"):
        variants.with_batch(enlarging([1, 2, 100, 22], [1, 2, "height", 11]), 3)
