"""The paper's Table 4: the standard non-local block (NL) against the deformed one (DNL), time and memory against size.

    python benchmarks/nonlocal.py --out benchmarks/results

Forward and backward pass, NL with its N × N map written out (no fused attention). On a CPU batch 1, on a
GPU the paper's batch 4. "block" is one block of 32 channels at H × W; "network" is DNL-Net (width 16) with
either block in its three fusions, at an input of H × W, where the largest map is of (H/2 × W/2)². Each time
is the fastest of several passes after two to warm up: whatever else runs only adds. Memory is the peak over
the first pass less what stood before: the process's resident set on a CPU, the allocator's on a GPU. A size that
a GPU's memory does not hold is named and left out, as are the larger ones of its kind; one map of theirs is computed.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from edgeseg.atomic import atomic_path, atomic_write
from edgeseg.nets.attention import DNL, NonLocal
from edgeseg.nets.dnlnet import Attention, DNLNet
from edgeseg.provenance import provenance
from edgeseg.train.write import git_state

CHANNELS = 32
BLOCK_SIDES = {"nl": (32, 48, 64, 96, 128), "dnl": (32, 48, 64, 96, 128, 192, 256, 384, 512)}
NETWORK_SIDES = {"nl": (64, 96, 128, 192, 256), "dnl": (64, 96, 128, 192, 256, 384, 512)}
GPU_BLOCK_SIDES = {"nl": (48, 64, 96, 128, 192), "dnl": (48, 64, 96, 128, 192, 256, 384, 512, 768, 1024)}
# Exponents are fitted from here on: below, starting the operations takes longer than doing them.
FIT_FROM = 64
# Of mallopt in glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4


@dataclass(frozen=True)
class Point:
    """One measurement; ``seconds`` and ``bytes`` of a forward and backward pass."""

    what: str
    block: str
    side: int
    batch: int
    seconds: float
    bytes: int


def measure(net: nn.Module, channels: int, side: int, batch: int, device: str) -> tuple[float, int]:
    """Fastest seconds and peak bytes of a training pass."""
    net = net.to(device).train()
    x = torch.randn(batch, channels, side, side, device=device, requires_grad=True)

    def once() -> None:
        net(x).square().mean().backward()
        if device == "cuda":
            torch.cuda.synchronize()

    keep_memory(keep=False)
    peak = _peak(once, device)
    keep_memory(keep=True)
    once()
    seconds = []
    begin = time.perf_counter()
    while len(seconds) < 4 or (time.perf_counter() - begin < 1.5 and len(seconds) < 100):
        start = time.perf_counter()
        once()
        seconds.append(time.perf_counter() - start)
    return min(seconds), peak


def _peak(once: Callable[[], None], device: str) -> int:
    """Bytes that the first pass (which warms up, too) needs on top of what stood before it."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        once()
        return int(torch.cuda.max_memory_allocated() - before)
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # sets the peak back to what is resident now
    before = _resident("VmRSS")
    once()
    return max(0, _resident("VmHWM") - before)


def _resident(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def keep_memory(*, keep: bool) -> None:
    """Tells the C library to give no memory back between passes, or to do so again.

    It asks the kernel anew for every large tensor, and the page faults would be counted as the block's time from the
    size on where they begin (over 32 MiB: a map of 32 channels at 512 × 512). The peak is that of fresh memory.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):  # glibc
        library.mallopt(M_MMAP_MAX, 0 if keep else 65536)
        library.mallopt(M_TRIM_THRESHOLD, -1 if keep else 128 * 1024)


def exponent(points: list[Point], key: str) -> float:
    """Slope of log(time or memory) over log(H·W)."""
    chosen = [p for p in points if p.side >= FIT_FROM]
    x = np.log([p.side**2 for p in chosen])
    return float(np.polyfit(x, np.log([getattr(p, key) for p in chosen]), 1)[0])


def run(device: str, keep: Callable[[list[Point]], None]) -> list[Point]:
    """All points that fit; a block's sizes end where the memory does, since larger ones take more.

    ``keep`` is called with what there is after each.
    """
    batch = 4 if device == "cuda" else 1
    plan: list[tuple[str, str, int, Callable[[], nn.Module], int]] = []
    for block, sides in (GPU_BLOCK_SIDES if device == "cuda" else BLOCK_SIDES).items():
        build = partial(NonLocal if block == "nl" else DNL, CHANNELS)
        plan += [("block", block, side, build, CHANNELS) for side in sides]
    for block, sides in NETWORK_SIDES.items():
        attention: Attention = "nl" if block == "nl" else "dnl"
        plan += [("network", block, side, partial(DNLNet, attention=attention), 3) for side in sides]
    points: list[Point] = []
    full: set[tuple[str, str]] = set()
    for what, block, side, make, channels in plan:
        if (what, block) in full:
            continue
        torch.manual_seed(0)
        try:
            points.append(Point(what, block, side, batch, *measure(make(), channels, side, batch, device)))
        except torch.OutOfMemoryError:
            full.add((what, block))
            print(f"{what:8} {block:4} {side:4}x{side:<4} batch {batch}: does not fit", flush=True)
        else:
            _say(points[-1])
            keep(points)
    return points


def _say(point: Point) -> None:
    print(
        f"{point.what:8} {point.block:4} {point.side:4}x{point.side:<4} batch {point.batch}: "
        f"{point.seconds * 1e3:9.2f} ms {point.bytes / 2**20:9.1f} MiB",
        flush=True,
    )


def summary(points: list[Point]) -> dict[str, float]:
    """Exponents, and NL over DNL at the largest size that both have; as far as there are points."""
    out = {}
    for what in ("block", "network"):
        of = {block: [p for p in points if p.what == what and p.block == block] for block in ("nl", "dnl")}
        for block, chosen in of.items():
            if sum(p.side >= FIT_FROM for p in chosen) > 1:
                out[f"{what} {block} time exponent"] = exponent(chosen, "seconds")
                out[f"{what} {block} memory exponent"] = exponent(chosen, "bytes")
        both = {p.side for p in of["nl"]} & {p.side for p in of["dnl"]}
        if not both:
            continue
        side = max(both)
        nl, dnl = (next(p for p in of[block] if p.side == side) for block in ("nl", "dnl"))
        out[f"{what} NL/DNL time at {side}"] = nl.seconds / dnl.seconds
        out[f"{what} NL/DNL memory at {side}"] = nl.bytes / max(1, dnl.bytes)
    for side in (192, 512, 1024):
        out[f"one NL map at {side}, computed GB per image"] = side**4 * 4 / 1e9
    return {name: round(value, 3) for name, value in out.items()}


def plot(points: list[Point], file: Path) -> None:
    """Time and memory over H·W, doubly logarithmic."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    for axis, key, unit in ((axes[0], "seconds", "seconds, forward + backward"), (axes[1], "bytes", "peak bytes")):
        for what, mark in (("block", "-o"), ("network", "--s")):
            for block, colour in (("nl", "tab:red"), ("dnl", "tab:blue")):
                chosen = [p for p in points if p.what == what and p.block == block]
                label = f"{block.upper()} {what}, exponent {exponent(chosen, key):.2f}"
                axis.plot(
                    [p.side**2 for p in chosen], [getattr(p, key) for p in chosen], mark, color=colour, label=label
                )
        axis.set(xscale="log", yscale="log", xlabel="H·W, pixels", ylabel=unit)
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    with atomic_path(file) as temporary:
        figure.savefig(temporary, dpi=110)


def origin() -> dict[str, object]:
    """What every stored result carries; the networks' weights are drawn with seed 0."""
    return provenance(None) | {"seed": 0, "commit": git_state()[0]}


def main() -> None:
    """Prints all points and the exponents; writes them as JSON, point by point, and as a plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    machine = (
        torch.cuda.get_device_name()
        if args.device == "cuda"
        else f"{platform.machine()}, {torch.get_num_threads()} threads"
    )
    row = {"machine": machine, "torch": torch.__version__, "channels": CHANNELS, "provenance": origin()}

    def keep(points: list[Point]) -> None:
        """Writes what there is: a machine that is lent may be gone before the last point."""
        value = row | {"summary": summary(points), "points": [asdict(p) for p in points]}
        atomic_write(args.out / f"nonlocal-{args.device}.json", json.dumps(value, indent=1) + "\n")

    points = run(args.device, keep)
    for name, value in summary(points).items():
        print(f"{name}: {value}")
    plot(points, args.out / f"nonlocal-{args.device}.png")


if __name__ == "__main__":
    main()
