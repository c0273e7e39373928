"""One stream on its way through the run: capture, placement, sinks, figures."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgeseg.errors import InputError
from edgeseg.steps import network_input
from edgeseg.stream.crop import Crop, cropped
from edgeseg.stream.drift import Drift
from edgeseg.stream.live.state import STALE_S
from edgeseg.stream.status import Status

if TYPE_CHECKING:
    from edgeseg.fit import Placement
    from edgeseg.model import Model, Result
    from edgeseg.stream.frame import StreamFrame
    from edgeseg.stream.live.capture import Capture
    from edgeseg.stream.live.relay import Relay
    from edgeseg.stream.smoothing import Smoothing
    from edgeseg.stream.summary import Latency, Summary

_RECENT_S = 5.0
# Frames that come later than this by their own clock, but not stale yet, or with damage: said as "degraded".
_LATE_S = 0.2


class Lane:
    """Used by the inference threads, one at a time, and by the main thread.

    Attributes:
        busy: an inference thread has a frame of it.
        served: when it was last its turn, a growing number.
        violations: frames whose mask came later than allowed.
        failed: sinks that stopped and were told of.

    Args:
        every: old frames get a mask too, and are marked as old all the same.
    """

    def __init__(
        self,
        capture: Capture,
        relays: list[Relay],
        summary: Summary,
        crop: Crop,
        smoothing: Smoothing,
        drift: Drift | None,
        *,
        every: bool = False,
    ) -> None:
        self._crop, self._smoothing, self._drift = crop, smoothing, drift
        self.capture, self.relays, self.summary, self._every = capture, relays, summary, every
        self.busy, self.served, self.violations = False, 0, 0
        self.sequence = -1
        self.prepared = False  # whether a frame was ever large enough for --crop
        self.drift_said: deque[str] = deque(maxlen=4)  # for the log
        self.failed: list[Relay] = []
        self.restarts_told = 0
        self._placement: Placement | None = None
        self._said: tuple[str, str] | None = None
        self._recent: deque[tuple[float, dict[str, float]]] = deque(maxlen=256)
        self._damaged_at = self._late_at = float("-inf")
        self._logged: dict[str, Latency] = {}
        self._lock = threading.Lock()

    def prepare(self, frame: StreamFrame) -> tuple[StreamFrame, str]:
        """Blanks what is not the picture, before anything else sees the frame; and why no mask can be made of it."""
        try:
            frame = cropped(self._crop, frame)
        except InputError as error:
            # A camera that changed its size, for a while perhaps. What would have been cut off must not be shown.
            return replace(frame, image=np.zeros_like(frame.image)), str(error)
        self.prepared = True
        return frame, ""

    def unfit(self, frame: StreamFrame) -> str:
        """Why no mask is made of this frame; empty if one is."""
        if frame.damaged:
            self._damaged_at = time.monotonic()
            return "the picture is damaged"
        if frame.lag > _LATE_S:
            self._late_at = time.monotonic()
        # Where every frame gets its mask its age does not matter, only whether it is a picture.
        age = 0.0 if self._every else None
        state, reason = self.capture.frame_state(frame, time.monotonic(), age)
        return reason or state if state in ("NO_SIGNAL", "STALE", "LOST") else ""

    def segment(self, model: Model, frame: StreamFrame) -> Result:
        """Mask included, which is where most of the work after the engine is."""
        size = frame.image.shape[:2]
        if self._placement is None or self._placement.frame != size:
            # Found at the first frame with a picture and at each new size, then held, so that masks do not jump.
            self._placement = model.place(frame.image)
            if self._drift is not None:
                self._drift.reset()
        self._compare(model, frame, self._placement)
        result = model(frame.image, self._placement)
        # For the smoothing, which forgets where it changes; what is told is the state when the mask is there.
        result.state, _ = self.capture.frame_state(frame, time.monotonic())
        result = self._smoothing.apply(frame, result)
        start = time.perf_counter()
        _ = result.objects
        result.latency_ms["post"] = (time.perf_counter() - start) * 1e3
        result.sequence, result.source_time = frame.sequence, frame.source_time
        result.received = frame.received - frame.lag
        return result

    def _compare(self, model: Model, frame: StreamFrame, placement: Placement) -> None:
        """Now and then: does the stream still look like the training frames?"""
        if self._drift is None:
            return
        due = self._drift.due
        report = self._drift.update(network_input(frame.image, placement, model.spec.frame) if due else None)
        if report is None:
            return
        if report.changed:
            self.drift_said.append(report.reason or "like the training frames again")
        for relay in self.relays:
            relay.put(report)

    def deliver(self, frame: StreamFrame, result: Result | None, reason: str) -> Status:
        """Counts a frame and hands it to the sinks with the state that holds for it."""
        now = time.monotonic()
        state, _ = self.capture.frame_state(frame, now)
        self.capture.set_invalid("" if result is not None or state in ("NO_SIGNAL", "STALE", "LOST") else reason)
        state, why = self.capture.frame_state(frame, now)
        if result is not None:
            result.state = state
        else:
            self._smoothing.reset()  # a probability that was not believed must not live on in the next
        latency = {"decode": frame.decode_ms, **(result.latency_ms if result is not None else {})}
        if result is not None:
            latency["glass_to_mask"] = (now - frame.received + frame.lag) * 1e3
        with self._lock:
            self.sequence = frame.sequence
            self._recent.append((now, latency))
            self.summary.frames += 1
            self.summary.states[state] += 1
            self.summary.with_target += bool(result is not None and result.objects)
            for stage, milliseconds in latency.items():
                self.summary.add(stage, milliseconds)
        status = self.status(state, why, frame.age(now))
        for relay in self.relays:
            if (state, why) != self._said:
                relay.put(status)
            relay.put((frame, result))
        self._said = (state, why)
        return status

    def minute(self) -> str:
        """A line for the log, with the percentiles of each stage since the line before."""
        state, _, _ = self.capture.state()
        fps = self.status(state, "", 0.0).fps
        with self._lock:
            every = dict(self.summary.stages)  # sinks add theirs
            stages = {name: stage.since(self._logged.get(name)) for name, stage in every.items()}
            self._logged = {name: stage.since(None) for name, stage in every.items()}
        figures = ", ".join(
            f"{name.replace('_', ' ')} {one.p50:.1f}/{one.p95:.1f}/{one.p99:.1f}"
            for name, one in sorted(stages.items(), key=lambda item: item[0] != "glass_to_mask")
            if one.count
        )
        return (
            f"{self.capture.name}: {state} {fps:.1f} fps, p50/p95/p99 ms of the last minute: {figures or 'none'}; "
            f"so far {self.summary.frames} frames, {self.capture.dropped} dropped, "
            f"{self.capture.counts.damaged} damaged, {self.violations} too late, "
            f"{self.capture.counts.restarts} restarts"
        )

    def finish(self) -> None:
        """Figures that are known at the end."""
        summary, counts = self.summary, self.capture.counts
        summary.dropped, summary.damaged = self.capture.dropped, counts.damaged
        summary.restarts, summary.connections = counts.restarts, counts.connections
        summary.violations, summary.notes = self.violations, list(counts.notes)
        summary.sink_drops = {relay.name: relay.dropped for relay in self.relays if relay.dropped}

    def tell(self, *, always: bool) -> Status:
        """The status now, to the sinks if it changed, or if ``always``."""
        state, reason, age = self.capture.state()
        if self.capture.ended and state in ("STALE", "LIVE"):
            state, reason = "LOST", self.capture.ended
        status = self.status(state, reason, age)
        if always or (state, reason) != self._said:
            self._said = (state, reason)
            for relay in self.relays:
                relay.put(status)
        return status

    def status(self, state: str, reason: str, age: float) -> Status:
        now = time.monotonic()
        with self._lock:
            recent = [latency for moment, latency in self._recent if now - moment < _RECENT_S]
            began = next((moment for moment, _ in self._recent if now - moment < _RECENT_S), now)
        names = {name for latency in recent for name in latency}
        middle = {
            name: round(float(np.median([one[name] for one in recent if name in one])), 3) for name in sorted(names)
        }
        fps = (len(recent) - 1) / (now - began) if len(recent) > 1 and now > began else 0.0
        degraded = now - max(self._damaged_at, self._late_at) < _RECENT_S or (STALE_S > age > _LATE_S)
        return Status(
            self.capture.name,
            state,
            reason,
            self.sequence,
            min(age, 1e6) * 1e3,
            time.time(),
            round(fps, 1),
            self.capture.dropped,
            middle,
            degraded,
        )
