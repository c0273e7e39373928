"""What a service manager is told (systemd's sd_notify): ready, a line of status, and that frames still make progress.

Pure socket code: without ``NOTIFY_SOCKET`` in the environment it does nothing.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING

from edgeseg.stream.live.state import CONNECTING

if TYPE_CHECKING:
    from edgeseg.model import Result
    from edgeseg.stream.frame import StreamFrame
    from edgeseg.stream.status import Status

# A restart brings no camera back: while the source is at fault, waiting for it is progress.
SOURCE_AT_FAULT = ("FROZEN", "NO_SIGNAL", "STALE", "LOST")


def notify(text: str) -> bool:
    """Sends ``KEY=value`` lines; whether there was somebody to send them to."""
    place = os.environ.get("NOTIFY_SOCKET", "")
    if not place:
        return False
    address = "\0" + place[1:] if place.startswith("@") else place
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, contextlib.suppress(OSError):
        sender.settimeout(0)  # a manager that hangs must not stop the pipeline
        sender.sendto(text.encode(), address)
        return True
    return False


def watchdog_seconds() -> float | None:
    """Half of what systemd allows between two signs of life; None where it waits for none."""
    limit, process = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not limit.isdecimal() or (process and process != str(os.getpid())):
        return None
    return int(limit) / 2e6 or None


class Progress:
    """A sink that feeds the watchdog; one for each stream, used by one thread.

    Fed by a frame with a mask, and while the source is at fault. A hung or failing engine (LIVE or INVALID without
    masks) feeds nothing, so systemd restarts the program.
    """

    name = "service"

    def __init__(self) -> None:
        self._every = watchdog_seconds()
        self._next = 0.0
        self._said = ""
        self._ready = False

    def write(self, frame: StreamFrame, result: Result | None) -> None:  # noqa: ARG002 - every sink's signature
        """A frame came through; with a mask, all of the pipeline works."""
        if result is not None:
            self._feed()

    def status(self, status: Status) -> None:
        """Says a change of state in ``systemctl status``."""
        text = f"{status.stream}: {status.state}" + (f", {status.reason}" if status.reason else "")
        if text != self._said:
            self._said = text
            notify(f"STATUS={' '.join(text.split())}\n")
        # Before anything is known of the source nothing is at fault, and nothing is ready.
        if status.state in SOURCE_AT_FAULT and status.reason != CONNECTING:
            self._feed()

    def _feed(self) -> None:
        if not self._ready:
            self._ready = True
            notify("READY=1\n")
        now = time.monotonic()
        if self._every is not None and now >= self._next:
            self._next = now + self._every / 2
            notify("WATCHDOG=1\n")

    def close(self) -> None:
        """The stream ends; stopping is the program's to say."""
