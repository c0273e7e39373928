"""Live streams: how soon a fault is said, how soon it is over, latency, clean stops, soak, several streams.

    python -m benchmarks.live detect    [--trials 10]
    python -m benchmarks.live recovery  [--trials 30]   # of each of six faults, and of a killed and a stopped capture
    python -m benchmarks.live latency   [--seconds 20]
    python -m benchmarks.live stop      [--trials 100]
    python -m benchmarks.live soak      [--minutes 30]  # a fault each minute
    python -m benchmarks.live throughput [--streams 4] [--seconds 30]
    python -m benchmarks.live batch

Each writes its part of benchmarks/results/live-DATE.json and the tables of live-DATE.md beside it (--out elsewhere).
The camera is the tests' own (tests/stream/live/rtsp_camera.py): its frames carry the time they were made at, so that
ages are read from pixels. It runs on this machine too and takes its share of the cores.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests" / "stream" / "live"))

import lab  # noqa: E402

from benchmarks import live_runs  # noqa: E402
from edgeseg.machine import describe  # noqa: E402

Figures = dict[str, Any]


def spread(values: list[float]) -> Figures:
    """Median, 95th percentile and maximum of seconds."""
    if not values:
        return {"n": 0}
    p50, p95 = np.percentile(values, [50, 95])
    return {"n": len(values), "p50": round(float(p50), 3), "p95": round(float(p95), 3), "max": round(max(values), 3)}


def run_for(watcher: lab.Watcher, seconds: float) -> None:
    """Lets it watch."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watcher.step()


def detect(options: argparse.Namespace) -> Figures:
    """Seconds from a fault to its state."""
    faults = (
        ("gap on", "gap off", "STALE"),
        ("freeze on", "freeze off", "FROZEN"),
        ("pic black", "pic ball", "NO_SIGNAL"),
        ("pic white", "pic ball", "NO_SIGNAL"),
        ("pic noise", "pic ball", "NO_SIGNAL"),
    )
    out: Figures = {}
    camera = lab.Camera()
    watcher = lab.Watcher(camera.url)
    try:
        for begin, end, state in faults:
            took = []
            for _ in range(options.trials):
                watcher.fresh()
                run_for(watcher, 1 + random.random())  # noqa: S311
                camera.do(begin)
                took.append(watcher.wait_state(state))
                camera.do(end)
            out[f"{begin} -> {state}"] = spread(took)
    finally:
        watcher.close()
        camera.kill()
    return out


class Rig:
    """A camera behind a network, watched; every frame that is shown as live has its age read from its pixels."""

    def __init__(self) -> None:
        self.camera = lab.Camera()
        self.network = lab.Network(self.camera.port)
        self.watcher = lab.Watcher(self.network.url)
        self.shown = self.lies = 0
        self._seen = -1
        self._step = self.watcher.step
        self.watcher.step = self.step  # type: ignore[method-assign]

    def step(self) -> None:
        self._step()
        if not self.watcher.frames or self.watcher.frames[-1][1].sequence == self._seen:
            return
        _, frame, state = self.watcher.frames[-1]
        self._seen = frame.sequence
        age = lab.age_ms(frame.image)
        if state == "LIVE" and age is not None:
            self.shown += 1
            self.lies += age > 500

    def close(self) -> None:
        self.watcher.close()
        self.network.close()
        if self.camera.process.poll() is None:
            self.camera.kill()


def _killed(rig: Rig) -> Callable[[], None]:
    rig.camera.kill()
    return rig.camera.start


def _stopped(rig: Rig) -> Callable[[], None]:
    rig.camera.stop()
    return rig.camera.go_on


def _silent(rig: Rig) -> Callable[[], None]:
    rig.camera.do("gap on")
    return lambda: rig.camera.do("gap off")


def _mode(mode: str) -> Callable[[Rig], Callable[[], None]]:
    def begin(rig: Rig) -> Callable[[], None]:
        rig.network.mode = mode
        if mode == "refuse":
            rig.network.reset()
        return lambda: setattr(rig.network, "mode", "on")

    return begin


def _reset(rig: Rig) -> Callable[[], None]:
    rig.network.reset()
    return lambda: None


FAULTS: dict[str, Callable[[Rig], Callable[[], None]]] = {
    "server killed and started": _killed,
    "server stopped (SIGSTOP)": _stopped,
    "silent encoder (no RTP)": _silent,
    "cable out (bytes vanish)": _mode("hole"),
    "reset, then refused": _mode("refuse"),
    "one reset": _reset,
}


def recovery(options: argparse.Namespace) -> Figures:
    """Seconds from the return of the source to a frame that was made after it and is shown as live."""
    out: Figures = {}
    shown = lies = 0
    for name, begin in FAULTS.items():
        took = []
        rig = Rig()
        try:
            for trial in range(options.trials):
                rig.watcher.fresh(60)
                run_for(rig.watcher, 0.5 + random.random())  # noqa: S311
                end = begin(rig)
                run_for(rig.watcher, 0.0 if begin is _reset else 1 + 3 * random.random())  # noqa: S311
                end()
                took.append(rig.watcher.fresh(60))
                print(f"{name}: {trial + 1}/{options.trials} {took[-1]:.2f} s", end="\r", flush=True)
        finally:
            shown, lies = shown + rig.shown, lies + rig.lies
            rig.close()
        out[name] = spread(took)
        print(f"{name}: {out[name]}")
    out |= live_runs.capture_faults(options.trials, spread)
    return out | {"frames shown as live": shown, "of them older than 500 ms": lies}


def latency(options: argparse.Namespace) -> Figures:
    """Milliseconds from the camera's drawing a frame to its being there in BGR, read from pixels."""
    out: Figures = {}
    for words in ((), ("--size", "1280x720"), ("--codec", "mjpeg")):
        camera = lab.Camera(*words)
        watcher = lab.Watcher(camera.url)
        ages: list[float] = []
        try:
            watcher.fresh(60)
            end, seen = time.monotonic() + options.seconds, -1
            while time.monotonic() < end:
                watcher.step()
                frame = watcher.frames[-1][1]
                age = lab.age_ms(frame.image)
                if frame.sequence != seen and age is not None:
                    ages.append(age)
                seen = frame.sequence
        finally:
            watcher.close()
            camera.kill()
        out[" ".join(words) or "320x240 H.264"] = {key: round(value, 1) for key, value in spread(ages).items()}
    return out


PARTS: dict[str, Callable[[argparse.Namespace], Figures]] = {
    "detect": detect,
    "recovery": recovery,
    "latency": latency,
    "stop": lambda options: live_runs.stop(options, spread),
    "soak": live_runs.soak,
    "throughput": live_runs.throughput,
    "batch": live_runs.batch,
}
TITLES = {
    "detect": "Seconds from a fault to its state (goals: STALE 0.6, FROZEN 1)",
    "recovery": "Seconds from the source's return to fresh frames (goals: p50 1, max 2)",
    "latency": "Milliseconds from the camera's drawing to BGR in our process (goal: 80)",
    "stop": "Seconds from a signal to the end (goal: 2, every time)",
    "soak": "Soak with a fault each minute",
    "throughput": "Several 720p 25 fps RTSP streams at once (goal: glass to mask p95 200 ms)",
    "batch": "Batches in OpenVINO: milliseconds a frame",
}


def write(folder: Path, part: str, figures: Figures, command: str) -> Path:
    """Puts a part into the day's JSON and rewrites the tables."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"live-{datetime.now(UTC):%Y-%m-%d}.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    known[part] = {"machine": describe(), "command": command, "figures": figures}
    file.write_text(json.dumps(known, indent=1) + "\n")
    lines = ["# Live streams", ""]
    for name in (name for name in PARTS if name in known):
        one = known[name]
        lines += [f"## {TITLES[name]}", "", f"`{one['command']}` on {one['machine']}", "", "| | |", "|---|---|"]
        for key, value in one["figures"].items():
            text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
            lines.append(f"| {key} | {text} |")
        lines.append("")
    file.with_suffix(".md").write_text("\n".join(lines))
    return file


def main() -> None:
    """Runs one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--trials", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=None)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--streams", type=int, default=4)
    parser.add_argument("--model", default="npnet-polyp")
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks" / "results")
    options = parser.parse_args()
    defaults = {"detect": 10, "recovery": 30, "stop": 100}
    options.trials = options.trials or defaults.get(options.part, 1)
    options.seconds = options.seconds or (30.0 if options.part == "throughput" else 20.0)
    figures = PARTS[options.part](options)
    print(json.dumps(figures, indent=1))
    print(write(options.out, options.part, figures, f"python -m benchmarks.live {' '.join(sys.argv[1:])}"))


if __name__ == "__main__":
    main()
