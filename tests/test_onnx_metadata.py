"""What is read of an ONNX file before any runtime sees it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeseg import onnx_metadata


def graph(weight: TensorProto, *, inside_node: bool) -> bytes:
    if inside_node:
        nodes = [helper.make_node("Constant", [], ["w"], value=weight), helper.make_node("Add", ["x", "w"], ["y"])]
        initializers = []
    else:
        weight.name = "w"
        nodes, initializers = [helper.make_node("Add", ["x", "w"], ["y"])], [weight]
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "y")]
    model = helper.make_model(helper.make_graph(nodes, "g", value[:1], value[1:], initializers))
    entry = model.metadata_props.add()
    entry.key, entry.value = "edgeseg", "grüezi"
    data: bytes = model.SerializeToString()
    return data


@pytest.mark.parametrize("inside_node", [False, True])
def test_external_data_is_seen(inside_node: bool) -> None:
    weight = numpy_helper.from_array(np.ones(4, np.float32))
    assert onnx_metadata.fault(graph(weight, inside_node=inside_node)) is None
    outside = TensorProto(dims=[4], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    entry = outside.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    assert "other files" in (onnx_metadata.fault(graph(outside, inside_node=inside_node)) or "")


def model_of(node: onnx.NodeProto) -> onnx.ModelProto:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in ("x", "y")]
    return helper.make_model(helper.make_graph([node], "g", value[:1], value[1:]))


@pytest.mark.parametrize(
    ("op", "domain"),
    [("ConstantOfShape", ""), ("Expand", ""), ("Loop", ""), ("NoSuchOp", ""), ("Relu", "com.example"), ("", "")],
)
def test_operators_that_are_not_listed_are_named(op: str, domain: str) -> None:
    said = onnx_metadata.fault(model_of(helper.make_node(op, ["x"], ["y"], domain=domain)).SerializeToString())
    assert said is not None
    assert repr(f"{domain}.{op}".lstrip(".")) in said


def test_loops_and_functions_are_seen() -> None:
    body = helper.make_graph([], "body", [], [])
    inside = model_of(helper.make_node("Identity", ["x"], ["y"], body=body))
    function = model_of(helper.make_node("Identity", ["x"], ["y"]))
    assert onnx_metadata.fault(function.SerializeToString()) is None
    function.functions.append(helper.make_function("own", "f", ["x"], ["y"], [], []))
    for model in (inside, function):
        assert "graphs within graphs" in (onnx_metadata.fault(model.SerializeToString()) or "")


def test_the_c_library_has_the_same_list() -> None:
    source = (Path(__file__).parents[1] / "runtime" / "src" / "onnx_check.cpp").read_text()
    listed = re.findall(r'"(\w+)"', source[source.index("allowed_ops[]") : source.index("};")])
    assert listed == sorted(onnx_metadata.ALLOWED_OPS)


def test_metadata_is_read_and_rubbish_refused() -> None:
    data = graph(numpy_helper.from_array(np.ones(4, np.float32)), inside_node=False)
    assert onnx_metadata.read(data) == {"edgeseg": "grüezi"}
    onnx.checker.check_model(data)
    for cut in (1, 10, len(data) // 2, len(data) - 1):
        with pytest.raises(ValueError, match=r"truncated|protobuf|varint|codec"):
            onnx_metadata.read(data[:cut])


def test_a_node_under_a_key_of_more_than_32_bits_is_seen() -> None:
    """Runtimes' protobuf cuts keys to 32 bits: what would be an unknown field here is a node there."""
    node = helper.make_node("NoSuchOp", ["x"], ["z"]).SerializeToString()
    model = model_of(helper.make_node("Relu", ["x"], ["y"]))
    inner = model.graph.SerializeToString() + b"\x8a\x80\x80\x80\x10" + bytes([len(node)]) + node
    model.ClearField("graph")
    whole = model.SerializeToString() + b"\x3a" + bytes([len(inner)]) + inner
    with pytest.raises(ValueError, match="no protobuf"):
        onnx_metadata.fault(whole)
