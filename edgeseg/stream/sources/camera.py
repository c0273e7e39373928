"""Local cameras through OpenCV: an index or /dev/videoN (V4L2), and GStreamer pipelines where OpenCV has it."""

from __future__ import annotations

import time
from pathlib import Path

import cv2
import numpy as np

from edgeseg.errors import SourceError
from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.sources.live import Facts, Taken, Trouble

# OpenCV takes an int, and adds codes of its own above this.
_MOST = 100


class LocalCamera:
    """A device or pipeline that OpenCV opens; frames are as new as the driver gives them."""

    timed = False
    open_s, read_s = 5.0, 2.0

    def __init__(self, place: int | str, backend: int, options: SourceOptions) -> None:
        self._place, self._backend, self._options = place, backend, options
        self._capture: cv2.VideoCapture | None = None
        self.damaged = 0

    def open(self) -> Facts:
        if isinstance(self._place, int):
            _check_index(self._place)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        wanted = self._wanted()
        parameters = [number for pair in wanted for number in pair]
        capture = cv2.VideoCapture(self._place, self._backend, parameters)
        if not capture.isOpened() and parameters:  # some drivers refuse what others ignore
            capture = cv2.VideoCapture(self._place, self._backend)
        if not capture.isOpened():
            capture.release()
            raise Trouble("cannot be opened; is it there (ls /dev/video*) and not in use?")
        self._capture = capture
        return Facts(capture.get(cv2.CAP_PROP_FPS) or None, self._given(capture))

    def _wanted(self) -> list[tuple[int, int]]:
        options, wanted = self._options, []
        if options.pixel_format:  # first: size and rate depend on it
            code = options.pixel_format.upper().ljust(4)[:4]
            wanted.append((cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*code)))
        if options.video_size:
            wanted.append((cv2.CAP_PROP_FRAME_WIDTH, options.video_size[0]))
            wanted.append((cv2.CAP_PROP_FRAME_HEIGHT, options.video_size[1]))
        if options.framerate:
            wanted.append((cv2.CAP_PROP_FPS, round(options.framerate)))
        if isinstance(self._place, int):
            wanted.append((cv2.CAP_PROP_BUFFERSIZE, 1))
        return wanted

    def _given(self, capture: cv2.VideoCapture) -> tuple[str, ...]:
        """A driver that has no such size takes the nearest, silently; we say so."""
        size = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        if self._options.video_size and size != self._options.video_size:
            wanted = "{}x{}".format(*self._options.video_size)
            return (f"gives {size[0]}x{size[1]} instead of {wanted}",)
        return ()

    def read(self) -> list[Taken]:
        if self._capture is None:
            raise Trouble("is not open", final=True)
        asked = time.monotonic()
        ok = self._capture.grab()
        received = time.monotonic()
        if not ok:
            raise Trouble("gives no frames any more")
        start = time.perf_counter()
        ok, image = self._capture.retrieve()
        if not ok or image is None or image.ndim != 3:
            self.damaged += 1
            return []
        decode = (time.perf_counter() - start) * 1e3
        return [Taken(np.asarray(image, np.uint8), None, received, decode, waited=received - asked > 0.003)]

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def _check_index(index: int) -> None:
    if index >= _MOST:
        raise Trouble(f"cannot be opened; cameras are numbered 0 to {_MOST - 1}", final=True)
    if not Path(f"/dev/video{index}").exists():
        raise Trouble(f"cannot be opened: there is no /dev/video{index}")


def check(text: str) -> None:
    """Looks before the run begins; a camera that is unplugged later is waited for.

    Raises:
        SourceError: there is no such device.
    """
    digits = text.removeprefix("/dev/video")
    if len(digits) > 2:
        raise SourceError(f"camera {digits[:9]}: cannot be opened; cameras are numbered 0 to {_MOST - 1}")
    if not Path(f"/dev/video{int(digits)}").exists():
        raise SourceError(f"camera {digits}: cannot be opened: there is no /dev/video{digits}; see: edgeseg sources")


def camera(text: str, options: SourceOptions) -> LocalCamera:
    """``0`` or ``/dev/video0``."""
    digits = text.removeprefix("/dev/video")
    return LocalCamera(int(digits[:9]), cv2.CAP_V4L2, options)


def gst(text: str, options: SourceOptions) -> LocalCamera:
    """``gst:PIPELINE``; it gets an appsink of one frame where it names none."""
    pipeline = text.removeprefix("gst:").strip()
    if "appsink" not in pipeline:
        pipeline += " ! videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false"
    return LocalCamera(pipeline, cv2.CAP_GSTREAMER, options)


def has_gstreamer() -> bool:
    """Whether this OpenCV was built with it; the wheels of PyPI are not."""
    return bool(cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER))
