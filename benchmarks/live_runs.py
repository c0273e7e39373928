"""Parts of benchmarks.live that run whole processes: clean stops, soak, several streams, batches, capture faults."""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import lab
import numpy as np

from edgeseg.backends import int8_form
from edgeseg.bundle import open_model
from edgeseg.data.phantom import PHANTOMS
from edgeseg.stream.live.pipeline import LiveRun, Policy
from edgeseg.stream.sinks.events import EventsFile, EventsLog
from edgeseg.stream.sources.base import SourceOptions

Figures = dict[str, Any]
Spread = Callable[[list[float]], Figures]


def capture_faults(trials: int, spread: Spread) -> Figures:
    """Seconds without a frame when the capture process is killed, or stopped so that it hangs."""
    out: Figures = {}
    camera = lab.Camera()
    for name, number in (("capture killed: gap", signal.SIGKILL), ("capture hung: replaced after", signal.SIGSTOP)):
        took = []
        for first in range(0, trials, 5):  # a new watcher before its budget of restarts is spent
            watcher = lab.Watcher(camera.url)
            try:
                for _ in range(min(5, trials - first)):
                    watcher.fresh(60)
                    end = time.monotonic() + 1.5
                    while time.monotonic() < end:
                        watcher.step()
                    began = watcher.frames[-1][0]
                    os.kill(watcher.capture._process.pid, number)  # noqa: SLF001 - a benchmark may look inside
                    watcher.fresh(60)
                    took.append(watcher.frames[-1][0] - began)
            finally:
                watcher.close()
        out[name] = spread(took)
    camera.kill()
    return out


def stop(options: argparse.Namespace, spread: Spread) -> Figures:
    """Ends runs at random moments, from their first second on, with and without a source that stalls."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit that it is ignored
    camera = lab.Camera()
    took, codes, whole = [], [], 0
    try:
        for trial in range(options.trials):
            number = random.choice([signal.SIGINT, signal.SIGTERM])  # noqa: S311
            with tempfile.TemporaryDirectory() as folder:
                words = ["--stream", camera.url, "--model", options.model, "--out", f"{folder}/o.mp4", "--quiet"]
                call = [sys.executable, "-m", "edgeseg.cli", "infer", *words, "--events", f"{folder}/e.jsonl"]
                with subprocess.Popen(call, stderr=subprocess.PIPE) as process:
                    events = Path(folder, "e.jsonl")
                    while not events.exists():
                        time.sleep(0.005)
                    time.sleep(random.random() * 3)  # noqa: S311
                    if trial % 3 == 2:
                        camera.stop()
                        time.sleep(0.8)
                    process.send_signal(number)
                    began = time.monotonic()
                    process.wait(60)
                    took.append(time.monotonic() - began)
                    camera.go_on()
                codes.append(process.returncode == 128 + number)
                whole += events.read_text().splitlines()[-1].startswith('{"type": "end"')
            print(f"{trial + 1}/{options.trials} {took[-1]:.2f} s", end="\r", flush=True)
    finally:
        camera.kill()
    return {"seconds": spread(took), "within 2 s": sum(one <= 2 for one in took)} | {
        "right exit code": sum(codes),
        "events finished": whole,
    }


def _usage() -> tuple[float, int, int]:
    """MiB of this process and its capture processes (not the camera's), threads, open files of this process."""
    pages = 0
    children = [os.getpid()]
    for task in Path("/proc/self/task").iterdir():
        children += [int(one) for one in (task / "children").read_text().split()]
    for pid in set(children):
        try:
            if pid != os.getpid() and b"edgeseg.stream" not in Path(f"/proc/{pid}/cmdline").read_bytes():
                continue
            pages += int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
    return pages * 4096 / 2**20, threading.active_count(), len(os.listdir("/proc/self/fd"))  # noqa: PTH208


_RELAY = """
import sys
sys.path.insert(0, sys.argv[1])
import lab
network = lab.Network(int(sys.argv[2]))
print(network.port, flush=True)
for line in sys.stdin:
    if line == "reset\\n":
        network.reset()
    else:
        network.mode = line.strip()
"""


class Relay:
    """A network of the lab in a process of its own, so that its threads and buffers are not measured as ours."""

    def __init__(self, port: int) -> None:
        call = [sys.executable, "-c", _RELAY, str(Path(lab.__file__).parent), str(port)]
        self._process = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self.url = f"rtsp://127.0.0.1:{int(self._process.stdout.readline())}/cam"

    def do(self, what: str) -> None:
        """A mode, or "reset"."""
        assert self._process.stdin is not None  # noqa: S101 - it is a pipe
        self._process.stdin.write(f"{what}\n")
        self._process.stdin.flush()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def soak(options: argparse.Namespace) -> Figures:
    """One run in this process; each minute another fault, for 5 s. Samples every 5 s, faults over."""
    camera = lab.Camera()
    network = Relay(camera.port)
    samples: list[tuple[float, float, int, int]] = []
    over = threading.Event()
    states: set[str] = set()

    def faults() -> None:
        numbers = [("gap on", "gap off"), ("freeze on", "freeze off"), ("pic black", "pic ball")]
        numbers += [("corrupt 0.3", "corrupt 0"), ("size 640x480", "size 320x240")]
        minute = 0
        while not over.wait(min(60.0, options.minutes * 60 / 8)):
            kind = minute % (len(numbers) + 4)
            if kind < len(numbers):
                camera.do(numbers[kind][0])
                if over.wait(5):
                    return
                camera.do(numbers[kind][1])
            elif kind == len(numbers):
                camera.kill()
                over.wait(3)
                camera.start()
            elif kind == len(numbers) + 1:
                camera.stop()
                over.wait(5)
                camera.go_on()
            elif kind == len(numbers) + 2:
                network.do("hole")
                over.wait(5)
                network.do("on")
            else:
                network.do("reset")
            minute += 1

    def sample() -> None:
        began = time.monotonic()
        while not over.wait(5):
            samples.append((time.monotonic() - began, *_usage()))

    for job in (faults, sample):
        threading.Thread(target=job, daemon=True).start()
    try:
        with tempfile.TemporaryDirectory() as folder, open_model(options.model).load(threads=1) as model:
            events = EventsFile(EventsLog(Path(folder, "e.jsonl"), live=True), "soak")
            run = LiveRun(
                model,
                model.again,
                Policy(duration=options.minutes * 60),
                on_status=lambda status: states.add(status.state),
                log=print,
            )
            (summary,) = run.run([network.url], SourceOptions(), [[events]])
    finally:
        over.set()
        network.close()
        if camera.process.poll() is None:
            camera.kill()
    half = samples[len(samples) // 2 :]
    hours = np.array([one[0] for one in half]) / 3600
    slope = float(np.polyfit(hours, [one[1] for one in half], 1)[0]) if len(half) > 2 else 0.0
    return {
        "minutes": options.minutes,
        "frames": summary.frames,
        "states met": ", ".join(sorted(states)),
        "MiB, median of each tenth": ", ".join(
            f"{np.median(part[:, 1]):.1f}" for part in np.array_split(np.array(samples), 10) if len(part)
        ),
        "MiB per hour in the last half": round(slope, 2),
        "threads": f"{min(one[2] for one in half)} to {max(one[2] for one in half)}" if half else "-",
        "open files": f"{min(one[3] for one in half)} to {max(one[3] for one in half)}" if half else "-",
        "connections": summary.connections,
        "restarts": summary.restarts,
        "glass to mask p50/p95/p99 ms": _percentiles(summary.stages["glass_to_mask"]),
    }


def _percentiles(latency: Any) -> str:
    return f"{latency.p50:.1f} / {latency.p95:.1f} / {latency.p99:.1f}"


def clip_720p(folder: Path, seconds: float) -> Path:
    """A colonoscopy phantom at 1280x720, 25 fps, 4 Mbit/s: some frames there and back again."""
    file = folder / "720p.mp4"
    images = [PHANTOMS["colonoscopy"](24, 1280, 720, 3)[index].image for index in range(24)]
    with av.open(str(file), "w") as video:
        stream = video.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        stream.options = {"preset": "veryfast", "tune": "zerolatency", "g": "25", "b": "4000000"}
        for index in range(int(seconds * 25)):
            place = index % 46
            image = images[min(place, 46 - place)]
            video.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        video.mux(stream.encode(None))
    return file


def throughput(options: argparse.Namespace) -> Figures:
    """1 to --streams streams from cameras that send a finished file, which takes next to nothing of the cores."""
    out: Figures = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        clip = clip_720p(folder, options.seconds + 15)
        for count in range(1, options.streams + 1):
            cameras = [lab.Camera("--file", str(clip)) for _ in range(count)]
            try:
                words = [word for camera in cameras for word in ("--stream", camera.url)]
                call = [sys.executable, "-m", "edgeseg.cli", "infer", *words, "--model", options.model, "--quiet"]
                before = os.times()
                said = folder / "s.json"
                subprocess.run([*call, "--duration", str(options.seconds), "--json", str(said)], check=True)
                after = os.times()
                served = sum(_cpu(camera.process.pid) for camera in cameras)
            finally:
                for camera in cameras:
                    camera.kill()
            summary = json.loads(said.read_text())
            streams = summary.get("streams", [summary])
            cpu = after.children_user + after.children_system - before.children_user - before.children_system
            stages = {
                name: round(float(np.mean([one["stages"][name]["p50"] for one in streams])), 2)
                for name in streams[0]["stages"]
            }
            out[f"{count} streams"] = {
                "fps each": ", ".join(f"{one['fps']:.1f}" for one in streams),
                "glass to mask p95 ms": max(one["stages"]["glass_to_mask"]["p95"] for one in streams),
                "dropped": sum(one["dropped"] for one in streams),
                "cores used by edgeseg": round(cpu / options.seconds, 2),
                "by the cameras": round(served / options.seconds, 2),
                "p50 ms of stages": stages,
            }
            print(count, out[f"{count} streams"])
    return out


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def batch(options: argparse.Namespace) -> Figures:
    """The INT8 graph with 1, 2 and 4 frames a call on all cores, against one frame on each core."""
    import openvino as ov

    source = open_model(options.model)
    assert source.manifest is not None  # noqa: S101 - a bundle has one
    graph = next(one for one in source.manifest.graphs if one.name == int8_form())
    core, model = ov.Core(), None
    rng = np.random.default_rng(0)
    out: Figures = {}
    for size in (1, 2, 4):
        model = core.read_model(model=source.read(graph.file, graph.sha256, graph.size))
        try:
            model.reshape([size, *graph.input[1:]])
            compiled = core.compile_model(
                model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1}
            )
        except RuntimeError as error:
            out[f"batch {size}"] = f"refused: {str(error).splitlines()[0][:80]}"
            continue
        frames = rng.integers(0, 256, (size, *graph.input[1:]), dtype=np.uint8)
        out[f"batch {size}, all cores"] = round(_time(lambda c=compiled, f=frames: c(f)) / size, 2)  # type: ignore[misc]
    cores = len(os.sched_getaffinity(0))
    with source.load("openvino", "int8", streams=cores) as loaded:
        one = rng.integers(0, 256, tuple(graph.input[1:]), dtype=np.uint8)

        def many() -> None:
            threads = [threading.Thread(target=lambda: [loaded.run(one) for _ in range(10)]) for _ in range(cores)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        out[f"one frame on each of {cores} cores"] = round(_time(many, 12) / (10 * cores), 2)
    return out


def _time(call: Callable[[], object], rounds: int = 60) -> float:
    """Median milliseconds of a call."""
    took = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        took.append((time.perf_counter() - start) * 1e3)
    return float(np.median(took[rounds // 4 :]))
