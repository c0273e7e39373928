"""Annotated video: H.264 in fragmented mp4 (or mkv), playable however the run ends."""

from __future__ import annotations

import contextlib
import os
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from edgeseg.atomic import disk_errors, disk_sentence
from edgeseg.errors import OutputError, UsageError
from edgeseg.model import Result
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.overlay import Overlay

SUFFIXES = (".mp4", ".mkv")
_BT709 = 1


class VideoSink:
    """Draws the overlay and encodes; the file appears under its name when it is finished.

    Frames of another size than the first are fitted into it with black around, never stretched.

    Raises:
        UsageError: neither .mp4 nor .mkv.
        OutputError: it cannot be created.
    """

    name = "encode"

    def __init__(self, path: Path, overlay: Overlay, framerate: float | None) -> None:
        if path.suffix.lower() not in SUFFIXES:
            raise UsageError(f"--out {path}: write the video as {' or '.join(SUFFIXES)}, or give a folder")
        self._path, self._overlay = path, overlay
        self._rate = Fraction(framerate or 25.0).limit_denominator(1001)
        self._temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
        self._size: tuple[int, int] | None = None
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            flags = {"movflags": "frag_keyframe+empty_moov+default_base_moof"} if path.suffix.lower() == ".mp4" else {}
            # Written through a file of ours: FFmpeg's own forgets that its last buffer found the disk full.
            self._file = self._temporary.open("wb")
            kind = "matroska" if path.suffix.lower() == ".mkv" else "mp4"
            try:
                self._container = av.open(self._file, "w", format=kind, options=flags)
            except av.FFmpegError as error:
                self._file.close()
                raise OutputError(f"cannot write {path}: {error.strerror}") from error

    def _start(self, image: NDArray[np.uint8]) -> None:
        height, width = image.shape[:2]
        # H.264 with 4:2:0 chroma knows no odd sides, and no side of nothing.
        self._size = (max(2, width - width % 2), max(2, height - height % 2))
        self._stream = self._container.add_stream("libx264", rate=self._rate)
        self._stream.width, self._stream.height = self._size
        self._stream.pix_fmt = "yuv420p"
        # A keyframe a second: at most a second is lost if the power goes.
        self._stream.options = {"crf": "20", "preset": "veryfast", "g": str(max(1, round(self._rate)))}
        context = self._stream.codec_context
        context.color_primaries = context.color_trc = context.colorspace = _BT709
        context.color_range = ColorRange.MPEG

    def write(self, frame: StreamFrame, result: Result) -> None:
        image = self._overlay.draw(frame, result)
        if self._size is None:
            self._start(image)
        out = av.VideoFrame.from_ndarray(self._sized(image), format="bgr24")
        out = out.reformat(format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG)
        self._mux(out)

    def _sized(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        width, height = self._size or (0, 0)
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
        except OSError as error:
            raise OutputError(disk_sentence(self._path, error)) from error

    def close(self) -> None:
        try:
            if self._size is not None:
                self._mux(None)
            with disk_errors(self._path):
                self._container.close()
                if self._size is not None:
                    self._file.flush()
                    os.fsync(self._file.fileno())
                    self._temporary.replace(self._path)
        finally:
            with contextlib.suppress(OSError):  # what a full disk did not take is said already
                self._container.close()
            with contextlib.suppress(OSError):
                self._file.close()
            self._temporary.unlink(missing_ok=True)


class StillSink:
    """Annotated pictures as PNG beside each other, named as the stills are."""

    name = "encode"

    def __init__(self, folder: Path, overlay: Overlay) -> None:
        self._folder, self._overlay = folder, overlay

    def write(self, frame: StreamFrame, result: Result) -> None:
        from edgeseg.pictures import write_png

        write_png(self._folder / f"{frame.name or f'{frame.sequence:08d}'}.png", self._overlay.draw(frame, result))

    def close(self) -> None:
        """Every file is complete already."""
