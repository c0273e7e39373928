"""A teacher's pass on a CPU, forward and back: its depthwise convolutions in float32 beside the processor's bfloat16.

    python -m benchmarks.depthwise [--imgsz 160x192] [--repeats 7]

Prints the median milliseconds of such a pass of ``effunet`` (lite2, a batch of eight) on one thread, turn by turn.
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor

from edgeseg.nets.effunet import EffUNet, Same
from edgeseg.nets.frame import FrameNet
from edgeseg.train.run import precision


def main() -> None:
    """Times both ways and prints them."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--imgsz", default="160x192")
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    height, width = map(int, given.imgsz.split("x"))
    if precision() != "bf16-mixed":
        raise SystemExit("this processor trains in float32; there is nothing to compare")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = FrameNet(EffUNet(size="lite2"), [0.5] * 3, [0.25] * 3).train()
    frames = torch.randint(0, 256, (8, height, width, 3), dtype=torch.uint8)
    ways = {"float32": Same.forward, "bfloat16": _all_in_bfloat16}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(given.repeats + 1):
        for name, forward in ways.items():
            Same.forward = forward  # type: ignore[method-assign]
            begin = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16):
                loss = net.logits(frames).float().square().mean()
            loss.backward()  # type: ignore[no-untyped-call]
            if turn:  # the first is for oneDNN to build its kernels
                times[name].append(time.perf_counter() - begin)
    for name, all_of_it in times.items():
        print(f"depthwise in {name}: {1e3 * statistics.median(all_of_it):.0f} ms")


def _all_in_bfloat16(self: Same, x: Tensor) -> Tensor:
    total = self.kernel_size[0] - self.stride[0]
    before = total // 2
    return torch.nn.Conv2d.forward(self, torch.nn.functional.pad(x, (before, total - before, before, total - before)))


if __name__ == "__main__":
    main()
