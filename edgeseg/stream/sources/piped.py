"""``-``: video from standard input, y4m as it says itself, or raw BGR frames with --video-size and --framerate."""

from __future__ import annotations

import os
import select
import time
from fractions import Fraction

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.sources.color import to_bgr
from edgeseg.stream.sources.live import Facts, Taken, Trouble

_MAGIC = b"YUV4MPEG2"
_FORMATS = {"420": "yuv420p", "422": "yuv422p", "444": "yuv444p", "mono": "gray"}
# --pixel-format of raw frames.
RAW = ("bgr24", "rgb24", "gray", "yuv420p", "nv12", "yuyv422")


class Piped:
    """Reads whole frames from a file descriptor."""

    timed = False
    open_s = read_s = 5.0

    def __init__(self, handle: int, options: SourceOptions) -> None:
        self._handle, self._options = handle, options
        self._buffer = bytearray()
        self.damaged = 0

    def open(self) -> Facts:
        self._reformatter, self._y4m, self._full = VideoReformatter(), False, False
        begin = self._exactly(len(_MAGIC), self.open_s)
        self._y4m = begin == _MAGIC
        if self._y4m:
            rate = self._header(self._line())
        elif self._options.video_size is None:
            raise Trouble("raw frames on standard input need --video-size WIDTHxHEIGHT; y4m says its own", final=True)
        else:
            self._buffer[:0] = begin
            self._size = self._options.video_size
            self._format, rate = self._options.pixel_format or "bgr24", self._options.framerate
            if self._format not in RAW:
                raise Trouble(f"--pixel-format {self._format}: raw frames are one of {', '.join(RAW)}", final=True)
        self._bytes = _frame_bytes(self._size, self._format)
        return Facts(rate)

    def _header(self, line: bytes) -> float | None:
        fields = {part[:1]: part[1:].decode("ascii", "replace") for part in line.split()}
        try:
            self._size = int(fields[b"W"]), int(fields[b"H"])
            rate = fields.get(b"F", "").replace(":", "/")
            color = fields.get(b"C", "420")
            self._format = next(form for key, form in _FORMATS.items() if color.startswith(key) and "p1" not in color)
            self._full = b"XCOLORRANGE=FULL" in line
            if all(0 < side <= 16384 for side in self._size):
                return float(Fraction(rate)) if rate else None
        except (KeyError, ValueError, StopIteration, ZeroDivisionError):
            pass
        raise Trouble("its y4m header is not one of 8 bits that can be read", final=True)

    def read(self) -> list[Taken]:
        asked = time.monotonic()
        if self._y4m and not self._line().startswith(b"FRAME"):
            raise Trouble("its y4m is damaged: a frame does not begin where it should", final=True)
        data = self._exactly(self._bytes, self.read_s)
        received = time.monotonic()
        start = time.perf_counter()
        width, height = self._size
        if self._format == "bgr24":
            image = np.frombuffer(data, np.uint8).reshape(height, width, 3)
        else:
            frame = av.VideoFrame.from_bytes(bytes(data), width, height, self._format)
            image = to_bgr(frame, self._reformatter)
        decode = (time.perf_counter() - start) * 1e3
        return [Taken(image, None, received, decode, waited=received - asked > 0.003)]

    def _line(self) -> bytes:
        while b"\n" not in self._buffer[:4096]:
            if len(self._buffer) > 4096:
                raise Trouble("its y4m is damaged: a header has no end", final=True)
            self._more(self.read_s)
        line, _, rest = self._buffer.partition(b"\n")
        self._buffer = bytearray(rest)
        return bytes(line)

    def _exactly(self, count: int, seconds: float) -> bytes:
        end = time.monotonic() + seconds
        while len(self._buffer) < count:
            self._more(max(0.0, end - time.monotonic()))
        data = bytes(self._buffer[:count])
        del self._buffer[:count]
        return data

    def _more(self, seconds: float) -> None:
        ready, _, _ = select.select([self._handle], [], [], seconds)
        if not ready:
            raise Trouble("no data came in time")
        data = os.read(self._handle, 1 << 20)
        if not data:
            raise Trouble("standard input ended", ended=True, final=True)
        self._buffer += data

    def close(self) -> None:
        """Standard input stays open: it cannot be opened again."""


def _frame_bytes(size: tuple[int, int], form: str) -> int:
    width, height = size
    half = -(-width // 2) * -(-height // 2)
    return {
        "gray": width * height,
        "yuv420p": width * height + 2 * half,
        "nv12": width * height + 2 * half,
        "yuv422p": width * height + 2 * -(-width // 2) * height,
        "yuyv422": 2 * width * height,
    }.get(form, 3 * width * height)


def camera(_: str, options: SourceOptions) -> Piped:
    """The worker was given our standard input under the number in its second argument."""
    import sys

    return Piped(int(sys.argv[2]), options)
