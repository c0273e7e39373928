"""One frame on its way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class StreamFrame:
    """A decoded frame.

    Attributes:
        image: uint8 BGR [H, W, 3].
        sequence: position in the stream, from 0; a number is left out where a connection ended.
        source_time: seconds from the stream's beginning, by its own clock.
        received: monotonic seconds at which it was decoded.
        wall_time: Unix seconds at which it was decoded.
        decode_ms: what decoding and conversion to BGR took.
        name: of a still's file, without suffix; empty for video.
        lag: seconds by which it came later than it should, by the stream's own clock.
        damaged: whether data that it depends on was missing or wrong: no mask is made of it.
    """

    image: NDArray[np.uint8]
    sequence: int
    source_time: float
    received: float
    wall_time: float
    decode_ms: float
    name: str = ""
    lag: float = 0.0
    damaged: bool = False

    def age(self, now: float) -> float:
        """Seconds since it was taken, as far as is known, at the monotonic time ``now``."""
        return now - self.received + self.lag
