"""Where an INT8 graph's time goes in OpenVINO, and how far its convolutions are from what this machine can do.

    python -m benchmarks.layers GRAPH.onnx --gmac 2.161 [--threads 1] [--out FILE.md]

OpenVINO's own counters per layer, medians; in turn with them one large INT8 convolution, whose rate is the
machine's measured peak.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import onnx
import openvino as ov
from onnx import TensorProto, helper

from edgeseg import atomic, machine

# Of the peak's convolution: 3 x 3, as many channels as fill the vector units, a map that stays in the second cache.
CHANNELS, SIDE = 256, 48
PEAK_GMAC = 9 * CHANNELS * CHANNELS * SIDE * SIDE / 1e9


def peak_graph() -> bytes:
    """uint8 in, one int8 convolution, uint8 out, in the form that our CPU emitter writes."""
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (CHANNELS, CHANNELS, 3, 3), np.int8)

    def scalar(name: str, value: float) -> onnx.TensorProto:
        return helper.make_tensor(name, TensorProto.FLOAT, [], [value])

    zero = helper.make_tensor("zero", TensorProto.UINT8, [], [128])
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "fine", "zero"], ["xf"]),
        helper.make_node("DequantizeLinear", ["w", "small"], ["wf"]),
        helper.make_node("Conv", ["xf", "wf"], ["yf"], pads=[1, 1, 1, 1]),
        helper.make_node("QuantizeLinear", ["yf", "coarse", "zero"], ["y"]),
    ]
    shape = [1, CHANNELS, SIDE, SIDE]
    graph = helper.make_graph(
        nodes,
        "peak",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, shape)],
        [helper.make_tensor_value_info("y", TensorProto.UINT8, shape)],
        [
            helper.make_tensor("w", TensorProto.INT8, weights.shape, weights.tobytes(), raw=True),
            *(scalar("fine", 0.02), scalar("small", 0.001), scalar("coarse", 0.5), zero),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString()


def request(graph: bytes, threads: int) -> ov.InferRequest:
    """Compiled for latency, with counters."""
    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "PERF_COUNT": True}
    core = ov.Core()
    model = core.read_model(graph, b"")
    return core.compile_model(model, "CPU", settings | {"INFERENCE_NUM_THREADS": threads}).create_infer_request()


def rows(asked: ov.InferRequest, frame: np.ndarray, seen: dict[tuple[str, str, str], list[float]]) -> None:
    """Runs once and adds every layer's milliseconds to ``seen``."""
    asked.infer({0: frame})
    for layer in asked.get_profiling_info():
        key = (layer.node_type, layer.exec_type, layer.node_name)
        seen.setdefault(key, []).append(layer.real_time.total_seconds() * 1e3)


def main() -> None:
    """Prints and writes the layers above 0.02 ms, the totals, and the rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("graph", type=Path)
    parser.add_argument("--gmac", type=float, required=True, help="of its convolutions, as `edgeseg nets` says")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    graph, peak = request(asked.graph.read_bytes(), asked.threads), request(peak_graph(), asked.threads)
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, graph.get_input_tensor(0).shape, np.uint8)
    block = rng.integers(0, 256, peak.get_input_tensor(0).shape, np.uint8)
    ours: dict[tuple[str, str, str], list[float]] = {}
    best: dict[tuple[str, str, str], list[float]] = {}
    for turn in range(asked.rounds + 5):
        if turn == 5:  # the first runs warm the caches up
            ours, best = {}, {}
        rows(graph, frame, ours)
        rows(peak, block, best)
    times = {key: float(np.median(values)) for key, values in ours.items()}
    convolutions = sum(value for key, value in times.items() if key[0] == "Convolution")
    total = sum(times.values())
    rate = 2 * asked.gmac / convolutions * 1e3
    top = 2 * PEAK_GMAC / sum(float(np.median(v)) for k, v in best.items() if k[0] == "Convolution") * 1e3
    lines = [
        f"# Layers of {asked.graph.name} in OpenVINO",
        "",
        f"`python -m benchmarks.layers {asked.graph} --gmac {asked.gmac:g} --threads {asked.threads}`",
        f"Medians of {asked.rounds}, {machine.describe()}, of which {asked.threads} used.",
        "",
        f"- convolutions {convolutions:.2f} ms of {total:.2f} ms in all ({100 * convolutions / total:.0f} %)",
        f"- {rate:.0f} GOP/s in convolutions, {100 * rate / top:.0f} % of the machine's measured INT8 peak",
        f"  ({top:.0f} GOP/s: one {CHANNELS}-channel 3x3 convolution, in turn with them)",
        "",
        "| ms | layer | kernel | name |",
        "|---|---|---|---|",
        *(f"| {ms:.3f} | {kind} | {kernel} | {name} |" for (kind, kernel, name), ms in times.items() if ms > 0.02),
    ]
    text = "\n".join(lines) + "\n"
    print(text, end="")
    if asked.out:
        atomic.atomic_write(asked.out, text)


if __name__ == "__main__":
    main()
