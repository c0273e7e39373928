"""``--stream -``: what cannot be opened again is not read on from mid-frame, and what is wrong with it is said."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pytest

from edgeseg.errors import SourceError
from edgeseg.stream.sources.base import SourceOptions

SIZE = (320, 240)
PICTURE = np.random.default_rng(0).integers(60, 120, (*SIZE[::-1], 3)).astype(np.uint8).tobytes()


@pytest.fixture
def pipe() -> Iterator[BinaryIO]:
    """Makes our standard input a pipe; its other end."""
    kept = os.dup(0)
    reading, writing = os.pipe()
    os.dup2(reading, 0)
    os.close(reading)
    with os.fdopen(writing, "wb", buffering=0) as file:
        yield file
    os.dup2(kept, 0)
    os.close(kept)


def test_a_killed_reader_is_the_end(pipe: BinaryIO, watch) -> None:
    """Half a frame died with it: every picture of another reader would be shifted, and called LIVE."""
    watcher = watch("-", SourceOptions(video_size=SIZE))
    pipe.write(2 * PICTURE + PICTURE[: len(PICTURE) // 2])
    watcher.until(lambda: watcher.capture.counts.received == 2)
    os.kill(watcher.capture._process.pid, signal.SIGKILL)
    watcher.until(lambda: bool(watcher.capture.ended))
    assert isinstance(watcher.capture.failed, SourceError)
    assert "pipe the video again" in str(watcher.capture.failed)
    assert watcher.capture.counts.restarts == 0
