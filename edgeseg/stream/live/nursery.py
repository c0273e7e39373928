"""Capture processes, started ahead of need: one waits with its libraries loaded, so that a restart takes no time.

One thread starts them all and lives as long as the run: the kernel kills a process whose parent *thread* ends.
"""

from __future__ import annotations

import contextlib
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

from edgeseg.errors import BackendError, InputError
from edgeseg.stream.live.slot import Slot


class Process:
    """A capture process with its slot; ``read`` from ``output`` what it says."""

    def __init__(self, pass_input: int | None) -> None:
        try:
            self.slot = Slot.create()
        except OSError as error:
            raise BackendError(f"no shared memory for a camera ({error.strerror}); free some memory") from error
        handles = [self.slot.handle] + ([pass_input] if pass_input is not None else [])
        # The package is found where this one was, whatever the working directory and PYTHONPATH are.
        root = str(Path(__file__).parents[3])
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]).rstrip(":"),
            # OpenCV waits ten seconds for a camera that stalls: this process would be taken for a hung one. Not shorter
            # than a camera of a frame a second takes.
            "OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT": "2",
        }
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own module
                [sys.executable, "-m", "edgeseg.stream.live.worker", str(os.getpid()), *map(str, handles)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # FFmpeg and Python would print addresses with their passwords
                pass_fds=handles,
                start_new_session=True,  # Ctrl-C is for us
                bufsize=0,
                env=environment,
            )
        except OSError as error:
            self.slot.close()
            raise BackendError(f"a capture process cannot be started ({error.strerror})") from error
        assert self._process.stdin is not None  # noqa: S101 - both are pipes
        assert self._process.stdout is not None  # noqa: S101
        self._input, self._stdout = self._process.stdin, self._process.stdout
        self.output = self._stdout.fileno()
        os.set_blocking(self.output, False)

    @property
    def pid(self) -> int:
        return self._process.pid

    def start(self, job: bytes) -> None:
        """Gives it its job, a line; a dead process is noticed by its end of output."""
        with contextlib.suppress(OSError):
            self._input.write(job + b"\n")

    def kill(self) -> None:
        """Ends it and frees everything; there is nothing in it that would need time."""
        self._process.kill()
        self._process.wait()
        for stream in (self._input, self._stdout):
            with contextlib.suppress(OSError):
                stream.close()
        with contextlib.suppress(BufferError):
            self.slot.close()


class Nursery:
    """Keeps one spare process ready. Close it after the streams that took from it."""

    def __init__(self, *, pass_input: bool = False) -> None:
        try:
            self._input = os.dup(0) if pass_input else None
        except OSError:
            raise InputError("standard input is closed; pipe y4m or raw frames to --stream -") from None
        self._ready: queue.Queue[Process | BackendError] = queue.Queue(1)
        self._wanted = threading.Semaphore(1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edgeseg nursery", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            self._wanted.acquire()
            if self._stop.is_set():
                return
            try:
                self._ready.put(Process(self._input))
            except BackendError as error:
                self._ready.put(error)

    def take(self, stop: threading.Event) -> Process | None:
        """The spare, and has the next one started; None when ``stop`` is set meanwhile.

        Raises:
            BackendError: none can be started.
        """
        while not stop.is_set():
            try:
                found = self._ready.get(timeout=0.1)
            except queue.Empty:
                continue
            self._wanted.release()
            if isinstance(found, BackendError):
                raise found
            return found
        return None

    def close(self) -> None:
        """Ends the spare and the thread."""
        self._stop.set()
        self._wanted.release()
        end = time.monotonic() + 1
        while self._thread.is_alive() and time.monotonic() < end:
            self._empty()
            self._thread.join(0.02)
        self._empty()
        if self._input is not None:
            os.close(self._input)
            self._input = None

    def _empty(self) -> None:
        with contextlib.suppress(queue.Empty):
            found = self._ready.get_nowait()
            if isinstance(found, Process):
                found.kill()
