"""Writes a bundle of NPNet's real size with fresh weights, for timing the C library: float and plain INT8.

Accuracy does not matter here and is not claimed: both gates say "parity" so that the library opens it.
Usage: PYTHONPATH=. python runtime/bench/make_npnet_bundle.py OUT
"""

from __future__ import annotations

import io
import os
import sys
import tempfile
import warnings
from pathlib import Path

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before it is imported

import numpy as np
import onnxruntime as ort
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

from edgeseg.nets import build
from edgeseg.nets.frame import FrameNet

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import make_bundles

SIZE = (288, 384)


def float_graph() -> bytes:
    torch.manual_seed(0)
    net = FrameNet(build("npnet"), [0.3, 0.35, 0.5], [0.2, 0.2, 0.25]).eval()
    buffer = io.BytesIO()
    frame = torch.zeros(1, *SIZE, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = {"input_names": ["frame"], "output_names": ["probability"]}
        torch.onnx.export(net, (frame,), buffer, opset_version=17, dynamo=False, **names)
    return buffer.getvalue()


class Frames(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self) -> None:
        self.left = [make_bundles.scene(*SIZE, seed)[None] for seed in range(4)]

    def get_next(self) -> dict[str, np.ndarray] | None:
        return {"frame": self.left.pop()} if self.left else None


def int8_graph(data: bytes) -> bytes:
    """uint8 activations, int8 weights per channel, Conv outputs quantised too: the shape of the `cpu` form."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        source.write_bytes(data)
        kinds = {"activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8}
        operators = ["Conv", "Relu", "Concat"]
        quantize_static(source, target, Frames(), QuantFormat.QDQ, operators, per_channel=True, **kinds)
        return target.read_bytes()


def main() -> None:
    ort.set_default_logger_severity(4)
    fit = {"region": "frame", "mode": "pad"}
    out = make_bundles.Bundle(Path(sys.argv[1]), make_bundles.manifest("npnet-bench", SIZE, ["polyp"], fit))
    graph = float_graph()
    out.graph("float", "float", "fp32", graph, gate="parity")
    out.graph("int8-cpu", "cpu", "int8", int8_graph(graph), gate="parity")
    frame = make_bundles.scene(*SIZE, 0)
    out.golden("g0", frame, frame, max_diff=3)
    out.close()


if __name__ == "__main__":
    main()
