"""A small frame graph with NPNet's shapes: strided convolutions, a gate, branches, Concat, a head, an upsample."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeseg import manifest as mf
from edgeseg.calibration import collect, table
from edgeseg.calibration.table import Table
from edgeseg.export import names

HEIGHT, WIDTH = 48, 64
Z = "0" * 64


@dataclass(frozen=True)
class Small:
    """A float graph, frames it is calibrated and compared on, and its table."""

    graph: bytes
    frames: list[NDArray[np.uint8]]
    table: Table


def make_graph(seed: int = 0, *, bias: float = 0.05, attention: bool = False) -> bytes:
    """Float frame graph uint8 [1, 48, 64, 3] → [1, 1, 48, 64]; ``attention`` adds products with softmax."""
    rng = np.random.default_rng(seed)
    nodes, weights = [], []

    def constant(name: str, value: object) -> str:
        weights.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def conv(name: str, source: str, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, dilation: int = 1,
             relu: bool = True) -> str:  # fmt: skip
        scale = np.sqrt(2 / (inputs * kernel * kernel))
        w = constant(f"{name}.w", (rng.standard_normal((outputs, inputs, kernel, kernel)) * scale).astype(np.float32))
        b = constant(f"{name}.b", (rng.standard_normal(outputs) * bias).astype(np.float32))
        pad = dilation * (kernel // 2)
        sizes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "dilations": [dilation] * 2, "pads": [pad] * 4}
        nodes.append(helper.make_node("Conv", [source, w, b], [name], name=f"/net/{name}/Conv", **sizes))
        if not relu:
            return name
        nodes.append(helper.make_node("Relu", [name], [f"{name}.r"], name=f"/net/{name}/Relu"))
        return f"{name}.r"

    def op(kind: str, inputs: list[str], output: str, scope: str = "", **attributes: object) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], name=f"/{scope}{output}/{kind}", **attributes))
        return output

    x = op("Cast", ["frame"], "cast", to=TensorProto.FLOAT)
    x = op("Transpose", [x], "nchw", perm=[0, 3, 1, 2])
    x = op("Div", [x, constant("full", np.float32(255))], "unit")
    x = op("Sub", [x, constant("mean", np.full((1, 3, 1, 1), 0.5, np.float32))], "centred")
    x = op("Div", [x, constant("std", np.full((1, 3, 1, 1), 0.25, np.float32))], "normal")
    x = conv("stem", x, 3, 16, stride=2)
    x = conv("down", x, 16, 16, stride=2)
    pooled = op("GlobalAveragePool", [x], "pool")
    gate = op("Sigmoid", [conv("excite", conv("squeeze", pooled, 16, 8, 1), 8, 16, 1, relu=False)], "weights")
    x = op("Mul", [x, gate], "gated")
    branches = [conv(f"branch{d}", x, 16, 16, dilation=d) for d in (1, 3)]
    x = conv("join", op("Concat", branches, "both", axis=1), 32, 16, 1)
    if attention:
        shape = constant("shape", np.array([1, 16, -1], np.int64))
        left = op("Reshape", [conv("theta", x, 16, 16, 1, relu=False), shape], "theta.flat")
        right = op("Transpose", [op("Reshape", [conv("phi", x, 16, 16, 1, relu=False), shape], "phi.flat")], "phi.t",
                   perm=[0, 2, 1])  # fmt: skip
        logits = op("Div", [op("MatMul", [left, right], "logits"), constant("n", np.float32(192))], "scaled")
        value = op("Reshape", [conv("value", x, 16, 16, 1, relu=False), shape], "value.flat")
        mixed = op("MatMul", [op("Softmax", [logits], "attention", axis=-1), value], "mixed")
        back = op("Reshape", [mixed, constant("back", np.array([1, 16, 12, 16], np.int64))], "mixed.map")
        x = op("Add", [conv("out", back, 16, 16, 1, relu=False), x], "sum")
    x = conv("head", x, 16, 1, 1, relu=False)
    x = op("Resize", [x, "", constant("scales", np.array([1, 1, 4, 4], np.float32))], "large", mode="linear",
           coordinate_transformation_mode="half_pixel")  # fmt: skip
    x = op("Mul", [op("Sigmoid", [x], "p"), "full"], "grey")
    nodes.append(
        helper.make_node("Cast", [op("Round", [x], "round")], ["probability"], name="/Cast", to=TensorProto.UINT8)
    )
    graph = helper.make_graph(
        nodes, "small",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, [1, HEIGHT, WIDTH, 3])],
        [helper.make_tensor_value_info("probability", TensorProto.UINT8, [1, 1, HEIGHT, WIDTH])],
        weights,
    )  # fmt: skip
    import onnx_ir as ir

    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    named = ir.from_proto(onnx.shape_inference.infer_shapes(model))
    names.rename(named)
    proto = ir.to_proto(named)
    del proto.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(proto).SerializeToString(deterministic=True)


def make_frames(number: int = 6) -> list[NDArray[np.uint8]]:
    """Smooth random frames."""
    import cv2

    rng = np.random.default_rng(1)
    return [cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (WIDTH, HEIGHT)) for _ in range(number)]


def table_of(graph: bytes, frames: list[NDArray[np.uint8]], method: str = "minmax") -> Table:
    """The table of a graph on frames."""
    rows = collect.tensors(collect.collect(graph, [(str(i), f) for i, f in enumerate(frames)]), method)
    head = mf.Calibration.model_validate(
        {"recipe": "t", "method": method, "seed": 0, "frames": len(frames), "data": "d", "split": "train"}
        | dict.fromkeys(("frames_sha256", "weights_sha256", "frame_spec_sha256"), Z)
        | {"graph_sha256": mf.sha256(graph)}
    )
    return table.make(head, rows)


@pytest.fixture(scope="session")
def make_table() -> Callable[..., Table]:
    return table_of


@pytest.fixture(scope="session")
def small() -> Small:
    graph, frames = make_graph(), make_frames()
    return Small(graph, frames, table_of(graph, frames))


@pytest.fixture(scope="session")
def make_small() -> Callable[..., Small]:
    def make(**options: object) -> Small:
        graph, frames = make_graph(**options), make_frames()
        return Small(graph, frames, table_of(graph, frames))

    return make
