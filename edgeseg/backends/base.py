"""What a backend is: load, run, close.

Only a backend's own file imports its runtime. A fake is one small class (see the tests).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class EngineInfo:
    """What runs: ``backend`` and its ``version``, ``precision``, the ``engine`` (graph or plan) by name, and why.

    ``camera`` is the frame's height and width where the engine takes a camera's frame and resizes it itself.
    """

    backend: str
    version: str
    precision: str
    engine: str
    reason: str
    camera: tuple[int, int] | None = None

    def __str__(self) -> str:
        return f"{self.engine} ({self.precision}) on {self.backend} {self.version}: {self.reason}"


class Engine(Protocol):
    """A loaded engine; used by one thread at a time, or by ``EngineOptions.streams`` of them."""

    shape: tuple[int, int, int, int]
    """Of the input: batch, height, width, 3."""

    def run(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 [B, h, w, 3] → uint8 [B, classes − 1, h, w].

        The result is the caller's own: later calls do not change it.

        Raises:
            BackendError: the runtime failed.
        """
        ...

    def close(self) -> None:
        """Frees the runtime's memory; a second call does nothing."""
        ...


@dataclass(frozen=True)
class EngineOptions:
    """How an engine is loaded.

    ``threads`` 0 is all CPUs; ``streams`` is how many threads may call :meth:`Engine.run` at once, each with its
    share of the threads (1 for latency, more for throughput); ``optimise`` False gives a graph's plain meaning
    (the parity gate's reference); ``cuda_graph`` None takes the faster way on a GPU.
    """

    precision: str = "fp32"
    threads: int = 0
    streams: int = 1
    device: int = 0
    optimise: bool = True
    cuda_graph: bool | None = None
