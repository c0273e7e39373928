"""Networks on one NVIDIA card: PyTorch, ONNX Runtime where it has CUDA, TensorRT; with floors beside them.

    python benchmarks/gpu.py [--seconds 2] [--out benchmarks/results/gpu-CARD.md]

p50/p95/p99 in milliseconds. "GPU" is CUDA events around the work alone; "whole" is the host's clock from a uint8
frame in host memory to a uint8 probability in host memory. Floors: bytes of activations and weights over memory
bandwidth, and multiply-adds over peak arithmetic; both peaks are measured here with a copy and a matrix product.
What does not run is a row with its message. The file is written as the rows come: a lent machine may be gone before the
last of them.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgeseg import manifest as mf
from edgeseg.atomic import atomic_write
from edgeseg.backends.base import EngineOptions
from edgeseg.backends.engines import this_machine
from edgeseg.backends.tensorrt import TensorRtEngine
from edgeseg.bundle import open_bundle
from edgeseg.calibration import table
from edgeseg.errors import EdgesegError
from edgeseg.export import forms, frame_graph, variants
from edgeseg.export.tensorrt import Settings, build

Row = tuple[str, str, str, np.ndarray | str]
PRECISIONS = {"fp32": "float", "fp16": "fp16-trt-typed", "int8": "int8-trt-typed"}


def timed(call: Callable[[], float | None], seconds: float) -> np.ndarray:
    """Milliseconds of each call: what it returns, or the host's clock."""
    for _ in range(20):
        call()
    times, until = [], time.perf_counter() + seconds
    while time.perf_counter() < until or len(times) < 50:
        start = time.perf_counter()
        own = call()
        times.append(own if own is not None else (time.perf_counter() - start) * 1e3)
    return np.asarray(times)


def networks() -> dict[str, tuple[Any, mf.Manifest, bytes]]:
    """FrameNet with random weights (speed does not depend on them), manifest and float graph of each network."""
    import torch

    from edgeseg.nets.dnlnet import DNLNet
    from edgeseg.nets.frame import FrameNet
    from edgeseg.nets.npnet import NPNet

    head = open_bundle("npnet-polyp").manifest
    if head is None:
        raise SystemExit("the zoo's bundle has no manifest")
    fit = mf.Fit(region="frame", mode="pad")
    head = head.model_copy(update={"frame": head.frame.model_copy(update={"fit": fit})})
    out = {}
    for name, kind in (("NPNet", NPNet), ("DNL-Net", DNLNet)):
        torch.manual_seed(0)
        net = FrameNet(kind(), (0.5,) * 3, (0.25,) * 3).eval()
        out[name] = net, head, frame_graph.export(net, head)
    return out


def pytorch(net: Any, frames: np.ndarray, seconds: float) -> list[Row]:
    """Eager and compiled, FP32 and FP16 (autocast), channels-last."""
    import torch

    rows: list[Row] = []
    batch = len(frames)
    for precision in ("fp32", "fp16"):
        for how in ("eager", "torch.compile"):
            label = f"PyTorch {how}, channels-last"
            try:
                model = net.cuda().to(memory_format=torch.channels_last)
                cast = torch.autocast("cuda", torch.float16, enabled=precision == "fp16")
                run = torch.compile(model, mode="max-autotune") if how != "eager" else model
                host = torch.from_numpy(frames).pin_memory()
                device = host.cuda()
                start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

                def whole(run: Any = run, cast: Any = cast, host: Any = host) -> None:
                    with torch.inference_mode(), cast:
                        run(host.cuda(non_blocking=True)).cpu()

                def alone(run: Any = run, cast: Any = cast, x: Any = device, start: Any = start,
                          end: Any = end) -> float:  # fmt: skip
                    with torch.inference_mode(), cast:
                        start.record()
                        run(x)
                        end.record()
                    end.synchronize()
                    return float(start.elapsed_time(end))

                rows.append((label, precision, f"batch {batch}, whole", timed(whole, seconds)))
                rows.append((label, precision, f"batch {batch}, GPU", timed(alone, seconds)))
            except Exception as error:  # noqa: BLE001 - a row says what went wrong
                rows.append((label, precision, f"batch {batch}", first_line(error)))
    return rows


def onnxruntime(graphs: dict[str, bytes], frames: np.ndarray, seconds: float) -> list[Row]:
    """The CUDA provider, where this onnxruntime has it."""
    import onnxruntime as ort

    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return [("ONNX Runtime CUDA", "", "", "not in this build of onnxruntime")]
    rows: list[Row] = []
    for precision, graph in graphs.items():
        label = f"batch {len(frames)}, whole"
        try:
            session = ort.InferenceSession(graph, providers=["CUDAExecutionProvider"],
                                           disabled_optimizers=["WeightBiasQuantization"])  # fmt: skip

            def whole(session: Any = session) -> None:
                session.run(None, {"frame": frames})

            rows.append(("ONNX Runtime CUDA", precision, label, timed(whole, seconds)))
        except Exception as error:  # noqa: BLE001
            rows.append(("ONNX Runtime CUDA", precision, label, first_line(error)))
    return rows


def tensorrt(graphs: dict[str, bytes], frames: np.ndarray, machine: Any, seconds: float) -> list[Row]:
    """Every installed TensorRT, with and without copies and CUDA graph."""
    rows: list[Row] = []
    batch, shape = len(frames), frames.shape
    for library in machine.libraries:
        for precision, graph in graphs.items():
            cards: tuple[str, ...] = (machine.card.capability,)
            shapes = (shape,) * 3
            settings = Settings(precision, True, precision, shapes, cards, workspace_mib=4096)  # noqa: FBT003
            try:
                try:
                    plan = build(graph, library, settings, card=machine.card.name).plan
                except EdgesegError:  # a card the library does not list: whether it runs all the same
                    plan = build(
                        graph, library, Settings(precision, typed=True, precision=precision, shapes=(shape,) * 3)
                    ).plan
            except EdgesegError as error:
                rows.append((library.title, precision, f"batch {batch}", first_line(error)))
                continue
            for graphed in (False, True):
                way = ", CUDA graph" if graphed else ""
                try:
                    with TensorRtEngine(plan, EngineOptions(cuda_graph=graphed), library) as engine:
                        whole = timed(lambda engine=engine: engine.run(frames) is None or None, seconds)
                        copies = timed(lambda engine=engine: engine.gpu_ms(frames, copies=True), seconds)
                        rows.append((library.title, precision, f"batch {batch}, whole{way}", whole))
                        rows.append((library.title, precision, f"batch {batch}, GPU with copies{way}", copies))
                        if not graphed:
                            alone = timed(lambda engine=engine: engine.gpu_ms(frames, copies=False), seconds)
                            rows.append((library.title, precision, f"batch {batch}, GPU", alone))
                except EdgesegError as error:
                    rows.append((library.title, precision, f"batch {batch}{way}", first_line(error)))
    return rows


def peaks() -> tuple[float, float]:
    """Memory bandwidth in GB/s by a device copy, FP16 arithmetic in TFLOP/s by a matrix product."""
    import torch

    def fastest(call: Callable[[], object]) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        best = 1e9
        for _ in range(20):
            start.record()
            call()
            end.record()
            end.synchronize()
            best = min(best, float(start.elapsed_time(end)))
        return best / 1e3

    a = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    b = torch.empty_like(a)
    x = torch.randn(8192, 8192, dtype=torch.float16, device="cuda")
    return 2 * a.numel() / fastest(lambda: b.copy_(a)) / 1e9, 2 * 8192**3 / fastest(lambda: x @ x) / 1e12


def work(graph: bytes) -> tuple[float, float]:
    """Multiply-adds of convolutions, and bytes of weights and of every convolution's input and output in FP16."""
    import onnx

    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(graph))
    sizes = {
        one.name: int(np.prod([axis.dim_value or 1 for axis in one.type.tensor_type.shape.dim]))
        for one in (*model.graph.value_info, *model.graph.input, *model.graph.output)
    }
    weights = {one.name: list(one.dims) for one in model.graph.initializer}
    macs, moved = 0.0, 0.0
    for node in model.graph.node:
        if node.op_type == "Conv":
            kernel = weights[node.input[1]]
            macs += sizes[node.output[0]] * float(np.prod(kernel[1:]))
            moved += 2 * (sizes[node.input[0]] + sizes[node.output[0]] + float(np.prod(kernel)))
    return macs, moved


def first_line(error: BaseException) -> str:
    """A message that fits a cell."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def main() -> None:
    """The file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    machine = this_machine(0)
    file = f"gpu-{re.sub(r'[^a-z0-9]+', '-', machine.card.name.lower())}.md"
    out = given.out or Path(__file__).parent / "results" / file
    bandwidth, arithmetic = peaks()
    lines = [
        f"# {machine.card.name}", "", f"`python benchmarks/gpu.py`; {machine}.", "",
        f"Measured peaks: {bandwidth:.0f} GB/s copying, {arithmetic:.0f} TFLOP/s in an FP16 matrix product.", "",
    ]  # fmt: skip

    def add(rows: list[Row]) -> None:
        lines.extend(map(cells, rows))
        atomic_write(out, "\n".join(lines) + "\n")

    source = open_bundle("npnet-polyp")
    ranges = table.parse((source.path / "calibration.json").read_bytes(), "calibration.json")
    trained = (source.path / "graphs" / "float.onnx").read_bytes()
    for name, (net, head, random) in networks().items():
        # INT8 needs a table: the zoo's NPNet has one, DNL-Net is timed in float.
        graph = trained if name == "NPNet" else random
        emitted = {p: f for p, f in PRECISIONS.items() if p != "int8" or name == "NPNet"}
        graphs = {p: graph if f == "float" else forms.emit(f, graph, ranges).data for p, f in emitted.items()}
        macs, moved = work(graph)
        lines += [
            f"## {name}, {head.frame.height}x{head.frame.width}", "",
            (f"Floors a frame in FP16: {moved / bandwidth / 1e6:.4f} ms by memory ({moved / 1e6:.1f} MB), "
            f"{2 * macs / arithmetic / 1e9:.4f} ms by arithmetic ({macs / 1e9:.2f} GMAC)."), "",
            "| runtime | precision | what | p50 | p95 | p99 |", "|---|---|---|---|---|---|",
        ]  # fmt: skip
        rng = np.random.default_rng(0)
        for batch in (1, 8):
            frames = rng.integers(0, 256, (batch, head.frame.height, head.frame.width, 3), np.uint8)
            batched = graphs if batch == 1 else {p: variants.with_batch(g, batch) for p, g in graphs.items()}
            add(pytorch(net, frames, given.seconds))
            add(onnxruntime(batched, frames, given.seconds))
            add(tensorrt(batched, frames, machine, given.seconds))
        if name == "NPNet":
            frames = rng.integers(0, 256, (1, 1080, 1920, 3), np.uint8)
            large = {p: variants.with_camera(g, head, 1080, 1920) for p, g in graphs.items()}
            rows = tensorrt(large, frames, machine, given.seconds)
            add([(a, b, f"1080p in the engine, {c}", d) for a, b, c, d in rows])
        lines.append("")
    atomic_write(out, "\n".join(lines))
    print("\n".join(lines))


def cells(row: Row) -> str:
    """A row as Markdown."""
    label, precision, what, times = row
    if isinstance(times, str):
        return f"| {label} | {precision} | {what} | {times} | | |"
    return (
        f"| {label} | {precision} | {what} | "
        + " | ".join(f"{np.percentile(times, p):.4f}" for p in (50, 95, 99))
        + " |"
    )


if __name__ == "__main__":
    main()
