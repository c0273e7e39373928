"""The live run: newest frame wins, sinks never hold inference up, every change of state is said, stops at once."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeseg.errors import GateError, OutputError, SourceError
from edgeseg.redact import names_of
from edgeseg.stream import journal
from edgeseg.stream.crop import Crop
from edgeseg.stream.drift import Drift
from edgeseg.stream.live.capture import Capture
from edgeseg.stream.live.engine import HANG_S, Engine
from edgeseg.stream.live.lane import Lane
from edgeseg.stream.live.nursery import Nursery
from edgeseg.stream.live.relay import Relay
from edgeseg.stream.signals import uninterrupted
from edgeseg.stream.sinks.base import Closed, settle
from edgeseg.stream.smoothing import Smoothing
from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.summary import Summary

if TYPE_CHECKING:
    from edgeseg.model import Model, Result
    from edgeseg.stream.frame import StreamFrame
    from edgeseg.stream.sinks.base import Sink
    from edgeseg.stream.status import Status

TICK_S, STATUS_S, LOG_S = 0.05, 0.2, 60.0
# Of --stream-buffer: some seconds of video.
BUFFER = 512 << 20
# Of --no-retry: the first frame must have come, or the source is unavailable.
ONE_TRY_S = 2.9
_CLOSE_S = 1.6
# Sinks that keep nothing, so that nothing is lost where they do not end.
_ONLY_SHOWN = ("show", "web")


@dataclass(frozen=True)
class Policy:
    """When frames are dropped and when a run ends.

    ``frames`` and ``duration`` (seconds) end it; ``buffer`` keeps every frame while memory lasts;
    ``max_latency_ms`` counts masks that come later, and more than ``max_violations`` of them end the run;
    ``retry`` False ends it at the first trouble of a source. ``crop`` and ``smoothing`` as on the command line.
    """

    frames: int | None = None
    duration: float | None = None
    buffer: bool = False
    max_latency_ms: float | None = None
    max_violations: int | None = None
    retry: bool = True
    crop: str = "off"
    smoothing: float | None = None
    hang_s: float = HANG_S


class LiveRun:
    """Runs a model over live sources until one of the policy's ends, Ctrl-C, or all sources ended."""

    def __init__(
        self,
        model: Model,
        again: Callable[[], Model],
        policy: Policy,
        *,
        threads: int = 1,
        on_result: Callable[[Result], None] | None = None,
        on_status: Callable[[Status], None] | None = None,
        log: Callable[[str], None] | None = None,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        self._model, self._again, self._policy, self._threads = model, again, policy, threads
        self._on_result, self._on_status = on_result, on_status
        self._log = log or (lambda _: None)
        self._warn = warn or self._log  # what somebody may have to see to
        self._wake = threading.Event()
        self._results: deque[Result] = deque(maxlen=8)
        self._lanes: list[Lane] = []
        self._engine: Engine | None = None
        self._closed = False
        self._said: dict[str, tuple[str, str]] = {}

    def run(
        self, sources: Sequence[str], options: SourceOptions, sinks: Sequence[Sequence[Sink]] = ()
    ) -> list[Summary]:
        """One summary a source.

        Args:
            sources: as given on the command line.
            options: what cameras are asked for.
            sinks: of each source; closed at the end, whatever happened.

        Raises:
            SourceError: no frame ever came, or a source failed that cannot be opened again (with ``retry`` False: any).
            InputError: a pipe was damaged after it had given frames.
            BackendError: the engine or the capture failed again and again.
            OutputError: a sink failed; the others were finished.
            GateError: too many masks came too late.
        """
        nursery = Nursery(pass_input="-" in sources)
        manifest = self._model.source.manifest
        trained = manifest.input_statistics if manifest is not None else None
        ending: BaseException | None = None
        try:
            every = sinks or [[] for _ in sources]
            for source, name, own in zip(sources, names_of(list(sources)), every, strict=True):
                capture = Capture(
                    source,
                    options,
                    nursery,
                    self._news,
                    retry=self._policy.retry,
                    buffer=BUFFER if self._policy.buffer else 0,
                    name=name,
                )
                summary = Summary(capture.name, str(self._model.engine))
                relays = [Relay(sink, summary.add) for sink in own]
                weight = self._model.spec.output.smoothing if self._policy.smoothing is None else self._policy.smoothing
                crop = Crop.parse(self._policy.crop, self._log)
                drift = Drift(trained) if trained is not None else None
                lane = Lane(capture, relays, summary, crop, Smoothing(weight), drift, every=self._policy.buffer)
                self._lanes.append(lane)
            self._engine = Engine(
                self._model, self._again, self._lanes, self._deliver, self._threads, self._policy.hang_s
            )
            for lane in self._lanes:
                lane.summary.begin()
                lane.capture.start()
            self._loop()
        except BaseException as error:
            ending = error
            raise
        finally:
            with uninterrupted():
                self._close(nursery)
                settle((relay.failure for lane in self._lanes for relay in lane.relays), ending)
        self._verdict()
        return self.summaries

    # Called by other threads.

    def _news(self) -> None:
        if self._engine is not None:
            self._engine.notify()
        self._wake.set()

    def _deliver(self, lane: Lane, frame: StreamFrame, result: Result | None, reason: str) -> None:
        if self._policy.frames is not None and lane.summary.frames >= self._policy.frames:
            return  # the run ends as soon as the main thread looks
        lane.deliver(frame, result, reason)
        if result is not None:
            limit = self._policy.max_latency_ms
            if limit is not None and result.age_ms > limit:
                lane.violations += 1
            if self._on_result is not None:
                self._results.append(result)
        self._wake.set()

    # The main thread.

    def _loop(self) -> None:
        began = time.monotonic()
        told = logged = began
        while not self._over(time.monotonic() - began):
            self._wake.wait(TICK_S)
            self._wake.clear()
            now = time.monotonic()
            assert self._engine is not None  # noqa: S101 - made before the loop
            self._engine.check(now)
            always = now - told >= STATUS_S
            told = now if always else told
            for lane in self._lanes:
                self._told(lane.tell(always=always), always=always)
                self._failures(lane)
            while self._on_result is not None and self._results:
                self._on_result(self._results.popleft())
            if now - logged >= LOG_S:
                logged = now
                for lane in self._lanes:
                    self._log(lane.minute())

    def _told(self, status: Status, *, always: bool) -> None:
        changed = self._said.get(status.stream) != (status.state, status.reason)
        if changed:
            self._said[status.stream] = (status.state, status.reason)
            tell = self._log if status.state == "LIVE" else self._warn
            tell(f"{status.stream}: {status.state}{f' ({status.reason})' if status.reason else ''}")
        if self._on_status is not None and (changed or always):
            self._on_status(status)

    def _failures(self, lane: Lane) -> None:
        counts = lane.capture.counts
        if counts.restarts != lane.restarts_told:
            lane.restarts_told = counts.restarts
            self._warn(f"{lane.capture.name}: {counts.why_restarted}; replaced ({counts.restarts} so far)")
        while lane.drift_said:
            self._warn(f"{lane.capture.name}: {lane.drift_said.popleft()}")
        for relay in lane.relays:
            if relay.error is None:
                continue
            if isinstance(relay.error, Closed):
                self._closed = True
            elif relay not in lane.failed:
                lane.failed.append(relay)
                self._warn(f"{lane.capture.name}: {relay.name} stopped: {relay.error}")

    def _over(self, elapsed: float) -> bool:
        policy, lanes, engine = self._policy, self._lanes, self._engine
        if self._closed:
            return True
        if engine is not None and engine.error is not None:
            raise engine.error
        for lane in lanes:
            if lane.capture.error is not None:
                raise lane.capture.error
            if not policy.retry and lane.capture.failed is not None:
                raise lane.capture.failed
            if not policy.retry and lane.capture.counts.received == 0 and elapsed > ONE_TRY_S:
                raise SourceError(f"{lane.capture.name}: gave no frame within 3 s ({lane.capture.state()[1]})")
        if policy.max_violations is not None:
            late = sum(lane.violations for lane in lanes)
            if late > policy.max_violations:
                raise GateError(f"{late} masks came later than {policy.max_latency_ms:g} ms (--max-latency-ms)")
        ended = [lane.capture.ended and lane.capture.waiting() is None and not lane.busy for lane in lanes]
        if policy.frames is not None and all(
            over or lane.summary.frames >= policy.frames for lane, over in zip(lanes, ended, strict=True)
        ):
            return True
        if policy.duration is not None and elapsed >= policy.duration:
            return True
        return all(ended)

    def _close(self, nursery: Nursery) -> None:
        for lane in self._lanes:
            lane.capture.stop()
        if self._engine is not None:
            self._engine.close(0.5)
        end = time.monotonic() + _CLOSE_S
        for lane in self._lanes:
            for relay in lane.relays:
                relay.close()
        for lane in self._lanes:
            lane.capture.join(0.5)
            lane.summary.end()
            for relay in lane.relays:
                if not relay.join(end - time.monotonic()):
                    text = f"{relay.name} did not finish in time and may lack its end; is its disk slow, full or gone?"
                    lane.summary.warning = text
                    if relay.name not in _ONLY_SHOWN:
                        relay.error = relay.error or OutputError(f"{lane.capture.name}: {text}")
            lane.finish()
        nursery.close()

    def _verdict(self) -> None:
        """Raises what went wrong though the run came to its end."""
        silent = [lane for lane in self._lanes if lane.capture.counts.received == 0]
        if silent and len(silent) == len(self._lanes):
            capture = silent[0].capture
            raise SourceError(f"{capture.name}: gave no frame ({capture.ended or capture.state()[1]})")
        for lane in self._lanes:
            # What comes after the frames that were asked for is nobody's loss.
            enough = self._policy.frames is not None and lane.summary.frames >= self._policy.frames
            if lane.capture.failed is not None and not enough:
                raise lane.capture.failed

    @property
    def summaries(self) -> list[Summary]:
        """One a stream, also of a run that failed."""
        return [lane.summary for lane in self._lanes]

    @property
    def stuck(self) -> bool:
        """Whether a thread hangs in a runtime: the process must be left without waiting for it."""
        return self._engine is not None and self._engine.stuck


def log_line(text: str, priority: int = journal.INFO) -> None:
    """To standard error, one line, for people and journals alike."""
    journal.say(f"edgeseg: {text}", priority)


def warn_line(text: str) -> None:
    """The same, found by ``journalctl -p warning``."""
    log_line(text, journal.WARNING)
