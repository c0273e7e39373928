"""Power of an NVIDIA card while something runs, where its management library (nvidia-ml-py) is installed."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Self

_EVERY_S = 0.05


class Power:
    """Mean watts between entering and leaving; ``watts`` stays None where nothing can be asked.

    Args:
        bus_id: which card; "" for none. The library counts all, CUDA only those that CUDA_VISIBLE_DEVICES names.
    """

    def __init__(self, bus_id: str) -> None:
        self.watts: float | None = None
        self._bus_id = bus_id
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._said: list[float] = []

    def __enter__(self) -> Self:
        if not self._bus_id:
            return self
        try:
            import pynvml
        except ImportError:
            return self
        try:
            pynvml.nvmlInit()
            handle = pynvml.nvmlDeviceGetHandleByPciBusId(self._bus_id)
        except pynvml.NVMLError:
            return self
        self._thread = threading.Thread(target=self._ask, args=(pynvml, handle), daemon=True)
        self._thread.start()
        return self

    def _ask(self, nvml: Any, handle: Any) -> None:
        while not self._stop.wait(_EVERY_S):
            try:
                self._said.append(nvml.nvmlDeviceGetPowerUsage(handle) / 1e3)
            except nvml.NVMLError:
                return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        if self._said:
            self.watts = sum(self._said) / len(self._said)
