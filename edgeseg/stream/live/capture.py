"""The supervisor of one stream: has it captured, restarts what dies or hangs, knows its state."""

from __future__ import annotations

import json
import os
import select
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edgeseg.errors import BackendError, EdgesegError, InputError, SourceError
from edgeseg.redact import redact_of
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.live.content import Content
from edgeseg.stream.live.nursery import Nursery, Process
from edgeseg.stream.live.slot import Slot
from edgeseg.stream.live.state import Signal
from edgeseg.stream.sources.base import SourceOptions

# Restarts of the capture process, not attempts to reach a camera: more is a crash loop.
BUDGET, WINDOW_S = 5, 60.0
# From the start of a process to its first sign of life; importing FFmpeg on a busy board takes seconds.
_START_S = 30.0
# From one frame to the next the stream's clock and ours go on alike; where they part by more, its clock was set.
_APART_S = 10.0


@dataclass(frozen=True)
class Notice:
    """A frame in the slot, not copied yet, and the number of the connection that gave it."""

    slot: Slot
    values: dict[str, Any]
    wall_time: float
    connection: int


@dataclass
class Counts:
    """What happened to a stream so far."""

    received: int = 0
    damaged: int = 0
    restarts: int = 0
    connections: int = 0
    notes: list[str] = field(default_factory=list)
    why_restarted: str = ""


class Capture:
    """A live stream: :meth:`take` gives its newest frame, :meth:`state` what is to be thought of it.

    Args:
        source: SOURCE as given, password included; ``name`` is what is shown of it.
        nursery: gives capture processes.
        changed: called, in the supervisor's thread, whenever there is a new frame or trouble.
        retry: False ends the stream at its first trouble.
        buffer: keep up to this many bytes of frames instead of the newest alone.
    """

    def __init__(
        self,
        source: str,
        options: SourceOptions,
        nursery: Nursery,
        changed: Callable[[], None],
        *,
        retry: bool = True,
        buffer: int = 0,
        name: str = "",
    ) -> None:
        self.name = name or redact_of(source, source)
        self.counts = Counts()
        self.framerate: float | None = None
        self.ended = ""
        # Why it ended; the end of a file or pipe is no failure.
        self.failed: EdgesegError | None = None
        self.error: Exception | None = None
        self._source, self._options, self._retry, self._buffer = source, options, retry, buffer
        self._nursery, self._changed = nursery, changed
        self._lock = threading.Lock()
        self._signal = Signal()
        self._newest: Notice | None = None
        self._kept: deque[StreamFrame] = deque()
        self._kept_bytes = 0
        self._dropped = 0
        self._next = 0
        self._number = 0  # of the last frame that this process told of
        self._first_received: float | None = None
        # Of the newest frame with a clock: its connection, source time and receipt; and what is added to that clock.
        self._clock: tuple[int, float, float] | None = None
        self._offset = 0.0
        self._crashes: deque[float] = deque()
        self._crash = ""  # what the process said as it died
        self._process: Process | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"edgeseg capture {self.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    # What the pipeline asks, from its own threads.

    def waiting(self) -> float | None:
        """Monotonic seconds at which the frame that :meth:`take` would give was received; None if there is none."""
        with self._lock:
            if self._kept:
                return self._kept[0].received
            return float(self._newest.values["received"]) if self._newest else None

    def take(self) -> StreamFrame | None:
        """The newest frame that was not taken yet (with a buffer: the oldest); those it overtook are dropped."""
        with self._lock:
            if self._kept:
                frame = self._kept.popleft()
                self._kept_bytes -= frame.image.nbytes
                return frame
            notice, self._newest = self._newest, None
            if notice is None:
                return None
            copied = self._copy(notice)
            self._dropped += copied is None
            return copied

    def state(self, now: float | None = None) -> tuple[str, str, float]:
        """State, reason, age of the newest frame in seconds."""
        now = time.monotonic() if now is None else now
        with self._lock:
            return *self._signal.at(now), self._signal.age(now)

    def frame_state(self, frame: StreamFrame, now: float, age: float | None = None) -> tuple[str, str]:
        """State of one frame now: that of the stream, but by the frame's own age, or a given one."""
        with self._lock:
            return self._signal.at(now, frame.age(now) if age is None else age)

    def set_invalid(self, reason: str) -> None:
        """Says why no mask can be trusted; empty when one can again."""
        with self._lock:
            self._signal.invalid = reason

    @property
    def dropped(self) -> int:
        with self._lock:
            return self._dropped

    def stop(self) -> None:
        """Asks it to end; :meth:`join` waits."""
        self._stop.set()

    def join(self, seconds: float) -> None:
        if self._thread.ident is not None:
            self._thread.join(seconds)

    # What the supervisor's thread does.

    def _run(self) -> None:
        try:
            while not self._stop.is_set() and not self.ended:
                process = self._nursery.take(self._stop)
                if process is None:
                    return
                self._process = process
                try:
                    reason = self._supervise(process)
                finally:
                    self._process = None
                    self._rescue()
                    process.kill()
                if self.ended or self._stop.is_set():
                    continue
                if self._source == "-" and self.counts.connections:
                    self._lost(reason)
                else:
                    self._crashed(reason)
        except Exception as error:  # noqa: BLE001 - raised by the run: nothing may look for ever as if it only waited
            self.error = error
            self.ended = str(error)
        finally:
            self._changed()

    def _supervise(self, process: Process) -> str:
        """Until it dies, hangs or is no longer wanted; the reason."""
        options = self._options
        job = {
            "source": self._source,
            "retry": self._retry,
            "keep": bool(self._buffer),
            # A number is left out, which tells --smoothing of the gap.
            "sequence": self._next + 1 if self._next else 0,
            "video_size": options.video_size,
            "framerate": options.framerate,
            "pixel_format": options.pixel_format,
        }
        self._number = 0
        process.slot.set_deadline(time.monotonic() + _START_S)
        process.start(json.dumps(job).encode())
        rest = b""
        while not self._stop.is_set() and not self.ended:
            wait = process.slot.deadline() - time.monotonic()
            if wait < 0:
                return "the capture process hung"
            ready, _, _ = select.select([process.output], [], [], min(wait, 0.1))
            if not ready:
                continue
            try:
                data = os.read(process.output, 1 << 16)
            except BlockingIOError:
                continue
            if not data:
                return "the capture process died"
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._message(process, json.loads(line))
        return ""

    def _message(self, process: Process, said: dict[str, Any]) -> None:
        match said["type"]:
            case "frame":
                wall_time = time.time() - (time.monotonic() - said["received"])
                self._frame(Notice(process.slot, said, wall_time, self.counts.connections))
            case "opened":
                self.counts.connections += 1
                self.framerate = said["framerate"] or self.framerate
                self._note(said["notes"])
            case "notes":
                self._note(said["notes"])
            case "damaged":
                self.counts.damaged += said["count"]
            case "trouble" | "crash":
                with self._lock:
                    self._dropped += said["number"] - self._number
                    self._number = said["number"]
                    self._signal.restart(said["text"])
                self._crash = said["text"] if said["type"] == "crash" else ""
                # What a failed session had read of standard input is gone: another would begin in mid-frame.
                once = not self._retry or self._source == "-"
                if said["type"] == "trouble" and (said["final"] or once):
                    if not (said["final"] and said["ended"]):
                        self.failed = self._failure(said)
                    self.ended = said["text"]
        self._changed()

    def _failure(self, said: dict[str, Any]) -> EdgesegError:
        if said["final"] and self.counts.received:  # as with a file that is damaged further on
            return InputError(f"{self.name}: {said['text']}; the outputs hold what came before, see what writes it")
        return SourceError(f"{self.name}: {said['text']}")

    def _note(self, notes: list[str]) -> None:
        self.counts.notes += [note for note in notes if note not in self.counts.notes]

    def _frame(self, notice: Notice) -> None:
        values = notice.values
        self.counts.received += 1
        self._next = values["sequence"] + 1
        with self._lock:
            # A process whose pipe is full says nothing of its frames.
            self._dropped += values["number"] - self._number - 1
            self._number = values["number"]
            self._signal.frame(values["received"], Content(*values["content"]), values["lag"])
            if not self._buffer:
                self._dropped += self._newest is not None
                self._newest = notice
                return
        frame = self._copy(notice)
        notice.slot.set_taken(values["number"])
        with self._lock:
            if frame is None or self._kept_bytes + frame.image.nbytes > self._buffer:
                self._dropped += 1
                return
            self._kept.append(frame)
            self._kept_bytes += frame.image.nbytes

    def _copy(self, notice: Notice) -> StreamFrame | None:
        values = notice.values
        try:
            image = notice.slot.read(values["number"], *values["size"])
        except ValueError:  # its process was replaced this moment, and the slot is closed
            return None
        if image is None:
            return None
        return StreamFrame(
            image,
            values["sequence"],
            self._time(values["source_time"], values["received"], notice.connection),
            values["received"],
            notice.wall_time,
            values["decode_ms"],
            lag=values["lag"],
            damaged=values["damaged"],
        )

    def _time(self, source_time: float | None, received: float, connection: int) -> float:
        """Seconds from the stream's beginning, on over reconnections, after which a camera's clock begins anew.

        A frame that waits here while its connection is replaced is still timed by the clock of its own.
        """
        if self._first_received is None:
            self._first_received = received
        elapsed = received - self._first_received
        if source_time is None:
            return elapsed
        before, self._clock = self._clock, (connection, source_time, received)
        if (
            before is None
            or before[0] != connection
            or abs((source_time - before[1]) - (received - before[2])) > _APART_S
        ):
            self._offset = elapsed - source_time
        return self._offset + source_time

    def _rescue(self) -> None:
        """Copies the last frame before its memory goes."""
        with self._lock:
            notice, self._newest = self._newest, None
            frame = self._copy(notice) if notice is not None else None
            self._dropped += notice is not None and frame is None
            if frame is not None:
                self._kept.append(frame)
                self._kept_bytes += frame.image.nbytes

    def _lost(self, reason: str) -> None:
        """Standard input lacks what its dead reader had taken: the next would cut its pictures in the wrong places."""
        reason += f" ({self._crash})" if self._crash else ""
        with self._lock:
            self._signal.restart(reason)
        self.failed = SourceError(
            f"{self.name}: {reason}, and with it the piece of standard input that it had read; pipe the video again"
        )
        self.ended = reason

    def _crashed(self, reason: str) -> None:
        now = time.monotonic()
        self.counts.restarts += 1
        self.counts.why_restarted = reason
        with self._lock:
            self._signal.restart(reason)
        self._changed()
        self._crashes.append(now)
        while self._crashes[0] < now - WINDOW_S:
            self._crashes.popleft()
        if len(self._crashes) > BUDGET:
            raise BackendError(f"{self.name}: {reason} {len(self._crashes)} times in a minute; see the system's log")
