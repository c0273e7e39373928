"""Source → model → sinks, with decode, inference and encoding side by side.

One thread decodes, as many as the model has streams run it, one writes. Recorded sources give every
frame, in order: short queues make a fast stage wait for a slow one.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from edgeseg.fit import Placement
from edgeseg.stream.crop import Crop, cropped
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.signals import uninterrupted
from edgeseg.stream.sinks.base import Closed, settle
from edgeseg.stream.smoothing import Smoothing
from edgeseg.stream.sources import open_source
from edgeseg.stream.sources.base import FrameSource
from edgeseg.stream.summary import Summary

if TYPE_CHECKING:
    from edgeseg.model import Model, Result
    from edgeseg.stream.sinks.base import Sink

# Frames that may wait between two stages: enough to smooth jitter, few enough to stay small at 4K.
DEPTH = 3


@dataclass(frozen=True)
class _End:
    """What a thread puts last: nothing, or the error that ended it."""

    error: BaseException | None = None


class _Decoder:
    """Reads the source in a thread of its own; that thread alone touches and closes the source."""

    def __init__(self, source: FrameSource, frames: int | None) -> None:
        self._source, self._frames = source, frames
        self.queue: queue.Queue[StreamFrame | _End] = queue.Queue(DEPTH)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgeseg decode", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        end = _End()
        try:
            for count, frame in enumerate(self._source, 1):
                if not self._put(frame) or count == self._frames:
                    break
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the thread that waits
            end = _End(error)
        finally:
            self._source.close()
            self._put(end)

    def _put(self, item: StreamFrame | _End) -> bool:
        while not self._stop.is_set():
            try:
                self.queue.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=5)


class _Writer:
    """Feeds the sinks in a thread of its own and closes every one of them, whatever happened."""

    def __init__(self, sinks: Sequence[Sink], summary: Summary) -> None:
        self._sinks, self._summary = sinks, summary
        self._queue: queue.Queue[tuple[StreamFrame, Result] | _End] = queue.Queue(DEPTH)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="edgeseg write", daemon=True)
        if sinks:
            self._thread.start()

    def put(self, frame: StreamFrame, result: Result) -> None:
        """Hands over a result; waits for a slow sink, raises what a sink raised."""
        if not self._sinks:
            return
        if self._error is not None:
            raise self._error
        self._queue.put((frame, result))

    def _run(self) -> None:
        while True:
            item = self._queue.get()
            if isinstance(item, _End):
                return
            if self._error is None:
                try:
                    self._write(*item)
                except BaseException as error:  # noqa: BLE001 - raised by the next put or at the end
                    self._error = error

    def _write(self, frame: StreamFrame, result: Result) -> None:
        start = time.perf_counter()
        found = bool(result.mask.any())
        self._summary.with_target += found
        now = time.perf_counter()
        self._summary.add("post", (now - start) * 1e3)
        for sink in self._sinks:
            start = time.perf_counter()
            sink.write(frame, result)
            self._summary.add(sink.name, (time.perf_counter() - start) * 1e3)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with uninterrupted():
            if self._sinks:
                self._queue.put(_End())
                self._thread.join()
            failures = [self._error]
            for sink in self._sinks:
                try:
                    sink.close()
                except BaseException as closing:  # noqa: BLE001 - the others are closed all the same
                    failures.append(closing)
            settle(failures, error)
        if isinstance(self._error, Closed) and error is None:
            raise self._error


def run(
    model: Model,
    source: str | FrameSource,
    sinks: Sequence[Sink] = (),
    *,
    on_result: Callable[[Result], None] | None = None,
    frames: int | None = None,
    streams: int = 1,
    smoothing: float | None = None,
    crop: Crop | None = None,
) -> Summary:
    """Segments a whole source.

    Args:
        model: a loaded model; used by the calling thread alone.
        source: SOURCE of the command line, or an opened one (which is closed at the end).
        sinks: closed at the end, also after an error or Ctrl-C.
        on_result: called in the calling thread with every frame and its result.
        frames: stop after so many.
        streams: frames in flight in the model at once; what it was loaded with.
        smoothing: weight of the previous probability, 0 to 0.95; the manifest's if None. Pictures are never smoothed.
        crop: applied to each frame before anything else sees it.

    Returns:
        The summary; ``warning`` says what was wrong with the source though frames came.

    Raises:
        InputError, SourceError: the source.
        BackendError: the engine.
        OutputError: a sink.
    """
    opened = open_source(source) if isinstance(source, str) else source
    summary = Summary(opened.name, str(model.engine))
    placement: Placement | None = None
    weight = model.spec.output.smoothing if smoothing is None else smoothing
    smooth = Smoothing(0.0 if opened.stills else weight)
    flying: deque[tuple[StreamFrame, Future[Result]]] = deque()
    summary.begin()
    try:
        with (
            _Writer(sinks, summary) as writer,
            ThreadPoolExecutor(streams, "edgeseg infer") as pool,
            _Decoder(opened, frames) as decoder,
        ):
            while not isinstance(frame := decoder.queue.get(), _End):
                frame = cropped(crop, frame, stills=opened.stills)
                # On video the content is found once and held until the size changes, so that masks do not jump.
                if placement is None or opened.stills or placement.frame != frame.image.shape[:2]:
                    placement = model.place(frame.image)
                flying.append((frame, pool.submit(model, frame.image, placement)))
                if len(flying) > streams:
                    _deliver(*flying.popleft(), smooth, summary, writer, on_result)
            while flying:
                _deliver(*flying.popleft(), smooth, summary, writer, on_result)
            if frame.error is not None:
                raise frame.error
    except Closed:  # the window was closed: everything is finished as at the end
        pass
    finally:
        summary.end()
    summary.warning, summary.notes = opened.warning, list(opened.notes)
    return summary


def _deliver(
    frame: StreamFrame,
    future: Future[Result],
    smooth: Smoothing,
    summary: Summary,
    writer: _Writer,
    on_result: Callable[[Result], None] | None,
) -> None:
    """Waits for the oldest frame's result, smooths, counts and hands it on: the order of the source is kept."""
    result = smooth.apply(frame, future.result())
    result.sequence, result.source_time = frame.sequence, frame.source_time
    result.received = frame.received
    summary.frames += 1
    summary.states[result.state] += 1
    summary.add("decode", frame.decode_ms)
    for stage, milliseconds in result.latency_ms.items():
        summary.add(stage, milliseconds)
    writer.put(frame, result)
    if on_result is not None:
        on_result(result)
