"""``--stream -``: what cannot be opened again is not read on from mid-frame, and what is wrong with it is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from edgeseg.errors import SourceError
from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.sources.live import Trouble
from edgeseg.stream.sources.piped import Piped

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


@pytest.mark.parametrize(("words", "code"), [([], 3), (["--frames", "10"], 0)])
def test_damage_in_mid_stream_is_said_and_what_came_before_is_kept(tmp_path: Path, words: list[str], code: int) -> None:
    y4m = b"YUV4MPEG2 W64 H48 F25:1 Cmono\n" + 10 * (b"FRAME\n" + bytes(range(64)) * 48) + b"garbage" * 500
    call = [sys.executable, "-m", "edgeseg.cli", "infer", "--model", "npnet-polyp", "--threads", "1", "--quiet"]
    call += ["--stream", "-", "--stream-buffer", "--json", str(tmp_path / "s.json"), *words]
    done = subprocess.run(call, input=y4m, capture_output=True)
    assert done.returncode == code, done.stderr
    assert done.stderr.count(b"\n") == (code == 3)
    assert (b"its y4m is damaged" in done.stderr) == (code == 3)
    assert json.loads((tmp_path / "s.json").read_text())["frames"] == 10


@pytest.mark.parametrize(
    ("head", "end", "said"),
    [(b"YUV4MPEG2", b"", "header"), (b"YUV4MPEG2 W64 H48\nFRAME", b"\n", "a frame does not begin")],
)
def test_a_line_of_any_length_is_not_waited_for(head: bytes, end: bytes, said: str) -> None:
    reading, writing = os.pipe()
    os.write(writing, head + bytes(1 << 14) + end)
    with os.fdopen(writing, "wb"):
        source = Piped(reading, SourceOptions())
        source.open()
        with pytest.raises(Trouble, match=said) as caught:
            for _ in range(3):
                source.read()
    os.close(reading)
    assert caught.value.final


def test_a_format_that_raw_frames_have_not_is_refused_at_once(edgeseg_cli) -> None:
    words = ("infer", "--model", "npnet-polyp", "--stream", "-", "--video-size", "64x48", "--pixel-format", "MJPG")
    assert "--pixel-format MJPG: raw frames on standard input are bgr24" in edgeseg_cli(*words).sentence(2)
