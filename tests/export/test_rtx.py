"""TensorRT for RTX parses and builds the emitted forms without a GPU, with every intended convolution in INT8."""

from __future__ import annotations

import re
from typing import Any

import pytest

from edgeseg.export import forms

trt = pytest.importorskip("tensorrt_rtx", reason="pip install 'edgeseg[rtx]'")
LAYERS = 6


class Log(trt.ILogger):
    """Keeps everything: without a driver the VERBOSE build log is the only engine inspector."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.lines: list[str] = []

    def log(self, severity: Any, message: str) -> None:
        self.lines += message.splitlines()


def build(graph: bytes, capability: str) -> list[str]:
    """The build log of one compute capability."""
    log = Log()
    builder = trt.Builder(log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, log)
    assert parser.parse(graph), [parser.get_error(i).desc() for i in range(parser.num_errors)]
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, capability), 0)
    assert builder.build_serialized_network(network, config)
    return log.lines


def section(text: str, title: str) -> list[str]:
    """Data types of a layer's inputs or constants."""
    found = re.search(rf"{title}: \[ (.*?) \}}\]", text) or re.search(rf"{title}: \[ (.*?)\}}\]", text)
    return re.findall(r"Datatype: (\w+)", found[1]) if found else []


def int8_convolutions(lines: list[str]) -> int:
    """Layers of the log whose data input and weights are INT8."""
    number = 0
    for line in lines:
        found = re.match(r"Name: (.*?), LayerType: (\w+),(.*)", line)
        if not found or found[2] not in ("correlation", "convolution", "gemm", "CaskConvolution"):
            continue
        types = {title: section(found[3], title) for title in ("Inputs", "Constants")}
        number += all(one[:1] == ["Int8"] for one in types.values())
    return number


@pytest.mark.parametrize("name", ["int8-trt-typed", "int8-trt-legacy"])
@pytest.mark.parametrize("capability", ["SM86", "SM89", "SM120"])
@pytest.mark.parametrize("attention", [False, True])
def test_builds_with_every_layer_in_int8(make_small: Any, name: str, capability: str, attention: bool) -> None:
    one = make_small(attention=attention)
    emitted = forms.emit(name, one.graph, one.table)
    lines = build(emitted.data, capability)
    assert int8_convolutions(lines) == len(emitted.quantised) >= LAYERS
