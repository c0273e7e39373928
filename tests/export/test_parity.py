"""The gate must catch the runtime bugs that are known: fed the bad graph, it names the layer."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgeseg.backends.onnxruntime import OnnxRuntimeEngine
from edgeseg.calibration.table import Table
from edgeseg.errors import GateError
from edgeseg.export import forms, parity

VNNI = "openvino without VNNI"


def test_openvino_symmetric_int8_after_concat(small: Any) -> None:
    """Told that the CPU has AVX2 at most: one with AMX computes it right."""
    bad = forms.emit("int8-trt-legacy", small.graph, small.table).data
    with pytest.raises(GateError, match=r"openvino does not compute.*part first at layer"):
        parity.check("bad", bad, small.frames, {"openvino": parity.on_openvino_avx2})


def test_onnxruntime_weight_bias_quantization(small: Any, tiny_run: Path) -> None:
    def with_the_optimiser(graph: bytes, frames: parity.Frames) -> np.ndarray:
        import onnxruntime as ort

        settings = ort.SessionOptions()
        settings.log_severity_level = 4
        session = ort.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])
        return np.stack([session.run(["probability"], {"frame": frame[None]})[0][0] for frame in frames])

    graph, frames = random_npnet(tiny_run)
    emitted = forms.emit("int8-trt-typed", graph, table_of(small)(graph, frames)).data
    assert parity.check("typed", emitted, frames, {"onnxruntime": parity.on_onnxruntime})[0].snr_db > 60
    with pytest.raises(GateError, match=r"onnxruntime does not compute.*part first at layer stages\.\d"):
        parity.check("typed", emitted, frames, {"onnxruntime": with_the_optimiser})
    assert "WeightBiasQuantization" in OnnxRuntimeEngine.__init__.__globals__["_DISABLED"]


def table_of(small: Any) -> Callable[..., Table]:
    """The conftest's function (tests are no package)."""
    return sys.modules[type(small).__module__].table_of


def random_npnet(run: Path) -> tuple[bytes, list[np.ndarray]]:
    """NPNet at 64×96 with random weights and batch norm: deep enough for small scale products."""
    import cv2
    import torch

    from edgeseg.bundle import open_model
    from edgeseg.export import frame_graph
    from edgeseg.nets import build
    from edgeseg.nets.frame import FrameNet

    torch.manual_seed(0)
    net = FrameNet(build("npnet"), [0.5] * 3, [0.25] * 3)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            size = module.num_features
            module.running_mean.copy_(torch.randn(size) * 0.1)
            module.running_var.copy_(torch.rand(size) + 0.5)
            module.bias.data.copy_(torch.randn(size) * 0.1)
    manifest = open_model(run).manifest
    assert manifest is not None
    rng = np.random.default_rng(1)
    frames = [cv2.resize(rng.integers(0, 256, (6, 8, 3), np.uint8), (96, 64)) for _ in range(4)]
    return frame_graph.export(net, manifest), frames


def shifted(graph: bytes) -> bytes:
    """Weights moved up, so that neighbouring products add up instead of cancelling."""
    model = onnx.load_from_string(graph)
    for one in model.graph.initializer:
        if one.name in ("down.weight", "branch1.weight", "branch3.weight", "join.weight"):
            array = numpy_helper.to_array(one)
            one.CopyFrom(numpy_helper.from_array((np.abs(array) + np.float32(0.02)).astype(np.float32), one.name))
        if one.name == "head.weight":
            array = numpy_helper.to_array(one)
            one.CopyFrom(numpy_helper.from_array((array * np.float32(0.2)).astype(np.float32), one.name))
    return model.SerializeToString()


@pytest.mark.slow
def test_saturation_without_vnni_is_caught_and_seven_bits_cure_it(small: Any) -> None:
    graph = shifted(small.graph)
    made = table_of(small)(graph, small.frames)
    with pytest.raises(GateError, match=r"without VNNI does not compute.*layer"):
        parity.check("plain", forms.emit("int8-cpu", graph, made).data, small.frames, parity.chosen_runners([VNNI]))
    seven = forms.emit("int8-cpu-7bit", graph, made).data
    assert parity.check("7bit", seven, small.frames, parity.chosen_runners([VNNI]))[0].snr_db > parity.FLOOR_DB


def test_cut_ends_behind_the_layer(small: Any) -> None:
    model = onnx.load_from_string(parity.cut(small.graph, "down"))
    assert {node.name for node in model.graph.node if node.op_type == "Conv"} == {"stem", "down"}
    assert parity.meaning(model.SerializeToString(), small.frames[:1]).min() >= 0
