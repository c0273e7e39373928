"""A video file that is playable however the run ends: fragmented mp4 or flushed mkv, every write checked."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from edgeseg.atomic import disk_errors, disk_sentence
from edgeseg.commands.options import Codec
from edgeseg.errors import OutputError, UsageError

SUFFIXES = (".mp4", ".mkv")
_BT709 = 1
_MILLISECONDS = Fraction(1, 1000)
# MPEG-4 counts a second in so many parts at most.
_MPEG4_PARTS = 65535
# Written through to the file this often, at least: what a kill may take; and to the disk: what a power cut may.
_FLUSH_S, _SYNC_S = 0.5, 1.0


def growing_name(path: Path) -> Path:
    """Under which a live video grows until it is finished."""
    return path.with_name(f"{path.stem}.part{path.suffix.lower()}")


class _Checked:
    """The file that FFmpeg writes to, remembering the first error instead of raising it inside FFmpeg.

    FFmpeg's own file forgets that its last buffer found the disk full.
    """

    def __init__(self, path: Path) -> None:
        self.error: OSError | None = None
        self._file = path.open("wb")
        self.name = str(path)

    def write(self, data: bytes) -> int:
        self._try(lambda: self._file.write(data))
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Writes what waits first, which may fail like any write."""
        self._try(lambda: self._file.seek(offset, whence))
        return self.tell()

    def tell(self) -> int:
        try:
            return self._file.tell()
        except OSError:
            return 0

    def seekable(self) -> bool:
        return True

    def flush(self) -> None:
        self._try(self._file.flush)

    def sync(self) -> None:
        self.flush()
        self._try(lambda: os.fdatasync(self._file.fileno()))

    def _try(self, call: Callable[[], object]) -> None:
        if self.error is None:
            try:
                call()
            except OSError as error:
                self.error = error

    def close(self) -> None:
        with contextlib.suppress(OSError):  # what a full disk did not take is said already
            self._file.close()


class Encoder:
    """Encodes BGR pictures of one size; others are fitted into it with black around, never stretched.

    Of a recording the file appears under its name when it is finished. Live it grows under ``NAME.part.SUFFIX``, which
    plays after a kill or on a full disk, and is renamed at the end; one that an earlier run left is kept beside it.

    Args:
        path: with .mp4 or .mkv.
        framerate: constant rate; None for the times that pictures come with (live).
        codec: see :class:`Codec`.
        lossless: for replay: nearly so with h264 (quantiser 4), exactly for YUV with mpeg4's sibling FFV1 (mkv only).

    Raises:
        UsageError: neither .mp4 nor .mkv, or a codec that this FFmpeg lacks.
        OutputError: it cannot be created.
    """

    def __init__(
        self, path: Path, framerate: float | None, codec: Codec = Codec.h264, *, live: bool = False,
        lossless: bool = False,
    ) -> None:  # fmt: skip
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise UsageError(f"--out {path}: write the video as {' or '.join(SUFFIXES)}, or give a folder")
        self._path, self._live, self._lossless = path, live, lossless
        self._codec = _library(codec, lossless=lossless)
        if self._codec == "ffv1" and suffix != ".mkv":
            raise UsageError(f"{path}: without H.264 frames are kept as FFV1, which needs a .mkv")
        rate = framerate or 25.0
        if self._codec == "mpeg4":  # 120000/1001 frames a second have more
            rate = min(rate, float(_MPEG4_PARTS))
            self._rate = Fraction(rate).limit_denominator(min(1001, int(_MPEG4_PARTS / rate)))
        else:
            self._rate = Fraction(rate).limit_denominator(1001)
        self.temporary = growing_name(path) if live else path.with_name(f".{path.stem}.{os.getpid()}{suffix}")
        self.size: tuple[int, int] | None = None
        self._last, self._flushed, self._synced = -1, 0.0, 0.0
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if live and self.temporary.exists():
                stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(self.temporary.stat().st_mtime))
                self.temporary.replace(path.with_name(f"{path.stem}.{stamp}{suffix}"))
            flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof", "frag_duration": "400000"}
            kind = ("mp4", flags) if suffix == ".mp4" else ("matroska", {"cluster_time_limit": "400"})
            self._file = _Checked(self.temporary)
            try:
                options = kind[1] | ({"flush_packets": "1"} if live else {})
                self._container = av.open(self._file, "w", format=kind[0], options=options)
            except av.FFmpegError as error:
                self._file.close()
                raise OutputError(f"cannot write {path}: {error.strerror}") from error

    def _start(self, image: NDArray[np.uint8]) -> None:
        height, width = image.shape[:2]
        # 4:2:0 chroma knows no odd sides, and no side of nothing.
        self.size = (max(2, width - width % 2), max(2, height - height % 2))
        stream = self._container.add_stream(self._codec, rate=self._rate)
        assert isinstance(stream, av.VideoStream)  # noqa: S101 - of a codec of video
        self._stream = stream
        self._stream.width, self._stream.height = self.size
        self._stream.pix_fmt = "yuv420p"
        # A keyframe a second: a torn packet spoils no more than what follows it until the next.
        self._stream.options = {**self._quality(), "g": str(max(1, round(self._rate)))}
        context = self._stream.codec_context
        if self._live:
            context.time_base = _MILLISECONDS
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = ColorRange.MPEG

    def _quality(self) -> dict[str, str]:
        if self._codec == "libx264":
            fast = {"preset": "ultrafast", "tune": "zerolatency"} if self._live else {"preset": "veryfast"}
            return fast | ({"qp": "4"} if self._lossless else {"crf": "20"})
        if self._codec == "mpeg4":
            return {"qmin": "2", "qmax": "6", "bf": "0"}
        return {}

    def write(self, image: NDArray[np.uint8], seconds: float | None = None) -> None:
        """Adds uint8 BGR [H, W, 3], ``seconds`` after the beginning where there is no constant rate.

        Raises:
            OutputError: the disk refused.
        """
        if self.size is None:
            self._start(image)
        out = av.VideoFrame.from_ndarray(self._sized(image), format="bgr24")
        out = out.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
        if seconds is not None:
            self._last = max(self._last + 1, round(seconds * 1000))
            out.pts, out.time_base = self._last, _MILLISECONDS
        self._mux(out)
        now = time.monotonic()
        if self._live and now - self._flushed > _FLUSH_S:
            self._flushed = now
            self._file.flush()
            if now - self._synced > _SYNC_S:  # waits for the disk; only this sink's frames do too
                self._synced = now
                self._file.sync()
            self._check()

    def _sized(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        width, height = self.size or (0, 0)
        rows, columns = image.shape[:2]
        if (columns - columns % 2, rows - rows % 2) == (width, height):
            return np.ascontiguousarray(image[:height, :width])
        scale = min(width / columns, height / rows)
        size = (max(1, int(columns * scale)), max(1, int(rows * scale)))
        canvas = np.zeros((height, width, 3), np.uint8)
        top, left = (height - size[1]) // 2, (width - size[0]) // 2
        canvas[top : top + size[1], left : left + size[0]] = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        return canvas

    def _mux(self, frame: av.VideoFrame | None) -> None:
        try:
            self._container.mux(self._stream.encode(frame))
        except av.FFmpegError as error:
            self._check()
            size = "x".join(map(str, self.size or ()))
            raise OutputError(
                f"{self._path}: {self._codec} cannot encode {size} at {float(self._rate):g} frames a second "
                f"({error.strerror}); try another --codec"
            ) from error
        self._check()

    def _check(self) -> None:
        if self._file.error is not None:
            there = self._live and self.temporary.exists() and self.temporary.stat().st_size > 0
            kept = f"; what was recorded until then is {self.temporary}" if there else ""
            raise OutputError(disk_sentence(self._path, self._file.error) + kept) from self._file.error

    def close(self) -> None:
        """Finishes the file under its name.

        Raises:
            OutputError: the disk refused; the file of that name is as it was.
        """
        finished = False
        try:
            if self._file.error is not None:  # said already
                return
            if self.size is not None:
                self._mux(None)
                self._container.close()
                self._file.sync()
                self._check()
                with disk_errors(self._path):
                    self.temporary.replace(self._path)
                finished = True
        finally:
            self._container.close()
            self._file.close()
            # A live recording cannot be made again: what the disk took of it stays.
            empty = self.temporary.exists() and self.temporary.stat().st_size == 0
            if not finished and (not self._live or self.size is None or empty):
                self.temporary.unlink(missing_ok=True)


def _library(codec: Codec, *, lossless: bool) -> str:
    """FFmpeg's name of the encoder.

    Raises:
        UsageError: this FFmpeg has none.
    """
    if codec is Codec.mpeg4:
        return "ffv1" if lossless else "mpeg4"
    for name in ("libx264", "libopenh264"):
        if name in av.codecs_available:
            return name
    raise UsageError("this FFmpeg has no H.264 encoder; record with --codec mpeg4")
