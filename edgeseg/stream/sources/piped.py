"""``-``: video from standard input, y4m as it says itself, or raw BGR frames with --video-size and --framerate."""

from __future__ import annotations

import os
import select
import time

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.sources.color import to_bgr
from edgeseg.stream.sources.live import Facts, Taken, Trouble

_MAGIC = b"YUV4MPEG2"
# Bytes of a header or of a frame's own line.
_LONGEST = 4096
_FORMATS = {"420": "yuv420p", "422": "yuv422p", "444": "yuv444p", "mono": "gray"}
# --pixel-format of raw frames.
RAW = ("bgr24", "rgb24", "gray", "yuv420p", "nv12", "yuyv422")


class Piped:
    """Reads whole frames from a file descriptor. It cannot be opened again: whatever is wrong with it is final."""

    timed = False
    open_s, read_s = 5.0, 5.0

    def __init__(self, handle: int, options: SourceOptions) -> None:
        self._handle, self._options = handle, options
        self._buffer = bytearray()
        self._begun = False
        self._y4m = False
        self.damaged = 0

    def open(self) -> Facts:
        self._reformatter = VideoReformatter()
        return Facts(self._options.framerate)

    def read(self) -> list[Taken]:
        """No picture where a whole one has not come within a second: its writer takes its time."""
        if not self._begun and not self._begin():
            return []
        start = 0
        if self._y4m:
            start = self._buffer.find(b"\n", 0, _LONGEST) + 1
            if self._buffer[:5] != b"FRAME"[: len(self._buffer)] or (not start and len(self._buffer) >= _LONGEST):
                raise Trouble("its y4m is damaged: a frame does not begin where it should", final=True)
            if not start:
                return self._more()
        if len(self._buffer) < start + self._bytes:
            return self._more()
        data = bytes(self._buffer[start : start + self._bytes])
        del self._buffer[: start + self._bytes]
        received, begin = time.monotonic(), time.perf_counter()
        image = self._picture(data)
        return [Taken(image, None, received, (time.perf_counter() - begin) * 1e3)]

    def _begin(self) -> bool:
        """Reads what tells the format; whether it was all there."""
        if len(self._buffer) < len(_MAGIC):
            self._more()
        if len(self._buffer) < len(_MAGIC):
            return False
        self._y4m = self._buffer.startswith(_MAGIC)
        if self._y4m:
            end = self._buffer.find(b"\n", 0, _LONGEST)
            if end < 0 and len(self._buffer) < _LONGEST:
                self._more()
                return False
            self._header(bytes(self._buffer[len(_MAGIC) : max(end, 0)]))  # none where no line ends: refused
            del self._buffer[: end + 1]
        elif self._options.video_size is None:
            raise Trouble("raw frames on standard input need --video-size WIDTHxHEIGHT; y4m says its own", final=True)
        else:
            self._size, self._format = self._options.video_size, self._options.pixel_format or "bgr24"
            if self._format not in RAW:
                raise Trouble(f"--pixel-format {self._format}: raw frames are one of {', '.join(RAW)}", final=True)
        self._bytes = _frame_bytes(self._size, self._format)
        self._begun = True
        return True

    def _header(self, line: bytes) -> None:
        fields = {part[:1]: part[1:].decode("ascii", "replace") for part in line.split()}
        try:
            self._size = int(fields[b"W"]), int(fields[b"H"])
            color = fields.get(b"C", "420")
            self._format = next(form for key, form in _FORMATS.items() if color.startswith(key) and "p1" not in color)
            if all(0 < side <= 16384 for side in self._size):
                return
        except (KeyError, ValueError, StopIteration):
            pass
        raise Trouble("its y4m header is not one of 8 bits that can be read", final=True)

    def _picture(self, data: bytes) -> NDArray[np.uint8]:
        width, height = self._size
        if self._format == "bgr24":
            return np.frombuffer(data, np.uint8).reshape(height, width, 3)
        frame = av.VideoFrame(width, height, self._format)
        at = 0
        for index, plane in enumerate(frame.planes):
            rows, row = _plane(self._size, self._format, index)
            padded = np.zeros((plane.height, plane.line_size), np.uint8)
            padded[:rows, :row] = np.frombuffer(data, np.uint8, rows * row, at).reshape(rows, row)
            plane.update(padded.tobytes())
            at += rows * row
        return to_bgr(frame, self._reformatter)

    def _more(self) -> list[Taken]:
        ready, _, _ = select.select([self._handle], [], [], 1.0)
        if ready:
            data = os.read(self._handle, 1 << 20)
            if not data:
                raise Trouble("standard input ended", ended=True, final=True)
            self._buffer += data
        return []

    def close(self) -> None:
        """Standard input stays open: it cannot be opened again."""


def _plane(size: tuple[int, int], form: str, index: int) -> tuple[int, int]:
    """Rows of a plane, and bytes of a row."""
    width, height = size
    half_width, half_height = -(-width // 2), -(-height // 2)
    if form in ("rgb24", "bgr24"):
        return height, 3 * width
    if form == "yuyv422":
        return height, 4 * half_width
    if index == 0 or form in ("gray", "yuv444p"):
        return height, width
    if form == "nv12":
        return half_height, 2 * half_width
    return height if form == "yuv422p" else half_height, half_width


def _frame_bytes(size: tuple[int, int], form: str) -> int:
    planes = {"nv12": 2, "yuv420p": 3, "yuv422p": 3, "yuv444p": 3}.get(form, 1)
    shapes = [_plane(size, form, index) for index in range(planes)]
    return sum(rows * row for rows, row in shapes)


def camera(_: str, options: SourceOptions) -> Piped:
    """The worker was given our standard input under the number in its last argument."""
    import sys

    return Piped(int(sys.argv[3]), options)
