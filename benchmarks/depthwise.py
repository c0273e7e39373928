"""A teacher's pass on a CPU, forward and back: its depthwise convolutions in float32 beside the processor's bfloat16.

    python -m benchmarks.depthwise

Prints the median milliseconds of it for ``effunet`` (lite2, eight frames of 160×192) on one thread, turn by turn.
"""

from __future__ import annotations

import statistics
import time

import torch
from torch import Tensor

from edgeseg.nets.effunet import EffUNet, Same
from edgeseg.nets.frame import FrameNet
from edgeseg.train.device import precision


def main() -> None:
    """Times both ways and prints them."""
    if precision() != "bf16-mixed":
        raise SystemExit("this processor trains in float32; there is nothing to compare")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    net = FrameNet(EffUNet(size="lite2"), [0.5] * 3, [0.25] * 3).train()
    frames = torch.randint(0, 256, (8, 160, 192, 3), dtype=torch.uint8)
    ways = {"float32": Same.forward, "bfloat16": _all_in_bfloat16}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(1 + 7):
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
    return torch.nn.Conv2d.forward(self, self.padded(x))


if __name__ == "__main__":
    main()
