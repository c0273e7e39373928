"""Resident memory of `edgeseg infer` over many frames, each run a process of its own.

    python -m benchmarks.memory [--model BUNDLE] [--frames 10000] [--video-size 1920x1080]

Prints the resident set in MiB at ten points of the run, and its peak.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.clips import make_clip

CHILD = """
import sys, edgeseg
clip, model, every = sys.argv[1], sys.argv[2], int(sys.argv[3])
from edgeseg.bundle import open_model
from edgeseg.stream.pipeline import run
def rss():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 2**20
def show(result):
    if result.sequence % every == 0 and result.sequence:
        print(f"{result.sequence:7d} frames  {rss():6.1f} MiB", flush=True)
with open_model(model).load(streams=2) as loaded:
    summary = run(loaded, clip, on_result=show, streams=2)
peak = [line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1]
print(f"{summary.frames} frames at {summary.fps:.1f} fps, peak {int(peak) / 1024:.1f} MiB")
"""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="npnet-polyp")
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--video-size", default="1920x1080")
    arguments = parser.parse_args()
    width, height = map(int, arguments.video_size.split("x"))
    name = f"edgeseg-{width}x{height}-{arguments.frames}.mp4"
    clip = make_clip(Path(tempfile.gettempdir()) / name, width, height, arguments.frames)
    every = str(max(1, arguments.frames // 10))
    subprocess.run([sys.executable, "-c", CHILD, str(clip), arguments.model, every], check=True)


if __name__ == "__main__":
    main()
