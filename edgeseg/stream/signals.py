"""What ends a run from outside, and the moment in which it must not."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def ignore(_number: int, _frame: FrameType | None) -> None:
    """Instead of SIG_IGN, with which Python complains of a signal that is on its way already."""


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Outputs are being finished: a second signal would only break them, and it takes no two seconds."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = [(number, signal.signal(number, ignore)) for number in ENDS]
    try:
        yield
    finally:
        for number, handler in old:
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
