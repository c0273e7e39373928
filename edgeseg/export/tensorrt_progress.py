"""Progress of an engine build: the library's monitor → one line for rich's status, and a way to cancel."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Progress:
    """Where a build is; ``cancelled`` set from any thread stops it at its next step.

    Args:
        say: told a line such as "Compiling kernels 12/68", from the building thread.
    """

    def __init__(self, say: Callable[[str], None] = lambda _: None) -> None:
        self.cancelled = False
        self.phases: list[str] = []
        self._say = say
        self._steps: dict[str, int] = {}
        self._lock = threading.Lock()

    def start(self, phase: str, steps: int) -> None:
        """A phase of so many steps begins; phases lie in one another."""
        with self._lock:
            self.phases.append(phase)
            self._steps[phase] = steps
        self._say(f"{phase} 0/{steps}")

    def step(self, phase: str, number: int) -> bool:
        """A step is done; whether to go on."""
        self._say(f"{phase} {number + 1}/{self._steps.get(phase, 0)}")
        return not self.cancelled


def monitor(trt: Any, progress: Progress) -> Any:
    """The library's own monitor object around ``progress``."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, _parent: str | None, num_steps: int) -> None:
            progress.start(phase_name, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress.step(phase_name, step)

        def phase_finish(self, _phase_name: str) -> None:
            pass

    return Monitor()
