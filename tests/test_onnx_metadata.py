"""What is read of an ONNX file before any runtime sees it."""

from __future__ import annotations

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
    assert not onnx_metadata.has_external_data(graph(weight, inside_node=inside_node))
    outside = TensorProto(dims=[4], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    entry = outside.external_data.add()
    entry.key, entry.value = "location", "/etc/passwd"
    assert onnx_metadata.has_external_data(graph(outside, inside_node=inside_node))


def test_metadata_is_read_and_rubbish_refused() -> None:
    data = graph(numpy_helper.from_array(np.ones(4, np.float32)), inside_node=False)
    assert onnx_metadata.read(data) == {"edgeseg": "grüezi"}
    onnx.checker.check_model(data)
    for cut in (1, 10, len(data) // 2, len(data) - 1):
        with pytest.raises(ValueError, match=r"truncated|protobuf|varint|codec"):
            onnx_metadata.read(data[:cut])
