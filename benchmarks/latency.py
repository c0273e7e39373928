"""One frame's latency across runtimes and precisions, interleaved in one run.

    python benchmarks/latency.py RUN BUNDLE [--rounds 40] [--out benchmarks/results/FILE.md]

Each engine lives in its own process (thread pools that spin after a call would otherwise slow the next engine) and
is asked in turn; the others sleep. Medians over rounds; a round is the median of five calls after two warm ones.
Host-side buffers are as in use: a uint8 frame in, uint8 probability out, copied.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

CALLS, WARM = 5, 2
# ratio of two rows and the most it may be
LIMITS = (
    ("INT8 OpenVINO", "FP32 OpenVINO", 0.40),
    ("INT8 OpenVINO", "FP32 PyTorch channels-last", 0.33),
    ("INT8 OpenVINO", "INT8 ONNX Runtime", 0.75),
)


def loader(kind: str, run: str, bundle: str) -> Callable[[np.ndarray], object]:
    """Loads an engine in the child; frame uint8 [h, w, 3] → result."""
    from edgeseg.bundle import open_model

    if kind == "pytorch":
        import torch

        from edgeseg.train.load import load_run

        net = load_run(open_model(run))

        def eager(frame: np.ndarray) -> object:
            with torch.inference_mode():
                return net(torch.from_numpy(frame)[None]).numpy()

        return eager
    backend, precision = kind.split()
    model = open_model(bundle).load(backend, precision)
    return model.run


def child(kind: str, run: str, bundle: str, pipe: Connection) -> None:
    """Answers each frame with the median of ``CALLS`` calls in milliseconds."""
    call = loader(kind, run, bundle)
    pipe.send("ready")
    while (frame := pipe.recv()) is not None:
        times = []
        for index in range(CALLS + WARM):
            start = time.perf_counter()
            call(frame)
            if index >= WARM:
                times.append((time.perf_counter() - start) * 1e3)
        pipe.send(float(np.median(times)))


ROWS = {
    "FP32 PyTorch channels-last": "pytorch",
    "FP32 ONNX Runtime": "onnxruntime fp32",
    "FP32 OpenVINO": "openvino fp32",
    "BF16 OpenVINO": "openvino bf16",
    "INT8 ONNX Runtime": "onnxruntime int8",
    "INT8 OpenVINO": "openvino int8",
}


def main() -> None:
    """Prints medians and ratios; exits 1 where a ratio is over its limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("bundle")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    from edgeseg.bundle import open_bundle, require_manifest
    from edgeseg.machine import describe

    manifest = require_manifest(open_bundle(words.bundle))
    size = (manifest.frame.height, manifest.frame.width, 3)
    frame = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    context = multiprocessing.get_context("spawn")
    pipes, processes = {}, []
    for name, kind in ROWS.items():
        pipes[name], theirs = context.Pipe()
        processes.append(context.Process(target=child, args=(kind, words.run, words.bundle, theirs), daemon=True))
        processes[-1].start()
        pipes[name].recv()
    times: dict[str, list[float]] = {name: [] for name in ROWS}
    for _ in range(words.rounds):
        for name, pipe in pipes.items():
            time.sleep(0.01)
            pipe.send(frame)
            times[name].append(pipe.recv())
    for pipe in pipes.values():
        pipe.send(None)
    medians = {name: float(np.median(values)) for name, values in times.items()}
    operations = 2 * manifest.training.gmac
    lines = [
        f"# Latency of {manifest.name}, {size[1]}x{size[0]} (width x height)",
        "",
        f"`python benchmarks/latency.py RUN BUNDLE --rounds {words.rounds}` on {describe()}, interleaved",
        "",
        "| engine | median ms | best ms | GOP/s of convolutions at the median |",
        "|---|---|---|---|",
        *(
            f"| {name} | {value:.2f} | {min(times[name]):.2f} | {operations / value * 1e3:.0f} |"
            for name, value in medians.items()
        ),
        "",
        "| ratio | measured | at most |",
        "|---|---|---|",
    ]
    held = True
    for name, base, limit in LIMITS:
        ratio = float(np.median(np.array(times[name]) / np.array(times[base])))
        held &= ratio <= limit
        lines.append(f"| {name} / {base} | {ratio:.3f} | {limit:.2f} |")
    print("\n".join(lines))
    if words.out:
        from edgeseg.atomic import atomic_write

        atomic_write(words.out, "\n".join(lines) + "\n")
    raise SystemExit(0 if held else 1)


if __name__ == "__main__":
    main()
