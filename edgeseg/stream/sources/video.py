"""Video files through PyAV: every frame, in order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import av
from av.video.reformatter import VideoReformatter

from edgeseg.errors import InputError
from edgeseg.names import shown
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.sources.color import to_bgr
from edgeseg.stream.sources.deinterlace import Deinterlacer


class VideoFile:
    """A recorded video. Damaged packets are counted and said, the rest is still segmented.

    Raises:
        InputError: no such file, empty, or no video.
    """

    live = False
    stills = False

    def __init__(self, path: Path) -> None:
        self._path, self.name = path, shown(str(path))
        self.warning = ""
        if not path.is_file():
            raise InputError(f"{path}: no such file; give the path of a video, a folder of pictures or a camera index")
        if path.stat().st_size == 0:
            raise InputError(f"{path}: the file is empty; record or copy it again")
        try:
            # A title in another encoding than UTF-8 is no fault of the pictures.
            # As an absolute path: FFmpeg takes what stands before a colon, as in 10:30.mp4, for a protocol.
            self._container = av.open(str(path.absolute()), timeout=10, metadata_errors="replace")
        except (av.FFmpegError, OSError) as error:
            raise InputError(f"{path}: is no video, or a damaged one ({_reason(error)})") from error
        if not self._container.streams.video:
            self._container.close()
            raise InputError(f"{path}: holds no video stream")
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:
            self._container.close()
            raise InputError(f"{path}: this FFmpeg cannot decode its codec; convert the video to H.264")
        self._stream.thread_type = "AUTO"
        self.length = self._stream.frames or None
        rate = self._stream.average_rate or self._stream.guessed_rate
        self.framerate = float(rate) if rate else None
        self._fields = Deinterlacer()

    @property
    def notes(self) -> tuple[str, ...]:
        return self._fields.notes

    def __iter__(self) -> Iterator[StreamFrame]:
        reformatter = VideoReformatter()
        sequence, damaged, packets = 0, 0, 0
        start = time.perf_counter()
        for packet in self._packets():
            packets += packet.size > 0
            try:
                frames = packet.decode()
            except av.FFmpegError:
                damaged += 1
                continue
            for frame in frames:
                damaged += bool(frame.is_corrupt)
                try:
                    image = to_bgr(self._fields(frame), reformatter)
                except (av.FFmpegError, ValueError) as error:  # of a size or format that nothing makes
                    size = f"{frame.width}x{frame.height}"
                    raise InputError(f"{self.name}: a frame of {size} cannot be converted; is it damaged?") from error
                now = time.perf_counter()
                source_time = float(frame.time) if frame.time is not None else sequence / (self.framerate or 25.0)
                yield StreamFrame(image, sequence, source_time, time.monotonic(), time.time(), (now - start) * 1e3)
                sequence += 1
                start = time.perf_counter()
        self._finish(sequence, damaged, packets)

    def _packets(self) -> Iterator[av.Packet[av.VideoStream]]:
        try:
            yield from self._container.demux(self._stream)
        except (av.FFmpegError, OSError) as error:
            self.warning = f"{self.name}: reading stopped ({_reason(error)})"

    def _finish(self, frames: int, damaged: int, packets: int) -> None:
        if frames == 0:
            raise InputError(f"{self.name}: holds no frame that can be decoded")
        if damaged:
            self.warning = f"{self.name}: {damaged} damaged frames or packets"
        elif self.length and packets < self.length and not self.warning:
            self.warning = f"{self.name}: ends after {packets} of {self.length} frames (truncated)"
        elif not self.warning and ends_early(self._path):
            self.warning = f"{self.name}: ends after {frames} frames, in the middle of its data (truncated)"

    def close(self) -> None:
        self._container.close()


def _reason(error: Exception) -> str:
    """FFmpeg's words without its numbers."""
    text = getattr(error, "strerror", None) or str(error)
    return str(text).splitlines()[0]


def ends_early(path: Path) -> bool:
    """Whether an mp4 or mkv says that it is longer than it is.

    Containers that grow while they are written do not count their frames; their outermost parts have sizes.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head[4:8] in (b"ftyp", b"styp"):
            return _boxes_end(file, size)
        if head[:4] == b"\x1a\x45\xdf\xa3":
            return _elements_end(file, size)
    return False


def _boxes_end(file: BinaryIO, size: int) -> bool:
    """Whether the last box of an mp4 reaches out of the file."""
    place = 0
    while place < size:
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            return True
        length = int.from_bytes(head[:4], "big")
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length == 0:  # until the end, wherever that is
            return False
        if length < 8:
            return False  # no box: something was appended
        place += length
    return place > size


def _elements_end(file: BinaryIO, size: int) -> bool:
    """Whether the last of the outermost elements of an mkv, header and segment, reaches out of the file."""
    place = 0
    while place < size:
        file.seek(place)
        head = file.read(12)
        identity = _vint_length(head[0]) if head else 0
        if not identity or len(head) <= identity:
            return True
        length = _vint_length(head[identity])
        if not length or len(head) < identity + length:
            return True
        value = int.from_bytes(head[identity : identity + length], "big") & ((1 << 7 * length) - 1)
        if value == (1 << 7 * length) - 1:  # unknown: a live one that was never finished
            return False
        place += identity + length + value
    return place > size


def _vint_length(first: int) -> int:
    """Bytes of an EBML number that begins with this one; 0 where it is none."""
    return 9 - first.bit_length() if first else 0
