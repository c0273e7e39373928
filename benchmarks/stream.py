"""Throughput of `edgeseg infer` on a 1080p H.264 file against a plain loop and against what the CPU allows.

    python -m benchmarks.stream [--model BUNDLE] [--precision auto] [--frames 200] [--repeats 5]

Interleaved in one process: (a) cv2.VideoCapture + the PyTorch network, frame by frame; (b) edgeseg's pipeline
without outputs; (c) the CPU time of decode, fit and inference, each alone. The bound is cores / (sum of the CPU times).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import torch

from benchmarks.clips import make_clip
from edgeseg.bundle import open_model
from edgeseg.machine import cpus, describe
from edgeseg.model import Model
from edgeseg.nets import build
from edgeseg.stream.pipeline import run
from edgeseg.stream.sources.video import VideoFile


def plain_loop(
    clip: Path, frames: int, net: torch.nn.Module, height: int, width: int, layout: torch.memory_format
) -> float:
    """Frames per second of what one writes in ten lines."""
    net = net.to(memory_format=layout)
    capture = cv2.VideoCapture(str(clip))
    start = time.perf_counter()
    with torch.inference_mode():
        for _ in range(frames):
            ok, frame = capture.read()
            if not ok:
                raise SystemExit("the clip is shorter than --frames")
            small = cv2.cvtColor(cv2.resize(frame, (width, height)), cv2.COLOR_BGR2RGB)
            x = torch.from_numpy(small).permute(2, 0, 1)[None].float().div(255).sub(0.5).div(0.25)
            mask = torch.sigmoid(net(x.contiguous(memory_format=layout)))[0, 0].numpy() > 0.5
            mask.any()
    return frames / (time.perf_counter() - start)


def pipeline(clip: Path, frames: int, model: Model) -> float:
    """Frames per second of edgeseg without outputs."""
    return run(model, str(clip), frames=frames, streams=cpus()).fps


def cpu_per_call(call: Callable[[], object], calls: int) -> float:
    """CPU milliseconds of all threads per call."""
    call()
    start = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - start) / calls * 1e3


def decode_cpu(clip: Path, frames: int) -> float:
    """CPU milliseconds of decoding and converting a frame."""
    start = time.process_time()
    source = VideoFile(clip)
    for count, _ in enumerate(source, 1):
        if count == frames:
            break
    source.close()
    return (time.process_time() - start) / frames * 1e3


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="npnet-polyp")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--frames", type=int, default=180)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    cores = cpus()
    torch.set_num_threads(cores)
    clip = make_clip(Path(tempfile.gettempdir()) / "edgeseg-1080p.mp4", 1920, 1080, max(300, arguments.frames))
    source = open_model(arguments.model)
    net = build(source.spec.task.network).eval()
    rows: dict[str, list[float]] = {
        name: [] for name in ("plain", "plain nhwc", "edgeseg", "bound", "decode", "fit", "infer")
    }
    with source.load(precision=arguments.precision, streams=cores) as model:
        frame = next(iter(VideoFile(clip))).image
        placement = model.place(frame)
        fitted = model.fit(frame, placement)
        for _ in range(arguments.repeats):
            size = (source.spec.frame.height, source.spec.frame.width)
            rows["plain"].append(plain_loop(clip, arguments.frames // 3, net, *size, torch.contiguous_format))
            rows["plain nhwc"].append(plain_loop(clip, arguments.frames // 3, net, *size, torch.channels_last))
            rows["edgeseg"].append(pipeline(clip, arguments.frames, model))
            rows["decode"].append(decode_cpu(clip, arguments.frames // 2))
            rows["fit"].append(cpu_per_call(lambda: model.fit(frame, placement), 50))
            rows["infer"].append(cpu_per_call(lambda: model.run(fitted), 30))
            total = rows["decode"][-1] + rows["fit"][-1] + rows["infer"][-1]
            rows["bound"].append(cores * 1e3 / total)
        print(f"{describe()}; {model.engine}")
    median = {name: statistics.median(values) for name, values in rows.items()}
    print(f"CPU ms per frame: decode {median['decode']:.2f}, fit {median['fit']:.2f}, infer {median['infer']:.2f}")
    labels = {"plain": "cv2 + PyTorch loop", "plain nhwc": "the same, channels last", "edgeseg": "edgeseg infer"}
    for name, label in (labels | {"bound": "CPU bound"}).items():
        print(f"{label:24} {median[name]:7.1f} fps  ({min(rows[name]):.1f} to {max(rows[name]):.1f})")
    ratio = [a / b for a, b in zip(rows["edgeseg"], rows["bound"], strict=True)]
    print(f"of the bound: {statistics.median(ratio):.2f}")
    for name in ("plain", "plain nhwc"):
        ratio = [a / b for a, b in zip(rows["edgeseg"], rows[name], strict=True)]
        print(f"times {labels[name]}: {statistics.median(ratio):.2f}")


if __name__ == "__main__":
    main()
