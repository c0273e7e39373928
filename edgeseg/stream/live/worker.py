"""The capture process: ``python -m edgeseg.stream.live.worker PARENT SLOT_HANDLE [INPUT_HANDLE]``.

Opens a source, keeps the newest frame in the slot, says on standard output what happens, opens the source again when
it fails. It knows the job from standard input (never from its command line, which every user of a machine can read) and
ends when that closes. Started ahead of need, it waits there with its libraries loaded.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

# Loaded before there is a job: starting anew after a crash then takes no time. No runtime, no OpenCV, no command line.
import av
import av.logging
import numpy as np

import edgeseg.stream.sources.color
import edgeseg.stream.sources.network  # noqa: F401
from edgeseg.redact import redact_of
from edgeseg.stream.live.content import Watch
from edgeseg.stream.live.lag import Lag, Link, SizeGate
from edgeseg.stream.live.slot import BUFFERS, Slot
from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.sources.live import Trouble

if TYPE_CHECKING:
    from edgeseg.stream.sources.live import Camera, Taken

_PR_SET_PDEATHSIG = 1
# Waiting between two attempts: from the first to the last of these seconds, growing by a quarter.
FIRST_WAIT, LAST_WAIT, GROWTH = 0.1, 1.0, 1.25
SLOW_WAIT = 5.0
# With --stream-buffer: how long a frame waits until there is a free place for it.
KEEP_WAIT = 0.25
# How long after its own deadline a source may take before the supervisor counts the process as hung.
GRACE = 0.6
# Characters of a reason: twelve bytes each at worst, and a line must be shorter than PIPE_BUF (4096 bytes).
_LONGEST = 300


class Worker:
    """One source, for as long as the process lives."""

    def __init__(self, job: dict[str, Any], slot: Slot) -> None:
        self._url, self._slot = str(job["source"]), slot
        self._retry, self._keep = bool(job["retry"]), bool(job["keep"])
        size = job.get("video_size")
        options = SourceOptions(tuple(size) if size else None, job.get("framerate"), job.get("pixel_format"))
        self._options = options
        # Over all workers of a stream: its frames are numbered on.
        self._sequence = int(job["sequence"])
        self._number = 0
        self._thin = False  # frames came late when the last connection ended
        self._output = sys.stdout.fileno()
        self._untold = b""  # the line of the newest frame, where the pipe was full

    def run(self) -> None:
        wait = FIRST_WAIT
        while True:
            began, frames = time.monotonic(), self._number
            try:
                trouble = self._session()
            except Trouble as caught:
                trouble = caught
            if self._number - frames > 25:
                wait = FIRST_WAIT
            self._say(
                "trouble", text=redact_of(str(trouble), self._url), ended=trouble.ended, final=trouble.final,
                slow=trouble.slow, number=self._number,
            )  # fmt: skip
            # Standard input cannot be opened again: what this session had read of a frame is gone.
            if trouble.final or not self._retry or self._url == "-":
                return
            # A number is left out before the next session's first frame, which tells --smoothing of the gap.
            self._sequence += self._number > frames
            pause = SLOW_WAIT if trouble.slow else wait
            wait = min(LAST_WAIT, wait * GROWTH)
            # Counted from the beginning of the attempt: one that waited for its deadline waited long enough.
            pause = max(0.0 if trouble.slow else FIRST_WAIT, pause - (time.monotonic() - began))
            self._slot.set_deadline(time.monotonic() + pause + GRACE)
            time.sleep(pause)

    def _session(self) -> Trouble:
        """Opens and reads until it fails; the reason."""
        camera = _camera(self._url, self._options)
        lag, gate, watch = Lag(), SizeGate(), Watch()
        link = Link(trial=self._thin, began=time.monotonic())
        self._slot.set_deadline(time.monotonic() + camera.open_s + 2.5 + GRACE)
        try:
            facts = camera.open()
            self._say("opened", framerate=facts.framerate, notes=facts.notes)
            notes = facts.notes
            while True:
                self._slot.set_deadline(time.monotonic() + camera.read_s + GRACE)
                taken = camera.read()
                self._say_damage(camera)
                if getattr(camera, "notes", notes) != notes:
                    notes = camera.notes  # type: ignore[attr-defined]
                    self._say("notes", notes=notes)
                for one in taken:
                    believed = gate(one.image.shape, damaged=one.damaged)
                    camera.damaged += gate.bogus
                    late = lag(one.source_time if camera.timed else None, one.received, waited=one.waited)
                    if not believed or late is None:
                        continue
                    self._publish(one, link(late, one.received), watch)
                    self._thin = link.trial or link.late
                    if link.hopeless:
                        raise Trouble("frames come too late")
        finally:
            self._say_damage(camera)
            camera.close()

    def _say_damage(self, camera: Camera) -> None:
        if camera.damaged:
            self._say("damaged", count=camera.damaged)
            camera.damaged = 0

    def _publish(self, taken: Taken, late: float, watch: Watch) -> None:
        self._number += 1
        end = time.monotonic() + KEEP_WAIT
        while self._keep and self._slot.taken() < self._number - BUFFERS and time.monotonic() < end:
            time.sleep(0.001)
        try:
            self._slot.write(self._number, np.ascontiguousarray(taken.image))
        except ValueError as error:
            raise Trouble(str(error), slow=True) from error
        except OSError as error:
            raise Trouble(f"shared memory: {error.strerror}; free memory (df /dev/shm, free)", slow=True) from error
        self._say(
            "frame",
            number=self._number,
            sequence=self._sequence,
            size=taken.image.shape[:2],
            received=taken.received,
            source_time=taken.source_time,
            decode_ms=taken.decode_ms,
            lag=late,
            damaged=taken.damaged,
            content=watch.look(taken.image),
        )
        self._sequence += 1

    def _say(self, kind: str, **values: object) -> None:
        """A line. That of a frame does not wait for a reader who is busy, as capture must not; all others do."""
        if "text" in values:
            values["text"] = str(values["text"])[:_LONGEST]
        line = json.dumps({"type": kind, **values}).encode() + b"\n"
        if kind == "frame":
            # The next line's number tells of it, unless it was the last.
            self._untold = b"" if self._written(line) else line
            return
        for one in (self._untold, line):
            while one and not self._written(one):
                # It is the reader that hangs, not we.
                self._slot.set_deadline(max(self._slot.deadline(), time.monotonic() + 1.0 + GRACE))
                select.select([], [self._output], [], 0.1)
        self._untold = b""

    def _written(self, line: bytes) -> bool:
        """False where the pipe is full. Shorter than PIPE_BUF, so that it goes whole or not at all."""
        try:
            os.write(self._output, line)
        except BlockingIOError:
            return False
        except OSError:
            os._exit(0)
        return True


def _camera(url: str, options: SourceOptions) -> Camera:
    from edgeseg.stream.sources import kind_of

    make = kind_of(url).camera
    if make is None:
        raise Trouble("is no live source", final=True)
    return make(url, options)


def _die_with_parent(parent: int) -> None:
    """SIGKILL from the kernel when the supervisor's thread ends; and if it ended before we asked, now.

    Who inherits us then is not known, and in a container the supervisor itself may be process 1.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)


def _watch_input() -> None:
    """Ends the process when standard input closes: the clean way to stop, from any state of the source."""

    def wait() -> NoReturn:
        while os.read(0, 4096):
            pass
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    """Waits for the job, does it until standard input closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _die_with_parent(int(sys.argv[1]))
    av.logging.set_level(None)
    os.set_blocking(sys.stdout.fileno(), False)
    slot = Slot(int(sys.argv[2]))
    line = bytearray()
    while not line.endswith(b"\n"):
        part = os.read(0, 1)
        if not part:
            return
        line += part
    _watch_input()
    worker = Worker(json.loads(line), slot)
    try:
        worker.run()
    except Exception as error:  # noqa: BLE001 - told to the supervisor, which starts another
        text = redact_of(f"{type(error).__name__}: {error}", worker._url)  # noqa: SLF001
        worker._say("crash", text=text, number=worker._number)  # noqa: SLF001
        os._exit(1)
    # Stays until the supervisor has read everything and closes standard input.
    slot.set_deadline(float("inf"))
    threading.Event().wait()


if __name__ == "__main__":
    main()
