"""Annotated video and annotated pictures."""

from __future__ import annotations

import time
from pathlib import Path

from edgeseg.commands.options import Codec
from edgeseg.model import Result
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.overlay import Overlay
from edgeseg.stream.sinks.encoder import SUFFIXES, Encoder
from edgeseg.stream.status import Status

__all__ = ["SUFFIXES", "StillSink", "VideoSink"]
# While a live stream gives nothing the recording says so, this often.
_SAY_S = 0.5


class VideoSink:
    """Draws the overlay and encodes; see :class:`Encoder` for when the file appears.

    Raises:
        UsageError: neither .mp4 nor .mkv.
        OutputError: it cannot be created.
    """

    name = "encode"
    depth = 2

    def __init__(
        self,
        path: Path,
        overlay: Overlay,
        framerate: float | None,
        codec: Codec = Codec.h264,
        *,
        live: bool = False,
    ) -> None:
        self._overlay, self._live = overlay, live
        self._encoder = Encoder(path, framerate, codec, live=live)
        self._began: float | None = None
        self._status: Status | None = None
        self._frame: StreamFrame | None = None
        self._wrote = 0.0

    def write(self, frame: StreamFrame, result: Result | None) -> None:
        self._put(self._overlay.draw(frame, result, self._status), frame.received)
        self._frame = frame if self._live else None

    def status(self, status: Status) -> None:
        self._status = status
        now = time.monotonic()
        if status.state in ("STALE", "LOST") and self._frame is not None and now - self._wrote > _SAY_S:
            self._put(self._overlay.old(self._frame, status), now)

    def _put(self, image: object, moment: float) -> None:
        if not self._live:
            self._encoder.write(image)  # type: ignore[arg-type]
            return
        self._began = moment if self._began is None else self._began
        self._encoder.write(image, moment - self._began)  # type: ignore[arg-type]
        self._wrote = time.monotonic()

    def close(self) -> None:
        self._encoder.close()


class StillSink:
    """Annotated pictures as PNG beside each other, named as the stills are."""

    name = "encode"

    def __init__(self, folder: Path, overlay: Overlay) -> None:
        self._folder, self._overlay = folder, overlay

    def write(self, frame: StreamFrame, result: Result | None) -> None:
        from edgeseg.pictures import write_png

        write_png(self._folder / f"{frame.name or f'{frame.sequence:08d}'}.png", self._overlay.draw(frame, result))

    def status(self, _: Status) -> None:
        """Pictures have no signal."""

    def close(self) -> None:
        """Every file is complete already."""
