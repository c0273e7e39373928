"""Frames per second and latency of the last seconds, in constant memory."""

from __future__ import annotations

import threading
import time
from collections import deque

WINDOW_S = 10.0
MOST = 600


class Pace:
    """Written by the pipeline's thread, read by the viewer's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: deque[tuple[float, float]] = deque(maxlen=MOST)

    def add(self, latency_ms: float) -> None:
        """A frame with its mask, ``latency_ms`` after it was decoded."""
        with self._lock:
            self._rows.append((time.monotonic(), latency_ms))

    def figures(self) -> tuple[float, float, float]:
        """Frames per second, p50 and p95 in milliseconds; zeros without frames."""
        now = time.monotonic()
        with self._lock:
            rows = [row for row in self._rows if row[0] > now - WINDOW_S]
        if not rows:
            return 0.0, 0.0, 0.0
        values = sorted(latency for _, latency in rows)
        seconds = now - rows[0][0]
        fps = len(rows) / seconds if seconds > 0.2 else 0.0
        return fps, values[len(values) // 2], values[min(len(values) - 1, int(len(values) * 0.95))]
