"""Progress of an engine build: the library's monitor → a bar, and a way to cancel."""

from __future__ import annotations

import threading
from typing import Any

from rich.progress import Progress as Bar


class Progress:
    """Where a build is; ``cancelled`` set from any thread stops it at its next step.

    Args:
        bar: rich's, shown by the caller; None for none.
    """

    def __init__(self, bar: Bar | None = None) -> None:
        self.cancelled = False
        self.phases: list[str] = []
        self._bar = bar
        self._tasks: dict[str, Any] = {}
        self._lock = threading.Lock()

    def start(self, phase: str, steps: int) -> None:
        """A phase of so many steps begins; phases lie in one another."""
        with self._lock:
            self.phases.append(phase)
            if self._bar is not None:
                self._tasks[phase] = self._bar.add_task(phase, total=steps, note="")

    def step(self, phase: str, number: int) -> bool:
        """A step is done; whether to go on."""
        with self._lock:
            if self._bar is not None and phase in self._tasks:
                self._bar.update(self._tasks[phase], completed=number + 1)
        return not self.cancelled

    def finish(self, phase: str) -> None:
        """A phase ends; its line goes."""
        with self._lock:
            task = self._tasks.pop(phase, None)
            if self._bar is not None and task is not None:
                self._bar.remove_task(task)


def monitor(trt: Any, progress: Progress) -> Any:
    """The library's own monitor object around ``progress``."""

    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)

        def phase_start(self, phase_name: str, _parent: str | None, num_steps: int) -> None:
            progress.start(phase_name, num_steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            return progress.step(phase_name, step)

        def phase_finish(self, phase_name: str) -> None:
            progress.finish(phase_name)

    return Monitor()
