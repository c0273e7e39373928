"""Temporal smoothing of the probability: less flicker, for masks that come and go some frames late.

state = A · state + (1 − A) · new, in float32 as the C library computes it, so that both give the same levels. Nothing
is carried over a gap, a change of the signal state, or a change of the frame's size or content area.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edgeseg.fit import Placement
    from edgeseg.model import Result
    from edgeseg.stream.frame import StreamFrame

LIMIT = 0.95


class Smoothing:
    """Of one stream; give it every frame's result, in order.

    Args:
        weight: of the previous probability, 0 (off) to 0.95.

    Raises:
        ValueError: the weight is outside.
    """

    def __init__(self, weight: float) -> None:
        if not 0.0 <= weight <= LIMIT:
            raise ValueError(f"smoothing is {weight}, not 0 to {LIMIT}")
        self.weight = weight
        self._past, self._present = np.float32(weight), np.float32(1.0 - weight)
        self.reset()

    def reset(self) -> None:
        """Forgets the past: the next result stays as it is."""
        self._state: NDArray[np.float32] | None = None
        self._seen: tuple[int, str, Placement] | None = None

    def apply(self, frame: StreamFrame, result: Result) -> Result:
        """The result with its probability smoothed; the very result if the weight is 0.

        Args:
            frame: whose ``sequence`` tells a gap.
            result: uint8 probability [K−1, h, w], its state and placement; not yet asked for its mask.
        """
        if not self.weight:
            return result
        now = (frame.sequence, result.state, result.placement)
        if self._seen is None or now != (self._seen[0] + 1, *self._seen[1:]):
            self._state = None
        self._seen = now
        new = result.probability.astype(np.float32)
        self._state = new if self._state is None else self._past * self._state + self._present * new
        return replace(result, probability=(self._state + np.float32(0.5)).astype(np.uint8))
