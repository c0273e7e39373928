"""A training step of NPNet on the CPU: bf16 beside fp32, and the C library's memory kept beside given back.

    python -m benchmarks.train_step

Prints, for each way, the median milliseconds of a step (eight frames of 192×256, one thread) and the process's
peak memory; each way runs in processes of its own, turn by turn, since memory that was kept cannot be un-kept.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time

import torch

from edgeseg.nets.frame import FrameNet
from edgeseg.nets.npnet import NPNet
from edgeseg.train.device import keep_blocks, precision

WAYS = [("fp32", "kept"), ("fp32", "given back"), ("bf16", "kept")]
ROUNDS, STEPS = 3, 8


def main() -> None:
    """Runs every way in turn and prints them."""
    steps: dict[tuple[str, str], list[float]] = {way: [] for way in WAYS}
    peaks: dict[tuple[str, str], int] = {}
    for _ in range(ROUNDS):
        for way in WAYS:
            command = [sys.executable, "-m", "benchmarks.train_step", *way]
            said = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            steps[way] += said["seconds"]
            peaks[way] = max(peaks.get(way, 0), said["peak_mib"])
    best = statistics.median(steps[WAYS[0]])
    print(f"this processor trains in {precision()}")
    for way, all_of_them in steps.items():
        middle = statistics.median(all_of_them)
        print(f"{way[0]}, memory {way[1]}: {1e3 * middle:.0f} ms, {middle / best:.2f} of the first, {peaks[way]} MiB")


def time_steps(kind: str, memory: str) -> None:
    """Prints the seconds of each of some steps and this process's peak memory as JSON."""
    if memory == "kept":
        keep_blocks()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = FrameNet(NPNet(), [0.5] * 3, [0.25] * 3).train().to(memory_format=torch.channels_last)
    frames = torch.randint(0, 256, (8, 192, 256, 3), dtype=torch.uint8)
    optimizer = torch.optim.AdamW(net.parameters())
    seconds = []
    for _ in range(2 + STEPS):
        begin = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=kind == "bf16"):
            loss = net.logits(frames).float().square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        seconds.append(time.perf_counter() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"seconds": seconds[2:], "peak_mib": peak}))  # the first two: oneDNN builds its kernels


if __name__ == "__main__":
    time_steps(*sys.argv[1:]) if sys.argv[1:] else main()
