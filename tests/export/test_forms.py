"""What the emitters write: types, scales, islands; the same inputs give the same bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from edgeseg import onnx_metadata
from edgeseg.errors import ModelError
from edgeseg.export import forms, layers, parity


def values(data: bytes) -> tuple[onnx.ModelProto, dict[str, np.ndarray], dict[str, onnx.NodeProto]]:
    model = onnx.load_from_string(data)
    constants = {one.name: numpy_helper.to_array(one) for one in model.graph.initializer}
    return model, constants, {name: node for node in model.graph.node for name in node.output}


LAYERS = ["stem", "down", "branch1", "branch3", "join", "head"]
GATE = ["squeeze", "excite"]


@pytest.mark.parametrize("name", [name for name in forms.GRAPHS if name.startswith("int8")])
def test_every_layer_has_int8_input_and_weights_but_the_gate(small: Any, name: str) -> None:
    emitted = forms.emit(name, small.graph, small.table)
    assert emitted.quantised == LAYERS
    model, constants, producer = values(emitted.data)
    convolutions = {node.name: node for node in model.graph.node if node.op_type == "Conv"}
    assert set(convolutions) == {*LAYERS, *GATE}
    for layer in LAYERS:
        for index in (0, 1):
            assert producer[convolutions[layer].input[index]].op_type == "DequantizeLinear", (layer, index)
    for layer in GATE:
        assert convolutions[layer].input[1] in constants
        assert constants[convolutions[layer].input[1]].dtype in (np.float32, np.float16)
    assert [one.name for one in model.graph.input] == ["frame"]
    assert model.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    assert model.graph.output[0].type.tensor_type.elem_type == TensorProto.UINT8


def test_cpu_form_is_unsigned_with_exact_zero_points(small: Any) -> None:
    model, constants, _ = values(forms.emit("int8-cpu", small.graph, small.table).data)
    points = {n.input[0]: constants[n.input[2]] for n in model.graph.node if n.op_type == "QuantizeLinear"}
    assert {point.dtype for point in points.values()} == {np.dtype(np.uint8)}
    assert {int(point) for point in points.values()} == {0}
    assert not any(node.op_type == "Resize" for node in model.graph.node)


def test_concat_shares_one_scale(small: Any) -> None:
    model, constants, _ = values(forms.emit("int8-cpu", small.graph, small.table).data)
    scales = {n.input[0]: float(constants[n.input[1]]) for n in model.graph.node if n.op_type == "QuantizeLinear"}
    joined = {scales[name] for name in ("branch1.relu", "branch3.relu", "both.concat")}
    assert len(joined) == 1


def test_seven_bit_weights(small: Any) -> None:
    _, constants, _ = values(forms.emit("int8-cpu-7bit", small.graph, small.table).data)
    weights = [value for name, value in constants.items() if name.endswith("weight.int8")]
    assert len(weights) == len(LAYERS)
    assert max(int(np.abs(one).max()) for one in weights) == 63


@pytest.mark.parametrize("name", ["int8-trt-typed", "int8-trt-legacy"])
def test_tensorrt_forms_are_symmetric_int8(small: Any, name: str) -> None:
    model, constants, _ = values(forms.emit(name, small.graph, small.table).data)
    for node in model.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            assert len(node.input) == 3
            assert constants[node.input[2]].dtype == np.int8
            assert not constants[node.input[2]].any()
    opset = {one.domain: one.version for one in model.opset_import}[""]
    assert opset == (17 if name.endswith("legacy") else 19)
    half = {value.dtype for value in constants.values()} & {np.dtype(np.float16)}
    assert bool(half) == name.endswith("typed")


def test_legacy_keeps_float_weights_with_their_own_q(small: Any) -> None:
    _, constants, producer = values(forms.emit("int8-trt-legacy", small.graph, small.table).data)
    quantize = producer["stem.weight.int8"]
    assert quantize.op_type == "QuantizeLinear"
    assert constants[quantize.input[0]].dtype == np.float32


@pytest.mark.parametrize("name", list(forms.GRAPHS))
def test_same_bytes_twice(small: Any, name: str) -> None:
    assert forms.emit(name, small.graph, small.table).data == forms.emit(name, small.graph, small.table).data


@pytest.mark.parametrize("name", list(forms.GRAPHS))
@pytest.mark.parametrize("attention", [False, True])
def test_close_to_float_and_equal_to_its_meaning(make_small: Any, name: str, attention: bool) -> None:
    one = make_small(attention=attention)
    emitted = forms.emit(name, one.graph, one.table).data
    wanted = parity.meaning(one.graph, one.frames)
    assert parity.snr_db(parity.meaning(emitted, one.frames), wanted) > (55 if name.startswith("fp16") else 28)
    runners = [backend for backend in parity.backends(name, forms.GRAPHS[name].form) if "VNNI" not in backend]
    parity.check(name, emitted, one.frames, parity.chosen_runners(runners))


def test_softmax_island_stays_in_fp32(make_small: Any) -> None:
    one = make_small(attention=True)
    model = onnx.shape_inference.infer_shapes(
        onnx.load_from_string(forms.emit("int8-trt-typed", one.graph, one.table).data)
    )
    types = {v.name: v.type.tensor_type.elem_type for v in (*model.graph.value_info, *model.graph.output)}
    for node in model.graph.node:
        if node.op_type in ("MatMul", "Softmax", "Div", "Round"):
            assert types[node.output[0]] == TensorProto.FLOAT, node.name
        if node.op_type == "Conv":
            assert types[node.output[0]] == TensorProto.FLOAT16, node.name


def test_excluded_layers_are_float(small: Any) -> None:
    emitted = forms.emit("int8-cpu", small.graph, small.table, ["join"])
    assert emitted.quantised == [name for name in LAYERS if name != "join"]
    model, constants, producer = values(emitted.data)
    join = next(node for node in model.graph.node if node.name == "join")
    assert join.input[1] in constants
    assert producer[join.input[0]].op_type == "Concat"


def test_what_is_known_may_run() -> None:
    assert layers.KNOWN <= onnx_metadata.ALLOWED_OPS


def test_an_unknown_op_is_named(small: Any) -> None:
    model = onnx.load_from_string(small.graph)
    next(node for node in model.graph.node if node.name == "stem.relu").op_type = "Selu"
    with pytest.raises(ModelError, match="Selu at stem"):
        forms.emit("int8-cpu", model.SerializeToString(), small.table)


def test_table_of_another_graph_is_refused(small: Any) -> None:
    rows = [one for one in small.table.tensors if one.name != "down.relu"]
    with pytest.raises(ModelError, match="no tensor down"):
        forms.emit("int8-cpu", small.graph, small.table.model_copy(update={"tensors": rows}))


def test_upsample_as_products_is_the_resize() -> None:
    import torch

    from edgeseg.export.upsample import matrix

    x = np.random.default_rng(0).standard_normal((9, 7)).astype(np.float32)
    wanted = torch.nn.functional.interpolate(torch.from_numpy(x)[None, None], scale_factor=8.0, mode="bilinear")[0, 0]
    assert np.abs(matrix(9, 72) @ x @ matrix(7, 56).T - wanted.numpy()).max() < 1e-5
