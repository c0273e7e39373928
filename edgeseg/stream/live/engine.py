"""The one engine that all live streams share: who is next, what if it raises or hangs."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from edgeseg.errors import BackendError, EdgesegError, InputError

if TYPE_CHECKING:
    from edgeseg.model import Model, Result
    from edgeseg.stream.frame import StreamFrame
    from edgeseg.stream.live.lane import Lane

BUDGET, WINDOW_S = 5, 60.0
# A frame that takes this long never comes back: the slowest networks on the slowest boards take a second.
HANG_S = 3.0
# So many masks in a row that cannot be ones may be the engine's fault, which loading it again mends. It may be the
# scene too: once a minute, so that this alone never uses up the budget.
DISTRUSTED = 5


def distrust(result: Result, thresholds: list[int]) -> str:
    """Why a mask cannot be one, though the engine gave it; empty if it may be.

    A network that covers every pixel, the black border of the optics included, is broken; one that finds nothing
    is not.
    """
    levels = np.asarray(thresholds, np.uint8)[:, None, None]
    if bool((result.probability >= levels).any(0).all()):
        return "the mask covers everything"
    return ""


class Engine:
    """Threads that take the next frame of the lane that was served longest ago.

    Args:
        model: loaded for ``threads`` threads.
        again: loads it anew after a failure.
        lanes: the streams.
        deliver: called with every outcome: lane, frame, result or None, and why there is none.
    """

    def __init__(
        self,
        model: Model,
        again: Callable[[], Model],
        lanes: list[Lane],
        deliver: Callable[[Lane, StreamFrame, Result | None, str], None],
        threads: int,
        hang_s: float = HANG_S,
    ) -> None:
        self.error: Exception | None = None
        self.restarts = 0
        self.stuck = False
        self._model: Model | None = model
        self._given, self._again, self._deliver = model, again, deliver
        self._lanes, self._hang_s = lanes, hang_s
        self._failures: deque[float] = deque()
        self._trouble = ""
        self._distrusted, self._reloaded = 0, float("-inf")
        self._wake = threading.Condition()
        self._stop = False
        self._serial = 0
        self._running: dict[threading.Thread, tuple[float, Lane]] = {}
        for _ in range(threads):
            self._spawn()

    def _spawn(self) -> None:
        thread = threading.Thread(target=self._run, name="edgeseg infer", daemon=True)
        thread.start()

    def notify(self) -> None:
        """There may be a frame."""
        with self._wake:
            self._wake.notify_all()

    def _run(self) -> None:
        me = threading.current_thread()
        while True:
            with self._wake:
                while (lane := self._pick()) is None:
                    if self._stop:
                        return
                    self._wake.wait(0.5)
                self._serial += 1
                lane.served, lane.busy = self._serial, True
                self._running[me] = (time.monotonic(), lane)
                model = self._model
            try:
                frame = lane.capture.take()
                if frame is not None:
                    frame, reason = lane.prepare(frame)
                    if reason and not lane.prepared and len(self._lanes) == 1:  # no run makes sense
                        self.error = InputError(f"{lane.capture.name}: {reason}")
                        return
                    result = None
                    if not reason:
                        result, reason = self._segment(model, lane, frame)
                    if me not in self._running:  # it hung so long that another took its place
                        return
                    self._deliver(lane, frame, result, reason)
            except Exception as error:  # noqa: BLE001 - raised by the run, which would go on without masks otherwise
                self.error = error
                return
            finally:
                with self._wake:
                    if self._running.pop(me, None) is not None:
                        lane.busy = False
                        self._wake.notify_all()

    def _pick(self) -> Lane | None:
        ready = [lane for lane in self._lanes if not lane.busy and lane.capture.waiting() is not None]
        return min(ready, key=lambda lane: lane.served) if ready and not self._stop else None

    def _segment(self, model: Model | None, lane: Lane, frame: StreamFrame) -> tuple[Result | None, str]:
        if model is None:
            return None, self._trouble
        skip = lane.unfit(frame)
        if skip:
            return None, skip
        try:
            result = lane.segment(model, frame)
            reason = distrust(result, model.thresholds)
        except Exception as error:  # noqa: BLE001 - whatever a runtime raises: the video goes on, without masks
            self._failed(model, _words(error))
            return None, self._trouble
        with self._wake:
            now = time.monotonic()
            self._distrusted = self._distrusted + 1 if reason else 0
            again = self._distrusted >= DISTRUSTED and now - self._reloaded > WINDOW_S
            if again:
                self._distrusted, self._reloaded = 0, now
        if again:
            self._failed(model, reason)
        return (None, reason) if reason else (result, "")

    # Failures.

    def _failed(self, model: Model, why: str) -> None:
        """Has the model loaded anew, in a thread of its own."""
        now = time.monotonic()
        with self._wake:
            if self._model is not model:  # another thread noticed before us
                return
            self._model, self._trouble = None, why
            self.restarts += 1
            self._failures.append(now)
            while self._failures[0] < now - WINDOW_S:
                self._failures.popleft()
            if len(self._failures) > BUDGET:
                self.error = BackendError(f"{why}; it failed {len(self._failures)} times in a minute")
                return
        threading.Thread(target=self._reload, args=(model,), name="edgeseg reload", daemon=True).start()

    def _reload(self, old: Model) -> None:
        try:
            model = self._again()
        except EdgesegError as error:
            self.error = BackendError(f"{self._trouble}; it cannot be loaded again: {error}")
            return
        with self._wake:
            self._model = model
            self._wake.notify_all()
            # Other threads may still be in the old one, which need not be at fault.
            inside = {me: since for me, (since, _) in self._running.items()}
            left = self._wake.wait_for(
                lambda: all(self._running.get(me, (0.0,))[0] != since for me, since in inside.items()), self._hang_s
            )
        if left and not self.stuck and old is not self._given:  # the caller closes its own
            old.close()

    def check(self, now: float) -> None:
        """Replaces threads that hang; call it every now and then."""
        with self._wake:
            hung = [thread for thread, (since, _) in self._running.items() if now - since > self._hang_s]
            for thread in hung:
                _, lane = self._running.pop(thread)
                lane.busy = False
                lane.capture.set_invalid(f"the engine gave no answer for {self._hang_s:.0f} s")
            model = self._model
        for _ in hung:
            self.stuck = True
            self._spawn()
        if hung and model is not None:
            self._failed(model, f"the engine gave no answer for {self._hang_s:.0f} s")

    def close(self, seconds: float) -> None:
        """Ends the threads; one that hangs is left behind, which the process must not wait for."""
        with self._wake:
            self._stop = True
            self._wake.notify_all()
        end = time.monotonic() + seconds
        while self._running and time.monotonic() < end:
            time.sleep(0.005)
        self.stuck = self.stuck or bool(self._running)
        if self._model is not None and self._model is not self._given and not self.stuck:
            self._model.close()


def _words(error: Exception) -> str:
    text = (str(error).strip().splitlines() or [""])[0]
    return text if isinstance(error, EdgesegError) else f"the engine failed ({type(error).__name__}: {text[:120]})"
