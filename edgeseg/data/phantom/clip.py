"""What every phantom hands out: frames with their truth, in a clip that is indexed like a list."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import UsageError

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Render = Callable[[int], tuple[Bytes, Bytes]]

SMALLEST, LARGEST = 32, 8192


@dataclass(frozen=True)
class PhantomFrame:
    """One synthetic frame and what is truly in it.

    Attributes:
        image: uint8 [H, W, 3], BGR.
        mask: uint8 [H, W], 0 or 255; 255 exactly where the target is visible.
        index: position in the clip, from 0.
    """

    image: Bytes
    mask: Bytes
    index: int


@dataclass(frozen=True)
class PhantomClip:
    """A clip whose frames are rendered when asked for; ``clip[i]`` costs one frame wherever ``i`` lies.

    Attributes:
        frames: number of frames.
        width, height: pixels.
        seed: what the scene was drawn from.
        render: frame index → image and mask, as in ``PhantomFrame``.
    """

    frames: int
    width: int
    height: int
    seed: int
    render: Render

    def __len__(self) -> int:
        return self.frames

    def __getitem__(self, index: int) -> PhantomFrame:
        position = operator.index(index)
        if position < 0:
            position += self.frames
        if not 0 <= position < self.frames:
            raise IndexError(f"frame {index} of a clip of {self.frames}")
        image, mask = self.render(position)
        return PhantomFrame(image, mask, position)

    def __iter__(self) -> Iterator[PhantomFrame]:
        return (self[index] for index in range(self.frames))


def check_request(frames: int, width: int, height: int, seed: int) -> None:
    """Refuses a clip that cannot be rendered, before any work.

    Raises:
        UsageError: no frames, a size outside of 32 to 8192 pixels, a negative seed.
    """
    if frames < 1:
        raise UsageError(f"a phantom of {frames} frames is empty; ask for at least one")
    if not (SMALLEST <= width <= LARGEST and SMALLEST <= height <= LARGEST):
        raise UsageError(f"a phantom of {width}x{height} cannot be drawn; take {SMALLEST} to {LARGEST} pixels a side")
    if seed < 0:
        raise UsageError(f"the seed {seed} is negative; take 0 or more")
