"""Where a graph's time goes in OpenVINO: its own counters per layer, medians of 15 runs.

python benchmarks/layers.py GRAPH.onnx
"""

from __future__ import annotations

import sys

import numpy as np
import openvino as ov


def main() -> None:
    """Prints layers above 0.02 ms, convolutions together, and the total."""
    core = ov.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "PERF_COUNT": True}
    request = core.compile_model(core.read_model(sys.argv[1]), "CPU", settings).create_infer_request()
    frame = np.random.default_rng(0).integers(0, 256, request.get_input_tensor(0).shape, np.uint8)
    seen: dict[tuple[str, str, str], list[float]] = {}
    for run in range(20):
        request.infer({0: frame})
        for layer in request.get_profiling_info() if run >= 5 else []:
            key = (layer.node_type, layer.exec_type, layer.node_name)
            seen.setdefault(key, []).append(layer.real_time.total_seconds() * 1e3)
    medians = {key: float(np.median(times)) for key, times in seen.items()}
    for (kind, kernel, name), value in medians.items():
        if value > 0.02:
            print(f"{value:7.3f} ms  {kind:16s} {kernel:26s} {name}")
    convolutions = sum(value for key, value in medians.items() if key[0] == "Convolution")
    print(f"{convolutions:7.3f} ms  convolutions\n{sum(medians.values()):7.3f} ms  in all")


if __name__ == "__main__":
    main()
