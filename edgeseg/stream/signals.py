"""What ends a run from outside, and the moment in which it must not."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Outputs are being finished: a second signal would only break them, and it takes no two seconds."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    old = [(number, signal.signal(number, signal.SIG_IGN)) for number in ENDS]
    try:
        yield
    finally:
        for number, handler in old:
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
