"""A sink on a live stream: written to by a thread of its own, so that a slow one loses frames for itself alone."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from edgeseg.errors import BackendError, EdgesegError
from edgeseg.stream.drift import DriftReport
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.sinks.base import Closed, Watches
from edgeseg.stream.status import Status

if TYPE_CHECKING:
    from edgeseg.model import Result
    from edgeseg.stream.sinks.base import Sink

    Item = Status | DriftReport | tuple[StreamFrame, Result | None]

# Changes of state that may wait for a sink that is busy.
_STATUSES = 256


class Relay:
    """Hands frames and statuses to one sink, in order; the newest frames win.

    ``timed`` is told the sink's name and the milliseconds of every write. ``error`` is what the sink raised; it is
    closed then, and gets nothing more.
    """

    def __init__(self, sink: Sink, timed: Callable[[str, float], None] | None = None) -> None:
        self.sink, self.name = sink, sink.name
        self._timed = timed or (lambda _, __: None)
        self.dropped = 0
        self.error: BaseException | None = None
        self._depth = int(getattr(sink, "depth", 1))
        self._items: deque[Item] = deque()
        self._frames = 0
        self._closing = False
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"edgeseg {self.name}", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Never waits; of too many frames the oldest goes."""
        with self._wake:
            if self.error is not None or self._closing:
                return
            if isinstance(item, Status):
                last = self._items[-1] if self._items else None
                if isinstance(last, Status) and (last.state, last.reason) == (item.state, item.reason):
                    self._items.pop()  # only its age is newer
            if isinstance(item, Status | DriftReport):
                if len(self._items) - self._frames >= _STATUSES:
                    return
            else:
                if self._frames >= self._depth:
                    self._items.remove(next(one for one in self._items if isinstance(one, tuple)))
                    self._frames -= 1
                    self.dropped += 1
                self._frames += 1
            self._items.append(item)
            self._wake.notify()

    def _run(self) -> None:
        try:
            while (item := self._next()) is not None:
                start = time.perf_counter()
                if isinstance(item, Status):
                    self.sink.status(item)
                elif isinstance(item, DriftReport):
                    if isinstance(self.sink, Watches):
                        self.sink.drift(item)
                else:
                    self.sink.write(*item)
                    self._timed(self.name, (time.perf_counter() - start) * 1e3)
        except BaseException as error:  # noqa: BLE001 - told to the run, which goes on without this sink
            self.error = error
        try:
            self.sink.close()
        except BaseException as error:  # noqa: BLE001 - the same
            self.error = self.error or error

    @property
    def failure(self) -> BaseException | None:
        """``error`` as the run raises it: a sentence."""
        if self.error is None or isinstance(self.error, EdgesegError | Closed):
            return self.error
        return BackendError(f"{self.name} failed ({type(self.error).__name__}: {self.error})")

    def _next(self) -> Item | None:
        with self._wake:
            while not self._items:
                if self._closing:
                    return None
                self._wake.wait()
            item = self._items.popleft()
            self._frames -= isinstance(item, tuple)
            return item

    def close(self) -> None:
        """Lets it finish what waits; :meth:`join` says when."""
        with self._wake:
            self._closing = True
            self._wake.notify()

    def join(self, seconds: float) -> bool:
        """Whether it finished in time; if not, the disk hangs and is left alone."""
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()
